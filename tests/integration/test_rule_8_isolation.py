"""Rule 8 end to end: one application that breaks, and the others that do not notice."""

from pathlib import Path

import pytest

from reconciler.engine.publishing import Publisher
from reconciler.engine.runner import Runner
from tests.integration.harness import Clone, config_map_app, running
from tests.integration.sequences import push


@pytest.mark.parametrize("place", [(Runner, "drive"), (Publisher, "publish")], ids=["run", "publish"])
async def test_rule_8b_an_application_whose_turn_raises_is_quarantined_alone_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[type, str]
) -> None:
    clone = Clone(tmp_path)
    right = getattr(*place)
    turns = {"bad": 0}

    async def break_one(self, app, *args):
        if app.key.name == "bad" and broken:
            turns["bad"] += 1
            raise RuntimeError("hunter2")
        return await right(self, app, *args)

    broken = False
    monkeypatch.setattr(*place, break_one)
    async with running(clone) as daemon:
        await push(daemon, clone, {"bad.yaml": config_map_app("bad", "1"), "good.yaml": config_map_app("good", "1")})
        await daemon.synced("good")
        await daemon.synced("bad")
        await daemon.looked()
        broken = True
        commit = clone.push({"bad.yaml": config_map_app("bad", "2"), "good.yaml": config_map_app("good", "2")})
        await daemon.synced("good", commit)
        await daemon.until(lambda: turns["bad"], "bad breaks")
        if place[0] is Runner:
            said = await daemon.until(lambda: daemon.conditions("bad").get("Stalled"), "it says so")
            assert "RuntimeError" in said
            assert "hunter2" not in said
        assert "Stalled" not in daemon.conditions("good")
        await daemon.synced("good", clone.push({"good.yaml": config_map_app("good", "3")}))
        assert turns["bad"] < 12, "it comes again ever more slowly"
        broken = False
        await daemon.synced("bad")
        await daemon.until(lambda: "Stalled" not in daemon.conditions("bad"), "it has recovered")
        assert (await daemon.get("ConfigMap", "bad"))["data"] == {"value": "2"}


async def test_rule_8b_a_dialect_that_breaks_on_one_file_is_that_looks_fault_and_the_last_good_state_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reconciler.engine import index

    clone = Clone(tmp_path)
    right, broken = index.compile_file, True

    def break_one(path, *args, **kwargs):
        if path == "evil.yaml" and broken:
            raise RuntimeError("a dialect's fault")
        return right(path, *args, **kwargs)

    monkeypatch.setattr(index, "compile_file", break_one)
    async with running(clone) as daemon:
        await push(daemon, clone, {"good.yaml": config_map_app("good", "1")})
        await daemon.synced("good")
        commit = clone.push({"evil.yaml": config_map_app("evil", "1"), "good.yaml": config_map_app("good", "2")})
        await daemon.until(lambda: daemon.status("good").desired.commit == commit, "the other file is taken in all the same")
        await daemon.synced("good")
        assert any(problem["path"] == "evil.yaml" for problem in daemon.engine.reader.problems())
        broken = False
        await daemon.synced("evil", clone.push({"evil.yaml": config_map_app("evil", "2")}))

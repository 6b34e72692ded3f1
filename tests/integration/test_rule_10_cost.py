"""Rule 10 end to end: what did not change costs nothing."""

from pathlib import Path

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.engine import index
from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.sequences import push


async def writes(daemon: Daemon) -> int:
    """How many writes the cluster has seen."""
    return int((await daemon.cluster.list((await daemon.cluster.lookup("configmap")).served)).version)


def two_objects(first: str, second: str) -> str:
    more = f'          - {{apiVersion: v1, kind: ConfigMap, metadata: {{name: second}}, data: {{value: "{second}"}}}}\n'
    return config_map_app("web", first) + more


async def test_rule_10a_an_unchanged_object_is_not_applied_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    apply, sent = EmbeddedCluster.apply, []

    async def count(self, obj, *args, **kwargs):
        sent.append(obj["metadata"]["name"])
        return await apply(self, obj, *args, **kwargs)

    monkeypatch.setattr(EmbeddedCluster, "apply", count)
    async with running(clone, state) as daemon:
        await push(daemon, clone, {"web.yaml": two_objects("1", "1")})
        await daemon.synced("web")
        version = (await daemon.get("ConfigMap", "web"))["metadata"]["resourceVersion"]
        await push(daemon, clone, {"web.yaml": two_objects("1", "2")})
        await daemon.synced("web")
        assert sent == ["web", "second", "second"]
        assert (await daemon.get("ConfigMap", "web"))["metadata"]["resourceVersion"] == version
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": two_objects("3", "2")})
        await daemon.synced("web")
    assert sent == ["web", "second", "second", "web"]


async def test_rule_10a_an_unchanged_object_that_somebody_changed_is_applied_again(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": two_objects("1", "1")})
        await daemon.synced("web")
        daemon.hold_healing("web")  # the run comes before the healer
        live = await daemon.get("ConfigMap", "web")
        await daemon.cluster.replace({**live, "data": {"value": "by hand"}}, manager="somebody")
        commit = clone.push({"web.yaml": two_objects("1", "2")})
        await daemon.synced("web", commit)
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "1"}


async def test_rule_10a_a_push_that_touches_nothing_of_ours_writes_the_accepted_commit_alone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {f"app{number}.yaml": config_map_app(f"app{number}", "1") for number in range(5)})
        for number in range(5):
            await daemon.synced(f"app{number}")
        await daemon.looked()
        before = await writes(daemon)
        await push(daemon, clone, {"README.md": "words", "src/main.py": "print()\n", "values.json": "[]"})
        await daemon.looked()
        assert await writes(daemon) == before + 1


async def test_rule_10_a_restart_without_news_writes_nothing(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await push(daemon, clone, {f"app{number}.yaml": config_map_app(f"app{number}", "1") for number in range(5)})
        for number in range(5):
            await daemon.synced(f"app{number}")
        await daemon.looked()
        before = await writes(daemon)
    async with running(clone, state) as daemon:
        for number in range(5):
            await daemon.synced(f"app{number}")
        await daemon.looked()
        assert await writes(daemon) == before


async def test_rule_10_a_look_costs_what_changed_not_how_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    right = index.compile_file

    def count(path, *args, **kwargs):
        compiled.append(path)
        return right(path, *args, **kwargs)

    monkeypatch.setattr(index, "compile_file", count)
    costs = {}
    for size in (20, 80):
        clone = Clone(tmp_path / str(size))
        async with running(clone) as daemon:
            await push(daemon, clone, {f"app{number}.yaml": config_map_app(f"app{number}", "1") for number in range(size)})
            await daemon.until(lambda size=size: len(daemon.engine.reader.applications()) == size)
            turns = len([event for event in daemon.sink.events if event.kind == "reconciled"])
            compiled.clear()
            await daemon.synced("app7", await push(daemon, clone, {"app7.yaml": config_map_app("app7", "2")}))
            others = [event for event in daemon.sink.events[turns:] if event.kind == "run" and event.fields.get("revision", "").endswith("-v2")]
            costs[size] = (list(compiled), {event.app.name for event in others})
    assert costs[20] == costs[80] == (["app7.yaml"], {"app7"})

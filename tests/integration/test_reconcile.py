"""Looking again now (rules 3a, 13d): what came of it is told, many are one look, and it decides nothing."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from reconciler.cluster.protocol import UnavailableError
from reconciler.model.identity import AppKey
from reconciler.model.names import REQUESTED_AT, SUSPEND
from reconciler.model.status import Attention
from reconciler.source.git import GitSource
from reconciler.source.protocol import Head, UnreadableError
from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.sequences import GATE, gate_of, phases, push, replace_data, taken

WEB = AppKey("default", "web")


async def ask(daemon: Daemon, seconds: float = 20.0) -> Attention:
    told = await daemon.engine.reader.reconcile(WEB, seconds)
    assert told is not None
    return told


def looks(daemon: Daemon) -> int:
    return sum(event.kind in ("look", "look-failed") for event in daemon.sink.events)


async def test_it_looks_at_git_first_and_tells_what_began(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.looked()
        told = await ask(daemon)
        assert told.result == "Unchanged"
        assert "nothing is new and no object differs; default/web is at web-v1, as git declares it, and healthy (since " in told.message
        commit = clone.push({"web.yaml": config_map_app("web", "2", gate=True)})
        told = await ask(daemon)
        assert (told.result, told.commit) == ("Changed", commit)
        assert f"looked at commit {commit[:12]}: a new commit was found and run web-v2-1 of web-v2 has begun; " in told.message
        assert gate_of(daemon, "web").continue_ in told.message
        assert await daemon.engine.reader.reconcile(AppKey("default", "nobody"), 1) is None


async def test_drift_that_no_watch_told_of_is_found_and_healed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.looked()
        monkeypatch.setattr(daemon.engine._context.observations, "_take", lambda obj, *, gone: None)
        await replace_data(daemon, "web", {"value": "by hand"})
        told = await ask(daemon)
        assert told.result == "Healed"
        assert "drift was healed on 1 object (ConfigMap default/web)" in told.message
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "1"}


async def test_drift_that_is_fought_over_waits_and_says_until_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.engine.heal._FIRST", 60.0)
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        for hand in ("one", "two"):
            await replace_data(daemon, "web", {"value": hand})
            told = await ask(daemon)
        assert told.result == "BackOff"
        assert "objects differ and are not healed before " in told.message
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "two"}


async def test_many_requests_are_one_look(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.looked()
        calls: list[None] = []
        source, head = daemon.engine._context.thread.source, daemon.engine._context.thread.source.head

        def count() -> Head:
            calls.append(None)
            return head()

        source.head = count  # type: ignore[method-assign]
        answers = await asyncio.gather(*(ask(daemon) for _ in range(200)))
        assert {told.result for told in answers} == {"Unchanged"}
        assert len(calls) <= 2


async def test_git_that_hangs_holds_only_those_who_wait_and_as_long_as_they_asked(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.looked()
        source, go, head = daemon.engine._context.thread.source, threading.Event(), daemon.engine._context.thread.source.head
        source.head = lambda: (go.wait(30), head())[1]  # type: ignore[method-assign]
        told = await ask(daemon, 0.05)
        assert told.result == "TimedOut"
        assert told.message.startswith("git has not answered within 0.05 s; default/web is at web-v1")
        assert daemon.status("web") is not None
        later = asyncio.ensure_future(ask(daemon))
        go.set()
        assert (await later).result == "Unchanged"


async def test_git_that_cannot_be_read_is_told_with_where_things_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")

        def fail(_: GitSource) -> Head:
            raise UnreadableError("refs/heads/main is not in the repository")

        monkeypatch.setattr(GitSource, "head", fail)
        told = await ask(daemon)
        assert told.result == "Failed"
        assert told.message.startswith("git cannot be read (refs/heads/main is not in the repository); default/web is at web-v1")


async def test_it_ends_the_pause_of_a_key_that_fails_and_tells_whether_it_fails_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.engine.queue._FIRST", 60.0)
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        real, broken = daemon.engine._reconciler._play, [True]

        async def play(app: Any) -> None:
            if broken:
                raise UnavailableError("etcd is away")
            await real(app)

        monkeypatch.setattr(daemon.engine._reconciler, "_play", play)
        await ask(daemon)
        told = await ask(daemon)
        assert daemon.engine._queue._failures[WEB] == 1, "the pause before the next try does not grow by being asked"
        assert told.result == "BackOff"
        assert "its turn failed again; default/web is at web-v1" in told.message
        assert "etcd is away" in told.message
        broken.clear()
        told = await ask(daemon)
        assert told.result == "Changed"
        assert "Stalled" not in daemon.conditions("web")


async def test_rule_3a_an_annotation_on_the_mirror_is_the_same_hint(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.looked()
        commit = clone.push({"web.yaml": config_map_app("web", "2")})
        await hint(daemon, "2026-03-01T12:00:00Z")
        async with asyncio.timeout(20):
            while (status := daemon.status("web")) is None or status.desired is None or status.desired.commit != commit or status.sync != "Synced":
                await asyncio.sleep(0.01)  # nobody else asks for a look
        before = daemon.engine._context.index.looked_at
        app = daemon.engine._context.apps[WEB]
        await daemon.engine._context.store.save_mirror(app.mirror, app.shown())
        await asyncio.sleep(0)
        assert daemon.engine._requests._asked == {}, "the same value, written again by the daemon, asks for nothing"
        assert daemon.engine._context.index.looked_at == before


async def hint(daemon: Daemon, when: str) -> None:
    mirror = await daemon.get("Application", "default.web", "reconciler-system", "reconciler.dev/v1alpha1")
    mirror["metadata"].setdefault("annotations", {})[REQUESTED_AT] = when
    await daemon.cluster.replace(mirror, manager="kubectl-annotate")


@pytest.mark.parametrize("state", ["gate", "suspended", "ended", "rejected"])
async def test_rule_13d_it_decides_nothing(tmp_path: Path, state: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone, write_back=False) as daemon:
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": config_map_app("web", "2", gate=True)})
        gate = gate_of(daemon, "web")
        lines = {"gate": {}, "suspended": {SUSPEND: "holidays"}, "ended": {GATE: gate.end}, "rejected": {GATE: gate.rollback}}[state]
        await taken(daemon, clone.push({"web.yaml": config_map_app("web", "2", gate=True, annotations=lines)}, "decide"))
        await daemon.looked()
        before, stood = phases(daemon, "web"), daemon.status("web")
        told = await ask(daemon)
        await hint(daemon, "now")
        await daemon.looked()
        assert told.result == "Unchanged"
        assert phases(daemon, "web") == before
        after = daemon.status("web")
        assert after is not None
        assert stood is not None
        assert (after.running, after.gates, after.conditions) == (stood.running, stood.gates, stood.conditions)


async def test_who_asks_while_a_request_is_under_way_or_state_is_read_anew_is_answered_too(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        first = asyncio.ensure_future(ask(daemon))
        second = asyncio.ensure_future(ask(daemon))
        await hint(daemon, "now")
        third = asyncio.ensure_future(ask(daemon))
        assert [told.result for told in await asyncio.gather(first, second, third)] == ["Unchanged"] * 3

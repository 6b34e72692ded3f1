"""Rule 9 end to end: an effect whose outcome a crash took is carried out once more under its own key; one that is known is not."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.daemon import SystemClock
from reconciler.model.identity import GVK
from reconciler.model.names import GROUP
from tests.integration import harness
from tests.integration.harness import Clone, config_map_app, running
from tests.integration.sequences import GATE, canary_app, gate_of, phases, push, runs, value


async def intents(cluster: EmbeddedCluster) -> dict[str, bool]:
    """Effect keys of all stored runs, and whether each has its result."""
    found = {}
    for run in (await cluster.list(GVK(GROUP, "v1alpha1", "WorkflowRun"), "reconciler-system")).items:
        for step in run["status"]["steps"]:
            found |= {intent["key"]: path in step.get("results", {}) for path, intent in step.get("intents", {}).items()}
    return found


@pytest.mark.parametrize("landed", [False, True], ids=["before-the-apply", "after-the-apply"])
async def test_rule_9a_an_intent_that_a_crash_left_unresolved_keeps_its_key_and_is_carried_out_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    clone = Clone(tmp_path)
    cluster = EmbeddedCluster(":memory:", SystemClock(), speed=1000.0)
    await cluster.start()
    apply, sent, crash = cluster.apply, [], True

    async def crash_within(obj, *args, **kwargs):
        sent.append(obj["metadata"]["name"])
        if landed or not crash:
            live = await apply(obj, *args, **kwargs)
        if crash:
            await asyncio.Event().wait()
        return live

    monkeypatch.setattr(cluster, "apply", crash_within)
    async with running(clone, cluster=cluster) as daemon:
        clone.push({"web.yaml": config_map_app("web", "1")})
        await daemon.until(lambda: sent, "the effect is under way")
    before = await intents(cluster)
    assert list(before.values()) == [False], "stored before it was carried out, and not resolved"
    crash = False
    async with running(clone, cluster=cluster) as daemon:
        await daemon.synced("web")
        assert phases(daemon, "web") == ["web-v1-1 Succeeded"]
        assert await intents(cluster) == dict.fromkeys(before, True)
        assert sent == ["web", "web"]
        assert await value(daemon, "web") == "1"
    await cluster.close()


async def test_rule_9a_a_recorded_result_is_used_again_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    cluster = EmbeddedCluster(":memory:", SystemClock(), speed=1000.0)
    await cluster.start()
    apply, sent = cluster.apply, []

    async def count(obj, *args, **kwargs):
        sent.append(obj["metadata"]["name"])
        return await apply(obj, *args, **kwargs)

    monkeypatch.setattr(cluster, "apply", count)
    async with running(clone, cluster=cluster) as daemon:
        await push(daemon, clone, {"web.yaml": canary_app("web", "1")})
        gate = gate_of(daemon, "web")
    for _ in range(3):
        async with running(clone, cluster=cluster) as daemon:
            await daemon.waiting("web")
            await daemon.looked()
            assert gate_of(daemon, "web") == gate
    assert sent == ["web-canary"]
    async with running(clone, cluster=cluster) as daemon:
        clone.push({"web.yaml": canary_app("web", "1", annotations={GATE: gate.continue_})})
        await daemon.synced("web")
    assert sent == ["web-canary", "web-rest"]
    await cluster.close()


class JumpingClock(SystemClock):
    """A wall clock that somebody sets; the monotonic one goes on as it did."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + JumpingClock.ahead


async def test_rule_9c_a_timer_is_absolute_and_fires_once_however_the_clock_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    monkeypatch.setattr(harness, "SystemClock", JumpingClock)
    monkeypatch.setattr(JumpingClock, "ahead", timedelta())
    gate = "{type: suspend, name: approve, properties: {duration: 1h}}"
    async with running(clone, state) as daemon:
        await push(daemon, clone, {"web.yaml": canary_app("web", "1", gate=gate)})
        since = gate_of(daemon, "web").since
    JumpingClock.ahead = timedelta(minutes=40)
    async with running(clone, state) as daemon:
        await daemon.waiting("web")
        await daemon.looked()
        assert gate_of(daemon, "web").since == since, "a restart does not begin it anew"
    JumpingClock.ahead = timedelta(minutes=61)
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        JumpingClock.ahead = timedelta(minutes=-120)
        await push(daemon, clone, {"web.yaml": "# touched\n" + canary_app("web", "1", gate=gate)})
        JumpingClock.ahead = timedelta(days=2)
        await push(daemon, clone, {"web.yaml": canary_app("web", "1", gate=gate)})
        assert phases(daemon, "web") == ["web-v1-1 Succeeded"]
        assert [(item.verb, item.by) for item in runs(daemon, "web")[0].decisions] == [("continue", "timer")]

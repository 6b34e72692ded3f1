"""Rates from end to end: what is throttled is not started, is no failed attempt, and has its turn."""

from __future__ import annotations

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.daemon import SystemClock
from reconciler.model.identity import AppKey
from reconciler.workflow.explain import explain
from tests.integration.harness import Clone
from tests.integration.queues import Holder, queued_app, queueing


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def throttled(daemon):
    return [event.app.name for event in daemon.sink.events if event.kind == "throttled"]


@pytest.mark.parametrize("limits", [{"throttle_qps": 5.0}, {"kind_qps": {"hold": 5.0}}])
async def test_throttled_effects_start_one_after_the_other_and_count_as_no_failure(clone, limits):
    holder = Holder()
    holder.all_free = True
    names = [f"app-{number}" for number in range(8)]
    clone.push({f"{name}.yaml": queued_app(name, queue="") for name in names})
    async with queueing(clone, holder, **limits) as daemon:
        for name in names:
            await daemon.synced(name)
        runs = [daemon.engine._context.apps[AppKey("default", name)].newest for name in names]
        assert [run.steps[0].attempt for run in runs] == [0] * 8
        assert len(throttled(daemon)) == 3, "five could start at once: a second's worth"
    assert sorted(holder.began) == names
    assert len(set(holder.keys)) == 8


async def test_other_types_do_not_wait(clone):
    holder = Holder()
    holder.all_free = True
    clone.push({f"app-{number}.yaml": queued_app(f"app-{number}", queue="") for number in range(4)})
    async with queueing(clone, holder, kind_qps={"random": 0.001}) as daemon:
        for number in range(4):
            await daemon.synced(f"app-{number}")
        assert throttled(daemon) == []


async def test_a_run_that_is_throttled_ends_at_once_when_something_newer_comes_and_starts_nothing(clone):
    holder = Holder()
    holder.all_free = True
    clone.push({"a.yaml": queued_app("a", queue="")})
    async with queueing(clone, holder, kind_qps={"hold": 0.001}) as daemon:
        await daemon.synced("a")
        clone.push({"b.yaml": queued_app("b", queue="")})
        await daemon.until(lambda: daemon.engine._context.throttle.unbegun(AppKey("default", "b")))
        assert daemon.status("b").run.phase == "Running"
        await daemon.until(lambda: "waiting for its turn" in daemon.status("b").run.steps[0].message)
        assert "step s0 is waiting for its turn" in explain(daemon.status("b"), SystemClock().now()).sentence
        clone.push({"b.yaml": queued_app("b", queue="", value="2")})
        await daemon.until(lambda: len(daemon.engine._context.apps[AppKey("default", "b")].runs) == 2)
        assert daemon.engine._context.apps[AppKey("default", "b")].runs[0].phase == "Superseded"
        clone.push({"b.yaml": None})
        await daemon.until(lambda: daemon.status("b") is None)
        assert daemon.engine._context.throttle.delay() is None
    assert holder.began == ["a"]


async def test_after_a_restart_what_waited_for_its_turn_has_it_under_its_key_and_nothing_is_done_twice(clone):
    cluster = EmbeddedCluster(":memory:", SystemClock(), speed=1000.0)
    await cluster.start()
    holder = Holder()
    holder.all_free = True
    names = ["a", "b", "c"]
    clone.push({f"{name}.yaml": queued_app(name, queue="") for name in names})
    try:
        async with queueing(clone, holder, cluster=cluster, kind_qps={"hold": 0.001}) as daemon:
            apps = daemon.engine._context.apps
            await daemon.until(lambda: sum(bool(daemon.engine._context.throttle.unbegun(key)) for key in apps) == 2 and holder.began)
            await daemon.synced(holder.began[0])
            keys = {intent.key for app in apps.values() for step in app.newest.steps for intent in step.intents.values()}
        async with queueing(clone, holder, cluster=cluster) as daemon:
            for name in names:
                await daemon.synced(name)
    finally:
        await cluster.close()
    assert sorted(holder.began) == names
    assert set(holder.keys) == keys

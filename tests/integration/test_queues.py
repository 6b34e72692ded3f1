"""Runs of queues from end to end: who begins, who waits, and what a restart and a change make of it."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.daemon import SystemClock
from reconciler.model.identity import AppKey
from tests.integration.harness import Clone
from tests.integration.queues import Holder, queued_app, queueing


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def reason(daemon, name):
    status = daemon.status(name)
    return (status.run.phase, status.run.reason) if status is not None and status.run is not None else ("", "")


def queued(daemon, *names):
    return all(reason(daemon, name) == ("Pending", "Queued") for name in names)


def running_now(daemon):
    return [status.application for status in daemon.engine.reader.applications() if status.run and status.run.phase == "Running"]


async def test_one_begins_when_one_ends_and_who_was_made_first_comes_first(clone):
    names = ["b", "a", "d", "c"]
    holder = Holder()
    for name in names:
        clone.push({f"{name}.yaml": queued_app(name)})
    async with queueing(clone, holder, most_running=1) as daemon:
        first = (await daemon.until(lambda: holder.began))[0]
        rest = [name for name in "abcd" if name != first]
        await daemon.until(lambda: queued(daemon, *rest), "three wait")
        made = sorted(rest, key=lambda name: daemon.engine._context.apps[AppKey("default", name)].newest.created_at)
        assert daemon.status(rest[0]).run.message == "waits in queue default to be admitted"
        for position, name in enumerate((first, *made), 1):
            while len(holder.began) < position:
                await asyncio.sleep(0.01)
            holder.let_go(name)
            await daemon.synced(name)
    assert holder.began == [first, *made]
    assert holder.most == 1


async def test_fair_a_queue_of_one_is_served_before_the_second_of_many(clone):
    holder = Holder()
    clone.push({f"many-{number}.yaml": queued_app(f"many-{number}", "many") for number in range(6)})
    async with queueing(clone, holder, most_running=1, strategy="FAIR") as daemon:
        await daemon.until(lambda: holder.began and daemon.engine._context.admission.waiting == 5)
        clone.push({"one.yaml": queued_app("one", "one")})
        await daemon.until(lambda: queued(daemon, "one"))
        holder.all_free = True
        holder.let_go(holder.began[0])
        await daemon.until(lambda: len(holder.began) == 7)
        for name in holder.began:
            holder.let_go(name)
    assert holder.began.index("one") in (1, 2)


async def test_a_run_that_waits_in_a_queue_leaves_it_superseded_or_removed(clone):
    holder = Holder()
    clone.push({"a.yaml": queued_app("a")})
    async with queueing(clone, holder, most_running=1) as daemon:
        await daemon.until(lambda: holder.began == ["a"])
        clone.push({"b.yaml": queued_app("b"), "c.yaml": queued_app("c")})
        await daemon.until(lambda: queued(daemon, "b", "c"))
        clone.push({"b.yaml": queued_app("b", value="2"), "c.yaml": None})
        await daemon.until(lambda: daemon.status("c") is None and queued(daemon, "b") and daemon.status("b").run.revision == "b-v2")
        old = daemon.engine._context.apps[AppKey("default", "b")].runs[0]
        assert (old.name, old.phase, old.started_at) == ("b-v1-1", "Superseded", None)
        assert daemon.engine._context.admission.waiting == 1
        holder.let_go("a", "b")
        await daemon.synced("b")
    assert holder.began == ["a", "b"]


async def test_a_gate_gives_the_place_to_another_and_the_gate_s_decision_waits_for_one(clone):
    holder = Holder("a")
    clone.push({"a.yaml": queued_app("a", gate="yes", steps=2)})
    async with queueing(clone, holder, most_running=1) as daemon:
        gate = (await daemon.waiting("a")).gate
        clone.push({"b.yaml": queued_app("b")})
        await daemon.until(lambda: holder.began == ["a", "b"])
        clone.push({"a.yaml": queued_app("a", gate="yes", steps=2, annotations={gate.key: gate.continue_})})
        await daemon.until(lambda: reason(daemon, "a") == ("Waiting", "Queued"))
        assert daemon.status("a").gate is None, "it is decided: nobody is asked again"
        assert running_now(daemon) == ["b"]
        holder.let_go("b")
        await daemon.synced("a")
    assert holder.began == ["a", "b", "a"]
    assert holder.most == 1


@pytest.mark.parametrize("strategy", ["FIFO", "FAIR"])
async def test_after_a_restart_who_ran_goes_on_and_the_others_begin_in_the_same_order(clone, strategy):
    cluster = EmbeddedCluster(":memory:", SystemClock(), speed=1000.0)
    await cluster.start()
    first, second = Holder(), Holder()
    clone.push({f"{name}.yaml": queued_app(name) for name in "abcdef"})
    try:
        async with queueing(clone, first, cluster=cluster, most_running=1, strategy=strategy) as daemon:
            await daemon.until(lambda: first.began and daemon.engine._context.admission.waiting == 5)
            made = [app.newest for app in daemon.engine._context.apps.values() if app.key.name != first.began[0]]
            expected = [run.name.partition("-")[0] for run in sorted(made, key=lambda run: run.created_at)]
            await daemon.until(lambda: queued(daemon, *expected))
        second.all_free = True
        async with queueing(clone, second, cluster=cluster, most_running=1, strategy=strategy) as daemon:
            for name in "abcdef":
                await daemon.synced(name)
    finally:
        await cluster.close()
    assert second.began == [*first.began, *expected]
    assert second.keys[0] == first.keys[0], "what was under way is done again under the same key"
    assert second.most == 1


async def test_rule_8_a_run_in_a_queue_whose_revision_is_lost_holds_up_nobody(clone):
    holder = Holder()
    clone.push({"a.yaml": queued_app("a")})
    async with queueing(clone, holder, most_running=1) as daemon:
        await daemon.until(lambda: holder.began == ["a"])
        clone.push({"b.yaml": queued_app("b")})
        await daemon.until(lambda: queued(daemon, "b"))
        clone.push({"c.yaml": queued_app("c")})
        await daemon.until(lambda: queued(daemon, "c"))
        context = daemon.engine._context
        await context.store._forget(context.store._ref("ApplicationRevision", "default.b-v1"))
        context.contents._cache.clear()
        holder.let_go("a", "c")
        await daemon.synced("c")
    assert holder.began == ["a", "c"]


async def test_applications_without_a_queue_wait_for_nobody(clone):
    holder = Holder()
    clone.push({f"{name}.yaml": queued_app(name, queue="") for name in "abc"})
    async with queueing(clone, holder, most_running=1) as daemon:
        await daemon.until(lambda: sorted(holder.began) == ["a", "b", "c"])

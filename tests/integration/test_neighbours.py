"""What a daemon of one shard makes of what it hears of state: what is its own it knows better, all else it takes as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from reconciler.cluster.protocol import ExpiredError, WatchEvent
from reconciler.engine.applications import Application
from reconciler.model.identity import AppKey, ObjectRef
from reconciler.model.names import REQUESTED_AT, SHARD, STATE_LOST_GATE
from reconciler.model.records import Mirror
from reconciler.model.run import Phase, Run
from tests.integration.harness import Clone, config_map_app, virtual
from tests.integration.replicas import Replicas, replicas, until
from tests.integration.sharding import engine_of, mirror, push, runs

WEB, API = AppKey("default", "web"), AppKey("default", "api")


@asynccontextmanager
async def alone(tmp_path: Path) -> AsyncIterator[tuple[Replicas, Any, Clone]]:
    """A daemon of the shard without a name, which runs `web`."""
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        plain = await found.start(shard="")
        await until(lambda: runs(plain, "web-v1"), "it runs")
        yield found, plain, clone


@virtual
async def test_a_list_that_does_not_show_a_neighbours_application_lets_go_of_it_and_of_none_of_ours(tmp_path: Path) -> None:
    async with alone(tmp_path) as (_, plain, _clone):
        engine, ours = engine_of(plain), AppKey("default", "ours")
        engine._context.apps[API] = Application(Mirror(namespace="default", name="api", uid="x", shard="b"))
        engine._context.apps[ours] = Application(Mirror(namespace="default", name="ours", uid="y"))
        await engine._neighbours._list("Application")
        assert engine._context.apps.keys() == {WEB, ours}, "what this daemon has just made may not be listed yet"


@virtual
async def test_rule_1a_state_of_a_daemon_in_another_namespace_is_none_of_ours(tmp_path: Path) -> None:
    async with alone(tmp_path) as (found, plain, clone):
        standby = await found.start(shard="")
        await found.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}})
        theirs = await mirror(found, "web")
        status = {**theirs["status"], "name": "api", "inventory": []}
        meta = {"namespace": "elsewhere", "name": "default.api", "annotations": {REQUESTED_AT: "now"}}
        made = await found.cluster.create({**theirs, "metadata": meta, "spec": {**theirs["spec"], "application": "api"}})
        await found.cluster.replace_status({**made, "status": status})
        await push(clone, plain, web=config_map_app("web", "2"))
        await until(lambda: runs(plain, "web-v2") and runs(standby, "web-v2"), "both heard of what came later")
        for one in (plain, standby):
            assert engine_of(one)._context.apps.keys() == {WEB}
        assert not engine_of(plain)._hints.asked


@virtual
async def test_a_watch_that_lost_its_place_lists_again(tmp_path: Path) -> None:
    async with alone(tmp_path) as (_, plain, _clone):
        context, neighbours, places, listed = engine_of(plain)._context, engine_of(plain)._neighbours, list[str](), list[str]()

        async def watch(*_: Any, since: str = "", **__: Any) -> AsyncIterator[WatchEvent]:
            places.append(since)
            if len(places) == 1:
                raise ExpiredError("that was too long ago")
            await asyncio.Event().wait()
            yield WatchEvent("BOOKMARK", {})

        async def note(kind: str) -> str:
            listed.append(kind)
            return f"place-{len(listed)}"

        context.cluster.watch, neighbours._list = watch, note  # type: ignore[method-assign,assignment]
        task = asyncio.create_task(neighbours._follow("Application"))
        await until(lambda: len(places) == 2, "it watches again")
        task.cancel()
        assert (listed, places) == (["Application", "Application"], ["place-1", "place-2"])


@virtual
async def test_what_is_told_late_of_ones_own_changes_nothing(tmp_path: Path) -> None:
    async with alone(tmp_path) as (found, plain, _clone):
        engine = engine_of(plain)
        before, arrived = engine._context.apps[WEB], list[AppKey]()
        engine._neighbours._arrive = arrived.append  # type: ignore[method-assign]
        old = await found.cluster.get(ObjectRef("reconciler.dev/v1alpha1", "WorkflowRun", "reconciler-system", "default.web-v1-1"))
        engine._neighbours._take("WorkflowRun", WatchEvent("DELETED", old))
        own = await mirror(found, "web")
        engine._neighbours._take("Application", WatchEvent("MODIFIED", own))
        labelled = {**own, "metadata": {**own["metadata"], "labels": {SHARD: "b"}}}
        engine._neighbours._take("Application", WatchEvent("DELETED", labelled))
        assert engine._context.apps[WEB] is before
        assert [run.name for run in before.runs] == ["web-v1-1"]
        assert arrived == []
        engine._neighbours._take("Application", WatchEvent("MODIFIED", labelled))
        assert arrived == [WEB], "somebody else says that it is another one's"


@virtual
async def test_what_a_neighbour_that_acts_has_not_begun_yet_is_asked_about_again(tmp_path: Path) -> None:
    async with alone(tmp_path) as (found, plain, clone):
        other = await found.start(shard="b")
        await until(lambda: other.leads, "b acts, too")
        other.line.stop()
        await push(clone, plain, api=config_map_app("api", "1", shard="b"))
        context = engine_of(plain)._context
        await until(lambda: API in context.unplanned, "nobody knows yet what it declares")
        await until(lambda: API not in context.unplanned, "b acts no more, and declares nothing by that: it holds up nobody", 300)
        assert API not in context.apps


@virtual
async def test_rule_3f_one_that_arrives_while_it_is_asked_about_its_state_is_still_asked_about(tmp_path: Path) -> None:
    async with alone(tmp_path) as (_, plain, _clone):
        reconciler, one = engine_of(plain)._reconciler, Application(Mirror(namespace="default", name="api", uid="x"))
        one.runs = [Run("api-v1-1", "default/api", "api-v1", "d", phase=Phase.WAITING, implicit=[STATE_LOST_GATE])]
        reconciler._welcome(one)
        assert not one.lost, "it has been here"
        reconciler.arrive(API)
        reconciler._welcome(one)
        assert one.lost

"""Nothing is removed, pruned or taken across shards in doubt (rules 1a, 1b, 1e, 3g)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from reconciler.cluster.protocol import WatchEvent
from reconciler.engine.store import Store
from reconciler.model.identity import ObjectRef
from tests.integration.harness import Clone, config_map_app, virtual
from tests.integration.replicas import replicas, until
from tests.integration.sharding import engine_of, live, push, runs, uid


@virtual
async def test_rule_1a_what_leaves_git_is_removed_by_who_acts_for_it_and_a_label_is_no_removal(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    keep = {f"keep{number}.yaml": config_map_app(f"keep{number}", "1") for number in range(6)}
    clone.push({**keep, "web.yaml": config_map_app("web", "1", shard="b"), "api.yaml": config_map_app("api", "1", shard="b")})
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: runs(plain, "web-v1") and runs(other, "keep5-v1", "keep5"), "applied")
        await push(clone, plain, other, web=None)
        await until(lambda: live(found, "web") is None and plain.daemon.status("web") is None, "removed, and forgotten by both")
        assert {who for who, method, kind, name, _ in found.writes if (method, kind, name) == ("delete", "ConfigMap", "web")} == {"r2"}
        await push(clone, plain, other, api=None)
        await asyncio.sleep(60)
        assert live(found, "api") is not None, "rule 1d: all that the shard had is over its budget, however many others there are"
        assert "RemovalInDoubt" in other.daemon.conditions("api")


@pytest.mark.parametrize("first", [0, 1])
@virtual
async def test_rule_1b_an_object_that_an_application_of_another_shard_declares_now_goes_to_that_one_and_is_not_deleted(
    tmp_path: Path, first: int
) -> None:
    """`first`: whose copy of the repository has the commit a minute earlier."""

    def both(first: str, second: str) -> dict[str, str]:
        web, api = config_map_app("web", "1"), config_map_app("api", "1", shard="b")
        more = "          - apiVersion: v1\n            kind: ConfigMap\n            metadata: {name: common}\n            data: {value: 'x'}\n"
        return {"web.yaml": web + (more if first else ""), "api.yaml": api + (more if second else "")}

    clone = Clone(tmp_path)
    clone.push(both("common", ""))
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: uid(found, "common") and runs(plain, "api-v1", "api") and runs(other, "web-v1"), "applied")
        before = uid(found, "common")
        late, free = engine_of([other, plain][first])._context.thread, asyncio.Event()
        call = late.call

        async def later(work: Any) -> Any:
            await free.wait()
            return await call(work)

        late.call = later  # type: ignore[method-assign]
        clone.push(both("", "common"))
        engine_of([plain, other][first]).look()
        await asyncio.sleep(60)
        assert uid(found, "common") == before
        free.set()
        engine_of(plain).look(), engine_of(other).look()
        await until(lambda: runs(plain, "web-v2") and runs(plain, "api-v2", "api"), "both follow")
        await asyncio.sleep(60)
        labels = (live(found, "common") or {})["metadata"]["labels"]
        assert (uid(found, "common"), labels["reconciler.dev/application"]) == (before, "api")


@virtual
async def test_rule_1e_an_object_of_another_shards_application_is_not_taken(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: runs(other, "web-v1") and other.leads, "applied")
        thief = config_map_app("thief", "9", shard="b").replace("metadata: {name: thief}", "metadata: {name: web}")
        await push(clone, other, plain, thief=thief)
        await until(
            lambda: (status := other.daemon.status("thief")) is not None and status.run is not None and status.run.phase == "Failed", "refused"
        )
        status = other.daemon.status("thief")
        assert status is not None
        assert status.run is not None
        assert status.run.reason in ("OwnedByOther", "NotOurs")
        assert (live(found, "web") or {})["data"]["value"] == "1"


@virtual
async def test_rule_1e_what_a_watch_has_not_told_yet_is_read_before_an_object_that_bears_others_labels_is_had(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"api.yaml": config_map_app("api", "1", shard="b")})
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: runs(other, "api-v1", "api") and plain.lead.leads, "both act")
        neighbours = engine_of(other)._neighbours
        take = neighbours._take

        def bare(kind: str, event: WatchEvent) -> None:
            if kind == "Application" and not event.object.get("status"):
                take(kind, event)

        neighbours._take = bare  # type: ignore[method-assign]  # what it has comes late
        await push(clone, plain, other, web=config_map_app("web", "1"))
        await until(lambda: runs(plain, "web-v1"), "applied")
        thief = config_map_app("thief", "9", shard="b").replace("metadata: {name: thief}", "metadata: {name: web}")
        await push(clone, other, plain, thief=thief)
        await until(
            lambda: (status := other.daemon.status("thief")) is not None and status.run is not None and status.run.phase == "Failed", "refused"
        )
        assert (live(found, "web") or {})["data"]["value"] == "1"


@virtual
async def test_rule_3g_runs_that_another_daemon_makes_while_this_one_starts_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of mirrors is older than the list of runs behind it: who is in the second alone is no orphan."""
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", gate=True, shard="b")})
    async with replicas(clone) as found:
        other = await found.start(shard="b")
        await until(lambda: other.leads, "acts")
        mirrors, held = Store.mirrors, asyncio.Event()

        async def slow(self: Store) -> Any:
            listed = await mirrors(self)
            if not held.is_set() and self is engine_of(plain)._context.store and plain.lead.leads:
                held.set()
                await push(clone, other, late=config_map_app("late", "1", gate=True, shard="b"))
                await other.daemon.waiting("late")
            return listed

        plain = await found.start(shard="")
        monkeypatch.setattr(Store, "mirrors", slow)
        await until(lambda: plain.leads and held.is_set(), "the other one acts, too")
        run = await found.cluster.get(ObjectRef("reconciler.dev/v1alpha1", "WorkflowRun", "reconciler-system", "default.late-v1-1"))
        assert run["metadata"]["finalizers"]

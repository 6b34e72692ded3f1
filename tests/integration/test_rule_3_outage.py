"""Rule 3 while the cluster refuses what is read and written of state, and git goes on."""

from pathlib import Path
from typing import Any

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.cluster.protocol import UnavailableError
from reconciler.model.identity import AppKey
from reconciler.model.records import SourceRecord
from tests.integration.harness import Clone, config_map_app, running
from tests.integration.sequences import push, value


async def test_rule_3b_a_revision_holds_what_its_digest_stands_for_whatever_failed_while_git_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cannot be stored, the next commit is read, and its look cannot be brought to an end: the revision is not made of the one before."""
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
        await daemon.synced("web")
        create, save, failing = daemon.cluster.create, daemon.engine._context.store.save_source, {"create", "save"}

        async def refuse_revisions(obj: dict[str, Any]) -> dict[str, Any]:
            if obj["kind"] == "ApplicationRevision" and "create" in failing:
                raise UnavailableError("etcd is away")
            return await create(obj)

        async def refuse_source(record: SourceRecord) -> None:
            if "save" in failing and daemon.engine._context.compiled:
                raise UnavailableError("etcd is away")
            await save(record)

        monkeypatch.setattr(daemon.cluster, "create", refuse_revisions)
        clone.push({"web.yaml": config_map_app("web", "2")})
        daemon.engine.look()
        key = AppKey("default", "web")
        await daemon.until(lambda: key in daemon.engine._context.compiled, "the second is read and not stored")
        second = daemon.engine._context.index.entries[key].declared.digest
        monkeypatch.setattr(daemon.engine._context.store, "save_source", refuse_source)
        head = clone.push({"web.yaml": config_map_app("web", "3")})
        daemon.engine.look()
        await daemon.until(lambda: daemon.engine._context.index.entries[key].declared.digest != second, "the third is declared")
        failing.remove("create")
        daemon.engine._turn_now(key)
        await daemon.until(lambda: (shown := daemon.status("web")) and shown.running and shown.running.revision != "web-v1", "a revision of it runs")
        failing.clear()
        await daemon.synced("web", head)
        assert await value(daemon, "web") == "3"


async def test_rule_3d_what_could_not_be_read_anew_is_not_worked_with_when_it_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
        await daemon.synced("web")
        key, mirror, fails = AppKey("default", "web"), daemon.engine._context.store.mirror, [True]
        before = daemon.engine._context.apps[key]

        async def fail_once(key: AppKey) -> Any:
            if fails:
                fails.pop()
                raise UnavailableError("etcd is away")
            return await mirror(key)

        monkeypatch.setattr(daemon.engine._context.store, "mirror", fail_once)
        daemon.engine._reconciler.stale.add(key)
        daemon.engine._turn_now(key)
        await daemon.until(lambda: not fails, "it is read, and fails")
        await daemon.until(lambda: daemon.engine._context.apps[key] is not before, "it is read again")


async def test_rule_2_a_cluster_that_refuses_at_the_start_is_asked_again_until_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.engine.engine._AGAIN", 0.01)
    clone, refused = Clone(tmp_path), list[Any]()
    head = clone.push({"web.yaml": config_map_app("web", "1")})
    stored = EmbeddedCluster.list

    async def refuse(self: EmbeddedCluster, *args: Any, **kwargs: Any) -> Any:
        if len(refused) < 3:
            refused.append(args)
            raise UnavailableError("etcd is away")
        return await stored(self, *args, **kwargs)

    monkeypatch.setattr(EmbeddedCluster, "list", refuse)
    async with running(clone) as daemon:
        await daemon.synced("web", head)
    assert len(refused) == 3


async def test_rule_1a_what_git_was_seen_to_declare_is_stored_once_the_cluster_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon after a restart must know the newest commit that was looked at, also where storing that failed at first."""
    monkeypatch.setattr("reconciler.engine.engine._AGAIN", 0.01)
    clone, refused = Clone(tmp_path), list[str]()
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
        store, identity = daemon.engine._context.store, daemon.engine._identity
        save = store.save_source

        async def refuse_once(record: SourceRecord) -> None:
            if not refused:
                refused.append(record.observed)
                raise UnavailableError("etcd is away")
            await save(record)

        monkeypatch.setattr(store, "save_source", refuse_once)
        head = await push(daemon, clone, {"web.yaml": config_map_app("web", "2")})
        await daemon.synced("web", head)
        stored = await store.source(identity)
    assert refused == [head]
    assert (stored.accepted, stored.observed) == (head, head)

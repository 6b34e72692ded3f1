"""Rule 3 end to end: state as objects, what is never input, what is refused, and what happens when it is lost."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.cluster.embedded.storage import StateLockedError
from reconciler.cluster.protocol import NotFoundError
from reconciler.daemon import SystemClock
from reconciler.engine.store import StateError
from reconciler.model.identity import GVK, AppKey, ObjectRef
from reconciler.model.names import API_VERSION, GROUP
from reconciler.render.engine import ComponentRenderer
from reconciler.render.protocol import RenderError
from tests.integration.harness import Clone, config_map_app, running
from tests.integration.sequences import gate_of, phases, push, replace_data, value

SYSTEM = "reconciler-system"
CANARY = "c4n4ry-hunter2"


@asynccontextmanager
async def started_cluster() -> AsyncIterator[EmbeddedCluster]:
    """A cluster that outlives the engines on it."""
    cluster = EmbeddedCluster(":memory:", SystemClock(), speed=1000.0)
    await cluster.start()
    yield cluster
    await cluster.close()


async def state(cluster: EmbeddedCluster, kind: str) -> list[dict[str, Any]]:
    return (await cluster.list(GVK(GROUP, "v1alpha1", kind), SYSTEM)).items


async def forget(cluster: EmbeddedCluster, kind: str, name: str) -> None:
    """Somebody deletes a state object, finalizers and all."""
    ref = ObjectRef(API_VERSION, kind, SYSTEM, name)
    obj = await cluster.get(ref)
    if obj["metadata"].pop("finalizers", None):
        await cluster.replace(obj)
    try:
        await cluster.delete(ref)
    except NotFoundError:
        return


async def test_rule_3a_annotations_and_spec_of_a_mirror_are_never_input(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with started_cluster() as cluster:
        async with running(clone, cluster=cluster) as daemon:
            await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True)})
            gate = gate_of(daemon, "web")
            [mirror] = await state(cluster, "Application")
            mirror["metadata"]["annotations"] = {gate.key: gate.continue_, "reconciler.dev/suspend": "yes"}
            mirror["spec"] = {"application": "other", "namespace": "elsewhere", "family": "none"}
            await cluster.replace(mirror)
            await daemon.looked()
            await daemon.looked()
            assert phases(daemon, "web") == ["web-v1-1 Waiting"]
        async with running(clone, cluster=cluster) as daemon:
            await daemon.waiting("web")
            assert phases(daemon, "web") == ["web-v1-1 Waiting"]
            assert list(daemon.engine._context.apps) == [AppKey("default", "web")]
            gate = gate_of(daemon, "web")
            await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True, annotations={gate.key: gate.continue_})})
            await daemon.synced("web")


async def test_rule_3b_a_rollback_needs_neither_renderer_nor_the_old_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    async with started_cluster() as cluster:
        async with running(clone, cluster=cluster) as daemon:
            await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
            await daemon.synced("web")
            clone.git("checkout", "-q", "--orphan", "fresh")
            clone.commit({"web.yaml": config_map_app("web", "2", gate=True)})
            clone.git("branch", "-q", "-M", "main")
            old = clone.git("--git-dir", str(clone.origin), "rev-parse", "main")
            clone.push(force=True)
            clone.git("--git-dir", str(clone.origin), "reflog", "expire", "--expire=now", "--all")
            clone.git("--git-dir", str(clone.origin), "gc", "-q", "--prune=now")
            assert not clone.git("--git-dir", str(clone.origin), "cat-file", "-t", old, check=False)
            gate = (await daemon.waiting("web", revision="web-v2")).gate
        monkeypatch.setattr(ComponentRenderer, "render", _refuse)
        async with running(clone, cluster=cluster) as daemon:
            await daemon.waiting("web")
            assert gate is not None
            await push(daemon, clone, {"web.yaml": config_map_app("web", "2", gate=True, annotations={gate.key: gate.rollback})})
            status = await daemon.synced("web")
            assert status.running.revision == "web-v1"
            assert await value(daemon, "web") == "1"


def _refuse(*_: object) -> None:
    raise RenderError("there is no renderer any more")


async def test_rule_3b_a_stored_revision_that_does_not_have_its_digest_is_refused(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with started_cluster() as cluster:
        async with running(clone, cluster=cluster) as daemon:
            await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
            await daemon.synced("web")
            await push(daemon, clone, {"web.yaml": config_map_app("web", "2", gate=True)})
            gate = gate_of(daemon, "web")
        forged, genuine = await state(cluster, "ApplicationRevision")
        forged["spec"]["inline"] = genuine["spec"]["inline"]
        await cluster.replace(forged)
        async with running(clone, cluster=cluster) as daemon:
            await daemon.until(lambda: daemon.engine.reader.ready()[0])
            clone.push({"web.yaml": config_map_app("web", "2", gate=True, annotations={gate.key: gate.rollback})})
            said = await daemon.until(lambda: daemon.conditions("web").get("Stalled"), "it refuses")
            assert "does not have its digest" in said
            assert await value(daemon, "web") == "1"


async def test_rule_3b_secret_values_stand_in_secrets_and_nowhere_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clone = Clone(tmp_path)

    def app(canary: str, gate: str = "", annotations: dict[str, str] | None = None) -> str:
        text = config_map_app("web", "1", gate=bool(gate), annotations=annotations)
        secret = f"          - {{apiVersion: v1, kind: Secret, metadata: {{name: web}}, stringData: {{password: {canary}}}}}\n"
        broken = f"          - {{apiVersion: v1, kind: Secret, metadata: {{name: bad}}, data: {{password: {canary}!}}}}\n" if gate == "broken" else ""
        return text.replace("  workflow:", f"{secret}{broken}  workflow:") if gate else text + secret

    def folder(canary: str) -> str:
        return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: folder}}\nstringData: {{token: {canary}}}\n"

    plain = "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: plain}\nspec:\n  components:\n    - {name: all, type: manifests, properties: {path: m}}\n"
    async with running(clone, write_back=False) as daemon:
        await push(daemon, clone, {"web.yaml": app(CANARY), "plain.yaml": plain, "m/secret.yaml": folder(CANARY)})
        await daemon.synced("web")
        await daemon.synced("plain")
        await push(daemon, clone, {"web.yaml": app(CANARY + "2", "gate"), "m/secret.yaml": folder(CANARY + "2")})
        gate = gate_of(daemon, "web")
        shown = [str(await daemon.engine.reader.diff(AppKey("default", "web"))), str(await daemon.engine.reader.revisions(AppKey("default", "web")))]
        await push(daemon, clone, {"web.yaml": app(CANARY + "2", "gate", {gate.key: gate.rollback})})
        await daemon.until(lambda: "GitDiffers" in daemon.conditions("web"), "the patch is shown")
        await push(daemon, clone, {"web.yaml": app(CANARY + "3", "broken")})
        gate = gate_of(daemon, "web")
        await push(daemon, clone, {"web.yaml": app(CANARY + "3", "broken", {gate.key: gate.continue_})})
        await daemon.until(lambda: daemon.status("web").run.phase == "Failed", "the API server refuses the broken Secret")
        await push(daemon, clone, {"web.yaml": app(CANARY + "4") + "        typo: true\n"})
        shown += [msgspec.json.encode(daemon.engine.reader.applications()).decode(), str(daemon.sink.events)]
        shown += [str(await daemon.engine.reader.objects("secret", "", "")), str(daemon.engine.reader.problems()), *capsys.readouterr()]
        shown += [
            str(await daemon.engine.reader.revisions(AppKey("default", "web"))),
            str(await daemon.engine.reader.diff(AppKey("default", "plain"))),
        ]
        assert CANARY not in "".join(shown)
        assert (await daemon.get("Secret", "web"))["data"] or (await daemon.get("Secret", "web"))["stringData"]
        for kind in await daemon.cluster.kinds():
            if kind.gvk.kind != "Secret":
                for obj in (await daemon.cluster.list(kind.served)).items:
                    assert not _holds(obj), f"{kind.gvk.kind} {obj['metadata']['name']}"


def _holds(value: Any) -> bool:
    """Whether the canary stands anywhere in it, packed contents too."""
    from reconciler.engine.content import ContentError, unpack

    if isinstance(value, dict):
        spec = value.get("spec")
        if isinstance(spec, dict) and "inline" in spec and CANARY.encode() in unpack(spec["content"].split("/")[0], [spec["inline"]]):
            return True
        text = (value.get("data") or {}).get("content") if isinstance(value.get("data"), dict) else None
        if isinstance(text, str):
            import base64
            import zlib

            try:
                return CANARY.encode() in zlib.decompress(base64.b64decode(text))
            except (ContentError, ValueError, zlib.error):
                return CANARY in text
    return CANARY in json.dumps(value)


@pytest.mark.parametrize("kind", ["Application", "WorkflowRun"])
async def test_rule_3d_a_foreign_write_between_read_and_write_loses_nothing(tmp_path: Path, kind: str) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True)})
        gate = gate_of(daemon, "web")
        for obj in await state(daemon.cluster, kind):
            obj["metadata"]["annotations"] = {"example.org/note": "somebody was here"}
            await daemon.cluster.replace(obj)
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True, annotations={gate.key: gate.continue_})})
        status = await daemon.synced("web")
        assert phases(daemon, "web") == ["web-v1-1 Succeeded"]
        assert [item.verb for item in status.run.decisions] == ["continue"]
        assert await value(daemon, "web") == "1"
        await daemon.until(lambda: "Stalled" not in daemon.conditions("web"))


async def test_rule_3d_a_foreign_write_to_what_a_look_writes_loses_no_removal(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1"), "api.yaml": config_map_app("api", "1")})
        await daemon.synced("web")
        await daemon.synced("api")
        for obj in await state(daemon.cluster, "Application"):
            obj["metadata"]["annotations"] = {"example.org/note": "somebody was here"}
            await daemon.cluster.replace(obj)
        for obj in (await daemon.cluster.list(GVK("", "v1", "ConfigMap"), SYSTEM)).items:
            if obj["metadata"]["name"].startswith("reconciler-source-"):
                obj["metadata"]["annotations"] = {"example.org/note": "somebody was here"}
                await daemon.cluster.replace(obj)
        commit = clone.push({"web.yaml": None, "api.yaml": config_map_app("api", "2")})
        await daemon.synced("api", commit)
        await daemon.until(lambda: AppKey("default", "web") not in daemon.engine._context.apps, "web is removed")
        with pytest.raises(NotFoundError):
            await daemon.get("ConfigMap", "web")


async def test_rule_3e_a_run_that_would_be_too_large_is_refused_before_anything_is_applied(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application", "metadata: {name: huge}", "spec:", "  components:"]
    lines += ["    - name: all", "      type: k8s-objects", "      properties:", "        objects:"]
    lines += [f"          - {{apiVersion: v1, kind: ConfigMap, metadata: {{name: {'x' * 200}-{number}}}}}" for number in range(1500)]
    async with running(clone) as daemon:
        clone.push({"huge.yaml": "\n".join(lines) + "\n", "web.yaml": config_map_app("web", "1")})
        await daemon.synced("web")
        said = await daemon.until(lambda: daemon.conditions("huge").get("Stalled"), "it is refused")
        assert "a run holds at most 262144" in said
        assert "split the application" in said
        with pytest.raises(NotFoundError):
            await daemon.get("ConfigMap", f"{'x' * 200}-0")


async def lose(cluster: EmbeddedCluster) -> None:
    """All state objects are deleted, the managed objects stay."""
    for kind in ("WorkflowRun", "ApplicationRevision", "Application"):
        for obj in await state(cluster, kind):
            await forget(cluster, kind, obj["metadata"]["name"])


async def rewind(cluster: EmbeddedCluster) -> None:
    """State as it was at revision 1: the later revision and its runs are gone, the mirror says what it said then."""
    [mirror] = await state(cluster, "Application")
    first = next(obj for obj in await state(cluster, "ApplicationRevision") if obj["metadata"]["name"].endswith("-v1"))
    record = first["spec"]["record"]
    running = {"revision": record["name"], "digest": record["digest"], "commit": record["commit"]}
    mirror["status"] |= {"running": running, "promoted": [1], "settled": [f"{record['name']}-1"], "inventory": []}
    await cluster.replace_status(mirror)
    for kind in ("WorkflowRun", "ApplicationRevision"):
        for obj in await state(cluster, kind):
            if "-v2" in obj["metadata"]["name"]:
                await forget(cluster, kind, obj["metadata"]["name"])


@pytest.mark.parametrize("harm", [lose, rewind])
@pytest.mark.parametrize("head", ["1", "2", "3"], ids=["the-older-revision", "what-runs", "something-new"])
async def test_rule_3f_state_lost_touches_nothing_that_differs_until_continue_with_its_code(tmp_path: Path, harm: Any, head: str) -> None:
    clone = Clone(tmp_path)
    async with started_cluster() as cluster:
        async with running(clone, cluster=cluster) as daemon:
            for number in ("1", "2"):
                await daemon.synced("web", await push(daemon, clone, {"web.yaml": config_map_app("web", number)}))
            await replace_data(daemon, "web", {"value": "edited", "more": "by hand"})
            await daemon.until(lambda: any(event.kind == "drift-healed" for event in daemon.sink.events), "healed")
        await harm(cluster)
        live = await cluster.get(ObjectRef("v1", "ConfigMap", "default", "web"))
        await cluster.replace({**live, "data": {"value": "edited"}}, manager="kubectl-edit")
        if head != "2":
            clone.push({"web.yaml": config_map_app("web", head)})
        for _ in range(2):  # and it still is after another restart
            async with running(clone, cluster=cluster) as daemon:
                gate = (await daemon.waiting("web")).gate
                await daemon.looked()
                await daemon.looked()
                assert gate.key == "gates.reconciler.dev/state-lost"
                assert "StateLost" in daemon.conditions("web")
                assert await value(daemon, "web") == "edited"
        async with running(clone, cluster=cluster) as daemon:
            await daemon.waiting("web")
            await push(daemon, clone, {"web.yaml": config_map_app("web", head, annotations={gate.key: "continue"})})
            assert await value(daemon, "web") == "edited"
            await push(daemon, clone, {"web.yaml": config_map_app("web", head, annotations={gate.key: gate.continue_})})
            await daemon.synced("web")
            assert await value(daemon, "web") == head
            assert "StateLost" not in daemon.conditions("web")


async def test_rule_3f_an_application_that_was_removed_and_comes_back_has_lost_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with started_cluster() as cluster:
        async with running(clone, cluster=cluster) as daemon:
            await push(daemon, clone, {"web.yaml": config_map_app("web", "1"), "api.yaml": config_map_app("api", "1")})
            await daemon.synced("web")
            await daemon.synced("api")
        async with running(clone, cluster=cluster) as daemon:
            await daemon.synced("web")
            clone.push({"web.yaml": None})
            await daemon.until(lambda: AppKey("default", "web") not in daemon.engine._context.apps, "web is removed")
            await daemon.synced("web", clone.push({"web.yaml": config_map_app("web", "2")}))


async def test_rule_3f_the_cluster_id_is_new_when_state_is_made_anew(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with started_cluster() as cluster:
        ids = []
        for _ in range(3):
            async with running(clone, cluster=cluster) as daemon:
                await daemon.until(lambda: daemon.engine._context.cluster_id, "state is loaded")
                ids.append(daemon.engine._context.cluster_id)
            if len(ids) == 2:
                await cluster.delete(ObjectRef("v1", "ConfigMap", SYSTEM, "reconciler-state"))
        assert ids[0] == ids[1]
        assert ids[1] != ids[2]


async def test_rule_3g_a_run_that_somebody_deletes_is_terminated(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True)})
        await daemon.cluster.delete(ObjectRef(API_VERSION, "WorkflowRun", SYSTEM, "default.web-v1-1"))
        await daemon.until(lambda: phases(daemon, "web") in (["web-v1-1 Terminated"], []), "the run ends")
        await daemon.looked()
        assert not await state(daemon.cluster, "WorkflowRun")
        with pytest.raises(NotFoundError):
            await daemon.get("ConfigMap", "web")


async def test_rule_3g_state_of_a_newer_version_is_refused_at_start(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with started_cluster() as cluster:
        async with running(clone, cluster=cluster) as daemon:
            await daemon.until(lambda: daemon.engine.reader.ready()[0] or daemon.engine._context.cluster_id)
        ref = ObjectRef("v1", "ConfigMap", SYSTEM, "reconciler-state")
        marker = await cluster.get(ref)
        marker["data"]["stateVersion"] = "2"
        await cluster.replace(marker)
        async with running(clone, cluster=cluster) as daemon:
            with pytest.raises(StateError, match="newer than this program"):
                await daemon.engine.run()


async def test_rule_3h_a_second_daemon_on_the_same_state_file_is_refused(tmp_path: Path) -> None:
    clone, path = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, path) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
        second = EmbeddedCluster(path, SystemClock())
        with pytest.raises(StateLockedError, match="in use by another reconciler"):
            await second.start()
        await daemon.synced("web")
    third = EmbeddedCluster(path, SystemClock())
    await third.start()
    await third.close()


async def test_rule_3f_an_older_copy_of_the_state_file_is_the_older_cluster(tmp_path: Path) -> None:
    clone, path = Clone(tmp_path), tmp_path / "state.db"
    async with running(clone, str(path)) as daemon:
        await daemon.synced("web", await push(daemon, clone, {"web.yaml": config_map_app("web", "1")}))
    shutil.copy(path, tmp_path / "backup.db")
    async with running(clone, str(path)) as daemon:
        await daemon.synced("web", await push(daemon, clone, {"web.yaml": config_map_app("web", "2")}))
    async with running(clone, str(tmp_path / "backup.db")) as daemon:
        await daemon.synced("web")
        assert await value(daemon, "web") == "2"

"""Rules 1b to 1f on real commits: what a run prunes, what is never deleted, and whose an object is."""

from pathlib import Path

import pytest

from reconciler.cluster.protocol import NotFoundError
from reconciler.model.identity import AppKey, ObjectRef
from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.sequences import gate_of, phases, push, taken

PRUNE = ".reconciler/prune.yaml"
STATEFUL_SET = (
    "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: NAME}\nspec:\n  serviceName: NAME\n  selector: {matchLabels: {app: NAME}}\n"
    "  template: {metadata: {labels: {app: NAME}}, spec: {containers: [{name: NAME, image: nginx}]}}\n"
)
CLAIM = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: NAME}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"


def folder_app(name: str, *folders: str, gate: bool = False, annotations: dict[str, str] | None = None) -> str:
    """An Application with one component of plain manifests for each folder."""
    lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application", "metadata:", f"  name: {name}"]
    lines += ["  annotations:", *(f'    {key}: "{text}"' for key, text in annotations.items())] if annotations else []
    lines += ["spec:", "  components:"]
    lines += [f"    - {{name: part-{folder}, type: manifests, properties: {{path: {folder}}}}}" for folder in folders]
    if gate:
        lines += ["  workflow:", "    steps:", "      - {type: suspend, name: approve}"]
        lines += [f"      - {{type: apply-component, name: apply-{folder}, properties: {{component: part-{folder}}}}}" for folder in folders]
    return "\n".join(lines) + "\n"


def config_map(name: str, value: str = "1") -> str:
    return f'apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: "{value}"}}\n'


async def is_there(daemon: Daemon, name: str, kind: str = "ConfigMap", api_version: str = "v1") -> bool:
    try:
        await daemon.get(kind, name, api_version=api_version)
    except NotFoundError:
        return False
    return True


async def pruned(daemon: Daemon, name: str) -> None:
    """Waits until what the last run doomed was dealt with."""
    await daemon.until(lambda: not daemon.engine._context.apps[AppKey("default", name)].mirror.doomed, "nothing is left to prune")


def blocked(daemon: Daemon, name: str) -> str:
    return daemon.conditions(name).get("PruneBlocked", "")


async def test_rule_1b_what_a_revision_no_longer_declares_is_pruned_after_its_run(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": folder_app("web", "m"), "m/a.yaml": config_map("a"), "m/b.yaml": config_map("b")})
        await daemon.synced("web")
        await daemon.synced("web", await push(daemon, clone, {"m/b.yaml": None}))
        await pruned(daemon, "web")
        assert await is_there(daemon, "a")
        assert not await is_there(daemon, "b")


async def test_rule_1b_nothing_is_pruned_at_a_gate_nor_when_the_run_is_superseded_or_ended(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": folder_app("web", "m"), "m/a.yaml": config_map("a"), "m/b.yaml": config_map("b")})
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": folder_app("web", "m", gate=True), "m/b.yaml": None})
        await daemon.waiting("web", revision="web-v2")
        assert await is_there(daemon, "b")
        await push(daemon, clone, {"m/a.yaml": config_map("a", "2")})
        await daemon.waiting("web", revision="web-v3")
        assert await is_there(daemon, "b")
        gate = gate_of(daemon, "web")
        await push(daemon, clone, {"web.yaml": folder_app("web", "m", gate=True, annotations={gate.key: gate.end})})
        assert phases(daemon, "web") == ["web-v1-1 Succeeded", "web-v2-1 Superseded", "web-v3-1 Terminated"]
        assert await is_there(daemon, "b")


async def test_rule_1b_a_component_that_no_step_applies_is_not_pruned(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    partial = folder_app("web", "m", "k", gate=True).replace("      - {type: suspend, name: approve}\n", "")
    partial = partial.replace("      - {type: apply-component, name: apply-k, properties: {component: part-k}}\n", "")
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": folder_app("web", "m", "k"), "m/a.yaml": config_map("a"), "k/b.yaml": config_map("b")})
        await daemon.synced("web")
        await daemon.synced("web", await push(daemon, clone, {"web.yaml": partial}))
        await pruned(daemon, "web")
        assert [step.name for step in daemon.status("web").run.steps] == ["apply-m"]
        assert await is_there(daemon, "b")


async def test_rule_1b_an_object_that_moves_to_another_component_stays_the_same_object(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": folder_app("web", "m", "k"), "m/a.yaml": config_map("a"), "k/b.yaml": config_map("b")})
        await daemon.synced("web")
        uid = (await daemon.get("ConfigMap", "a"))["metadata"]["uid"]
        await daemon.synced("web", await push(daemon, clone, {"m/a.yaml": None, "m/c.yaml": config_map("c"), "k/a.yaml": config_map("a")}))
        await pruned(daemon, "web")
        assert (await daemon.get("ConfigMap", "a"))["metadata"]["uid"] == uid


async def test_rule_1b_a_restore_run_prunes_only_what_the_runs_that_it_undoes_created(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    taken = "  policies: [{name: there, type: take-over, properties: {rules: [{selector: {resourceNames: [there]}}]}}]\n"
    first = {"web.yaml": folder_app("web", "m") + taken, "m/a.yaml": config_map("a"), "m/old.yaml": config_map("old")}
    async with running(clone, write_back=False) as daemon:
        await push(daemon, clone, first)
        await daemon.synced("web")
        await daemon.cluster.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "default", "name": "there"}}, manager="somebody"
        )
        await daemon.synced("web", await push(daemon, clone, {"m/new.yaml": config_map("new"), "m/there.yaml": config_map("there")}))
        assert await is_there(daemon, "new")
        await daemon.synced("web", await push(daemon, clone, {"m/new.yaml": None, "m/there.yaml": None}))
        await pruned(daemon, "web")
        assert phases(daemon, "web")[-1] == "web-v1-2 Succeeded"
        assert not await is_there(daemon, "new")
        assert await is_there(daemon, "there"), "it was there before the run that is undone"
        assert await is_there(daemon, "old")


async def test_rule_1c_an_object_of_the_same_name_that_is_not_ours_is_not_deleted(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": folder_app("web", "m", gate=True), "m/a.yaml": config_map("a"), "m/b.yaml": config_map("b")})
        gate = gate_of(daemon, "web")
        await push(daemon, clone, {"web.yaml": folder_app("web", "m", gate=True, annotations={gate.key: gate.continue_})})
        await daemon.synced("web")
        await push(daemon, clone, {"m/b.yaml": None})
        await daemon.waiting("web", revision="web-v2")
        labels = (await daemon.get("ConfigMap", "b"))["metadata"]["labels"]
        daemon.hold_healing("web")  # a person is quicker than the healer
        await daemon.cluster.delete(ObjectRef("v1", "ConfigMap", "default", "b"))
        meta = {"namespace": "default", "name": "b", "labels": labels}
        await daemon.cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}, manager="somebody")
        gate = gate_of(daemon, "web")
        clone.push({"web.yaml": folder_app("web", "m", gate=True, annotations={gate.key: gate.continue_})})
        await daemon.synced("web")
        await pruned(daemon, "web")
        assert await is_there(daemon, "b"), "its uid is not the one that was recorded"


async def test_rule_1c_an_object_whose_owner_label_was_taken_off_is_not_deleted(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": folder_app("web", "m"), "m/a.yaml": config_map("a"), "m/b.yaml": config_map("b")})
        await daemon.synced("web")
        daemon.hold_healing("web")
        live = await daemon.get("ConfigMap", "b")
        live["metadata"]["labels"]["reconciler.dev/application-uid"] = "another"
        await daemon.cluster.replace(live, manager="somebody")
        await daemon.synced("web", await push(daemon, clone, {"m/b.yaml": None}))
        await pruned(daemon, "web")
        assert await is_there(daemon, "b")


def code_of(sentence: str) -> str:
    return sentence.partition("add ")[2].partition(" ")[0]


async def test_rule_1d_ten_of_twelve_objects_wait_for_approval_of_the_printed_digest(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    names = [f"c{number}" for number in range(12)]
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": folder_app("web", "m"), **{f"m/{name}.yaml": config_map(name) for name in names}})
        await daemon.synced("web")
        await push(daemon, clone, {f"m/{name}.yaml": None for name in names[2:]})
        said = await daemon.until(lambda: blocked(daemon, "web"), "the prune waits")
        assert "10 of 12 objects" in said
        assert all([await is_there(daemon, name) for name in names])
        await push(daemon, clone, {PRUNE: "approved: [ffffffffffff]\n"})
        assert all([await is_there(daemon, name) for name in names])
        await push(daemon, clone, {PRUNE: f"approved: [{code_of(said)}]\n"})
        await pruned(daemon, "web")
        assert [name for name in names if await is_there(daemon, name)] == names[:2]
        assert not blocked(daemon, "web")


async def test_rule_1d_nine_of_twelve_objects_go_without_approval(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    names = [f"c{number}" for number in range(12)]
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": folder_app("web", "m"), **{f"m/{name}.yaml": config_map(name) for name in names}})
        await daemon.synced("web")
        await daemon.synced("web", await push(daemon, clone, {f"m/{name}.yaml": None for name in names[3:]}))
        await pruned(daemon, "web")
        assert [name for name in names if await is_there(daemon, name)] == names[:3]


@pytest.mark.parametrize(("kind", "api_version", "text"), [("StatefulSet", "apps/v1", STATEFUL_SET), ("PersistentVolumeClaim", "v1", CLAIM)])
async def test_rule_1d_what_holds_data_waits_and_an_old_approval_does_not_count_again(tmp_path: Path, kind: str, api_version: str, text: str) -> None:
    clone = Clone(tmp_path)
    manifest = text.replace("NAME", "db")
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": folder_app("web", "m"), "m/a.yaml": config_map("a"), "m/db.yaml": manifest})
        await daemon.until(lambda: (status := daemon.status("web")) and status.running, "it runs")
        await push(daemon, clone, {"m/db.yaml": None})
        said = await daemon.until(lambda: blocked(daemon, "web"), "the prune waits")
        assert f"{kind} default/db" in said
        assert await is_there(daemon, "db", kind, api_version)
        await push(daemon, clone, {PRUNE: f"approved: [{code_of(said)}]\n"})
        await pruned(daemon, "web")
        assert not await is_there(daemon, "db", kind, api_version)
        await push(daemon, clone, {"m/db.yaml": manifest})
        await daemon.synced("web")
        await push(daemon, clone, {"m/db.yaml": None})
        await daemon.until(lambda: blocked(daemon, "web"), "the prune waits again")
        assert await is_there(daemon, "db", kind, api_version)


async def test_rule_1d_an_application_that_would_be_left_with_nothing_waits(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": folder_app("web", "m"), "m/a.yaml": config_map("a")})
        await daemon.synced("web")
        await push(daemon, clone, {"m/a.yaml": None, "m/README.md": "nothing here"})
        await daemon.until(lambda: blocked(daemon, "web") or daemon.conditions("web").get("ManifestInvalid"), "it says why nothing is deleted")
        assert await is_there(daemon, "a")


async def test_rule_1e_an_object_that_two_applications_declare_is_an_error_that_names_the_other(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
        await daemon.synced("web")
        await push(daemon, clone, {"thief.yaml": config_map_app("web", "2").replace("  name: web\nspec", "  name: thief\nspec")})
        failed = await daemon.until(lambda: (run := daemon.status("thief").run) and run.phase == "Failed" and run, "the second one fails")
        assert "default/web" in failed.message
        assert "ConfigMap default/web" in failed.message
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "1"}
        await daemon.synced("web")


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
async def test_rule_1e_dropped_by_one_and_declared_by_another_in_one_push_is_adopted(tmp_path: Path, names: tuple[str, str]) -> None:
    old, new = names
    clone = Clone(tmp_path)
    files = {f"{old}.yaml": folder_app(old, "m"), f"{new}.yaml": folder_app(new, "k")}
    async with running(clone) as daemon:
        await push(daemon, clone, {**files, "m/x.yaml": config_map("x"), "m/w.yaml": config_map("w"), "k/z.yaml": config_map("z")})
        await daemon.synced(old)
        await daemon.synced(new)
        uid = (await daemon.get("ConfigMap", "x"))["metadata"]["uid"]
        commit = await push(daemon, clone, {"m/x.yaml": None, "k/x.yaml": config_map("x", "2")})
        await daemon.synced(old, commit)
        await daemon.synced(new, commit)
        await pruned(daemon, old)
        live = await daemon.get("ConfigMap", "x")
        assert (live["metadata"]["uid"], live["data"]) == (uid, {"value": "2"})
        assert live["metadata"]["labels"]["reconciler.dev/application"] == new
        apps = daemon.engine._context.apps
        holders = [key.name for key, app in apps.items() if any(item.object.name == "x" for item in app.items.values())]
        assert holders == [new]


async def test_rule_1e_a_removed_application_leaves_what_another_one_declares_now(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(
            daemon, clone, {"a.yaml": folder_app("a", "m"), "b.yaml": folder_app("b", "k"), "m/x.yaml": config_map("x"), "k/z.yaml": config_map("z")}
        )
        await daemon.synced("a")
        await daemon.synced("b")
        uid = (await daemon.get("ConfigMap", "x"))["metadata"]["uid"]
        commit = clone.push({"a.yaml": None, "k/x.yaml": config_map("x")})
        await taken(daemon, commit)
        await daemon.synced("b", commit)
        await daemon.until(lambda: AppKey("default", "a") not in daemon.engine._context.apps, "a is removed")
        assert (await daemon.get("ConfigMap", "x"))["metadata"]["uid"] == uid


async def test_rule_1f_managed_objects_have_no_owner_references_to_our_objects(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        manifests = {"m/a.yaml": config_map("a"), "m/db.yaml": STATEFUL_SET.replace("NAME", "db")}
        await push(daemon, clone, {"web.yaml": folder_app("web", "m"), **manifests})
        await daemon.synced("web")
        for kind, name, api_version in (("ConfigMap", "a", "v1"), ("StatefulSet", "db", "apps/v1")):
            assert "ownerReferences" not in (await daemon.get(kind, name, api_version=api_version))["metadata"]

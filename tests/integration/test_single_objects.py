"""Single objects that say how they want to be treated, through the whole engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.cluster.protocol import InvalidError, NotFoundError
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from reconciler.model.names import LABEL_UID
from tests.integration.harness import Clone, Daemon, running, virtual
from tests.integration.policies import CLAIM, Spec, application, component, config_map, healed, message, released, settled
from tests.integration.recorded import recorded
from tests.integration.sequences import push, replace_data

D = "reconciler.dev/"
KEY = AppKey("default", "web")
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}


def saying(obj: Spec, **words: str) -> Spec:
    """The object with annotations of ours."""
    annotations = {D + name.replace("_", "-"): value for name, value in words.items()}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def web(*objects: Spec, **words: str) -> str:
    """An application `web` of one component, annotated where there are words."""
    text = application("web", [component("all", *objects)], [])
    annotations = ", ".join(f'"{D}{name.replace("_", "-")}": "{value}"' for name, value in words.items())
    return text.replace('"metadata": {"name": "web"}', f'"metadata": {{"name": "web", "annotations": {{{annotations}}}}}', 1)


async def read(daemon: Daemon, name: str, kind: str = "ConfigMap") -> JsonObject | None:
    try:
        return await daemon.get(kind, name)
    except NotFoundError:
        return None


async def pruned(daemon: Daemon) -> None:
    await daemon.until(lambda: not daemon.engine._context.apps[KEY].mirror.doomed, "nothing is left to prune")


async def removed(daemon: Daemon) -> None:
    await daemon.until(lambda: KEY not in daemon.engine._context.apps, "it is removed")


OTHER = config_map("other", "1")


@pytest.mark.parametrize("words", [{"prune": "disabled"}, {"deletion_policy": "orphan"}])
async def test_rule_1_an_object_that_is_never_pruned_stays_and_is_released(tmp_path: Path, words: dict[str, str]) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": web(saying(config_map("kept", "1"), **words), saying({**CLAIM, "metadata": {"name": "data"}}, **words), OTHER)})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.synced("web", clone.push({"web.yaml": web(OTHER)}))
        kept = await released(daemon, "kept")
        assert LABEL_UID not in kept["metadata"]["labels"]
        assert await read(daemon, "data", "PersistentVolumeClaim"), "and nobody had to approve that it stays"
        await pruned(daemon)
        clone.push({"web.yaml": web(OTHER, saying(config_map("kept", "2"), **words))})
        await daemon.until(lambda: healed(daemon) == 0 and daemon.engine._context.apps[KEY].items.get(("", "ConfigMap", "default", "kept")))
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": None, "else.yaml": application("else", [component("x", config_map("x", "1"))], [])})
        await removed(daemon)
        assert (await daemon.get("ConfigMap", "kept"))["data"] == {"value": "2"}
        assert await read(daemon, "other") is None


async def test_rule_1_an_object_that_somebody_marked_by_hand_is_not_deleted_either(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": web(config_map("kept", "1"), OTHER)})
    async with running(clone) as daemon:
        await daemon.synced("web")
        live = await daemon.get("ConfigMap", "kept")
        annotations = {**live["metadata"]["annotations"], f"{D}prune": "disabled"}
        await daemon.cluster.replace({**live, "metadata": {**live["metadata"], "annotations": annotations}}, manager="kubectl-annotate")
        await daemon.synced("web", clone.push({"web.yaml": web(OTHER)}))
        await released(daemon, "kept")
        await pruned(daemon)


@pytest.mark.parametrize(
    ("own", "policy", "stays"), [("", "orphan", True), ("delete", "orphan", False), ("", "delete", False), ("orphan", "delete", True)]
)
async def test_rule_1_what_becomes_of_objects_when_their_application_goes_is_theirs_to_say_and_then_the_applications(
    tmp_path: Path, own: str, policy: str, stays: bool
) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    one = saying(config_map("one", "1"), deletion_policy=own) if own else config_map("one", "1")
    claim = [{**CLAIM, "metadata": {"name": "data"}}] if policy == "orphan" else []
    other = application("else", [component("x", config_map("x", "1"))], [])
    clone.push({"web.yaml": web(one, OTHER, *claim), "else.yaml": other})
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": web(one, OTHER, *claim, deletion_policy=policy)})
        assert daemon.engine._context.apps[KEY].mirror.deletion == policy
        await daemon.synced("web")
        assert [run.name for run in daemon.engine._context.apps[KEY].runs] == ["web-v1-1"], "the annotation makes no revision"
    clone.push({"web.yaml": None})
    async with running(clone, state) as daemon:
        await daemon.synced("else")
        await removed(daemon)
        assert (await read(daemon, "one") is not None) is stays
        assert (await read(daemon, "other") is not None) is (policy == "orphan")
        if claim:
            assert await read(daemon, "data", "PersistentVolumeClaim"), "it stays, so nobody had to approve it"


@virtual
async def test_an_object_that_is_waited_for_holds_back_what_was_applied_before_it(tmp_path: Path) -> None:
    """So an operator lives until it has taken its finalizer off."""
    clone = Clone(tmp_path)
    held = saying(config_map("held", "1"), deletion_policy="wait")
    held["metadata"]["finalizers"] = ["example.org/hold"]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}}
    clone.push({"web.yaml": web(account, held, OTHER)})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.synced("web", clone.push({"web.yaml": web(OTHER)}))
        said = await daemon.until(lambda: daemon.conditions("web").get("PruneBlocked"))
        assert said.startswith("Terminating: ")
        assert "ConfigMap default/held" in said
        await settled(daemon)
        assert await read(daemon, "operator", "ServiceAccount")
        live = await daemon.get("ConfigMap", "held")
        await daemon.cluster.replace({**live, "metadata": {**live["metadata"], "finalizers": []}}, manager="operator")
        await pruned(daemon)
        assert await read(daemon, "operator", "ServiceAccount") is None
        assert "PruneBlocked" not in daemon.conditions("web")


@virtual
async def test_rule_1d_an_approved_deletion_that_fails_in_the_middle_goes_on_without_another_approval(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    claim = {**CLAIM, "metadata": {"name": "data"}}
    clone.push({"web.yaml": web(OTHER, claim, config_map("old", "1"))})
    async with recorded() as cluster, running(clone, cluster=cluster) as daemon:
        await daemon.synced("web")
        cluster.refuse = lambda verb, obj: InvalidError("not now") if verb == "delete" and obj["metadata"]["name"] == "data" else None
        await daemon.synced("web", clone.push({"web.yaml": web(OTHER)}))
        code = (await daemon.until(lambda: daemon.conditions("web").get("PruneBlocked"))).partition("add ")[2].partition(" ")[0]
        clone.push({".reconciler/prune.yaml": f"approved: [{code}]\n"})
        said = await daemon.until(lambda: daemon.conditions("web").get("PruneFailed"))
        assert "PersistentVolumeClaim default/data" in said
        assert await read(daemon, "old") is None
        clone.push({".reconciler/prune.yaml": "approved: []\n"})
        await settled(daemon)
        assert "PruneFailed" in daemon.conditions("web"), "it stays tracked"
        cluster.refuse = None
        await pruned(daemon)


async def test_an_object_that_is_only_made_where_it_is_absent_is_never_changed_and_comes_back(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": web(saying(config_map("seed", "1"), apply="if-absent"), OTHER)})
    async with recorded() as cluster, running(clone, cluster=cluster) as daemon:
        await daemon.synced("web")
        await replace_data(daemon, "seed", {"value": "by hand"})
        await settled(daemon)
        await daemon.synced("web", clone.push({"web.yaml": web(saying(config_map("seed", "2"), apply="if-absent"), OTHER)}))
        assert (await daemon.get("ConfigMap", "seed"))["data"] == {"value": "by hand"}
        assert cluster.of("apply").count("ConfigMap default/seed") == 1
        await cluster.delete(ObjectRef("v1", "ConfigMap", "default", "seed"))
        await daemon.until(lambda: healed(daemon))
        assert (await daemon.get("ConfigMap", "seed"))["data"] == {"value": "2"}
        await daemon.synced("web", clone.push({"web.yaml": web(OTHER)}))
        await pruned(daemon)
        assert await read(daemon, "seed") is None, "it is ours"


async def test_one_that_somebody_else_made_is_left_to_them(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": web(saying(config_map("seed", "1"), apply="if-absent"), OTHER)})
    async with running(clone) as daemon:
        await daemon.cluster.create({**config_map("seed", "theirs", "default")}, manager="team")
        before = (await daemon.get("ConfigMap", "seed"))["metadata"]["resourceVersion"]
        status = await daemon.synced("web")
        assert status.health == "Healthy"
        await daemon.synced("web", clone.push({"web.yaml": web(OTHER)}))
        await pruned(daemon)
        assert (await daemon.get("ConfigMap", "seed"))["metadata"]["resourceVersion"] == before


async def test_an_ignored_object_is_neither_applied_healed_nor_deleted(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    absent = saying(config_map("absent", "1"), reconcile="ignore")
    clone.push({"web.yaml": web(config_map("mine", "1"), absent, OTHER)})
    async with running(clone) as daemon:
        await daemon.synced("web")
        assert await read(daemon, "absent") is None
        paused = saying(config_map("mine", "2"), reconcile="ignore")
        await daemon.synced("web", clone.push({"web.yaml": web(paused, absent, OTHER)}))
        await replace_data(daemon, "mine", {"value": "by hand"})
        await settled(daemon)
        assert (healed(daemon), (await daemon.get("ConfigMap", "mine"))["data"]) == (0, {"value": "by hand"})
        await daemon.synced("web", clone.push({"web.yaml": web(config_map("mine", "3"), OTHER)}))
        assert (await daemon.get("ConfigMap", "mine"))["data"] == {"value": "3"}, "it goes on as before"
        await daemon.synced("web", clone.push({"web.yaml": web(paused, OTHER)}))
        await daemon.synced("web", clone.push({"web.yaml": web(OTHER)}))
        await released(daemon, "mine")


async def test_stripped_fields_are_never_sent_and_adopted_ones_keep_their_live_value(tmp_path: Path) -> None:
    def one(value: str) -> Spec:
        obj = {**config_map("web", ""), "data": {"strip": value, "adopt.it": value, "mine": value}}
        return saying(obj, strip_fields="/data/strip", adopt_fields="/data/adopt.it")

    clone = Clone(tmp_path)
    clone.push({"web.yaml": web(one("1"))})
    async with running(clone) as daemon:
        await daemon.synced("web")
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"adopt.it": "1", "mine": "1"}
        await replace_data(daemon, "web", {"adopt.it": "theirs", "strip": "theirs", "mine": "1"})
        await settled(daemon)
        assert healed(daemon) == 0
        await daemon.synced("web", clone.push({"web.yaml": web(one("2"))}))
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"adopt.it": "theirs", "strip": "theirs", "mine": "2"}
        await replace_data(daemon, "web", {"adopt.it": "again", "strip": "theirs", "mine": "by hand"})
        await daemon.until(lambda: healed(daemon))
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"adopt.it": "again", "strip": "theirs", "mine": "2"}


def workload(kind: str, label: str, **words: str) -> Spec:
    template = {"metadata": {"labels": {"app": label}}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
    spec: dict[str, Any] = {"selector": {"matchLabels": {"app": label}}, "template": template}
    return saying({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec}, **words)


@pytest.mark.parametrize(
    ("kind", "word", "anew"),
    [
        ("Deployment", "enabled", True),
        ("Deployment", "disabled", False),
        ("StatefulSet", "enabled", False),
        ("StatefulSet", "with-data-loss", True),
    ],
)
async def test_rule_1c_an_object_that_cannot_be_changed_is_made_anew_only_by_its_own_word(tmp_path: Path, kind: str, word: str, anew: bool) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": web(workload(kind, "one", force=word))})
    async with running(clone) as daemon:
        await daemon.synced("web")
        before = await daemon.get(kind, "web", api_version="apps/v1")
        commit = clone.push({"web.yaml": web(workload(kind, "two", force=word))})
        if anew:
            await daemon.synced("web", commit)
        else:
            await daemon.until(lambda: "web-v2-1" in str(daemon.status("web")) and "immutable" in message(daemon, "web"))
        after = await daemon.get(kind, "web", api_version="apps/v1")
        assert (after["metadata"]["uid"] != before["metadata"]["uid"]) is anew
        assert after["spec"]["selector"]["matchLabels"] == {"app": "two" if anew else "one"}


async def test_rule_1c_what_is_marked_by_hand_is_not_made_anew(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": web(workload("Deployment", "one", force="enabled"))})
    async with running(clone) as daemon:
        await daemon.synced("web")
        live = await daemon.get("Deployment", "web", api_version="apps/v1")
        annotations = {**live["metadata"]["annotations"], f"{D}prune": "disabled"}
        await daemon.cluster.replace({**live, "metadata": {**live["metadata"], "annotations": annotations}}, manager="kubectl-annotate")
        clone.push({"web.yaml": web(workload("Deployment", "two", force="enabled"))})
        await daemon.until(lambda: "is not deleted" in message(daemon, "web"))
        assert (await daemon.get("Deployment", "web", api_version="apps/v1"))["metadata"]["uid"] == live["metadata"]["uid"]


async def test_a_word_that_means_nothing_keeps_the_application_as_it_was_and_names_those_that_do(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": web(config_map("web", "1"))})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": web(saying(config_map("web", "2"), prune="never"))})
        said = daemon.conditions("web")["ManifestInvalid"]
        assert "write enabled or disabled" in said
        assert "web.yaml:" in said
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "1"}
        await push(daemon, clone, {"web.yaml": web(config_map("web", "1"), deletion_policy="keep")})
        assert "delete, orphan or wait" in daemon.conditions("web")["ManifestInvalid"]


async def test_rule_1b_a_component_that_is_renamed_keeps_its_objects_and_writes_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [component("old", config_map("web", "1"))], [])})
    async with recorded() as cluster, running(clone, cluster=cluster) as daemon:
        await daemon.synced("web")
        before = await daemon.get("ConfigMap", "web")
        await daemon.synced("web", clone.push({"web.yaml": application("web", [component("new", config_map("web", "1"))], [])}))
        await pruned(daemon)
        assert (await daemon.get("ConfigMap", "web")) == before
        assert (cluster.of("apply"), cluster.of("delete")) == (["ConfigMap default/web"], [])
        await replace_data(daemon, "web", {"value": "by hand"})
        await daemon.until(lambda: healed(daemon))
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "1"}

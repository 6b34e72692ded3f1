"""KubeVela's policies through the whole engine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.identity import ObjectRef
from reconciler.settings import Access
from tests.integration.harness import Clone, Daemon, running
from tests.integration.sequences import phases, push, replace_data, value

Spec = dict[str, Any]


def config_map(name: str, data: str, namespace: str = "") -> Spec:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"value": data}}


def component(name: str, *objects: Spec) -> Spec:
    return {"name": name, "type": "k8s-objects", "properties": {"objects": list(objects)}}


def policy(name: str, kind: str, **properties: Any) -> Spec:
    return {"name": name, "type": kind, "properties": properties}


def application(name: str, components: list[Spec], policies: list[Spec], *deploys: list[str]) -> str:
    """As JSON, which is YAML: a deploy step for each list of policies, none where there is no list."""
    spec: Spec = {"components": components, "policies": policies}
    if deploys:
        spec["workflow"] = {"steps": [{"type": "deploy", "properties": {"policies": names}} for names in deploys]}
    return json.dumps({"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": {"name": name}, "spec": spec})


async def places(daemon: Daemon, name: str) -> list[str]:
    """The namespaces in which there is a ConfigMap of that name."""
    return [item["metadata"]["namespace"] for item in await daemon.engine.reader.objects("configmap", "", name)]


WEB = component("web", config_map("web", "1"))
BLUE, GREEN = policy("blue", "topology", namespace="blue"), policy("green", "topology", namespace="green")


async def test_a_component_goes_to_each_namespace_of_the_topologies_with_its_override(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    two = policy("two", "override", components=[{"name": "web", "properties": {"objects": [config_map("web", "2")]}}])
    clone.push({"web.yaml": application("web", [WEB], [BLUE, GREEN, two], ["blue"], ["two", "green"])})
    async with running(clone) as daemon:
        status = await daemon.synced("web")
        assert await places(daemon, "web") == ["blue", "green"]
        assert (await value(daemon, "web", "blue"), await value(daemon, "web", "green")) == ("1", "2")
        assert (status.namespace, status.health) == ("default", "Healthy")


async def test_rule_1b_a_namespace_that_leaves_the_topologies_is_pruned_and_the_other_is_not_touched(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [WEB], [BLUE, GREEN], ["blue", "green"])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        before = (await daemon.get("ConfigMap", "web", "green"))["metadata"]["resourceVersion"]
        commit = clone.push({"web.yaml": application("web", [WEB], [GREEN], ["green"])})
        await daemon.synced("web", commit)
        await daemon.looked()
        assert await places(daemon, "web") == ["green"]
        assert (await daemon.get("ConfigMap", "web", "green"))["metadata"]["resourceVersion"] == before


async def test_rule_1b_a_move_by_topology_keeps_the_old_place_until_the_new_one_is_healthy(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [WEB], [BLUE], ["blue"])})
    async with running(clone, create_namespaces="none") as daemon:
        await daemon.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "blue"}})
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": application("web", [WEB], [GREEN], ["green"])})
        assert "NamespaceMissing" in daemon.conditions("web")
        assert await places(daemon, "web") == ["blue"]


async def test_rule_13a_each_namespace_of_a_topology_is_held_against_what_the_operator_allows(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [WEB], [BLUE, GREEN], ["blue", "green"])})
    async with running(clone, rules=(Access(path=".", namespaces=["default", "blue"]),)) as daemon:
        await daemon.until(lambda: phases(daemon, "web") == ["web-v1-1 Failed"])
        status = daemon.status("web")
        assert status is not None
        assert status.run is not None
        assert status.run.reason == "NotAllowed"
        assert "may not use namespace green" in status.run.message
        assert await places(daemon, "web") == ["blue"]


async def test_rule_5a_a_changed_override_is_a_new_revision(tmp_path: Path) -> None:
    clone = Clone(tmp_path)

    def patched(data: str) -> str:
        patch = {"name": "web", "properties": {"objects": [config_map("web", data)]}}
        return application("web", [WEB], [policy("o", "override", components=[patch])])

    clone.push({"web.yaml": patched("2")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        commit = clone.push({"web.yaml": patched("3")})
        status = await daemon.synced("web", commit)
        assert status.running is not None
        assert status.running.revision == "web-v2"
        assert await value(daemon, "web") == "3"


# garbage-collect --------------------------------------------------------------------------------------------------------


def collect(**properties: Any) -> Spec:
    return policy("gc", "garbage-collect", **properties)


def keeping(strategy: str, name: str = "old") -> Spec:
    return collect(rules=[{"selector": {"componentNames": [name]}, "strategy": strategy}])


OLD, NEW = component("old", config_map("old", "1")), component("new", config_map("new", "1"))


async def released(daemon: Daemon, name: str) -> Spec:
    """Waits until the object was let go of; answers it."""
    shown = f"ConfigMap default/{name}"
    await daemon.until(lambda: [event for event in daemon.sink.events if event.kind == "object-released" and event.fields["object"] == shown])
    return await daemon.get("ConfigMap", name)


@pytest.mark.parametrize("rules", [keeping("never"), collect(keepLegacyResource=True)])
async def test_rule_1b_what_a_policy_keeps_is_released_instead_of_pruned_and_can_be_had_back(tmp_path: Path, rules: Spec) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [OLD, NEW], [rules])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        commit = clone.push({"web.yaml": application("web", [NEW], [rules])})
        await daemon.synced("web", commit)
        meta = (await released(daemon, "old"))["metadata"]
        assert not [name for name in meta.get("labels") or {} if name.startswith("reconciler.dev/")]
        assert meta["annotations"] == {"reconciler.dev/released-from": "default/web"}
        await replace_data(daemon, "old", {"value": "by hand"})
        await daemon.looked()
        assert await value(daemon, "old") == "by hand", "it is not healed any more"
        commit = clone.push({"web.yaml": application("web", [OLD, NEW], [rules])})
        await daemon.synced("web", commit)
        assert await value(daemon, "old") == "1"


async def test_rule_1b_on_app_delete_an_object_stays_and_is_healed_until_the_application_goes(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [OLD, NEW], [keeping("onAppDelete")]), "other.yaml": application("other", [WEB], [])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        for components in ([NEW], [NEW, component("third", config_map("third", "1"))]):  # the second revision knows of no such rule
            await daemon.synced("web", clone.push({"web.yaml": application("web", components, [])}))
        await replace_data(daemon, "old", {"value": "by hand"})
        await daemon.until(lambda: [event for event in daemon.sink.events if event.kind == "drift-healed"])
        assert await value(daemon, "old") == "1"
        clone.push({"web.yaml": None})
        await daemon.until(lambda: daemon.status("web") is None)
        assert await places(daemon, "old") == await places(daemon, "new") == []


async def test_rule_1b_never_holds_when_the_application_leaves_git_and_over_a_restart(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    clone.push({"web.yaml": application("web", [OLD, NEW], [keeping("never")]), "other.yaml": application("other", [WEB], [])})
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await daemon.synced("other")
    clone.push({"web.yaml": None})
    async with running(clone, state) as daemon:
        await daemon.until(lambda: daemon.status("other") and daemon.status("web") is None)
        assert await places(daemon, "new") == []
        assert (await daemon.get("ConfigMap", "old"))["metadata"]["annotations"] == {"reconciler.dev/released-from": "default/web"}
    clone.push({"web.yaml": application("web", [OLD], [])})
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        assert "StateLost" not in daemon.conditions("web")


async def test_rule_1b_a_rule_that_comes_with_the_drop_counts_and_one_that_goes_with_it_too(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    rules = collect(rules=[{"selector": {"componentTypes": ["k8s-objects"], "resourceNames": ["old"]}, "strategy": "never"}])
    third = component("third", config_map("third", "1"))
    clone.push({"web.yaml": application("web", [OLD, NEW, third], [keeping("never", "third")])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.synced("web", clone.push({"web.yaml": application("web", [NEW], [rules])}))
        await released(daemon, "old")
        await released(daemon, "third")


async def test_rule_7a_a_rollback_has_back_what_was_released(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    gated = json.loads(application("web", [OLD, NEW], [keeping("never")]))
    gated["spec"]["workflow"] = {"steps": [{"type": "deploy"}]}
    clone.push({"web.yaml": json.dumps(gated)})
    async with running(clone) as daemon:
        await daemon.synced("web")
        dropped = {**gated, "spec": {**gated["spec"], "components": [NEW]}}
        await daemon.synced("web", clone.push({"web.yaml": json.dumps(dropped)}))
        await released(daemon, "old")
        status = await daemon.synced("web", clone.push({"web.yaml": json.dumps(gated)}))
        assert status.run is not None
        assert (status.run.kind, status.run.revision) == ("restore", "web-v1")
        assert (await daemon.get("ConfigMap", "old"))["metadata"]["labels"]["reconciler.dev/application"] == "web"


CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


@pytest.mark.parametrize("strategy", ["never", "onAppUpdate"])
async def test_rule_1d_what_is_released_needs_no_approval_and_what_is_pruned_does(tmp_path: Path, strategy: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [NEW, component("old", CLAIM)], [keeping(strategy)])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": application("web", [NEW], [])})
        await daemon.synced("web")
        await daemon.looked()
        assert ("PruneBlocked" in daemon.conditions("web")) == (strategy == "onAppUpdate")
        labels = (await daemon.get("PersistentVolumeClaim", "data"))["metadata"].get("labels") or {}
        assert ("reconciler.dev/application" in labels) == (strategy == "onAppUpdate")


@pytest.mark.parametrize("propagation", ["orphan", "cascading"])
async def test_what_belongs_to_an_object_stays_where_it_is_to_be_orphaned(tmp_path: Path, propagation: str) -> None:
    clone = Clone(tmp_path)
    jobs = {"name": "jobs", "type": "worker", "properties": {"image": "busybox"}}
    rules = collect(rules=[{"selector": {"resourceTypes": ["Deployment"]}, "propagation": propagation}])
    clone.push({"web.yaml": application("web", [NEW, jobs], [rules])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.synced("web", clone.push({"web.yaml": application("web", [NEW], [])}))
        await daemon.looked()
        expected = ["free"] if propagation == "orphan" else []
        for _ in range(500):
            left = await daemon.engine.reader.objects("replicaset", "default", "")
            found = ["owned" if item["metadata"].get("ownerReferences") else "free" for item in left]
            if found == expected:
                break
            await asyncio.sleep(0.01)
        assert found == expected
        assert await daemon.engine.reader.objects("deployment", "default", "jobs") == []


# apply-once -------------------------------------------------------------------------------------------------------------


def letting(path: str, affect: str) -> Spec:
    rules = [{"selector": {"componentNames": ["web"]}, "strategy": {"path": [path], "affect": affect}}]
    return policy("once", "apply-once", enable=True, rules=rules)


def pair(one: str, two: str) -> Spec:
    return component("web", {**config_map("web", ""), "data": {"one": one, "two": two}})


async def data(daemon: Daemon, name: str = "web") -> Spec:
    found: Spec = (await daemon.get("ConfigMap", name))["data"]
    return found


async def settled(daemon: Daemon) -> None:
    """Drift that is there was seen and judged."""
    for _ in range(3):
        await daemon.looked()


def healed(daemon: Daemon) -> int:
    return len([event for event in daemon.sink.events if event.kind == "drift-healed"])


ONCE = policy("once", "apply-once", enable=True)


@pytest.mark.parametrize(
    ("rule", "kept_by_healing", "kept_by_an_update"),
    [
        (ONCE, "by hand", "new"),
        (letting("data.one", "always"), "by hand", "by hand"),
        (letting("data.one", "onStateKeep"), "by hand", "new"),
        (letting("data.one", "onUpdate"), "old", "old"),
        (letting("*", "always"), "by hand", "by hand"),
        (letting("*", "onStateKeep"), "by hand", "new"),
    ],
)
async def test_rule_7g_what_may_drift_is_not_healed_and_an_update_leaves_it_where_it_is_to(
    tmp_path: Path, rule: Spec, kept_by_healing: str, kept_by_an_update: str
) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [pair("old", "1")], [rule])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await replace_data(daemon, "web", {"one": "by hand", "two": "1"})
        if kept_by_healing == "by hand":
            await settled(daemon)
            assert healed(daemon) == 0
        else:
            await daemon.until(lambda: healed(daemon))
        assert (await data(daemon))["one"] == kept_by_healing
        await daemon.synced("web", clone.push({"web.yaml": application("web", [pair("new", "2")], [rule])}))
        found = await data(daemon)
        assert found["one"] == kept_by_an_update
        whole = "*" in str(rule) and kept_by_an_update == "by hand"
        assert found["two"] == ("1" if whole else "2")


async def test_rule_7g_drift_beside_what_may_drift_is_healed_and_the_rest_stays(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    clone.push({"web.yaml": application("web", [pair("old", "1")], [letting("data.one", "always")])})
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await replace_data(daemon, "web", {"one": "by hand", "two": "by hand"})
        await daemon.until(lambda: healed(daemon))
        assert await data(daemon) == {"one": "by hand", "two": "1"}
        await replace_data(daemon, "web", {"one": "again", "two": "1"})
        await settled(daemon)
        assert healed(daemon) == 1
        before = (await daemon.get("ConfigMap", "web"))["metadata"]["resourceVersion"]
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await settled(daemon)
        assert (healed(daemon), await data(daemon)) == (0, {"one": "again", "two": "1"})
        assert (await daemon.get("ConfigMap", "web"))["metadata"]["resourceVersion"] == before, "what may drift is not written"
        assert "DriftFought" not in daemon.conditions("web")


@pytest.mark.parametrize(("rule", "comes_back"), [(ONCE, False), (letting("*", "always"), False), (letting("data.one", "always"), True)])
async def test_rule_7g_a_deleted_object_comes_back_unless_all_of_it_may_drift(tmp_path: Path, rule: Spec, comes_back: bool) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [pair("old", "1")], [rule])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.cluster.delete(ObjectRef("v1", "ConfigMap", "default", "web"))
        await (daemon.until(lambda: healed(daemon)) if comes_back else settled(daemon))
        assert await places(daemon, "web") == (["default"] if comes_back else [])
        if not comes_back:
            await daemon.synced("web", clone.push({"web.yaml": application("web", [pair("new", "1")], [rule])}))
            assert await data(daemon) == {"one": "new", "two": "1"}

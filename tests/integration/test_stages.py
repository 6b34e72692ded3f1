"""The order in which objects are applied and go again: what others rest on comes first, and is ready before them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reconciler.cluster.protocol import NotFoundError
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from tests.integration.harness import Clone, running, virtual
from tests.integration.policies import application, component, config_map, message
from tests.integration.recorded import recorded

SCOPED = ("Namespace", "CustomResourceDefinition", "ValidatingWebhookConfiguration", "ClusterRole")
SCHEMA = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "shops.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"plural": "shops", "kind": "Shop"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": SCHEMA}],
    },
}
SHOP = {"apiVersion": "example.org/v1", "kind": "Shop", "metadata": {"name": "first", "namespace": "fresh"}, "spec": {"size": 1}}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}}
WEBHOOK = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "check"}, "webhooks": []}
ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reader"}, "rules": []}
ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": "fresh"}}
WORKLOAD = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "fresh"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}},
    },
}


async def test_kinds_come_in_the_order_in_which_they_rest_on_each_other_and_go_the_other_way_round(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    listed = [WEBHOOK, SHOP, WORKLOAD, config_map("settings", "1", "fresh"), ROLE, ACCOUNT, DEFINITION, NAMESPACE]
    clone.push({"web.yaml": application("web", [component("all", *listed)], [])})
    async with recorded() as cluster, running(clone, cluster=cluster, cluster_scoped=SCOPED, create_namespaces="none") as daemon:
        await daemon.synced("web")
        applied = cluster.of("apply")
        assert applied == [
            "Namespace fresh",
            "CustomResourceDefinition shops.example.org",
            "ServiceAccount fresh/reader",
            "ClusterRole reader",
            "ConfigMap fresh/settings",
            "Deployment fresh/web",
            "Shop fresh/first",
            "ValidatingWebhookConfiguration check",
        ]
        assert cluster.of("try") == [], "nothing is tried where there is no doubt (10a)"
        clone.push({"web.yaml": None, ".reconciler/prune.yaml": "approved: []\n"})
        said = await daemon.until(lambda: daemon.conditions("web").get("RemovalInDoubt"))
        clone.push({".reconciler/prune.yaml": f"approved: [{said.partition('add ')[2].partition(' ')[0]}]\n"})
        await daemon.until(lambda: AppKey("default", "web") not in daemon.engine._context.apps, "it is removed")
        assert cluster.of("delete") == applied[::-1]


async def test_what_is_added_later_is_deleted_by_its_stage_all_the_same(tmp_path: Path) -> None:
    """Otherwise the kind would go before its objects, and their finalizers would find nobody."""
    clone = Clone(tmp_path)
    first = component("first", config_map("settings", "1"), WEBHOOK)
    clone.push({"web.yaml": application("web", [first], [])})
    async with recorded() as cluster, running(clone, cluster=cluster, cluster_scoped=SCOPED) as daemon:
        await daemon.synced("web")
        commit = clone.push({"web.yaml": application("web", [first, component("later", DEFINITION, {**SHOP, "metadata": {"name": "first"}})], [])})
        await daemon.synced("web", commit)
        commit = clone.push({"web.yaml": application("web", [component("first", config_map("other", "1"))], [])})
        said = await daemon.until(lambda: daemon.conditions("web").get("PruneBlocked"))
        clone.push({".reconciler/prune.yaml": f"approved: [{said.partition('add ')[2].partition(' ')[0]}]\n"})
        await daemon.until(lambda: not daemon.engine._context.apps[AppKey("default", "web")].mirror.doomed)
        deleted = cluster.of("delete")
        assert deleted[0] == "ValidatingWebhookConfiguration check"
        assert deleted[-1] == "CustomResourceDefinition shops.example.org"


@virtual
async def test_the_first_object_of_a_kind_waits_until_the_kind_is_established(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [component("all", {**SHOP, "metadata": {"name": "first"}}, DEFINITION)], [])})
    looks = []

    def hide(obj: JsonObject) -> JsonObject:
        if obj["kind"] != "CustomResourceDefinition":
            return obj
        looks.append([call for call in cluster.calls if call[0] == "apply"][-1][1])
        return obj if len(looks) > 3 else {**obj, "status": {"conditions": [{"type": "Established", "status": "False"}]}}

    async with recorded() as cluster:
        cluster.alter = hide
        async with running(clone, cluster=cluster, cluster_scoped=SCOPED) as daemon:
            await daemon.synced("web")
            assert looks == ["CustomResourceDefinition shops.example.org"] * len(looks), "nothing else was applied meanwhile"
            assert len(looks) == 4


@virtual
async def test_a_kind_whose_names_are_taken_fails_the_run_and_says_so(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [component("all", {**SHOP, "metadata": {"name": "first"}}, DEFINITION)], [])})

    def taken(obj: JsonObject) -> JsonObject:
        refused = {"type": "NamesAccepted", "status": "False", "message": '"shops" is already in use'}
        return {**obj, "status": {"conditions": [refused]}} if obj["kind"] == "CustomResourceDefinition" else obj

    async with recorded() as cluster:
        cluster.alter = taken
        async with running(clone, cluster=cluster, cluster_scoped=SCOPED) as daemon:
            await daemon.until(lambda: "already in use" in message(daemon, "web"))
            assert cluster.of("apply") == ["CustomResourceDefinition shops.example.org"]


@virtual
async def test_a_namespace_that_is_being_deleted_is_waited_for_and_made_anew(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [component("all", config_map("web", "1", "fresh"), NAMESPACE)], [])})
    async with recorded() as cluster:
        held: dict[str, Any] = {
            **config_map("held", "1", "fresh"),
            "metadata": {"name": "held", "namespace": "fresh", "finalizers": ["example.org/hold"]},
        }
        await cluster.create({**NAMESPACE, "metadata": {"name": "fresh", "annotations": {"reconciler.dev/released-from": "default/web"}}})
        await cluster.create(held)
        await cluster.delete(ObjectRef("v1", "Namespace", "", "fresh"))
        async with running(clone, cluster=cluster, cluster_scoped=SCOPED, create_namespaces="none") as daemon:
            await daemon.until(lambda: "NamespaceMissing" in daemon.conditions("web"))
            assert "being deleted" in message(daemon, "web")
            assert "ConfigMap fresh/web" not in cluster.of("apply")
            live = await cluster.get(ObjectRef("v1", "ConfigMap", "fresh", "held"))
            await cluster.replace({**live, "metadata": {**live["metadata"], "finalizers": []}}, manager="team")
            await daemon.synced("web")
            assert (await daemon.get("ConfigMap", "web", "fresh"))["data"] == {"value": "1"}


async def test_an_object_of_a_kind_that_nobody_brings_waits_and_writes_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [component("all", config_map("web", "1"), {**SHOP, "metadata": {"name": "first"}})], [])})
    async with recorded() as cluster, running(clone, cluster=cluster) as daemon:
        await daemon.until(lambda: "serves no kind 'Shop'" in message(daemon, "web"))
        assert cluster.of("apply") == []
        try:
            await daemon.get("ConfigMap", "web")
        except NotFoundError:
            return
        raise AssertionError("half of it was applied")

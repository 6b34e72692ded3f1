"""Rule 13a against who looks for a way out: whatever makes an object what it is in the end, it stays within what its path allows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.settings import Access
from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.policies import component, config_map, policy

RULES = (
    Access(path="teams/a", namespaces=["a"], kinds=["ConfigMap", "Deployment", "Service", "StatefulSet", "Job"]),
    Access(path="teams/b", namespaces=["b"]),
)
LIST = {"apiVersion": "v1", "kind": "List", "items": [config_map("evil", "1"), config_map("evil", "1", "b")]}


def with_traits(*traits: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**component("web", config_map("evil", "1")), "traits": list(traits)}]


def operations(*items: tuple[str, str]) -> dict[str, Any]:
    return {"type": "json-patch", "properties": {"operations": [{"op": "add", "path": path, "value": value} for path, value in items]}}


PRIVILEGES = {
    "type": "service-account",
    "properties": {"name": "evil", "create": True, "privileges": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]},
}
SERVER = {"name": "web", "type": "webservice", "properties": {"image": "nginx:1"}, "traits": [PRIVILEGES]}
WIDE = {**PRIVILEGES, "properties": {**PRIVILEGES["properties"], "privileges": [{**PRIVILEGES["properties"]["privileges"][0], "scope": "cluster"}]}}
WAYS: dict[str, tuple[dict[str, Any], str]] = {
    "a List": ({"components": [component("web", LIST)]}, "a List is not taken apart"),
    "an override": (
        {
            "components": [component("web", config_map("evil", "1"))],
            "policies": [
                policy("o", "override", components=[{"name": "web", "properties": {"objects": [config_map("evil", "1", "b")]}}]),
            ],
            "workflow": {"steps": [{"type": "deploy", "name": "deploy", "properties": {"policies": ["o"]}}]},
        },
        "may not use namespace b",
    ),
    "a topology": (
        {
            "components": [component("web", config_map("evil", "1"))],
            "policies": [policy("t", "topology", namespace="b")],
            "workflow": {"steps": [{"type": "deploy", "name": "deploy", "properties": {"policies": ["t"]}}]},
        },
        "may not use namespace b",
    ),
    "a patch of the namespace": ({"components": with_traits(operations(("/metadata/namespace", "b")))}, "must not change metadata.namespace"),
    "a merge patch of the namespace": (
        {"components": with_traits({"type": "json-merge-patch", "properties": {"metadata": {"namespace": "b"}}})},
        "must not change metadata.namespace",
    ),
    "a patch of the kind": ({"components": with_traits(operations(("/kind", "Secret")))}, "must not change kind"),
    "a patch to state": (
        {"components": with_traits(operations(("/kind", "Application"), ("/apiVersion", "reconciler.dev/v1alpha1")))},
        "must not change apiVersion",
    ),
    "a patch of the owner": (
        {
            "components": with_traits(
                {
                    "type": "json-merge-patch",
                    "properties": {
                        "metadata": {
                            "ownerReferences": [{"apiVersion": "reconciler.dev/v1alpha1", "kind": "Application", "name": "a.web", "uid": "x"}]
                        }
                    },
                }
            )
        },
        "an object of reconciler.dev can't own it",
    ),
    "a step's own object": (
        {
            "components": [component("web", config_map("web", "1"))],
            "workflow": {"steps": [{"type": "apply-object", "name": "x", "properties": {"value": config_map("evil", "1", "b")}}]},
        },
        "may not use namespace b",
    ),
    "rights by a trait": ({"components": [SERVER]}, "may not use kind"),
    "rights over the cluster by a trait": ({"components": [{**SERVER, "traits": [WIDE]}]}, "may not use kind"),
    "a subresource": (
        {"components": [component("web", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "evil"}})]},
        "may not use kind Eviction",
    ),
    "a token": (
        {"components": [component("web", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {"name": "evil"}})]},
        "may not use kind TokenRequest",
    ),
}


def told(daemon: Daemon) -> str:
    """What a person reads of the refusal: at the manifest, or in a condition."""
    status = daemon.status("web", "a")
    shown = [item.message for item in status.conditions] if status else []
    return " ".join(shown) + " ".join(problem["message"] for problem in daemon.engine.reader.problems())


@pytest.mark.parametrize("way", WAYS)
async def test_rule_13a_no_way_leads_out_of_what_the_path_allows(tmp_path: Path, way: str) -> None:
    spec, sentence = WAYS[way]
    clone = Clone(tmp_path)
    manifest = {"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": {"name": "web", "namespace": "a"}, "spec": spec}
    clone.push({"teams/a/web.yaml": json.dumps(manifest), "teams/b/good.yaml": config_map_app("good", "1", namespace="b")})
    async with running(clone, rules=RULES) as daemon:
        await daemon.until(lambda: sentence in told(daemon), f"{way}: {told(daemon)}")
        await daemon.synced("good", namespace="b")
        for namespace in ("b", "reconciler-system"):
            for kind in ("configmap", "secret", "deployment", "role"):
                names = [obj["metadata"]["name"] for obj in await daemon.engine.reader.objects(kind, namespace, "")]
                assert not [name for name in names if "evil" in name]
        for kind in ("clusterrole", "clusterrolebinding", "role", "rolebinding", "secret"):
            assert await daemon.engine.reader.objects(kind, "", "") == []


async def test_rule_13a_labels_of_another_application_are_overwritten_by_those_of_the_own(tmp_path: Path) -> None:
    forged = config_map("evil", "1")
    forged["metadata"]["labels"] = {
        "reconciler.dev/application": "good",
        "reconciler.dev/application-namespace": "b",
        "reconciler.dev/application-uid": "x",
    }
    clone = Clone(tmp_path)
    manifest = {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": "web", "namespace": "a"},
        "spec": {"components": [component("web", forged)]},
    }
    clone.push({"teams/a/web.yaml": json.dumps(manifest)})
    async with running(clone, rules=RULES) as daemon:
        await daemon.synced("web", namespace="a")
        labels = (await daemon.get("ConfigMap", "evil", "a"))["metadata"]["labels"]
        mirror = await daemon.get("Application", "a.web", "reconciler-system", "reconciler.dev/v1alpha1")
        assert labels["reconciler.dev/application"] == "web"
        assert labels["reconciler.dev/application-namespace"] == "a"
        assert labels["reconciler.dev/application-uid"] == mirror["metadata"]["uid"]


async def test_rule_13a_a_manifest_that_moves_is_judged_by_where_it_stands_now(tmp_path: Path) -> None:
    rules = (Access(path="platform", namespaces=["a"], kinds=["*"]), RULES[0])
    clone = Clone(tmp_path)
    secret = config_map_app("web", "1", namespace="a").replace("kind: ConfigMap", "kind: Secret").replace("data: {value", "stringData: {value")
    clone.push({"platform/web.yaml": config_map_app("web", "1", namespace="a")})
    async with running(clone, rules=rules) as daemon:
        await daemon.synced("web", namespace="a")
        clone.push({"platform/web.yaml": None, "teams/a/web.yaml": secret})
        await daemon.until(lambda: "manifests below teams/a may not use kind Secret" in told(daemon), told(daemon))
        assert await daemon.engine.reader.objects("secret", "a", "") == []

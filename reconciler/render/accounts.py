"""The trait `service-account`: who a component's pods are to the cluster, and what they may do there. Parameters are KubeVela's."""

from __future__ import annotations

from typing import Any, Final

from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields
from reconciler.render.workloads import Target

_RBAC: Final = "rbac.authorization.k8s.io"
_SCOPES = ("namespace", "cluster")
_RULE_FIELDS = ("apiGroups", "resources", "resourceNames", "nonResourceURLs")


def set_service_account(fields: Fields, target: Target) -> None:
    """
    `create` makes the account. Privileges become a Role of the account's name, those of scope `cluster` a ClusterRole
    `<namespace>:<name>`, which the operator must have allowed (rule 13a).
    """
    name = fields.required("name")
    for spec in target.pod_specs(fields):
        spec["serviceAccountName"] = name
    if fields.flag("create", default=False):
        target.objects.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
    rules: dict[str, list[JsonObject]] = {}
    for item in fields.items("privileges"):
        rules.setdefault(item.choice("scope", _SCOPES, "namespace"), []).append(_rule(item))
    if "namespace" in rules:
        target.objects.extend(_grant("", name, name, target.namespace, rules["namespace"]))
    if "cluster" in rules:
        target.objects.extend(_grant("Cluster", f"{target.namespace}:{name}", name, target.namespace, rules["cluster"]))


def _rule(item: Fields) -> JsonObject:
    rule: JsonObject = {"verbs": item.texts("verbs")}
    if not rule["verbs"]:
        raise item.error("verbs", "is required")
    rule |= {field: item.texts(field) for field in _RULE_FIELDS if item.has(field)}
    urls = "nonResourceURLs" in rule
    if urls == ("resources" in rule):
        raise item.error("", "needs either resources or nonResourceURLs")
    if urls and item.choice("scope", _SCOPES, "namespace") != "cluster":
        raise item.error("nonResourceURLs", "needs scope: cluster")
    return rule if urls else {"apiGroups": [""], **rule}


def _grant(scope: str, name: str, account: str, namespace: str, rules: list[JsonObject]) -> list[dict[str, Any]]:
    """A (Cluster)Role and its binding. The binding's subject and role can't change in place: neither depends on the rules."""
    return [
        {"apiVersion": f"{_RBAC}/v1", "kind": f"{scope}Role", "metadata": {"name": name}, "rules": rules},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": f"{scope}RoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": _RBAC, "kind": f"{scope}Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        },
    ]

"""The trait `affinity`: where pods may run. Parameters are KubeVela's."""

from __future__ import annotations

from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields
from reconciler.render.workloads import Target, mappings

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_OPERATORS = ("Exists", "Equal")


def set_affinity(fields: Fields, target: Target) -> None:
    """Takes the place of the same part of what the pods have; tolerations are added to theirs."""
    wanted = {kind: terms for kind in ("podAffinity", "podAntiAffinity") if (terms := _pod_terms(fields.below(kind)))}
    nodes = _node_terms(fields.below("nodeAffinity"))
    if nodes:
        wanted["nodeAffinity"] = nodes
    tolerations = [_toleration(item) for item in fields.items("tolerations")]
    if not wanted and not tolerations:
        raise fields.error("", "needs podAffinity, podAntiAffinity, nodeAffinity or tolerations")
    for spec in target.pod_specs(fields):
        there = spec.get("affinity")
        if wanted:
            spec["affinity"] = {**(there if isinstance(there, dict) else {}), **wanted}
        known = mappings(spec.get("tolerations"))
        if tolerations:
            spec["tolerations"] = known + [item for item in tolerations if item not in known]


def _pod_terms(fields: Fields) -> JsonObject:
    required = [_pod_term(item) for item in fields.items("required")]
    preferred = [
        {"weight": item.whole("weight", 1, 100, 1), "podAffinityTerm": _pod_term(item.below("podAffinityTerm"))} for item in fields.items("preferred")
    ]
    return {key: value for key, value in ((_REQUIRED, required), (_PREFERRED, preferred)) if value}


def _pod_term(term: Fields) -> JsonObject:
    found: JsonObject = {"topologyKey": term.required("topologyKey")}
    found |= {field: term.mapping(field) for field in ("labelSelector", "namespaceSelector") if term.has(field)}
    return found | ({"namespaces": term.texts("namespaces")} if term.has("namespaces") else {})


def _node_terms(fields: Fields) -> JsonObject:
    required = fields.below("required").values("nodeSelectorTerms")
    preferred = [{"weight": item.whole("weight", 1, 100, 1), "preference": item.mapping("preference")} for item in fields.items("preferred")]
    return {key: value for key, value in ((_REQUIRED, {"nodeSelectorTerms": required} if required else None), (_PREFERRED, preferred)) if value}


def _toleration(item: Fields) -> JsonObject:
    found: JsonObject = {"operator": item.choice("operator", _OPERATORS, "Equal")}
    found |= {field: item.text(field) for field in ("key", "value", "effect") if item.has(field)}
    if found["operator"] == "Equal" and not item.has("key"):
        raise item.error("key", "is required, except with operator: Exists")
    if item.has("tolerationSeconds"):
        found["tolerationSeconds"] = item.whole("tolerationSeconds", 0, 2**31 - 1, 0)
    return found

"""`apply-object`: any Kubernetes object from the step itself; no wait. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Outcome, Query, Result
from reconciler.model.treatment import find_faults
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.sequence import apply_all
from reconciler.steps.validation import Finding, check_local, check_text, check_type


class ApplyObject(NoCompensation):
    """The dialect makes a component of the object, so that it is stored, restored and pruned like any other."""

    name = "apply-object"
    params: Mapping[str, str] = MappingProxyType(
        {
            "value": "the object: apiVersion, kind, metadata.name and the rest",
            "cluster": "where; only the daemon's own cluster is known, so leave it out",
        }
    )
    required: tuple[str, ...] = ("value",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_value(properties) + check_local(properties)

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        return apply_all(call, results, seen)


def check_value(properties: dict[str, Any], only: str = "") -> list[Finding]:
    """`value`: an object that says what it is and what it is called; of kind `only` alone, where one is named."""
    found = check_type(properties, "value", dict)
    value = properties.get("value")
    if found or value is None:
        return found
    found = [(f"value.{field}", message) for field, message in check_text(value, "apiVersion", "kind")]
    found += [(f"value.{field}", "is required") for field in ("apiVersion", "kind") if value.get(field) is None]
    if only and value.get("kind") not in (None, only):
        found.append(("value.kind", f"must be {only}; for other objects there is apply-object"))
    meta = value.get("metadata")
    if not isinstance(meta, dict):
        return [*found, ("value.metadata", "must be a mapping with name")]
    found += [(f"value.metadata.{field}", message) for field, message in check_text(meta, "name", "namespace")]
    annotations = meta.get("annotations")
    if isinstance(annotations, dict):
        found += [(f"value.metadata.annotations.{name}", message) for name, message in find_faults(annotations)]
    if meta.get("name") is None:
        found.append(("value.metadata.name", "is required"))
    return found

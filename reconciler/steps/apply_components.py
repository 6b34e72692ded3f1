"""`apply-components`: components by type and name, with policies, and a partition rollout. SREWorks' handler (seed 003)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Outcome, Query, Result
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.sequence import apply_in_order
from reconciler.steps.validation import Finding, check_duration, check_rollout, check_text, check_texts, check_type, parse_partition, refuse


class ApplyComponents(NoCompensation):
    """With `rollout` the applied StatefulSet carries the partition; without it the field is not sent. A restore run ignores it."""

    name = "apply-components"
    params: Mapping[str, str] = MappingProxyType(
        {
            "components": "list of {type, name}: which components, applied in this order, each healthy before the next",
            "policies": "names of policies, in the order in which they work on the components",
            "rollout": "{type: partition, properties: {partition, name}}: that many pods (or percent) stay as they are",
            "timeout": "how long to wait for the health of one component, as a Go duration; 10m unless given",
        }
    )
    required: tuple[str, ...] = ("components",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found = check_type(properties, "components", list)
        if not found:
            found += _check_components(properties.get("components"))
        return found + check_texts(properties, "policies") + check_rollout(properties) + check_duration(properties, "timeout")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:
        wrong = refuse(self.check, call.properties)
        if wrong is not None:
            return wrong
        rollout = call.properties.get("rollout")
        partition = parse_partition(rollout["properties"]["partition"]) if rollout else None
        return apply_in_order(call, results, seen, now, partition)


def _check_components(items: list[Any] | None) -> list[Finding]:
    if items is None:
        return []
    if not items:
        return [("components", "must not be empty")]
    found = []
    for index, item in enumerate(items):
        at = f"components[{index}]"
        if not isinstance(item, dict):
            found.append((at, "must be a mapping with type and name"))
            continue
        found += [(f"{at}.{field}", message) for field, message in check_text(item, "type", "name")]
        found += [(f"{at}.{field}", "is required") for field in ("type", "name") if item.get(field) is None]
        found += [(f"{at}.{field}", "is not known here") for field in item if field not in ("type", "name")]
    return found

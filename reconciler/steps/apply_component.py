"""`apply-component`: one component, and its health. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Outcome, Query, Result
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.sequence import apply_in_order
from reconciler.steps.validation import Finding, check_duration, check_local, check_text, check_type, refuse


class ApplyComponent(NoCompensation):
    name = "apply-component"
    params: Mapping[str, str] = MappingProxyType(
        {
            "component": "name of the component to apply",
            "cluster": "where; only the daemon's own cluster is known, so leave it out",
            "namespace": "where its objects go, instead of the component's own namespace",
            "timeout": "how long to wait for health, as a Go duration; 10m unless given",
        }
    )
    required: tuple[str, ...] = ("component",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found = check_text(properties, "component") + check_type(properties, "namespace", str)
        return found + check_local(properties) + check_duration(properties, "timeout")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:
        wrong = refuse(self.check, call.properties)
        if wrong is not None:
            return wrong
        return apply_in_order(call, results, seen, now)

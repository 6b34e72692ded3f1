"""`deploy`: all components that the policies leave, in order; with `auto: false` after an approval. KubeVela and SREWorks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Gate, Outcome, Query, Result
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.sequence import apply_in_order
from reconciler.steps.validation import Finding, check_duration, check_texts, check_type, refuse


class Deploy(NoCompensation):
    name = "deploy"
    params: Mapping[str, str] = MappingProxyType(
        {
            "auto": "false: waits for a decision before it applies anything; true unless given",
            "policies": "names of policies, in the order in which they work on the components",
            "parallelism": "accepted for KubeVela's sake; components are applied one after the other",
            "timeout": "how long to wait for the health of one component, as a Go duration; 10m unless given",
        }
    )
    required: tuple[str, ...] = ()

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found = check_type(properties, "auto", bool) + check_texts(properties, "policies") + check_type(properties, "parallelism", int)
        parallelism = properties.get("parallelism")
        if not found and parallelism is not None and parallelism < 1:
            found.append(("parallelism", "must be at least 1"))
        return found + check_duration(properties, "timeout")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:
        wrong = refuse(self.check, call.properties)
        if wrong is not None:
            return wrong
        # A stored result proves that the gate was passed already.
        if call.properties.get("auto") is False and not call.restore and call.decision != "continue" and not results:
            return Gate(f'Waiting approval to the deploy step "{call.step}"')
        return apply_in_order(call, results, seen, now)

"""`suspend`: waits for a decision, or for its duration. KubeVela and SREWorks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.duration import parse_duration
from reconciler.model.outcome import Call, Done, Gate, Outcome, Query, Result
from reconciler.model.text import one_line
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.validation import Finding, check_duration, check_type, refuse


class Suspend(NothingToUndo):
    """
    A restore run passes it (rule 7a). `rollback` and `end` never reach a step: the machine acts on them. When the duration is
    over, the machine decides `continue`, once a look at git came after it (rule 4c).
    """

    name = "suspend"
    params: Mapping[str, str] = MappingProxyType(
        {
            "duration": "opens by itself after this long, as a Go duration (30s, 1min, 2m15s); without it only a decision opens it",
            "message": "shown wherever the gate is shown",
        }
    )
    required: tuple[str, ...] = ()

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_duration(properties, "duration") + check_type(properties, "message", str)

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties)
        if wrong is not None:
            return wrong
        if call.restore or call.decision == "continue":
            return Done()
        duration = call.properties.get("duration")
        deadline = None if duration is None else call.deadline(call.since, parse_duration(duration).total_seconds())
        return Gate(one_line(call.properties.get("message") or ""), deadline)

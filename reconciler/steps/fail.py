"""`fail`: fails, for workflows of the step flow that are to be tried out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Effect, Outcome, Query, Result
from reconciler.model.text import one_line
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.pretence import pretend
from reconciler.steps.validation import Finding, check_choice, check_type, refuse


class Fail(NothingToUndo):
    name = "fail"
    params: Mapping[str, str] = MappingProxyType(
        {"message": "what it says", "retryable": '"true": it is tried again first, as any failure that may pass; "false" unless given'}
    )
    required: tuple[str, ...] = ()

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_type(properties, "message", str) + check_choice(properties, "retryable", ("true", "false"))

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties)
        if wrong is not None:
            return wrong
        params = {
            "message": one_line(call.properties.get("message") or "it was asked to fail", 512),
            "retryable": call.properties.get("retryable") == "true",
        }
        return pretend(call, results, now, Effect("fail", params))

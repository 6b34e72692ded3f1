"""`print-message-in-status`: a line in the step's status. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Done, Outcome, Query, Result
from reconciler.model.text import one_line
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.validation import Finding, check_type, refuse


class PrintMessage(NothingToUndo):
    name = "print-message-in-status"
    params: Mapping[str, str] = MappingProxyType({"message": "the line"})
    required: tuple[str, ...] = ("message",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_type(properties, "message", str)

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties, *self.required)
        if wrong is not None:
            return wrong
        return Done(message=one_line(call.properties.get("message", ""), 1024))

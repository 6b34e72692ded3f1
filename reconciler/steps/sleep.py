"""`sleep`: waits. For workflows of the step flow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Effect, Outcome, Query, Result
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.pretence import check_seconds, pretend, seconds_of
from reconciler.steps.validation import Finding, refuse


class Sleep(NothingToUndo):
    name = "sleep"
    params: Mapping[str, str] = MappingProxyType({"seconds": 'how long, as text ("20")'})
    required: tuple[str, ...] = ("seconds",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_seconds(properties, "seconds")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties, *self.required)
        if wrong is not None:
            return wrong
        return pretend(call, results, now, Effect("sleep"), seconds_of(call.properties, "seconds"))

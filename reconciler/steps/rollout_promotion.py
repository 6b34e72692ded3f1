"""`rollout-promotion`: what becomes of a canary: on with the rollout, back, or an end here. SREWorks' handler (seed 003)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Done, Gate, Outcome, Query, Result
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.validation import Finding


class RolloutPromotion(NothingToUndo):
    """A restore run passes it (upstream's quiet mode, rule 7a). The machine acts on `rollback` and `end`."""

    name = "rollout-promotion"
    params: Mapping[str, str] = MappingProxyType({})
    required: tuple[str, ...] = ()

    def check(self, properties: dict[str, Any]) -> list[Finding]:  # noqa: ARG002 - it has no properties
        return []

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        if call.restore or call.decision == "continue":
            return Done()
        return Gate("Shall the rollout go on?")

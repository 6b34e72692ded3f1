"""`step-group`: steps that belong together. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Done, Outcome, Query, Result
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.validation import Finding


class StepGroup(NothingToUndo):
    """The machine computes how a group stands from the steps that belong to it (`workflow/grouping.py`); only one without any is asked."""

    name = "step-group"
    params: Mapping[str, str] = MappingProxyType({})
    required: tuple[str, ...] = ()

    def check(self, properties: dict[str, Any]) -> list[Finding]:  # noqa: ARG002 - it has no properties
        return []

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        return Done()

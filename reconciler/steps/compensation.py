"""
What undoing a step means in the families that have no compensation of their own.

KubeVela and SREWorks steps have no compensation: a rollback there is a restore run (rule 7a), made of ordinary steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconciler.model.outcome import Call, Done, Failed, Outcome, Query, Result


class NothingToUndo:
    """For steps that change nothing outside the run: undone as soon as asked."""

    def undo(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        return Done()


class NoCompensation:
    """For steps that apply: they never claim to have taken back what they cannot."""

    def undo(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        return Failed("NoCompensation", f"a step of type {call.type} can't be undone by itself; a rollback is a restore run")

"""
Steps that make objects of their own parameters.

The dialect makes a component of those, so that the objects are stored, restored and pruned like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconciler.model.outcome import Call, Done, Live, Outcome, Query, Result, Wait
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.health import refs_of
from reconciler.steps.sequence import apply_all, apply_in_order


class Making(NoCompensation):
    """`makes`: its properties, with the inputs in them, are rendered under its own name (`render.made`)."""

    makes = True

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        return apply_all(call, results, seen)


def apply_and_read(call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime, name: str) -> Outcome:
    """Applies, waits for health, and exports the first object as it lives under `name`, as KubeVela's templates call it."""
    outcome = apply_in_order(call, results, seen, now)
    refs = [ref for result in results.values() for ref in refs_of(result)]
    if not isinstance(outcome, Done) or not refs:
        return outcome
    query = Live(refs[0])
    if query not in seen:
        return Wait(None, f"waiting to hear of {refs[0]}", (query,))
    return Done({**outcome.outputs, name: read_as(seen[query])}, outcome.message)


def read_as(value: Any) -> dict[str, Any]:
    """What KubeVela's `#Read` and `#Apply` answer, in the words of both its dialects."""
    return {"value": value, "$returns": {"value": value}}

"""What the steps have in common that only pretend to work: one effect of their kind, and then time that passes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconciler.model.outcome import Call, Do, Done, Effect, Failed, Outcome, Result, Wait
from reconciler.steps.validation import Finding, check_text

PATH = "run"
_MOST_DIGITS = 8  # of seconds: a bit over three years


def pretend(call: Call, results: Mapping[str, Result], now: datetime, effect: Effect, seconds: int = 0) -> Outcome:
    """The effect, then a wait of so many seconds from its result on, which holds nothing and ends at once where the run is stopped."""
    result = results.get(PATH)
    if result is None:
        return Do({PATH: effect})
    end = call.deadline(result.at, seconds)
    if end is not None and now < end:
        return Wait(end, f"takes {seconds} s")
    if result.ok:
        return Done()
    return Failed(result.reason, result.error, retryable=result.retry != "terminal")


def check_seconds(properties: dict[str, Any], field: str) -> list[Finding]:
    found = check_text(properties, field)
    text = properties.get(field)
    if not found and text is not None and not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        found.append((field, 'must be a whole number of seconds in quotes, such as "20"'))
    return found


def seconds_of(properties: dict[str, Any], field: str) -> int:
    """Checked before."""
    return int(properties.get(field) or 0)

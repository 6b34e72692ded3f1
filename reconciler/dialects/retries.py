"""`retryPolicy` and `healthTimeout`, as the families with components write them: in the words of the daemon's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.dialects.shapes import Duration, Number, Record, Shape, Whole
from reconciler.model.application import Retry
from reconciler.model.duration import parse_duration

_DAY = 86400.0
RETRY = Record(
    {"limit": Whole(-1), "periodSeconds": Number(0.001, _DAY), "factor": Number(1, 100), "capSeconds": Number(0.001, _DAY)},
)
PATIENCE: Mapping[str, Shape] = {"retryPolicy": RETRY, "healthTimeout": Duration()}
"""The fields of a workflow; a step has `retryPolicy`, and `timeout` among its properties."""


def pick_patience(written: Mapping[str, Any]) -> dict[str, Any]:
    """Of a workflow's fields those that are told here."""
    return {name: written[name] for name in PATIENCE if written.get(name) is not None}


def read_retry(written: Any) -> Retry:
    """Of what `retryPolicy` holds; what has not the right shape was complained of, and counts as left out."""
    policy = written if isinstance(written, dict) else {}

    def number(name: str) -> float | None:
        value = policy.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    limit = policy.get("limit")
    return Retry(
        limit if isinstance(limit, int) and not isinstance(limit, bool) else None, number("periodSeconds"), number("factor"), number("capSeconds")
    )


def read_health(written: Any) -> float:
    """Seconds of a `healthTimeout`, 0 where there is none."""
    try:
        return parse_duration(written).total_seconds() if isinstance(written, str) else 0.0
    except ValueError:
        return 0.0

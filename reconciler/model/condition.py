"""Conditions, by the Kubernetes API conventions: type, status, reason, message, since when."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

Status = Literal["True", "False", "Unknown"]


class Condition(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """`since` (lastTransitionTime) moves only when `status` does. `help`: the command to run or the line to commit, empty where none helps."""

    type: str
    status: Status
    reason: str
    message: str = ""
    since: datetime | None = msgspec.field(default=None, name="lastTransitionTime")
    help: str = ""


def causes(conditions: list[Condition]) -> list[Condition]:
    """Those that apply and say why. `Stalled` says so only where the daemon's own turn failed, which is tried again; else it repeats another."""
    return [condition for condition in conditions if condition.status == "True" and (condition.type != "Stalled" or condition.reason == "Internal")]


def broken(conditions: list[Condition]) -> bool:
    """Whether a turn failed for a reason of the daemon's."""
    return any(condition.type == "Stalled" for condition in causes(conditions))


def merge(old: list[Condition], new: list[Condition], now: datetime) -> list[Condition]:
    """`new` with transition times carried over from `old` where the status did not change, sorted by type."""
    before = {condition.type: condition for condition in old}
    merged = []
    for condition in new:
        was = before.get(condition.type)
        since = was.since if was is not None and was.status == condition.status and was.since else now
        merged.append(msgspec.structs.replace(condition, since=since))
    return sorted(merged, key=lambda condition: condition.type)

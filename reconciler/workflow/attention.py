"""What came of a request to look again now, in one sentence. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from reconciler.model.condition import broken
from reconciler.model.identity import AppKey
from reconciler.model.run import Phase
from reconciler.model.status import ApplicationStatus, Attention, Result
from reconciler.model.text import one_line
from reconciler.workflow.explain import explain

_LISTED = 5


class Seen(NamedTuple):
    """What the look and the turn met. `commit`: the head. `fault`: what kept it from being done. `healed`: objects that were put back;
    `drifted`: when those that still differ are healed."""

    commit: str = ""
    fault: str = ""
    healed: tuple[str, ...] = ()
    drifted: datetime | None = None
    timed_out: bool = False


def report(key: AppKey, before: ApplicationStatus, after: ApplicationStatus | None, seen: Seen, now: datetime) -> Attention:
    """`before` and `after`: where the application stood when it was asked for, and where it stands now (None: it is gone)."""
    result, happened = _judge(before, after, seen)
    why = explain(after, now).sentence if after is not None else f"{key} is removed."
    head = f"looked at commit {seen.commit[:12]}: " if seen.commit and not seen.fault else ""
    return Attention(key.name, key.namespace, result, f"{head}{happened}; {why}", seen.commit)


def _judge(before: ApplicationStatus, after: ApplicationStatus | None, seen: Seen) -> tuple[Result, str]:
    """The worst of what happened, and its words."""
    told = "; ".join(text for text in (_told_of_git(before, after), _told_of_drift(seen)) if text)
    if seen.timed_out:
        return "TimedOut", seen.fault
    if seen.fault:
        return "Failed", f"git cannot be read ({one_line(seen.fault, 512).rstrip('.')})"
    if after is not None and broken(after.conditions):
        return "BackOff", "its turn failed again"
    if after is not None and after.run is not None and after.run.phase == Phase.FAILED and after.run != before.run:
        return "Failed", f"{told}, and its run failed" if told else "its run failed"
    if seen.drifted is not None:
        return "BackOff", f"{told}, but objects differ and are not healed before {seen.drifted.astimezone(UTC):%H:%M:%S} UTC".removeprefix(", but ")
    if told:
        return "Healed" if seen.healed and not _told_of_git(before, after) else "Changed", told
    return "Unchanged", "nothing is new and no object differs"


def _told_of_git(before: ApplicationStatus, after: ApplicationStatus | None) -> str:
    if after is None:
        return "it has left git"
    run = after.run
    if run is not None and (before.run is None or run.id != before.run.id):
        return f"{'a new commit was found' if after.desired != before.desired else 'it was its turn'} and run {run.id} of {run.revision} has begun"
    if after.desired != before.desired and after.desired is not None:
        return f"a new commit was found, {after.desired.commit[:12]}"
    if run is not None and before.run is not None and run.phase != before.run.phase:
        return f"run {run.id} went from {before.run.phase} to {run.phase}"
    if [(item.type, item.reason) for item in after.conditions] != [(item.type, item.reason) for item in before.conditions]:
        return "its conditions are others"
    return ""


def _told_of_drift(seen: Seen) -> str:
    if not seen.healed:
        return ""
    names = ", ".join(one_line(name) for name in seen.healed[:_LISTED])
    more = f" and {len(seen.healed) - _LISTED} more" if len(seen.healed) > _LISTED else ""
    return f"drift was healed on {len(seen.healed)} object{'s' if len(seen.healed) > 1 else ''} ({names}{more})"

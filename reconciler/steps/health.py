"""Waiting for objects to be healthy, within a deadline and never by sleeping (rules 6c, 8a)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconciler.model.duration import parse_duration
from reconciler.model.identity import ObjectRef
from reconciler.model.outcome import Call, Failed, Health, Query, Result, Wait


def refs_of(result: Result) -> tuple[ObjectRef, ...]:
    """The objects that an apply result names, in order, less those that are left alone as they live."""
    return tuple(ObjectRef.unpack(item["ref"]) for item in result.value.get("objects") or [] if not item.get("ignored"))


def deadline_of(call: Call, start: datetime | None) -> datetime | None:
    """When waiting for what was applied at `start` ends: the step's `timeout`, else what its workflow or the daemon says (rule 6c)."""
    timeout = call.properties.get("timeout")
    seconds = call.health if timeout is None else parse_duration(timeout).total_seconds()
    return call.deadline(start, seconds)


def await_health(
    subject: str, refs: tuple[ObjectRef, ...], seen: Mapping[Query, Any], deadline: datetime | None, now: datetime
) -> Wait | Failed | None:
    """
    None once all are healthy. `subject` names them in messages where the answer does not.

    Without an answer nothing is concluded, not even after the deadline: a daemon that was down looks first. Degraded
    waits like Progressing does, but says so: a workload often recovers, and a deadline bounds it anyway. What has failed for
    good, as a Job does, is not waited for.
    """
    if not refs:
        return None
    query = Health(refs)
    answer = seen.get(query)
    if answer is None:
        until = deadline if deadline is None or now < deadline else None
        return Wait(until, f"waiting to hear of {subject}", (query,))
    status = str(answer.get("status", "Unknown"))
    if status == "Healthy":
        return None
    what = _describe(subject, refs, str(answer.get("message") or "").strip() or status)
    if answer.get("failed"):
        return Failed("JobFailed", what)
    if deadline is not None and now >= deadline:
        return Failed("HealthTimeout", f"not healthy in time: {what}")
    return Wait(deadline, f"waiting for {'degraded ' if status == 'Degraded' else ''}{what}", (query,))


def _describe(subject: str, refs: tuple[ObjectRef, ...], message: str) -> str:
    """The answer's own words where they name one of the objects, else with the subject before them."""
    return message if any(str(ref) in message for ref in refs) else f"{subject}: {message}"

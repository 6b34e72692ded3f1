"""Events: the difference of two stored states. They may be lost; they feed metrics, logs and streams, and nothing else."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from reconciler.model.identity import AppKey


class Event(msgspec.Struct, frozen=True):
    """`kind` is one of the names in `KINDS`; `fields` are bounded, already masked and safe to show."""

    kind: str
    app: AppKey | None = None
    fields: dict[str, Any] = {}


KINDS = (
    "reconciled",  # result, seconds
    "look",  # commit, seconds, applications, problems
    "look-failed",  # reason
    "application",  # status: the ApplicationStatus, whenever it became another one
    "application-gone",
    "run",  # run, revision, from, to, seconds
    "step",  # run, step, type, from, to, seconds
    "gate",  # run, step, waiting (bool), since
    "decision",  # run, step, verb, commit, author
    "effect",  # kind, result, seconds
    "drift-healed",  # object
    "queue",  # depth
    "heartbeat",  # loop: one that shows so that it moves
)


class Sink(Protocol):
    """Synchronous and bounded; it may drop. It never raises into the engine."""

    def emit(self, event: Event) -> None: ...

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
    "look",  # commit, applications, problems; seconds, of which fetch and parse
    "look-same",  # seconds: the head was the one already known
    "look-failed",  # reason
    "application",  # status: the ApplicationStatus, whenever it became another one
    "application-gone",
    "application-moved",  # shard: whose daemon acts for it from now on
    "run",  # run, revision, kind, from, to, seconds, reason, message
    "rejected",  # run, revision: it is not applied again, and its commit is owed
    "step",  # run, step, type, from, to, seconds, message
    "gate",  # run, step, waiting (bool), since
    "decision",  # run, step, verb, by, commit, author
    "effect",  # kind, result; seconds where it was tried; object where it is of one
    "apply",  # result: one of `APPLIED`, of one object
    "write-back",  # run, result: Landed, Dropped, or why git differs
    "callback",  # run, step, phase, result: one of `CALLED`, of one try; message: why it was not taken
    "drift-healed",  # object; by: who changed which field, once it is a fight
    "object-released",  # object: it stays, and is no longer ours
    "queue",  # depth
    "admitted",  # run, queue, seconds: how long it waited in its queue before it began
    "attempt",  # run, step, type, result: one of `ATTEMPTS`
    "rollback",  # run, reason: one of `ROLLBACKS`
    "throttled",  # type, seconds: how long an effect of a step of that type waited for its turn
    "cache",  # cache, hits, misses: since it was last told
    "foreign",  # group, count: definitions of a family's kinds that somebody else brought
    "announced",  # result: one of `ANNOUNCED`, of one Kubernetes Event
    "lead",  # leads, leader, epoch: whenever one of them became another
    "lease",  # result: ok or failed, of one try to keep the lead, or of one that failed to see it
    "heartbeat",  # loop, age: seconds since that loop last moved
)

ATTEMPTS = ("ok", "again", "failed", "undone", "undo-again", "undo-failed")
"""How a try of running or of undoing a step ended. Again: it failed and is repeated."""

ROLLBACKS = ("failure", "decision", "removed", "superseded", "restore")
"""Why what a run did is undone, as `Run.undo_cause` has it; restore: an earlier revision is put back."""

APPLIED = ("created", "changed", "unchanged", "conflict", "refused", "failed")
"""What becomes of an object that is applied. Conflict: it is somebody else's; refused: it may not be, by the cluster or the operator."""

CALLED = ("Delivered", "Failed", "Dropped")
"""What becomes of a try to tell a callback. Failed: it is tried again; Dropped: after a day, it is not."""


ANNOUNCED = ("sent", "repeated", "dropped", "failed")
"""What becomes of a Kubernetes Event. Repeated: it is counted in one that is there; dropped: there were too many; failed: the cluster took it not."""


class Sink(Protocol):
    """Synchronous and bounded; it may drop. It never raises into the engine."""

    def emit(self, event: Event) -> None: ...

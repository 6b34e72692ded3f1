"""What of the engine's events is worth a Kubernetes Event: an application that passes from one state to another, never one that stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from reconciler.model.condition import Condition, causes
from reconciler.model.event import Event
from reconciler.model.identity import AppKey
from reconciler.model.run import Phase
from reconciler.model.status import ApplicationStatus
from reconciler.model.text import one_line
from reconciler.observe.series import ATTENTION

LONGEST: Final = 1024  # bytes of a note, by the API

REASONS: Final = (
    "RunStarted",
    "Promoted",
    "RunFailed",
    "RunEnded",
    "RollingBack",
    "RolledBack",
    "Superseded",
    "GateWaiting",
    "Decided",
    "Ordered",
    "GitCommitted",
    "Pruned",
    "Released",
    "DriftHealed",
    "Removing",
    "Degraded",
    "Recovered",
    *ATTENTION,
)
"""Each is in docs/state.md. The conditions among them are told when they begin to apply."""


class Told(NamedTuple):
    """One thing that came about. `objects`: where several are told as one, their names; then `note` is what became of them. `run`: its name."""

    app: AppKey
    reason: str
    note: str
    warning: bool = False
    run: str = ""
    objects: tuple[str, ...] = ()


_ENDS: Final = {
    Phase.SUCCEEDED: ("Promoted", "{revision} runs now", False),
    Phase.FAILED: ("RunFailed", "{revision} failed", True),
    Phase.ROLLED_BACK: ("RolledBack", "{revision} was rolled back", True),
    Phase.TERMINATED: ("RunEnded", "the run of {revision} was ended", False),
    Phase.SUPERSEDED: ("Superseded", "a newer revision took the place of {revision}", False),
    Phase.ROLLING_BACK: ("RollingBack", "{revision} is being rolled back", True),
}


class Transitions:
    """Remembers of each application what was told of it last. What applied already when the daemon began is not told again."""

    def __init__(self) -> None:
        self._known: dict[AppKey, frozenset[str]] = {}
        self._sets: dict[frozenset[str], frozenset[str]] = {}  # few are different: kept once for all applications

    def read(self, event: Event) -> Iterator[Told]:
        """Nothing for most events."""
        if event.app is None:
            return
        key, fields = event.app, event.fields
        if event.kind == "application":
            yield from self._application(key, fields["status"])
        elif event.kind in ("application-gone", "application-moved"):
            self._known.pop(key, None)
        elif event.kind == "run":
            yield from _run(key, event)
        elif event.kind == "gate" and fields["waiting"]:
            yield Told(key, "GateWaiting", f"gate {fields['step']} waits for a decision", run=str(fields["run"]))
        elif event.kind == "decision":
            who = f" by {fields['author']}" if fields.get("author") else ""
            yield Told(key, "Decided", f"{fields['verb']} at {fields['step']}{who}", run=str(fields["run"]))
        elif event.kind == "command" and fields["result"] == "Done":
            yield Told(key, "Ordered", f"{fields['verb']} was ordered")
        elif event.kind == "write-back" and fields["result"] == "Landed":
            yield Told(key, "GitCommitted", "the branch says the same again")
        elif event.kind == "effect" and fields["kind"] == "delete" and fields["result"] == "ok" and "object" in fields:
            yield Told(key, "Pruned", "deleted", objects=(str(fields["object"]),))
        elif event.kind == "object-released":
            yield Told(key, "Released", "left as it is and no longer managed", objects=(str(fields["object"]),))
        elif event.kind == "drift-healed":
            yield Told(key, "DriftHealed", "put back to what was applied", warning=True, objects=(str(fields["object"]),))

    def _application(self, key: AppKey, status: ApplicationStatus) -> Iterator[Told]:
        applies = {condition.type: condition for condition in causes(status.conditions)}
        marks: set[str] = {kind for kind in ATTENTION if kind in applies}
        marks |= {"Degraded"} if status.health == "Degraded" else set()
        marks |= {"Removing"} if "Reconciling" in applies and applies["Reconciling"].reason == "Deleting" else set()
        ready = applies.get("Ready")
        before, first = self._known.get(key, frozenset()), key not in self._known
        if before and not marks and ready is None:
            marks = {"Recovering"}  # what was wrong is over, and what is to come of it is not known yet
        now = frozenset(marks)
        self._known[key] = self._sets.setdefault(now, now)
        if first:
            return
        for kind in sorted(marks - before - {"Recovering"}):
            yield _mark(key, kind, applies.get(kind), status)
        if ready is not None and before and not marks:
            yield Told(key, "Recovered", ready.message)


def _mark(key: AppKey, kind: str, condition: Condition | None, status: ApplicationStatus) -> Told:
    if kind == "Removing":
        return Told(key, kind, "git does not declare it any more: its objects are being deleted")
    if condition is None:
        return Told(key, kind, status.trouble or "its objects are degraded", warning=True)
    return Told(key, kind, condition.message.partition("\n")[0] or condition.reason, warning=True)  # what is below it may be a patch


def _run(key: AppKey, event: Event) -> Iterator[Told]:
    fields = event.fields
    phase, revision, name = Phase(fields["to"]), str(fields["revision"]), str(fields["run"])
    if phase is Phase.RUNNING and fields["from"] in ("", Phase.PENDING):
        doing = "goes back to" if fields["kind"] == "restore" else "moves to"
        yield Told(key, "RunStarted", f"{doing} {revision}", run=name)
        return
    end = _ENDS.get(phase)
    if end is None:
        return
    reason, text, warning = end
    if phase is Phase.SUCCEEDED and fields["kind"] == "restore":
        text = "{revision} runs again"
    detail = f": {fields['message']}" if warning and fields.get("message") else ""
    yield Told(key, reason, text.format(revision=revision) + detail, warning, name)


def note_of(told: Told) -> str:
    """One line within what the API takes."""
    text = told.note
    if told.objects:
        names = ", ".join(told.objects[:5])
        more = f" and {len(told.objects) - 5} more" if len(told.objects) > 5 else ""
        text = f"{names}{more}: {told.note}"
    line = one_line(text, LONGEST)
    encoded = line.encode("utf-8")
    return line if len(encoded) <= LONGEST else encoded[: LONGEST - 3].decode("utf-8", "ignore") + "…"

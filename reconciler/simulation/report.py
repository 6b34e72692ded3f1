"""What a simulation answers: the shape of `simulate --output json`. Every text in it is masked; nothing in it is a code or an id that
would mean anything outside the simulation."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from reconciler.model.run import Phase

Limit = Literal["", "until", "turns"]
# What an application may be at in the end besides the phase of a run.
REMOVED, IN_DOUBT, INVALID, SUSPENDED, STALLED, HELD = "Removed", "InDoubt", "Invalid", "Suspended", "Stalled", "Held"
_AT_REST = frozenset({Phase.SUCCEEDED, Phase.WAITING, Phase.ROLLED_BACK, Phase.TERMINATED, REMOVED, IN_DOUBT, SUSPENDED, HELD})


class Row(msgspec.Struct, rename="camel"):
    """One line of the timeline. `at`: seconds of virtual time since the commit was there. `step` is empty where it is about the run."""

    at: int
    application: str
    namespace: str
    run: str
    step: str
    phase: str
    message: str


class ObjectChange(msgspec.Struct, rename="camel"):
    """`applied` false: it would change behind the gate that waits, or the run ended before it. `fields`: `{path, from, to}`."""

    object: str
    change: Literal["added", "changed", "removed"]
    applied: bool = False
    fields: list[dict[str, Any]] = []
    note: str = ""


class Rollback(msgspec.Struct, rename="camel"):
    """What a rollback at a gate does: to which revision, and what becomes of the objects. `target` empty: it has none, and the run fails."""

    target: str = ""
    objects: list[ObjectChange] = []


class Stop(msgspec.Struct, rename="camel"):
    """A gate that waited. `decision` is empty where it still does; `by`: `decide` or `timer`."""

    at: int
    step: str
    revision: str
    message: str
    rollback: Rollback
    decision: str = ""
    by: str = ""


class Application(msgspec.Struct, rename="camel"):
    """One that the commit does something to. `phase`: of its run, or Removed, InDoubt, Invalid, Suspended, Stalled, Held (by applications
    that it depends on). `before`, `after`: revisions."""

    application: str
    namespace: str
    path: str
    line: int
    phase: str
    reason: str = ""
    message: str = ""
    health: str = ""
    before: str = ""
    after: str = ""
    gates: list[Stop] = []
    changes: list[ObjectChange] = []
    notes: list[str] = []

    @property
    def failed(self) -> bool:
        return self.phase not in _AT_REST or self.reason == "StepFailed" or (self.phase == HELD and self.reason in ("Missing", "Cycle"))


class Report(msgspec.Struct, rename={"start": "from"}):
    """`seconds`: how much virtual time passed. `limit`: what ended it before all was at rest. `unchanged`: applications not listed."""

    commit: str
    start: str
    seconds: int
    limit: Limit
    applications: list[Application]
    unchanged: int
    timeline: list[Row]
    problems: list[dict[str, Any]]
    warnings: list[str]

    @property
    def failed(self) -> bool:
        """Whether the commit is not fit to be merged: a document has errors, a run fails or does not end."""
        wrong = any(problem["severity"] == "error" for problem in self.problems)
        return bool(self.limit) or wrong or any(app.failed for app in self.applications)

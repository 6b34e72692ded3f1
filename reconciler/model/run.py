"""A run: one execution of one revision's workflow, and all that is remembered of it (rules 3, 4c, 6, 7, 9)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

import msgspec

from reconciler.model.application import Mode
from reconciler.model.outcome import Result

Verb = Literal["continue", "rollback", "end"]


class Phase(StrEnum):
    """Of a run: all but Skipped. Of a step: all but Superseded."""

    PENDING = "Pending"
    RUNNING = "Running"
    WAITING = "Waiting"
    ROLLING_BACK = "RollingBack"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ROLLED_BACK = "RolledBack"
    TERMINATED = "Terminated"
    SUPERSEDED = "Superseded"
    SKIPPED = "Skipped"

    @property
    def final(self) -> bool:
        return self in FINAL


FINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.ROLLED_BACK, Phase.TERMINATED, Phase.SUPERSEDED, Phase.SKIPPED})


class Intent(msgspec.Struct, omit_defaults=True, rename="camel"):
    """
    Stored before an effect is carried out. `digest` is of its parameters: other parameters under one key fail the step (rule 9a).

    `refs`: packed refs of the objects that it is about to apply, so that a crash loses track of none (rule 3d). `absent`: those of them that
    were not there, where that is asked: the effect creates them, whether or not its first answer is heard.
    """

    key: str
    kind: str
    digest: str
    at: datetime
    refs: list[str] = []
    absent: list[str] = []


class StepState(msgspec.Struct, omit_defaults=True, rename="camel"):
    """
    `since`: when a gate began to wait. `until`: when a wait ends by itself: a timer opens, or health is not waited for any longer.
    `attempt` grows only on a recorded failure; `round` when the step is reset. `suspended_at`: since when a person has this step alone stand
    still; `paused`: how long it stood so before. `context`: what it began with, as a place in `Run.snapshots`; None before it begins, and
    where its workflow has no contexts. `error`: why running it failed for good, `sync_error` the same of a later look at it; both stay while it is
    undone. `left`: a try that failed may have left something. `undo_attempt`, `undo_error`: of undoing it. `exhausted`: it failed because it was
    tried as often as it may be. `deadline`: when its `timeout` is over, counted from its first start; it moves by the time for which it stands
    still.
    """

    name: str
    type: str
    key: str
    phase: Phase = Phase.PENDING
    reason: str = ""
    message: str = ""
    round: int = 0
    attempt: int = 0
    intents: dict[str, Intent] = {}
    results: dict[str, Result] = {}
    outputs: dict[str, Any] = {}
    since: datetime | None = None
    until: datetime | None = None
    retry_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    paused_before: timedelta = timedelta()
    group: str = ""
    undo_attempt: int = 0
    undo_error: str = ""
    resource: dict[str, str] = {}
    syncs: int = 0
    synced_at: datetime | None = None
    suspended_at: datetime | None = None
    paused: timedelta = timedelta()
    context: int | None = None
    error: str = ""
    sync_error: str = ""
    left: bool = False
    exhausted: bool = False
    deadline: datetime | None = None

    @property
    def touched(self) -> bool:
        """Whether running it may have changed something that undoing it would take back."""
        if (
            self.phase in (Phase.SUCCEEDED, Phase.ROLLING_BACK)
            or self.undo_error
            or self.left
            or any(result.ok for path, result in self.results.items() if not is_aside(path))
        ):
            return True
        return any(intent.refs for path, intent in self.intents.items() if not is_aside(path))


UNDO, SYNC, LEADING = "undo/", "sync/", "leading/"
"""Begin the paths of effects that undo a step, look at what it made, or apply what comes before all that the run applies; all others are of
running it."""


def is_aside(path: str) -> bool:
    """Whether the effect of that path is not one of running the step."""
    return path.startswith((UNDO, SYNC, LEADING))


class Shared(msgspec.Struct, omit_defaults=True):
    """Attributes that a step shared when it succeeded. `forget`: keys of steps that were reset; what they shared before counts no more."""

    step: str
    values: dict[str, Any] = {}
    forget: list[str] = []


def living(shared: list[Shared]) -> list[Shared]:
    """Those of the entries that count: nothing of a step that was reset after it shared them."""
    kept: list[Shared] = []
    for entry in shared:
        kept = [earlier for earlier in kept if earlier.step not in entry.forget]
        kept += [] if entry.forget else [entry]
    return kept


def merge_shared(shared: list[Shared]) -> dict[str, Any]:
    """What steps shared; a later one's value wins."""
    return {name: value for entry in living(shared) for name, value in entry.values.items()}


class Given(msgspec.Struct, omit_defaults=True):
    """What a person put into the context of all steps that had not begun by then."""

    values: dict[str, Any]
    at: datetime


class Notice(msgspec.Struct, omit_defaults=True, rename="camel"):
    """
    A change that the workflow's callback is owed: of the run, or of the step of that key. Its number in the run is its key (rule 9b).

    `known`: how many entries of `Run.shared` there were, so that a repeated body is the same to the byte. `state`: Dropped: it was not taken
    in time. `reason`, `message`: why the last attempt failed.
    """

    phase: Phase
    at: datetime
    step: str = ""
    error: str = ""
    undo_error: str = ""
    known: int = 0
    state: Literal["Owed", "Delivered", "Dropped"] = "Owed"
    attempts: int = 0
    retry_at: datetime | None = None
    reason: str = ""
    message: str = ""


class Decision(msgspec.Struct, omit_defaults=True, rename="camel"):
    """
    A decision that was used: for which gate key, which value, in which head it stood, and the commit that set it.

    `by`: `commit`, `timer`, `order` (a person at the API), or `engine`. `round`: of its gate, or of the run, when it was used: it opens no
    gate that was reset since.
    """

    gate: str
    verb: Verb
    value: str
    at: datetime
    head: str = ""
    commit: str = ""
    author: str = ""
    message: str = ""
    by: str = "commit"
    round: int = 0


class WriteBack(msgspec.Struct, omit_defaults=True, rename="camel"):
    """
    The commit that a rollback or another command owes (rules 7c, 7d, 7f). `state`: Owed, Built (id stored, not yet proven to be in the branch),
    Landed, Dropped (no longer needed), Differs (refused; `reason` and `message` say why and hold the patch).

    A rollback's brings the manifest to revision `target`; another one's sets `annotation` to `value`. `rejected`: the digest for which it is owed.
    `title`, `author`: of the commit, where a person ordered it.
    """

    state: Literal["Owed", "Built", "Landed", "Dropped", "Differs"] = "Owed"
    target: str = ""
    rejected: str = ""
    annotation: str = ""
    value: str = ""
    title: str = ""
    author: str = ""
    commit: str = ""
    expected: str = ""
    reason: str = ""
    message: str = ""
    at: datetime | None = None
    attempts: int = 0


CommandVerb = Literal["suspend", "resume", "terminate", "restart", "retry", "rollback"]


class Command(msgspec.Struct, omit_defaults=True, rename="camel"):
    """
    What a person ordered at once (rule 7f), kept with who did so and why. `run`: the run that it was about. `step`: key of the step, empty for
    all of it. `owed`: the commit that makes git say the same, None where it needs none.
    """

    verb: CommandVerb
    at: datetime
    author: str
    reason: str = ""
    run: str = ""
    step: str = ""
    owed: WriteBack | None = None


class Commit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A git commit as people see it. `message` is its first line, on one line."""

    id: str
    author: str = ""
    time: datetime | None = None
    message: str = ""


class Run(msgspec.Struct, omit_defaults=True, rename="camel"):
    """
    `digest` is the git digest of the revision (rule 5a). `owner`: the mirror's uid, so that effect keys of an
    application that was removed and came back are new. `standing`: annotation items that stood in git when the run was
    created (rule 4b). `restores`: for a restore run, the name of the run that it undoes.
    `supersedes`: runs, and commits that never got one, that were passed by in a row on the way to this one (rule 6b).
    `shared`: what steps shared, in the order in which they did. `undo_cause`: why its steps are or were undone; an undo run (`kind`) does
    nothing but undo those of an earlier one, because the application was removed.
    `round`: raised when it is opened again after its end; the first `answered` of its decisions were acted on before that, or before what it
    did began to be undone.
    `commands`: what persons ordered at it, oldest first. `snapshots`: the contexts with which steps began, equal ones once, and `given` what
    people put into them; kept in a Secret, never shown (rule 3e). `queue`: where it waits to be admitted;
    empty: it does not. `mode`, `group_mode`: as its workflow's.
    """

    name: str
    app: str
    revision: str
    digest: str
    uid: str = ""
    version: str = ""
    owner: str = ""
    kind: Literal["deploy", "restore", "undo"] = "deploy"
    phase: Phase = Phase.PENDING
    reason: str = ""
    message: str = ""
    failure: Literal["", "user", "internal"] = ""
    steps: list[StepState] = []
    implicit: list[str] = []
    standing: list[str] = []
    decisions: list[Decision] = []
    commit: Commit | None = None
    restores: str = ""
    undoes: list[str] = []
    restore_target: str = ""
    restored_by: str = ""
    superseded_by: str = ""
    supersedes: list[str] = []
    suspended_at: datetime | None = None
    paused: timedelta = timedelta()
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    write_back: WriteBack | None = None
    order: str = ""
    shared: list[Shared] = []
    notices: list[Notice] = []
    snapshots: list[dict[str, Any]] = []
    given: list[Given] = []
    undo_cause: Literal["", "failure", "decision", "removed", "superseded"] = ""
    undo_since: datetime | None = None
    round: int = 0
    answered: int = 0
    commands: list[Command] = []
    queue: str = ""
    mode: Mode = "StepByStep"
    group_mode: Mode = "DAG"
    state_version: int = 1

    @property
    def run_error(self) -> str:
        """Why it failed, by the first step that did; it stays while the run is undone."""
        return next((step.error for step in self.steps if step.error), "")

    @property
    def sync_error(self) -> str:
        """What a later look at a finished step found, by the first step of which that is so."""
        return next((step.sync_error for step in self.steps if step.sync_error), "")

    @property
    def undo_error(self) -> str:
        """Why undoing it failed, by the first step for which it did."""
        return next((step.undo_error for step in self.steps if step.undo_error), "")

    @property
    def in_flight(self) -> bool:
        """Whether an effect is begun and has no result, of a step that is not over."""
        return any(path not in step.results for step in self.steps if not step.phase.final for path in step.intents)

    @property
    def attributes(self) -> dict[str, Any]:
        """What its steps shared; a later one's value wins."""
        return merge_shared(self.shared)

    def told(self, step: StepState) -> dict[str, Any]:
        """The attributes that a step is told: its context where it began with one, else what was shared so far."""
        return self.attributes if step.context is None else self.snapshots[step.context]

    def step(self, key: str) -> StepState:
        """The step of that gate key. Raises KeyError."""
        for step in self.steps:
            if step.key == key:
                return step
        raise KeyError(key)


def copy_run(run: Run) -> Run:
    """A deep copy. Values of results and outputs are copied too: nothing is shared."""
    return msgspec.convert(msgspec.to_builtins(run), Run)

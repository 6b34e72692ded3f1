"""A run: one execution of one revision's workflow, and all that is remembered of it (rules 3, 4c, 6, 7, 9)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

import msgspec

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

    `refs`: packed refs of the objects that it is about to apply, so that a crash loses track of none (rule 3d).
    """

    key: str
    kind: str
    digest: str
    at: datetime
    refs: list[str] = []


class StepState(msgspec.Struct, omit_defaults=True, rename="camel"):
    """
    `since`: when a gate began to wait. `until`: when a wait ends by itself: a timer opens, or health is not waited for any longer.
    `attempt` grows only on a recorded failure; `round` when the step is reset.
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


class Decision(msgspec.Struct, omit_defaults=True, rename="camel"):
    """
    A decision that was used: for which gate key, which value, in which head it stood, and the commit that set it.

    `by`: `commit`, `timer`, `order` (a person at the API), or `engine`.
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


class WriteBack(msgspec.Struct, omit_defaults=True, rename="camel"):
    """
    The commit that a rollback owes (rule 7c, 7d). `state`: Owed, Built (id stored, not yet proven to be in the branch), Landed,
    Dropped (no longer needed), Differs (refused; `reason` and `message` say why and hold the patch).
    """

    state: Literal["Owed", "Built", "Landed", "Dropped", "Differs"] = "Owed"
    target: str = ""
    rejected: str = ""
    commit: str = ""
    expected: str = ""
    reason: str = ""
    message: str = ""
    at: datetime | None = None
    attempts: int = 0


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
    """

    name: str
    app: str
    revision: str
    digest: str
    uid: str = ""
    version: str = ""
    owner: str = ""
    kind: Literal["deploy", "restore"] = "deploy"
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
    state_version: int = 1

    def step(self, key: str) -> StepState:
        """The step of that gate key. Raises KeyError."""
        for step in self.steps:
            if step.key == key:
                return step
        raise KeyError(key)


def copy_run(run: Run) -> Run:
    """A deep copy. Values of results and outputs are copied too: nothing is shared."""
    return msgspec.convert(msgspec.to_builtins(run), Run)

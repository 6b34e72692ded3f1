"""What one sees of workflows and their runs: the shape of `/v1/workflows` and `workflow list|show`."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from reconciler.model.identity import AppKey
from reconciler.model.status import CommandView, DecisionView, Reader


class RunLine(msgspec.Struct, rename="camel"):
    """One run. `since`: when it began, or was made where it has not. `newest`: of its application. `queue`: where it waits to be admitted."""

    application: str
    namespace: str
    family: str
    run: str
    revision: str
    kind: str
    queue: str
    phase: str
    reason: str
    newest: bool
    since: datetime | None = None
    finished_at: datetime | None = None


class NodeView(msgspec.Struct, rename="camel"):
    """
    One step of a run in its graph. `after`: keys of the steps that it waits for, without those that one of them waits for in turn. `group`: key of
    the step that it belongs to. `attempt`, `undo_attempt`: failures so far of running and of undoing it; `round`: how often it was reset.
    `until`: when its wait ends by itself, be it that its time is over. `suspended_at`: since when a person has it stand still.
    """

    key: str
    name: str
    type: str
    phase: str
    after: list[str]
    group: str = ""
    reason: str = ""
    message: str = ""
    attempt: int = 0
    undo_attempt: int = 0
    round: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    until: datetime | None = None
    retry_at: datetime | None = None
    suspended_at: datetime | None = None


class WorkflowView(msgspec.Struct, rename="camel"):
    """A run with the graph of its steps, in workflow order. `suspended`: why its application is; `commands`: what was ordered at it, oldest first."""

    application: str
    namespace: str
    family: str
    run: str
    revision: str
    kind: str
    phase: str
    reason: str
    message: str
    queue: str
    mode: str
    round: int
    suspended: str
    steps: list[NodeView]
    decisions: list[DecisionView]
    commands: list[CommandView]
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class WorkflowReader(Reader, Protocol):
    """What the API may ask of the engine, runs included."""

    def workflows(self) -> list[RunLine]:
        """The kept runs of all applications, by namespace and name, each with its newest run first."""
        ...

    async def workflow(self, key: AppKey, run: str) -> WorkflowView | None:
        """That run, or the newest where `run` is empty; None where there is none."""
        ...

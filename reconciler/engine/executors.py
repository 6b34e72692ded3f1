"""Who carries out which kind of effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from reconciler.engine.applications import Application
from reconciler.model.identity import ObjectRef
from reconciler.model.outcome import Result
from reconciler.model.run import Run
from reconciler.workflow.facts import Order


class Planned(Protocol):
    """What an executor is about to do. `written`: the objects that it is about to apply, stored before it does (rule 3d)."""

    @property
    def written(self) -> list[ObjectRef]: ...


class Executor(Protocol):
    """
    Carries out the effects of one kind; the only caller of its adapter. Both methods answer a failed Result instead of raising.

    `prepare` reads and checks and changes nothing; what it refuses is refused before anything is stored. `execute` does it, once or, after a
    crash, again under the same key. It ends by itself within a bounded time: a run that is stopped waits for it.
    """

    async def prepare(self, app: Application, run: Run, order: Order) -> Any: ...
    async def execute(self, app: Application, planned: Any) -> Result: ...


class Plain(NamedTuple):
    """An effect that applies no objects, as it was ordered."""

    run: Run
    order: Order

    @property
    def written(self) -> list[ObjectRef]:
        return []


class Unknown:
    """For an effect that nobody carries out: of a run that a newer version stored, or of a plug-in that is not loaded any more."""

    async def prepare(self, app: Application, run: Run, order: Order) -> Result:  # noqa: ARG002  # the protocol's arguments
        return Result(error=f"no effect of kind {order.effect.kind} is known here", reason="UnknownEffect")

    async def execute(self, app: Application, planned: Any) -> Result:  # noqa: ARG002
        raise AssertionError("refused before it is stored")


class Executors:
    """By kind of effect."""

    def __init__(self, by_kind: Mapping[str, Executor]) -> None:
        self._by_kind, self._unknown = dict(by_kind), Unknown()

    def of(self, kind: str) -> Executor:
        return self._by_kind.get(kind, self._unknown)

"""An embedded cluster that writes down what is asked of it, and refuses what a test wants refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.cluster.protocol import ClusterError, Propagation
from reconciler.daemon import SystemClock
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.model.names import GROUP
from reconciler.simulation.clock import VirtualClock, VirtualLoop

Refusal = Callable[[str, JsonObject], ClusterError | None]


class RecordedCluster(EmbeddedCluster):
    """`calls`: verb and object of each request about what is applied, in order; `try` is an apply that is a dry run. `refuse` answers an error
    for a verb and an object where it is to fail; `alter` changes what a read answers."""

    calls: list[tuple[str, str]]
    refuse: Refusal | None = None
    alter: Callable[[JsonObject], JsonObject] | None = None

    def note(self, verb: str, ref: ObjectRef, obj: JsonObject | None = None) -> None:
        if ref.group == GROUP or ref.namespace == "reconciler-system":
            return
        self.calls.append((verb, str(ref)))
        error = self.refuse(verb, obj or {"kind": ref.kind, "metadata": {"name": ref.name}}) if self.refuse is not None else None
        if error is not None:
            raise error

    def of(self, *verbs: str) -> list[str]:
        return [name for verb, name in self.calls if verb in verbs]

    async def get(self, ref: ObjectRef) -> JsonObject:
        self.note("get", ref)
        found = await super().get(ref)
        return self.alter(found) if self.alter is not None else found

    async def create(self, obj: JsonObject, manager: str = "reconciler") -> JsonObject:
        self.note("create", ObjectRef.of(obj), obj)
        return await super().create(obj, manager)

    async def replace(self, obj: JsonObject, manager: str = "reconciler") -> JsonObject:
        self.note("replace" if manager == "reconciler" else manager, ObjectRef.of(obj), obj)
        return await super().replace(obj, manager)

    async def apply(self, obj: JsonObject, manager: str, force: bool = False, dry_run: bool = False) -> JsonObject:
        self.note("try" if dry_run else "apply", ObjectRef.of(obj), obj)
        return await super().apply(obj, manager, force, dry_run)

    async def delete(self, ref: ObjectRef, uid: str = "", version: str = "", propagation: Propagation = "Background") -> None:
        self.note("delete", ref)
        await super().delete(ref, uid, version, propagation)


@asynccontextmanager
async def recorded(state: str = ":memory:") -> AsyncIterator[RecordedCluster]:
    """To be handed to `running`."""
    loop = asyncio.get_running_loop()
    clock: Any = VirtualClock(loop) if isinstance(loop, VirtualLoop) else SystemClock()
    cluster = RecordedCluster(state, clock, speed=1000.0)
    cluster.calls = []
    await cluster.start()
    try:
        yield cluster
    finally:
        await cluster.close()

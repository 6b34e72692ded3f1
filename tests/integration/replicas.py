"""Several daemons on one cluster, in this process and on virtual time, each of which may die, stop for a while, or end as it should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.engine.leadership import Leadership, lease_ref
from reconciler.model.event import Event, Sink
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.simulation.clock import VirtualClock
from tests.integration.harness import Clone, Daemon, running

LEASE = lease_ref("reconciler-system")
SECONDS = 15.0
_CALLS = frozenset({"get", "list", "create", "replace", "replace_status", "apply", "delete", "kind", "kinds", "lookup"})
_WRITES = frozenset({"create", "replace", "replace_status", "apply", "delete"})


class Line:
    """
    The cluster as one process sees it. What is asked for while the process stands still arrives when it goes on: as late as can be, after every
    check that was made before. `writes`: method, kind, name and time of each that arrived. `lag`: seconds by which the answer to a write comes after
    what watches tell of it.
    """

    def __init__(self, cluster: EmbeddedCluster, name: str, writes: list[tuple[str, str, str, str, float]]) -> None:
        self._cluster, self._name, self._writes = cluster, name, writes
        self._moves = asyncio.Event()
        self._moves.set()
        self.dead, self.lag = False, 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cluster, name)
        if name not in _CALLS:
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)  # a request takes a moment, in which others have theirs
            await self._moves.wait()
            if self.dead:
                await asyncio.Event().wait()
            answer = await found(*args, **kwargs)
            if name in _WRITES and not kwargs.get("dry_run"):
                ref = args[0] if isinstance(args[0], ObjectRef) else ObjectRef.of(args[0])
                self._writes.append((self._name, name, ref.kind, ref.name, asyncio.get_running_loop().time()))
                await asyncio.sleep(self.lag)
            await self._moves.wait()
            return answer

        return call

    def stop(self) -> None:
        self._moves.clear()

    def go_on(self) -> None:
        self._moves.set()


class Replica:
    def __init__(self, name: str, line: Line, lead: Leadership, daemon: Daemon, life: AsyncExitStack, told: list[Event]) -> None:
        self.name, self.line, self.lead, self.daemon, self._life, self.told = name, line, lead, daemon, life, told

    @property
    def leads(self) -> bool:
        return self.lead.leads and self.daemon.engine._context.informed

    @property
    def ended(self) -> bool:
        return self.daemon.task.done()

    async def end(self) -> None:
        """As it should: what is under way ends, the lease is released."""
        await self._life.aclose()

    async def kill(self) -> None:
        """Nothing that it does reaches anything any more."""
        self.line.dead = True
        await self._life.aclose()


class Replicas:
    """`cluster` outlives them all. `writes`: what all of them wrote, in order."""

    def __init__(self, clone: Clone, cluster: EmbeddedCluster, clock: VirtualClock, stack: AsyncExitStack) -> None:
        self._clone, self._clock, self._stack, self._numbers = clone, clock, stack, count(1)
        self.cluster = cluster
        self.writes: list[tuple[str, str, str, str, float]] = []

    async def start(self, *, ahead: float = 0.0, sinks: tuple[Sink, ...] = (), **options: Any) -> Replica:
        """`ahead`: what its boot clock shows more than that of others. `sinks`: further ones."""
        name, loop, told = f"r{next(self._numbers)}", asyncio.get_running_loop(), []
        line: Any = Line(self.cluster, name, self.writes)

        class Told:
            def emit(self, event: Event) -> None:
                told.append(event)

        seconds = options.pop("seconds", SECONDS)
        lease = lease_ref("reconciler-system", options.get("shard") or "")
        lead = Leadership(line, lease, name, "x", seconds, self._clock, Told(), str(self._clone.origin), lambda: loop.time() + ahead)
        life = AsyncExitStack()
        self._stack.push_async_callback(life.aclose)
        daemon = await life.enter_async_context(running(self._clone, cluster=line, clock=self._clock, lead=lead, sinks=(Told(), *sinks), **options))
        return Replica(name, line, lead, daemon, life, told)

    async def lease(self) -> JsonObject:
        spec: JsonObject = (await self.cluster.get(LEASE))["spec"]
        return spec


@asynccontextmanager
async def replicas(clone: Clone) -> AsyncIterator[Replicas]:
    clock = VirtualClock(asyncio.get_running_loop())
    cluster = EmbeddedCluster(":memory:", clock, speed=1000.0)
    await cluster.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(cluster.close)
        yield Replicas(clone, cluster, clock, stack)


async def until(predicate: Any, what: str, seconds: float = 120.0) -> Any:
    """Waits, and looks at nothing by itself."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not (value := predicate()):
        assert loop.time() < end, f"never came: {what}"
        await asyncio.sleep(0.05)
    return value

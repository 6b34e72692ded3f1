"""One leader among the daemons of one namespace, by a Lease (rules 3h, 9c). `model/lease.py` decides; here it is read and written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Protocol

import structlog

from reconciler.cluster.protocol import AlreadyExistsError, Cluster, ClusterError, ConflictError, NotFoundError
from reconciler.model.clock import Clock
from reconciler.model.event import Event, Sink
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.model.lease import Move, Record, Standing, choose, expires_in, may_start, see, wanted, written
from reconciler.model.names import ANNOTATION_SOURCE, STATE_NAME
from reconciler.model.text import one_line

_log = structlog.get_logger("reconciler.engine")
_API_VERSION: Final = "coordination.k8s.io/v1"
_LONGEST: Final = 3600.0  # whatever a Lease says
_LONGEST_POLL: Final = 2.0
_RELEASE_SECONDS: Final = 1.0


class LeadLostError(Exception):
    """Another one leads, or may. What this daemon still holds in memory is worth nothing any more: it ends, and stands by when started anew."""


class Lead(Protocol):
    """Whether this daemon may act, and who does. `epoch`: under which it leads."""

    @property
    def leads(self) -> bool: ...
    @property
    def leader(self) -> str: ...
    @property
    def epoch(self) -> int: ...
    @property
    def alone(self) -> bool:
        """Nobody else can ever lead: what was read once is what there is."""
        ...

    async def run(self) -> None:
        """Keeps the lead, or tries for it, until cancelled. Raises LeadLostError."""
        ...

    async def decided(self) -> None:
        """Waits until it is known whether it leads."""
        ...

    async def elected(self) -> None:
        """Waits until it leads."""
        ...

    async def hold(self) -> None:
        """Waits until something may be started. To be called right before each effect."""
        ...

    async def release(self) -> None:
        """Everything has ended: another one may lead at once."""
        ...


class Sole:
    """Who has the cluster to itself, as the embedded one, whose file is locked."""

    leads, alone, leader, epoch = True, True, "", 0

    async def run(self) -> None:
        return

    async def decided(self) -> None:
        return

    async def elected(self) -> None:
        return

    async def hold(self) -> None:
        return

    async def release(self) -> None:
        return


def boot_seconds() -> float:
    """A clock that goes on while the machine sleeps. Where there is no such one by name, the monotonic one does."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def lease_ref(namespace: str, shard: str = "") -> ObjectRef:
    """The one Lease of all that act for that shard of the state in that namespace, whatever they follow."""
    return ObjectRef(_API_VERSION, "Lease", namespace, f"reconciler-{shard}" if shard else "reconciler")


class Leadership:
    """
    A candidate for the Lease `name` in `namespace`. `me`: as people know it; it is made unique, so that two of one name are two.

    `source`: what this daemon follows; one that leads for another source is told of. `seconds`: how long the lease is. `boot`: seconds that go on
    while the machine sleeps.
    """

    alone = False

    def __init__(
        self,
        cluster: Cluster,
        ref: ObjectRef,
        me: str,
        unique: str,
        seconds: float,
        clock: Clock,
        sink: Sink,
        source: str = "",
        boot: Callable[[], float] = boot_seconds,
    ) -> None:
        self._cluster, self._ref, self._clock, self._sink, self._boot = cluster, ref, clock, sink, boot
        self._source, self._seconds = one_line(source, 1024), seconds
        self._standing = Standing(f"{one_line(me, 200)}_{unique}", seconds)
        self._object: JsonObject | None = None
        self._news, self._first = asyncio.Event(), asyncio.Event()
        self._failing = False
        self._warned = ""

    @property
    def leads(self) -> bool:
        return self._standing.epoch is not None

    @property
    def leader(self) -> str:
        """As it is known here; empty while nobody is."""
        record = self._standing.record
        return one_line(record.holder, 300) if record is not None else ""

    @property
    def epoch(self) -> int:
        return self._standing.epoch if self._standing.epoch is not None else self._standing.last.epoch if self._standing.last is not None else 0

    async def run(self) -> None:
        self._tell()
        while True:
            try:
                async with asyncio.timeout(self._seconds / 3):
                    await self._turn()
                self._note("")
                self._first.set()
            except (ClusterError, TimeoutError) as error:
                self._note(one_line(error, 300) or "no answer in time")
            await self._clock.sleep(self._pause())

    def _pause(self) -> float:
        """The leader renews five times a lease, and sooner after a failure; others look as often, and in the moment in which it may end."""
        if self._failing:
            return self._seconds / 15
        often = min(self._seconds / 5, _LONGEST_POLL) if not self.leads else self._seconds / 5
        left = expires_in(self._standing, self._boot()) if not self.leads else often
        return max(min(often, left), self._seconds / 300)

    async def _turn(self) -> None:
        """One move, and what follows from it at once."""
        move = choose(self._standing, self._boot())
        if move in ("look", "wait"):
            await self._look()
            move = choose(self._standing, self._boot())
        for _ in range(2):  # what was refused for a write of its own, whose answer was lost, is not refused again
            if move not in ("make", "take", "renew") or await self._write(move):
                break
            await self._look(refused=True)
            move = choose(self._standing, self._boot())
        if move == "lost":
            self._standing = self._standing._replace(epoch=None)
            self._tell()
            raise LeadLostError(f"{self.leader or 'nobody'} leads now (Lease {self._ref}, epoch {self.epoch}); start it again, and it stands by")

    async def _look(self, *, refused: bool = False) -> None:
        found: JsonObject | None
        try:
            found = await self._cluster.get(self._ref)
        except NotFoundError:
            found = None
            self._standing = self._standing._replace(fresh=await self._is_fresh())
        before = self.leader
        self._object = found
        self._standing = see(self._standing, _record(found, self._seconds) if found is not None else None, self._boot(), refused=refused)
        if found is not None and not self.leads:
            self._warn((found["metadata"].get("annotations") or {}).get(ANNOTATION_SOURCE, ""))
        if self.leader != before:
            self._tell()

    async def _is_fresh(self) -> bool:
        """Asked after no Lease was found: whoever leads makes state."""
        try:
            await self._cluster.get(ObjectRef("v1", "ConfigMap", self._ref.namespace, STATE_NAME))
        except NotFoundError:
            return True
        return False

    async def _write(self, move: Move) -> bool:
        """Whether it landed. An answer that is lost leaves what is known as it was."""
        record, led = wanted(self._standing, _micro(self._clock.now())), self.leads
        obj = _lease(self._ref, record, self._object if move != "make" else None, self._source, began=not led)
        asked = self._boot()
        try:
            self._object = await (self._cluster.create(obj) if move == "make" else self._cluster.replace(obj))
        except (ConflictError, NotFoundError, AlreadyExistsError):
            return False
        self._standing = written(self._standing, _record(self._object, self._seconds), asked, self._boot())
        self._news.set()
        if not led:
            self._tell()
        return True

    def _tell(self) -> None:
        self._sink.emit(Event("lead", fields={"leads": self.leads, "leader": self.leader, "epoch": self.epoch}))

    def _note(self, trouble: str) -> None:
        """What keeps the lease from being read or written, once."""
        if trouble and not self._failing:
            _log.warning("the lease cannot be read or renewed", lease=str(self._ref), error=trouble, leads=self.leads)
        self._failing = bool(trouble)
        if self.leads or trouble:
            self._sink.emit(Event("lease", fields={"result": "failed" if trouble else "ok"}))

    def _warn(self, source: str) -> None:
        """Two daemons that follow different sources would each take the other's applications for removed ones."""
        if source and self._source and source not in (self._source, self._warned):
            self._warned = source
            _log.warning(
                "the leader follows another source: give this daemon a --namespace of its own",
                lease=str(self._ref),
                leader=self.leader,
                source=one_line(source, 1024),
            )

    async def decided(self) -> None:
        await self._first.wait()

    async def elected(self) -> None:
        while not self.leads:
            self._news.clear()
            await self._news.wait()

    async def hold(self) -> None:
        while not may_start(self._standing, self._boot()):
            self._news.clear()
            await self._news.wait()

    async def release(self) -> None:
        if not self.leads or self._object is None or choose(self._standing, self._boot()) != "renew" or self._standing.record is None:
            return
        record = self._standing.record._replace(holder="", renewed=_micro(self._clock.now()))
        self._standing = self._standing._replace(epoch=None)
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._cluster.replace(_lease(self._ref, record, self._object, self._source, began=False))
        except (ClusterError, TimeoutError) as error:
            _log.warning("the lease was not released: another one leads when it is over", lease=str(self._ref), error=one_line(error, 300))


def _lease(ref: ObjectRef, record: Record, before: JsonObject | None, source: str, *, began: bool) -> JsonObject:
    """The object as it is to be, on top of what it was."""
    meta: JsonObject = {"namespace": ref.namespace, "name": ref.name}
    spec: JsonObject = {}
    if before is not None:
        old = before["metadata"]
        meta |= {field: old[field] for field in ("labels", "annotations", "resourceVersion", "uid") if field in old}
        spec = dict(before.get("spec") or {})
    meta["annotations"] = {**(meta.get("annotations") or {}), ANNOTATION_SOURCE: source}
    spec |= {"holderIdentity": record.holder, "leaseDurationSeconds": max(1, int(record.seconds))}
    spec |= {"leaseTransitions": record.epoch, "renewTime": record.renewed}
    if began:
        spec["acquireTime"] = record.renewed
    return {"apiVersion": _API_VERSION, "kind": "Lease", "metadata": meta, "spec": spec}


def _record(obj: JsonObject, seconds: float) -> Record:
    """What it says, whoever wrote it. `seconds`: where it does not say how long it is."""
    spec: dict[str, Any] = obj.get("spec") or {}
    said = spec.get("leaseDurationSeconds")
    length = min(float(said), _LONGEST) if isinstance(said, int) and said > 0 else seconds
    epoch = spec.get("leaseTransitions")
    return Record(str(spec.get("holderIdentity") or ""), length, epoch if isinstance(epoch, int) else 0, str(spec.get("renewTime") or ""))


def _micro(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

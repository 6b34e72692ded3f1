"""
Kubernetes Events of what came about, on the mirrors of applications: for `kubectl describe` and `kubectl events`.

They are told in passing: what an application or all of them say too often is dropped, what is said again is counted in the Event that is
there, and an Event that can't be written is no fault. The engine never waits for any of this.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from reconciler.cluster.protocol import Cluster, ClusterError, NotFoundError
from reconciler.model.clock import Clock
from reconciler.model.event import Event, Sink
from reconciler.model.identity import AppKey, JsonObject
from reconciler.model.names import API_VERSION
from reconciler.observe.transitions import Told, Transitions, note_of

_log = structlog.get_logger("reconciler.observe")

WAITING: Final = 500
"""Events that wait to be written, at most; what comes on top is dropped."""
BURST: Final = 15
REFILL_SECONDS: Final = 60.0
"""An application may say so many things at once, and one more each minute."""
LINGER_SECONDS: Final = 1.0
"""What came about waits so long: a run that has ended by then is one Event, and objects of one fate are another."""
PACE_SECONDS: Final = 0.1
"""Between two writes: ten a second leave an API server to its work."""
SERIES_SECONDS: Final = 360.0
"""What is said again within this time is one series, as everywhere in Kubernetes."""
REPEAT_SECONDS: Final = 30.0
"""A series is written again so often at most."""
REMEMBERED: Final = 2000
CONTROLLER: Final = "reconciler.dev/reconciler"

_Same = tuple[AppKey, str, str]
_Place = tuple[AppKey, str, str, str]


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


@dataclass(slots=True)
class _Written:
    """An Event as it stands in the cluster. `count`: how often it was said in all."""

    obj: JsonObject
    last: float
    written: float
    count: int = 1


class ClusterEvents:
    """
    A `Sink`. `run` writes what came, until it is cancelled. `mirror`: the uid of an application's mirror, empty where it has none.
    `instance`: which daemon says so. `sink`: who is told what became of each.
    """

    def __init__(self, cluster: Cluster, clock: Clock, namespace: str, instance: str, mirror: Callable[[AppKey], str], sink: Sink) -> None:
        self._cluster, self._clock, self._namespace = cluster, clock, namespace
        self._instance, self._mirror, self._sink = instance[:128] or "reconciler", mirror, sink
        self._transitions = Transitions()
        self._waiting: OrderedDict[_Place, Told] = OrderedDict()
        self._begun: dict[tuple[AppKey, str], _Place] = {}  # of those that wait, the beginnings of runs
        self._buckets: dict[AppKey, _Bucket] = {}
        self._written: OrderedDict[_Same, _Written] = OrderedDict()
        self._came = asyncio.Event()

    def emit(self, event: Event) -> None:
        try:
            for told in self._transitions.read(event):
                self._take(told)
        except Exception as error:  # noqa: BLE001  # the promise of a Sink: it never raises into the engine
            _log.warning("an event could not be read", kind=event.kind, error=type(error).__name__)

    def _take(self, told: Told) -> None:
        """Objects that the same became of are told as one, as long as that is not written."""
        place = (told.app, told.reason, told.note, told.run)
        if told.run and told.reason != "RunStarted":
            self._forget_start(told)
        before = self._waiting.get(place)
        if before is not None:
            if told.objects:
                self._waiting[place] = before._replace(objects=(*before.objects, *told.objects))
            return
        if len(self._waiting) >= WAITING or not self._may(told.app):
            self._tell("dropped")
            return
        self._waiting[place] = told
        if told.reason == "RunStarted":
            self._begun[told.app, told.run] = place
        self._came.set()

    def _forget_start(self, told: Told) -> None:
        """That a run began needs no Event any more where more is known of it."""
        begun = self._begun.pop((told.app, told.run), None)
        if begun is not None and self._waiting.pop(begun, None) is not None:
            self._buckets[told.app].left += 1

    def _may(self, app: AppKey) -> bool:
        now = self._clock.monotonic()
        bucket = self._buckets.setdefault(app, _Bucket(BURST, now))
        bucket.left, bucket.at = min(BURST, bucket.left + (now - bucket.at) / REFILL_SECONDS), now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        if len(self._buckets) > REMEMBERED:  # those that are full again are as good as forgotten
            full = [key for key, other in self._buckets.items() if other.left + (now - other.at) / REFILL_SECONDS >= BURST]
            for key in full:
                del self._buckets[key]
        return True

    def _tell(self, result: str) -> None:
        self._sink.emit(Event("announced", fields={"result": result}))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._came.wait()
            await self._clock.sleep(LINGER_SECONDS)
            while self._waiting:
                _, told = self._waiting.popitem(last=False)
                try:
                    self._tell(await self._write(told))
                except ClusterError as error:
                    self._tell("failed")
                    _log.debug("an Event could not be written", application=str(told.app), reason=told.reason, error=str(error))
                await self._clock.sleep(PACE_SECONDS)
            self._begun.clear()
            self._came.clear()

    async def _write(self, told: Told) -> str:
        """A new Event, or one more of a series."""
        note, now = note_of(told), self._clock.monotonic()
        same = (told.app, told.reason, note)
        known = self._written.get(same)
        if known is not None and now - known.last < SERIES_SECONDS:
            known.count, known.last = known.count + 1, now
            if now - known.written >= REPEAT_SECONDS:
                return await self._repeat(same, known)
            return "repeated"
        uid = self._mirror(told.app)
        if not uid:
            return "dropped"
        made = await self._cluster.create(self._object(told, uid, note, self._clock.now()))
        self._written[same] = _Written(made, now, now)
        self._written.move_to_end(same)
        while len(self._written) > REMEMBERED:
            self._written.popitem(last=False)
        return "sent"

    async def _repeat(self, same: _Same, known: _Written) -> str:
        series = {"count": known.count, "lastObservedTime": _micro(self._clock.now())}
        try:
            known.obj = await self._cluster.replace(known.obj | {"series": series})
        except ClusterError as error:
            del self._written[same]  # the next one is a new Event, whatever became of this one
            if isinstance(error, NotFoundError):
                return "repeated"
            raise
        known.written = self._clock.monotonic()
        return "repeated"

    def _object(self, told: Told, uid: str, note: str, now: datetime) -> JsonObject:
        mirror = told.app.object_name
        name = f"{mirror[:200].rstrip('.-')}.{uuid.uuid4().hex[:16]}"
        about = {"apiVersion": API_VERSION, "kind": "Application", "namespace": self._namespace, "name": mirror, "uid": uid}
        run = {"apiVersion": API_VERSION, "kind": "WorkflowRun", "namespace": self._namespace, "name": f"{told.app.namespace}.{told.run}"}
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"namespace": self._namespace, "name": name},
            "eventTime": _micro(now),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": told.reason,
            "reason": told.reason,
            "type": "Warning" if told.warning else "Normal",
            "regarding": about,
            "note": note,
        } | ({"related": run} if told.run else {})


def _micro(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

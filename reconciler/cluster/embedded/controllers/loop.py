"""The controllers' queue: keys of objects that changed, and keys that are due. Idle costs nothing."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Mapping

import structlog

from reconciler.cluster.embedded.collector import Collector
from reconciler.cluster.embedded.controllers import autoscaler, cronjob, deployment, job, pod, replicaset, statefulset
from reconciler.cluster.embedded.controllers.scope import Controller, Scope
from reconciler.cluster.embedded.events import Recorder
from reconciler.cluster.embedded.objects import Objects, controller_of
from reconciler.cluster.embedded.storage import Key
from reconciler.cluster.embedded.watch import Record
from reconciler.cluster.protocol import ClusterError
from reconciler.model.clock import Clock
from reconciler.model.identity import GVK, JsonObject

CONTROLLERS: Mapping[tuple[str, str], Controller] = {
    ("apps", "Deployment"): deployment.reconcile,
    ("apps", "ReplicaSet"): replicaset.reconcile,
    ("apps", "StatefulSet"): statefulset.reconcile,
    ("apps", "DaemonSet"): replicaset.reconcile_daemon_set,
    ("batch", "Job"): job.reconcile,
    ("batch", "CronJob"): cronjob.reconcile,
    autoscaler.KIND: autoscaler.reconcile,
    ("", "Pod"): pod.reconcile,
    ("", "PersistentVolumeClaim"): job.reconcile_claim,
}
_SLICE = 32  # keys between two chances for other tasks
_RETRY_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Loop:
    def __init__(self, objects: Objects, clock: Clock, speed: float) -> None:
        """Takes up what the state file holds."""
        self._objects = objects
        self._clock = clock
        self._collector = Collector(objects)
        self.scope = Scope(objects, Recorder(objects), clock, speed)
        self._dirty: dict[Key, None] = {}
        self._due: list[tuple[float, Key]] = []
        self._when: dict[Key, float] = {}
        self._wake = asyncio.Event()
        self._targets = autoscaler.Targets()
        for group, kind in CONTROLLERS:
            self._dirty.update(dict.fromkeys(objects.storage.keys(group, kind)))
        for key in objects.storage.keys(*autoscaler.KIND):
            self._targets.note(key, objects.read(key))
        objects.listen(self.observe)

    def observe(self, record: Record, obj: JsonObject) -> None:
        key = record.key
        if (key.group, key.kind) in CONTROLLERS:
            if record.type != "DELETED":
                self._dirty[key] = None
            else:
                self._forget(key, obj["metadata"]["uid"])
        if (key.group, key.kind) == autoscaler.KIND and record.type != "DELETED":
            self._targets.note(key, obj)
        self._dirty.update(dict.fromkeys(self._targets.scalers(key)))
        owner = controller_of(obj)
        if owner:
            group = GVK.of(owner).group
            if (group, owner["kind"]) in CONTROLLERS:
                self._dirty[Key(group, owner["kind"], key.namespace, owner["name"])] = None
        self._collector.observe(record, obj)
        if self._dirty or not self._collector.idle:
            self._wake.set()

    def _forget(self, key: Key, uid: str) -> None:
        self._dirty.pop(key, None)
        self._when.pop(key, None)
        self._targets.forget(key)
        for timer in ("", "/available", "/deadline", "/ttl", "/probe"):
            self.scope.forget(uid + timer)

    def delay(self) -> float | None:
        """Seconds until there is something to do, or None."""
        if self._dirty or not self._collector.idle:
            return 0.0
        while self._due and self._when.get(self._due[0][1]) != self._due[0][0]:
            heapq.heappop(self._due)  # looked at since, or gone
        return max(0.0, self._due[0][0] - self._clock.monotonic()) if self._due else None

    def step(self, limit: int = _SLICE) -> bool:
        """Does at most `limit` pieces of work; false when nothing is left to do now."""
        for _ in range(limit):
            if self._collector.step():
                continue
            if self.delay() != 0.0:
                return False
            self._take_due()
            key = next(iter(self._dirty))
            del self._dirty[key]
            self._reconcile(key)
        return True

    def _take_due(self) -> None:
        """All that is due goes in front of what that will touch: an owner is looked at once for many of its Pods."""
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now:
            due, key = heapq.heappop(self._due)
            if self._when.get(key) == due:
                self._dirty[key] = None

    def _reconcile(self, key: Key) -> None:
        self._when.pop(key, None)
        obj = self._objects.find(key)
        if obj is None:
            return
        wait: float | None
        try:
            wait = CONTROLLERS[key.group, key.kind](self.scope, obj)
        except ClusterError as error:
            # Most often a namespace that is being deleted; what is refused now may be taken later.
            self.scope.events.emit(obj, "FailedReconcile", str(error), warning=True)
            wait = _RETRY_SECONDS
        except Exception:  # noqa: BLE001 -- one broken object must not stop the others; it is logged and left until it changes
            _log.exception("a simulated controller failed", kind=key.kind, namespace=key.namespace, name=key.name)
            return
        if wait is not None:
            due = self._clock.monotonic() + wait
            self._when[key] = due
            heapq.heappush(self._due, (due, key))

    async def run(self) -> None:
        """Works for ever."""
        while True:
            if self.step():
                await asyncio.sleep(0)
                continue
            self._wake.clear()
            await self._wait(self.delay())

    async def _wait(self, delay: float | None) -> None:
        if delay is None:
            await self._wake.wait()
            return
        tasks = {asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self._clock.sleep(delay))}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

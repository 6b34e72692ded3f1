"""Watches: a bounded history of what was stored, and one bounded queue for each watcher."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from itertools import takewhile
from typing import Literal, NamedTuple
from weakref import WeakSet

import msgspec

from reconciler.cluster.embedded.kinds import Resource
from reconciler.cluster.embedded.storage import Key
from reconciler.cluster.protocol import ExpiredError, InvalidError, UnavailableError, WatchEvent
from reconciler.model.identity import GVK
from reconciler.model.names import GROUP

Labels = Mapping[str, str]
Selector = Mapping[str, str | None]

_HISTORY_RECORDS = 8192
_HISTORY_BYTES = 16 * 1024 * 1024
_QUEUE_RECORDS = 16384
_QUEUE_BYTES = 64 * 1024 * 1024
_QUIET = frozenset({("", "Event"), ("coordination.k8s.io", "Lease")})


class Record(NamedTuple):
    """One stored change. `body` of a deleted object is its last state at the version of the deletion."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    version: int
    key: Key
    body: bytes
    old_labels: Labels | None
    labels: Labels | None


def matches(labels: Labels | None, selector: Selector | None) -> bool:
    """`labels` None: the object is not there."""
    if labels is None:
        return False
    return not selector or all(key in labels and value in (None, labels[key]) for key, value in selector.items())


class History:
    """The newest changes, and who waits for the next ones."""

    def __init__(self, version: int) -> None:
        self.version = version
        self._oldest = version  # a watch may begin here or later
        self._records: deque[Record] = deque()
        self._bytes = 0
        self._watches: WeakSet[Watch] = WeakSet()

    def publish(self, record: Record) -> None:
        self.version = record.version
        self._records.append(record)
        self._bytes += len(record.body)
        while len(self._records) > _HISTORY_RECORDS or (self._bytes > _HISTORY_BYTES and len(self._records) > 1):
            dropped = self._records.popleft()
            self._bytes -= len(dropped.body)
            self._oldest = dropped.version
        for watch in self._watches:
            watch.offer(record)

    def check(self, version: int) -> None:
        """Raises ExpiredError when what came after `version` is not known in full."""
        if not self._oldest <= version <= self.version:
            raise ExpiredError(f"version {version} is no longer kept (oldest {self._oldest}, newest {self.version}); list again")

    def after(self, version: int) -> list[Record]:
        self.check(version)
        newer = takewhile(lambda record: record.version > version, reversed(self._records))
        return list(newer)[::-1]

    def add(self, watch: Watch) -> None:
        self._watches.add(watch)

    def discard(self, watch: Watch) -> None:
        self._watches.discard(watch)

    def close(self) -> None:
        for watch in list(self._watches):
            watch.fail(UnavailableError("the cluster is closed"))


class Watch:
    """An asynchronous iterator of events; `aclose` ends it. It subscribes when it is made, not when it is first asked."""

    def __init__(
        self,
        history: History,
        resource: Resource | None,
        served: GVK | None,
        labels: Selector | None,
        since: str,
        bookmark: float,
        namespace: str = "",
    ) -> None:
        self._history = history
        self._resource = resource
        self._served = served
        self._labels = dict(labels or {})
        self._namespace = namespace
        self._bookmark = bookmark
        self._queue: deque[Record] = deque()
        self._bytes = 0
        self._error: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._closed = False
        try:
            start = parse_version(since) if since else history.version
            for record in history.after(start):
                self.offer(record)
        except (ExpiredError, InvalidError) as error:
            self._error = error
        history.add(self)

    def offer(self, record: Record) -> None:
        """Takes a record that matches. A watcher too slow to keep up is expired rather than kept in memory."""
        if self._error is not None or not self._wants(record):
            return
        self._queue.append(record)
        self._bytes += len(record.body)
        if len(self._queue) > _QUEUE_RECORDS or self._bytes > _QUEUE_BYTES:
            self._queue.clear()
            self._bytes = 0
            self._error = ExpiredError("the watch fell too far behind; list again")
        self._wake()

    def fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._wake()

    def _wants(self, record: Record) -> bool:
        group, kind = record.key.group, record.key.kind
        if self._resource is None:
            if group == GROUP or (group, kind) in _QUIET:
                return False
        elif (group, kind) != (self._resource.group, self._resource.kind) or self._namespace not in ("", record.key.namespace):
            return False
        return matches(record.labels, self._labels) or matches(record.old_labels, self._labels)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> WatchEvent:
        while not self._closed:
            if self._queue:
                record = self._queue.popleft()
                self._bytes -= len(record.body)
                return self._event(record)
            if self._error is not None:
                error = self._error
                await self.aclose()
                raise error
            if not await self._wait():
                return WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": str(self._history.version)}})
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._closed = True
        self._history.discard(self)
        self._queue.clear()
        self._wake()

    async def _wait(self) -> bool:
        """True when woken, False when it is time for a bookmark."""
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._bookmark):
                await self._waiting
        except TimeoutError:
            return bool(self._queue) or self._error is not None or self._closed
        finally:
            self._waiting = None
        return True

    def _event(self, record: Record) -> WatchEvent:
        obj = msgspec.json.decode(record.body)
        if self._served is not None:
            obj["apiVersion"] = self._served.api_version
        was, is_now = matches(record.old_labels, self._labels), matches(record.labels, self._labels)
        if not is_now:
            return WatchEvent("DELETED", obj)
        return WatchEvent("MODIFIED" if was else "ADDED", obj)


def parse_version(text: str) -> int:
    """A resourceVersion. Raises InvalidError."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidError(f"metadata.resourceVersion: not a version of this cluster: {text!r:.40}")
    return int(text)

"""The embedded cluster: the protocol over the state file, and the controllers that move what is in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

import msgspec

from reconciler.cluster.embedded.controllers.loop import Loop
from reconciler.cluster.embedded.objects import Objects, labels_of
from reconciler.cluster.embedded.storage import INDEXED_LABELS, START, Key, Storage
from reconciler.cluster.embedded.watch import Watch, matches, parse_version
from reconciler.cluster.protocol import Cluster, InvalidError, Kind, Page, Propagation, UnavailableError, WatchEvent, check_user
from reconciler.model.chart import Capabilities, list_versions
from reconciler.model.clock import Clock
from reconciler.model.identity import GVK, JsonObject, ObjectRef
from reconciler.model.names import FIELD_MANAGER

DAEMON_NAMESPACE = "reconciler-system"
BUILT_IN_NAMESPACES = ("default", "kube-system", DAEMON_NAMESPACE)
_BOOKMARK_SECONDS = 30.0
_LARGEST_PAGE = 1000
_VERSION = "v1.36.3"  # of the Kubernetes that it does as, and that tests compare it with
_FIELDS = frozenset({"metadata.name", "metadata.namespace"})
_FIELDS_OF_EVENTS = frozenset({"reason", "type", *(f"involvedObject.{name}" for name in ("apiVersion", "kind", "name", "namespace", "uid"))})
T = TypeVar("T")
_Items = list[JsonObject]  # inside the class `list` is the method
_KindList = list[Kind]


class EmbeddedCluster:
    """
    Implements `reconciler.cluster.protocol.Cluster`. `path`: the state file, or ":memory:". `speed`: how much faster than
    the clock simulated things go (Pods that start, back-offs, deadlines of workloads).

    `manager` of create, replace and replace_status says who is writing, for the ownership of fields.
    """

    def __init__(self, path: str, clock: Clock, speed: float = 1.0, bookmark_seconds: float = _BOOKMARK_SECONDS) -> None:
        self._path = path
        self._clock = clock
        self._speed = speed
        self._bookmark = bookmark_seconds
        self._storage: Storage | None = None
        self._objects_: Objects | None = None
        self._loop: Loop | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return f"embedded, simulated in {self._path}"

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        """Holds for what begins from now on."""
        if speed <= 0:
            raise ValueError("the speed must be more than zero")
        self._speed = speed
        if self._loop is not None:
            self._loop.scope.speed = speed

    async def start(self) -> None:
        """Opens and locks the state file. Raises StateLockedError, StateError."""
        self._storage = Storage(self._path)
        objects = Objects(self._storage, self._clock)
        self._objects_ = objects
        for name in BUILT_IN_NAMESPACES:
            if self._storage.get(objects.locate(ObjectRef("v1", "Namespace", "", name))[2]) is None:
                objects.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="kube-apiserver")
        self._loop = Loop(objects, self._clock, self._speed)
        self._task = asyncio.create_task(self._loop.run(), name="embedded-cluster")

    async def close(self) -> None:
        if self._storage is None or self._objects_ is None:
            return
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._objects_.history.close()
        self._storage.close()
        self._storage = self._objects_ = self._loop = self._task = None

    def tick(self) -> None:
        """Lets the controllers do, now, all that is due by the clock. For tests that turn a clock of their own."""
        while self._loop is not None and self._loop.step():
            pass

    def delay(self) -> float | None:
        """Seconds of the clock until a controller has something to do; None when all is at rest."""
        return None if self._loop is None else self._loop.delay()

    @property
    def _objects(self) -> Objects:
        if self._objects_ is None:
            raise UnavailableError("the cluster is not started")
        return self._objects_

    def acting_as(self, user: str) -> Cluster:
        """The very same: it simulates no rights, so whoever is named may do everything."""
        check_user(user)
        return self

    async def kind(self, gvk: GVK) -> Kind:
        return self._objects.kinds.describe(gvk)

    async def kinds(self) -> _KindList:
        kinds = self._objects.kinds
        return [kinds.describe(resource.preferred) for resource in kinds]

    def unwatched(self) -> AbstractSet[tuple[str, str]]:
        return frozenset()

    async def capabilities(self) -> Capabilities:
        return Capabilities(_VERSION, list_versions(gvk for resource in self._objects.kinds for gvk in resource.served))

    async def lookup(self, word: str) -> Kind:
        return self._objects.kinds.lookup(word)

    async def get(self, ref: ObjectRef) -> JsonObject:
        return self._objects.get(ref)

    async def list(
        self,
        kind: GVK | None,
        namespace: str = "",
        labels: Mapping[str, str | None] | None = None,
        page: str = "",
        limit: int = 500,
        fields: Mapping[str, str] | None = None,
    ) -> Page:
        """
        In the order of the keys; `kind` None: the kinds that such a watch tells of. Later pages carry the version of the first:
        an object that changed in between may come in its newer state, and a watch from that version tells of it again.
        """
        objects, labels, fields = self._objects, labels or {}, fields or {}
        _check_fields(kind, fields)
        resource, served = (None, None) if kind is None else objects.kinds.resolve(kind)
        wanted = None if resource is None else (resource.group, resource.kind)
        version, after = _parse_page(page) if page else (objects.history.version, START)
        objects.history.check(version)
        limit = min(limit, _LARGEST_PAGE) if limit > 0 else _LARGEST_PAGE
        index = next(((key, value) for key, value in labels.items() if key in INDEXED_LABELS and value is not None), None)
        items: _Items = []
        while len(items) < limit:
            asked = limit - len(items)
            rows = objects.storage.page(wanted, namespace, index, after, asked)
            for row in rows:
                obj = msgspec.json.decode(row.body)
                if matches(labels_of(obj), labels) and all(_field(obj, path) == value for path, value in fields.items()):
                    if served is not None:
                        obj["apiVersion"] = served.api_version
                    items.append(obj)
            if len(rows) < asked:
                return Page(items, str(version))
            after = rows[-1].key
            await asyncio.sleep(0)
        return Page(items, str(version), "/".join([str(version), *after]))

    def watch(
        self, kind: GVK | None, labels: Mapping[str, str | None] | None = None, since: str = "", *, bare: bool = False, namespace: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """Begins now where `since` is empty, and is subscribed from this call on. Objects come whole."""
        del bare
        objects = self._objects
        resource, served = (None, None) if kind is None else objects.kinds.resolve(kind)
        return Watch(objects.history, resource, served, labels, since, self._bookmark, namespace)

    async def create(self, obj: JsonObject, manager: str = FIELD_MANAGER) -> JsonObject:
        return _refusing(lambda: self._objects.create(obj, manager))

    async def replace(self, obj: JsonObject, manager: str = FIELD_MANAGER) -> JsonObject:
        return _refusing(lambda: self._objects.replace(obj, manager))

    async def replace_status(self, obj: JsonObject, manager: str = FIELD_MANAGER) -> JsonObject:
        return _refusing(lambda: self._objects.replace_status(obj, manager))

    async def apply(self, obj: JsonObject, manager: str, force: bool = False, dry_run: bool = False) -> JsonObject:
        return _refusing(lambda: self._objects.apply(obj, manager, force, dry_run))

    async def delete(self, ref: ObjectRef, uid: str = "", version: str = "", propagation: Propagation = "Background") -> None:
        self._objects.delete(ref, uid, version, propagation)


def _refusing(write: Callable[[], T]) -> T:
    try:
        return write()
    except RecursionError:
        raise InvalidError("the object is nested too deeply") from None


def _check_fields(kind: GVK | None, fields: Mapping[str, str]) -> None:
    known = _FIELDS | _FIELDS_OF_EVENTS if kind is not None and (kind.group, kind.kind) == ("", "Event") else _FIELDS
    for path in fields.keys() - known:
        raise InvalidError(f"field label not supported: {path!r:.100}")


def _field(obj: JsonObject, path: str) -> str:
    value: Any = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _parse_page(page: str) -> tuple[int, Key]:
    version, *key = page.split("/")
    if len(key) != len(START):
        raise InvalidError(f"not the continuation of a list: {page!r:.100}")
    return parse_version(version), Key(*key)

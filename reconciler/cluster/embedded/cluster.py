"""The embedded cluster: the protocol over the state file, and the controllers that move what is in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TypeVar

import msgspec

from reconciler.cluster.embedded.objects import Objects, labels_of
from reconciler.cluster.embedded.storage import INDEXED_LABELS, Row, Storage
from reconciler.cluster.embedded.watch import Watch, matches, parse_version
from reconciler.cluster.protocol import InvalidError, Kind, Page, Propagation, UnavailableError, WatchEvent
from reconciler.model.clock import Clock
from reconciler.model.identity import GVK, JsonObject, ObjectRef
from reconciler.model.names import FIELD_MANAGER

DAEMON_NAMESPACE = "reconciler-system"
BUILT_IN_NAMESPACES = ("default", "kube-system", DAEMON_NAMESPACE)
_BOOKMARK_SECONDS = 30.0
_LARGEST_PAGE = 1000
T = TypeVar("T")


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

    async def start(self) -> None:
        """Opens and locks the state file. Raises StateLockedError, StateError."""
        self._storage = Storage(self._path)
        objects = Objects(self._storage, self._clock)
        self._objects_ = objects
        for name in BUILT_IN_NAMESPACES:
            if self._storage.get(objects.locate(ObjectRef("v1", "Namespace", "", name))[2]) is None:
                objects.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="kube-apiserver")

    async def close(self) -> None:
        if self._storage is None or self._objects_ is None:
            return
        self._objects_.history.close()
        self._storage.close()
        self._storage = self._objects_ = None

    @property
    def _objects(self) -> Objects:
        if self._objects_ is None:
            raise UnavailableError("the cluster is not started")
        return self._objects_

    async def kind(self, gvk: GVK) -> Kind:
        return self._objects.kinds.describe(gvk)

    def lookup(self, word: str) -> Kind:
        """The kind that people mean by `deployment`, `Deployment`, `deploy` or `deployments.apps`. Raises LookupError."""
        return self._objects.kinds.lookup(word)

    async def get(self, ref: ObjectRef) -> JsonObject:
        return self._objects.get(ref)

    async def list(self, kind: GVK, namespace: str = "", labels: Mapping[str, str | None] | None = None, page: str = "", limit: int = 500) -> Page:
        """
        By namespace and name. Later pages carry the version of the first: an object that changed in between may come in its
        newer state, and a watch from that version tells of the change again.
        """
        objects = self._objects
        resource, served = objects.kinds.resolve(kind)
        version, after = _parse_page(page) if page else (objects.history.version, ("", ""))
        if page:
            objects.history.check(version)
        limit = min(limit, _LARGEST_PAGE) if limit > 0 else _LARGEST_PAGE
        items: list_of_objects = []
        while len(items) < limit:
            rows = self._rows(resource.group, resource.kind, namespace, labels or {}, after, limit - len(items))
            for row in rows:
                after = (row.key.namespace, row.key.name)
                obj = msgspec.json.decode(row.body)
                if (not namespace or row.key.namespace == namespace) and matches(labels_of(obj), labels):
                    obj["apiVersion"] = served.api_version
                    items.append(obj)
            if len(rows) < limit - len(items) or not rows:
                return Page(items, str(version))
            await asyncio.sleep(0)
        return Page(items, str(version), f"{version}:{after[0]}/{after[1]}")

    def _rows(self, group: str, kind: str, namespace: str, labels: Mapping[str, str | None], after: tuple[str, str], limit: int) -> list_of_rows:
        storage = self._objects.storage
        for label in labels.items():
            if label[0] in INDEXED_LABELS:
                return storage.labelled(group, kind, label, after, limit)
        return storage.of_kind(group, kind, namespace, after, limit)

    def watch(self, kind: GVK | None, labels: Mapping[str, str | None] | None = None, since: str = "") -> AsyncIterator[WatchEvent]:
        """Begins now where `since` is empty, and is subscribed from this call on."""
        objects = self._objects
        resource, served = (None, None) if kind is None else objects.kinds.resolve(kind)
        return Watch(objects.history, resource, served, labels, since, self._bookmark)

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


# `list` means the method inside the class.
list_of_objects = list[JsonObject]
list_of_rows = list[Row]


def _refusing(write: Callable[[], T]) -> T:
    try:
        return write()
    except RecursionError:
        raise InvalidError("the object is nested too deeply") from None


def _parse_page(page: str) -> tuple[int, tuple[str, str]]:
    version, _, after = page.partition(":")
    namespace, _, name = after.partition("/")
    return parse_version(version), (namespace, name)

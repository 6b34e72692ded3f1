"""
The verbs of the API server over the state file, synchronous: what is answered is stored.

Every argument is copied first and every answer is the caller's own. Changes are published to the watches and to the
listeners (controllers, garbage collection) after they are committed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from reconciler.cluster.embedded import admission, fields, ownership
from reconciler.cluster.embedded.definitions import state_resources
from reconciler.cluster.embedded.kinds import Kinds, Resource
from reconciler.cluster.embedded.storage import Index, Key, Storage, indexed
from reconciler.cluster.embedded.watch import History, Record, parse_version
from reconciler.cluster.protocol import (
    AlreadyExistsError,
    ConflictError,
    InvalidError,
    NamespaceMissingError,
    NotFoundError,
    Propagation,
)
from reconciler.model.clock import Clock
from reconciler.model.identity import GVK, JsonObject, ObjectRef
from reconciler.model.names import FIELD_MANAGER

Listener = Callable[[Record, JsonObject], None]

# etcd refuses requests above this (its default --max-request-bytes).
LARGEST_OBJECT = 1536 * 1024
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_PROTECTED_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
# Set by the server, so carried over from the live object by every write.
_CARRIED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "generateName", "managedFields")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Objects:
    def __init__(self, storage: Storage, clock: Clock) -> None:
        self.storage = storage
        self.kinds = Kinds(state_resources())
        self.history = History(storage.version)
        self._clock = clock
        self._listeners: list[Listener] = []
        self._namespaces: dict[str, bool] = {}  # name to: objects may be created in it
        for key in storage.keys("", "Namespace"):
            self._namespaces[key.name] = not self.read(key)["metadata"].get("deletionTimestamp")

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def timestamp(self) -> str:
        return self._clock.now().isoformat(timespec="seconds").replace("+00:00", "Z")

    # Reading.

    def find(self, key: Key) -> JsonObject | None:
        body = self.storage.get(key)
        return None if body is None else _decode(body)

    def read(self, key: Key) -> JsonObject:
        obj = self.find(key)
        if obj is None:
            where = f"{key.namespace}/{key.name}" if key.namespace else key.name
            raise NotFoundError(f"{key.kind} {where} is not there")
        return obj

    def locate(self, ref: ObjectRef) -> tuple[Resource, GVK, Key]:
        resource, served = self.kinds.resolve(ref.gvk)
        return resource, served, Key(resource.group, resource.kind, ref.namespace if resource.namespaced else "", ref.name)

    def get(self, ref: ObjectRef) -> JsonObject:
        _, served, key = self.locate(ref)
        obj = self.read(key)
        obj["apiVersion"] = served.api_version
        return obj

    def owned(self, uid: str, group: str, kind: str) -> list[JsonObject]:
        """Objects of a kind whose controlling owner is `uid`, by name."""
        rows = [_decode(row.body) for row in self.storage.owned(uid) if row.key.group == group and row.key.kind == kind]
        return [obj for obj in rows if controller_of(obj).get("uid") == uid]

    # Writing.

    def create(self, obj: JsonObject, manager: str = FIELD_MANAGER) -> JsonObject:
        resource, served, key, new = self._take(obj)
        metadata = new["metadata"]
        if metadata.get("resourceVersion"):
            raise InvalidError("metadata.resourceVersion: must not be set on an object to be created")
        self._check_namespace(key)
        if self.storage.get(key) is not None:
            raise AlreadyExistsError(f"{key.kind} {key.name!r} already exists")
        self._build(resource, served, new, None, manager)
        return self._store("ADDED", key, new, None)

    def _build(self, resource: Resource, served: GVK, new: JsonObject, entries: ownership.Entries | None, manager: str = "") -> None:
        """Makes a new object of what was given. `entries` None: `manager` owns all of it."""
        if resource.status:
            new.pop("status", None)
        metadata = new["metadata"]
        for name in _CARRIED:
            metadata.pop(name, None)
        now = self.timestamp()
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = now
        admission.admit(resource, served, new, None)
        if resource.counted or resource.custom:
            metadata["generation"] = 1
        if entries is None and not resource.ours:
            entries = ownership.update([], {}, new, resource.shape, _stamp(manager, served, now))
        if entries:
            metadata["managedFields"] = entries

    def replace(self, obj: JsonObject, manager: str = FIELD_MANAGER) -> JsonObject:
        resource, served, key, new = self._take(obj)
        live = self._current(key, new, served)
        if resource.status:
            _carry(live, new, "status")
        return self._update(resource, served, key, live, new, _stamp(manager, served, self.timestamp()))

    def replace_status(self, obj: JsonObject, manager: str = FIELD_MANAGER) -> JsonObject:
        resource, served, key, given = self._take(obj)
        if not resource.status:
            raise NotFoundError(f"{key.kind} has no status subresource")
        live = self._current(key, given, served)
        new = {**live, "metadata": dict(live["metadata"])}
        _carry(given, new, "status")
        stamp = _stamp(manager, served, self.timestamp()) | {"subresource": "status"}
        return self._update(resource, served, key, live, new, stamp)

    def _update(self, resource: Resource, served: GVK, key: Key, live: JsonObject, new: JsonObject, stamp: dict[str, str]) -> JsonObject:
        metadata, before = new["metadata"], live["metadata"]
        handed = ownership.given(metadata.get("managedFields"), before.get("managedFields", []))
        for name in _CARRIED:
            _carry(before, metadata, name)
        metadata["resourceVersion"] = before["resourceVersion"]
        admission.admit(resource, served, new, live)
        if fields.same(new, live) and handed is before.get("managedFields", handed):
            return live
        self._count(resource, live, new)
        if not resource.ours:
            metadata["managedFields"] = ownership.update(handed, live, new, resource.shape, stamp)
            if not metadata["managedFields"]:
                del metadata["managedFields"]
        return self._store("MODIFIED", key, new, live)

    def apply(self, obj: JsonObject, manager: str, force: bool = False, dry_run: bool = False) -> JsonObject:
        if not manager or len(manager) > 128:
            raise InvalidError("the field manager needs a name of at most 128 characters")
        resource, served, key, applied = self._take(obj)
        metadata = applied["metadata"]
        if metadata.get("managedFields"):
            raise InvalidError("metadata.managedFields: must not be set on an object to be applied")
        if resource.status:
            applied.pop("status", None)
        admission.fold(resource, applied)
        live = self.find(key)
        stamp = _stamp(manager, served, self.timestamp())
        try:
            if live is None:
                return self._apply_new(resource, served, key, applied, stamp, dry_run)
            live["apiVersion"] = served.api_version
            _check_preconditions(key, live, str(metadata.get("uid") or ""), str(metadata.get("resourceVersion") or ""))
            return self._apply_over(resource, served, key, live, applied, stamp, force, dry_run)
        except fields.MergeError as error:
            raise InvalidError(f"{key.kind} {key.name!r}: {str(error).removeprefix('.')}") from None

    def _apply_new(self, resource: Resource, served: GVK, key: Key, applied: JsonObject, stamp: dict[str, str], dry_run: bool) -> JsonObject:
        if applied["metadata"].pop("resourceVersion", "") or applied["metadata"].pop("uid", ""):
            raise ConflictError(f"{key.kind} {key.name!r} is not there, so it has neither that uid nor that version")
        self._check_namespace(key)
        _, entries = ownership.apply({}, applied, [], resource.shape, stamp, force=False)
        self._build(resource, served, applied, entries)
        return applied if dry_run else self._store("ADDED", key, applied, None)

    def _apply_over(
        self, resource: Resource, served: GVK, key: Key, live: JsonObject, applied: JsonObject, stamp: dict[str, str], force: bool, dry_run: bool
    ) -> JsonObject:
        before = live["metadata"]
        old_entries: ownership.Entries = before.get("managedFields", [])
        merged, entries = ownership.apply(live, applied, old_entries, resource.shape, stamp, force)
        if entries is old_entries:
            return live
        metadata = {"name": before["name"], **merged.pop("metadata", {}), "resourceVersion": before["resourceVersion"]}
        _carry(before, metadata, "namespace")
        for name in _CARRIED:
            _carry(before, metadata, name)
        new = {"apiVersion": served.api_version, "kind": served.kind, "metadata": metadata, **merged}
        admission.admit(resource, served, new, live)
        changed = not fields.same(new, live)
        if not changed and [entry["fieldsV1"] for entry in entries] == [entry["fieldsV1"] for entry in old_entries]:
            return live
        if changed:
            self._count(resource, live, new)
        metadata["managedFields"] = entries
        return new if dry_run else self._store("MODIFIED", key, new, live)

    def delete(self, ref: ObjectRef, uid: str = "", version: str = "", propagation: Propagation = "Background") -> None:
        resource, served, key = self.locate(ref)
        live = self.read(key)
        live["apiVersion"] = served.api_version
        _check_preconditions(key, live, uid, version)
        if key.kind == "Namespace" and not key.group and key.name in _PROTECTED_NAMESPACES:
            raise InvalidError(f"namespace {key.name!r} may not be deleted")
        new = {**live, "metadata": dict(live["metadata"])}
        metadata = new["metadata"]
        added = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(propagation)
        finalizers = (
            [name for name in metadata.get("finalizers", []) if name not in (FOREGROUND, ORPHAN)] if added else metadata.get("finalizers", [])
        )
        if added:
            finalizers = [*finalizers, added]
        if not finalizers and not admission.lingers(key):
            self.remove(key, live)
            return
        if metadata.get("deletionTimestamp") and finalizers == metadata.get("finalizers", []):
            return
        metadata.setdefault("deletionTimestamp", self.timestamp())
        metadata["deletionGracePeriodSeconds"] = 0
        if finalizers:
            metadata["finalizers"] = finalizers
        self._count(resource, live, new, deleting=True)
        self._store("MODIFIED", key, new, live)

    def remove(self, key: Key, last: JsonObject, live: JsonObject | None = None) -> None:
        """Takes the object out, whatever finalizers it has. `live`: what is stored, where that is not `last`."""
        live = live or last
        last = {**last, "metadata": dict(last["metadata"])}
        with self.storage.write() as version:
            last["metadata"]["resourceVersion"] = str(version)
            self.storage.delete(key, _index(live))
        self._publish(Record("DELETED", version, key, _encode(last), labels_of(live), None), last)

    # What controllers do besides.

    def is_terminating(self, namespace: str) -> bool:
        return self._namespaces.get(namespace) is False

    def discard(self, key: Key, propagation: Propagation = "Background") -> None:
        """Deletes by key; nothing happens where there is no such object."""
        resource = self.kinds.named(key.group, key.kind)
        if resource is not None and self.storage.get(key) is not None:
            self.delete(ObjectRef(resource.preferred.api_version, key.kind, key.namespace, key.name), propagation=propagation)

    def amend(self, key: Key, obj: JsonObject) -> None:
        """Stores `obj` as it is, in place of what is there, unless it is the same."""
        live = self.read(key)
        if not fields.same(live, obj):
            self._store("MODIFIED", key, obj, live)

    def release(self, key: Key, finalizer: str) -> None:
        """Takes a finalizer off; the object goes with its last one."""
        obj = self.read(key)
        obj["metadata"]["finalizers"] = [name for name in obj["metadata"].get("finalizers", []) if name != finalizer]
        self.amend(key, obj)

    # Parts.

    def _take(self, given: JsonObject) -> tuple[Resource, GVK, Key, JsonObject]:
        """A checked copy of what was given, and where it belongs."""
        try:
            raw = _encode(given)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidError(f"not a JSON object: {error}") from None
        obj = _decode(raw)
        if not isinstance(obj, dict):
            raise InvalidError("not a JSON object")
        resource, served = self.kinds.resolve(GVK.of(obj))
        if b"null" in raw and not resource.custom and not resource.ours:
            obj = admission.without_nulls(obj)
        obj["apiVersion"] = served.api_version
        metadata = admission.check_metadata(resource, obj)
        return resource, served, Key(resource.group, resource.kind, metadata.get("namespace", ""), metadata["name"]), obj

    def _current(self, key: Key, new: JsonObject, served: GVK) -> JsonObject:
        version = new["metadata"].get("resourceVersion")
        if not version:
            raise InvalidError("metadata.resourceVersion: must be given for an update")
        live = self.read(key)
        _check_preconditions(key, live, str(new["metadata"].get("uid") or ""), str(version))
        live["apiVersion"] = served.api_version
        return live

    def _check_namespace(self, key: Key) -> None:
        if key.namespace and not self._namespaces.get(key.namespace, False):
            state = "is being deleted" if key.namespace in self._namespaces else "is not there"
            raise NamespaceMissingError(f"namespace {key.namespace!r} {state}")

    def _count(self, resource: Resource, live: JsonObject, new: JsonObject, deleting: bool = False) -> None:
        if not (resource.counted or resource.custom):
            return
        ignored = {"apiVersion", "kind", "metadata"} | ({"status"} if resource.status else set())
        changed = any(not fields.same(live.get(name), new.get(name)) for name in (live.keys() | new.keys()) - ignored)
        if changed or deleting:
            new["metadata"]["generation"] = int(live["metadata"].get("generation", 0)) + 1

    def _store(self, kind: Any, key: Key, obj: JsonObject, live: JsonObject | None) -> JsonObject:
        metadata = obj["metadata"]
        released = live is not None and live["metadata"].get("finalizers") and not metadata.get("finalizers")
        if live is not None and released and metadata.get("deletionTimestamp") and not admission.lingers(key):
            self.remove(key, {**obj, "metadata": {**metadata, "finalizers": []}}, live)
            return obj
        with self.storage.write() as version:
            metadata["resourceVersion"] = str(version)
            body = _encode(obj)
            if len(body) > LARGEST_OBJECT:
                raise InvalidError(f"{key.kind} {key.name!r}: the object has {len(body)} bytes; at most {LARGEST_OBJECT} can be stored")
            if live is None:
                self.storage.insert(key, body, _index(obj))
            else:
                self.storage.update(key, body, _index(live), _index(obj))
        self._publish(Record(kind, version, key, body, None if live is None else labels_of(live), labels_of(obj)), obj)
        return obj

    def _publish(self, record: Record, obj: JsonObject) -> None:
        if record.key.kind == "Namespace" and not record.key.group:
            if record.type == "DELETED":
                self._namespaces.pop(record.key.name, None)
            else:
                self._namespaces[record.key.name] = not obj["metadata"].get("deletionTimestamp")
        self.history.publish(record)
        for listener in self._listeners:
            listener(record, obj)


def labels_of(obj: JsonObject) -> Mapping[str, str]:
    labels: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return labels


def controller_of(obj: JsonObject) -> JsonObject:
    """The owner reference of the controller, or an empty one."""
    for reference in obj["metadata"].get("ownerReferences") or []:
        if reference.get("controller"):
            found: JsonObject = reference
            return found
    return {}


def _index(obj: JsonObject) -> Index:
    metadata = obj["metadata"]
    owners = [reference["uid"] for reference in metadata.get("ownerReferences") or []]
    return indexed(metadata.get("labels") or {}, owners, deleting="deletionTimestamp" in metadata)


def _stamp(manager: str, served: GVK, now: str) -> dict[str, str]:
    return {"manager": manager, "apiVersion": served.api_version, "time": now}


def _carry(source: JsonObject, target: JsonObject, name: str) -> None:
    if name in source:
        target[name] = source[name]
    else:
        target.pop(name, None)


def _check_preconditions(key: Key, live: JsonObject, uid: str, version: str) -> None:
    metadata = live["metadata"]
    if uid and uid != metadata["uid"]:
        raise ConflictError(f"{key.kind} {key.name!r} is another object by now: its uid is {metadata['uid']}, not {uid:.64}")
    if version and parse_version(version) != int(metadata["resourceVersion"]):
        raise ConflictError(f"{key.kind} {key.name!r} has changed: its version is {metadata['resourceVersion']}, not {version}")

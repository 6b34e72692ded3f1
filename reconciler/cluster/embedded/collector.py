"""
What happens after a deletion: dependents go by ownerReferences, a Namespace takes its contents along, a
CustomResourceDefinition its objects. Work is queued by what was stored, done in small pieces, and found again after a restart.
"""

from __future__ import annotations

from collections import deque

import msgspec

from reconciler.cluster.embedded.definitions import resource_of
from reconciler.cluster.embedded.kinds import CRD
from reconciler.cluster.embedded.objects import FOREGROUND, ORPHAN, Objects
from reconciler.cluster.embedded.storage import START, Key, Row
from reconciler.cluster.embedded.watch import Record
from reconciler.model.identity import GVK, JsonObject

_PIECE = 50


class Collector:
    def __init__(self, objects: Objects) -> None:
        """Serves the kinds of the stored definitions, and takes up the deletions that were under way."""
        self._objects = objects
        self._queue: deque[Key | str] = deque()
        self._queued: set[Key | str] = set()
        for key in objects.storage.keys(*CRD):
            self._serve(objects.read(key))
        for key in objects.storage.unsettled():
            self._add(key)

    def observe(self, record: Record, obj: JsonObject) -> None:
        """Notes what a stored change asks for."""
        key, metadata = record.key, obj["metadata"]
        owners = metadata.get("ownerReferences")
        if (key.group, key.kind) == CRD:
            if record.type == "DELETED":
                self._objects.kinds.unregister(obj["spec"]["group"], obj["spec"]["names"]["kind"])
            else:
                self._serve(obj)
        if record.type == "DELETED":
            self._add(str(metadata["uid"]))
            for owner in owners or ():
                self._add(Key(GVK.of(owner).group, owner["kind"], key.namespace, owner["name"]))
            if key.namespace and self._objects.is_terminating(key.namespace):
                self._add(Key("", "Namespace", "", key.namespace))
            if key.group and not self._objects.kinds.is_built_in(key.group, key.kind):
                self._add_definition(key)
        elif "deletionTimestamp" in metadata or (owners and record.type == "ADDED"):
            self._add(key)

    def step(self) -> bool:
        """Does one piece of work; false when there is none."""
        if not self._queue:
            return False
        item = self._queue.popleft()
        self._queued.discard(item)
        if isinstance(item, str):
            self._release_dependents(item)
            return True
        obj = self._objects.find(item)
        if obj is not None:
            self._settle(item, obj)
        return True

    @property
    def idle(self) -> bool:
        return not self._queue

    def _add(self, item: Key | str) -> None:
        if item not in self._queued:
            self._queued.add(item)
            self._queue.append(item)

    def _serve(self, definition: JsonObject) -> None:
        resource = resource_of(definition)
        if resource is not None:
            self._objects.kinds.register(resource)

    def _add_definition(self, key: Key) -> None:
        resource = self._objects.kinds.named(key.group, key.kind)
        if resource is not None:
            self._add(Key(*CRD, "", f"{resource.plural}.{resource.group}"))

    def _settle(self, key: Key, obj: JsonObject) -> None:
        metadata = obj["metadata"]
        if "deletionTimestamp" not in metadata:
            self._check_owners(key, obj)
            return
        finalizers = metadata.get("finalizers", [])
        if key.kind == "Namespace" and not key.group:
            self._empty_namespace(key, obj)
        elif (key.group, key.kind) == CRD:
            self._empty_kind(key, obj)
        elif ORPHAN in finalizers:
            self._orphan(key, obj)
        elif FOREGROUND in finalizers:
            self._delete_dependents(key, obj)

    def _check_owners(self, key: Key, obj: JsonObject) -> None:
        owners = obj["metadata"].get("ownerReferences", [])
        living = [owner for owner in owners if self._exists(owner, key.namespace)]
        if len(living) == len(owners):
            return
        if living:
            obj["metadata"]["ownerReferences"] = living
            self._objects.amend(key, obj)
        else:
            self._objects.discard(key)

    def _exists(self, owner: JsonObject, namespace: str) -> bool:
        group = GVK.of(owner).group
        resource = self._objects.kinds.named(group, owner["kind"])
        if resource is None:
            return True  # on doubt nothing is deleted
        found = self._objects.find(Key(group, owner["kind"], namespace if resource.namespaced else "", owner["name"]))
        return found is not None and found["metadata"]["uid"] == owner["uid"]

    def _release_dependents(self, uid: str) -> None:
        rows = self._objects.storage.owned(uid, _PIECE)
        waiting = 0
        for row in rows:
            obj = msgspec.json.decode(row.body)
            if "deletionTimestamp" in obj["metadata"]:
                waiting += 1
            self._check_owners(row.key, obj)
        if len(rows) == _PIECE and waiting < _PIECE:
            self._add(uid)

    def _orphan(self, key: Key, obj: JsonObject) -> None:
        uid = obj["metadata"]["uid"]
        for row in self._objects.storage.owned(uid, _PIECE):
            dependent = msgspec.json.decode(row.body)
            owners = [owner for owner in dependent["metadata"]["ownerReferences"] if owner["uid"] != uid]
            dependent["metadata"]["ownerReferences"] = owners
            self._objects.amend(row.key, dependent)
        if self._objects.storage.owned(uid, 1):
            self._add(key)
        else:
            self._objects.release(key, ORPHAN)

    def _delete_dependents(self, key: Key, obj: JsonObject) -> None:
        rows = self._objects.storage.owned(obj["metadata"]["uid"])
        for row in rows:
            dependent = msgspec.json.decode(row.body)["metadata"]
            if "deletionTimestamp" not in dependent:
                has_own = bool(self._objects.storage.owned(dependent["uid"], 1))
                self._objects.discard(row.key, "Foreground" if has_own else "Background")
        if not self._objects.storage.owned(obj["metadata"]["uid"], 1):
            self._objects.release(key, FOREGROUND)

    def _empty_namespace(self, key: Key, obj: JsonObject) -> None:
        if obj.get("status", {}).get("phase") != "Terminating":
            obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
            self._objects.amend(key, obj)
        rows = self._objects.storage.inside(key.name, _PIECE)
        self._delete_all(rows, key)
        if not self._objects.storage.inside(key.name, 1) and not obj["metadata"].get("finalizers"):
            self._objects.remove(key, self._objects.read(key))

    def _empty_kind(self, key: Key, obj: JsonObject) -> None:
        group, kind = obj["spec"]["group"], obj["spec"]["names"]["kind"]
        if not self._objects.kinds.is_built_in(group, kind):
            self._delete_all(self._objects.storage.page((group, kind), "", None, START, _PIECE), key)
            if self._objects.storage.page((group, kind), "", None, START, 1):
                return
        if not obj["metadata"].get("finalizers"):
            self._objects.remove(key, obj)

    def _delete_all(self, rows: list[Row], container: Key) -> None:
        deleted = 0
        for row in rows:
            if "deletionTimestamp" not in msgspec.json.decode(row.body)["metadata"]:
                self._objects.discard(row.key)
                deleted += 1
        if deleted and len(rows) == _PIECE:
            self._add(container)

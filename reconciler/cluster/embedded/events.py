"""Kubernetes Events of the simulated controllers: core/v1 objects, the newest ones only."""

from __future__ import annotations

import uuid
from collections import deque

from reconciler.cluster.embedded.objects import Objects
from reconciler.cluster.embedded.storage import Key
from reconciler.cluster.protocol import ClusterError
from reconciler.model.identity import JsonObject

KEPT = 1000


class Recorder:
    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._kept: deque[Key] = deque(objects.storage.keys("", "Event"))

    def emit(self, obj: JsonObject, reason: str, message: str, *, warning: bool = False) -> None:
        """Says that something happened to `obj`. Never raises: an Event may be lost."""
        metadata = obj["metadata"]
        now = self._objects.timestamp()
        namespace = metadata.get("namespace", "default")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": namespace, "name": f"{metadata['name'][:200]}.{uuid.uuid4().hex[:16]}"},
            "involvedObject": {
                "apiVersion": obj["apiVersion"],
                "kind": obj["kind"],
                "namespace": namespace,
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message[:1024],
            "source": {"component": "embedded-cluster"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            created = self._objects.create(event, manager="kube-controller-manager")
        except ClusterError:
            return
        self._kept.append(Key("", "Event", namespace, created["metadata"]["name"]))
        while len(self._kept) > KEPT:
            self._objects.discard(self._kept.popleft())

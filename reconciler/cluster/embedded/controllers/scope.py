"""What a controller sees and may do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from reconciler.cluster.embedded.events import Recorder
from reconciler.cluster.embedded.fields import same
from reconciler.cluster.embedded.objects import Objects
from reconciler.cluster.embedded.storage import Key
from reconciler.cluster.protocol import InvalidError
from reconciler.model.canonical import digest
from reconciler.model.clock import Clock
from reconciler.model.identity import GVK, JsonObject

MANAGER = "kube-controller-manager"
MOST_PODS = 1000  # of one workload: a manifest may ask for two billion
BURST = 100  # Pods made or deleted in one look


class Scope:
    """`speed` divides every simulated duration."""

    def __init__(self, objects: Objects, events: Recorder, clock: Clock, speed: float) -> None:
        self.objects = objects
        self.events = events
        self.speed = speed
        self._clock = clock
        self._timers: dict[str, tuple[Any, float]] = {}

    def now(self) -> datetime:
        return self._clock.now()

    def remaining(self, timer: str, stage: Any, seconds: float) -> float:
        """
        Seconds of the clock until `seconds` of simulated time have passed since this stage was first asked for; 0 when they
        have. Another stage begins anew. After a restart the time runs again from the start.
        """
        now = self._clock.monotonic()
        found = self._timers.get(timer)
        if found is None or found[0] != stage:
            found = (stage, now + seconds / self.speed)
            self._timers[timer] = found
        return max(0.0, found[1] - now)

    def once(self, what: str) -> bool:
        """True the first time that it is asked of this."""
        if what in self._timers:
            return False
        self._timers[what] = None, 0.0
        return True

    def forget(self, timer: str) -> None:
        self._timers.pop(timer, None)

    def set_status(self, obj: JsonObject, status: JsonObject, manager: str = MANAGER) -> JsonObject:
        """Writes the status where it differs; counts that are 0 are left out, as the API's types do."""
        status = {name: value for name, value in status.items() if value is not None and (value != 0 or isinstance(value, bool))}
        if same(obj.get("status"), status):
            return obj
        return self.objects.replace_status({**obj, "status": status}, manager)

    def condition(self, obj: JsonObject, kind: str, status: bool, reason: str, message: str) -> JsonObject:
        """A condition; its transition time is kept while the status stays."""
        for old in obj.get("status", {}).get("conditions", []):
            if old["type"] == kind and old["status"] == str(status):
                return {**old, "reason": reason, "message": message}
        return {"type": kind, "status": str(status), "reason": reason, "message": message, "lastTransitionTime": self.objects.timestamp()}

    def pods(self, owner: JsonObject) -> list[JsonObject]:
        return self.objects.owned(owner["metadata"]["uid"], "", "Pod")

    def create_pod(self, owner: JsonObject, template: JsonObject, name: str, labels: dict[str, str] | None = None) -> bool:
        """Makes a Pod from a template. False, with an Event, where it is refused."""
        metadata = template.get("metadata", {})
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": owner["metadata"]["namespace"],
                "labels": {**metadata.get("labels", {}), **(labels or {})},
                "annotations": metadata.get("annotations", {}),
                "ownerReferences": [owner_reference(owner)],
            },
            "spec": template["spec"],
        }
        try:
            self.objects.create(pod, MANAGER)
        except InvalidError as error:
            self.events.emit(owner, "FailedCreate", f"Error creating: {error}", warning=True)
            return False
        self.events.emit(owner, "SuccessfulCreate", f"Created pod: {name}")
        return True

    def delete_pod(self, owner: JsonObject, pod: JsonObject) -> None:
        self.objects.discard(Key("", "Pod", pod["metadata"]["namespace"], pod["metadata"]["name"]))
        self.events.emit(owner, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")

    def available(self, pods: list[JsonObject], seconds: int) -> tuple[int, float | None]:
        """How many Pods have been ready for `seconds`, and when to look again."""
        count, waits = 0, []
        for pod in filter(is_ready, pods):
            left = self.remaining(pod["metadata"]["uid"] + "/available", None, seconds) if seconds else 0.0
            count += not left
            if left:
                waits.append(left)
        return count, min(waits, default=None)


Controller = Callable[[Scope, JsonObject], float | None]


def is_ready(pod: JsonObject) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return not is_deleting(pod) and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def is_deleting(obj: JsonObject) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def is_over(pod: JsonObject) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def owner_reference(owner: JsonObject) -> JsonObject:
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def template_hash(template: JsonObject) -> str:
    return digest(template)[:10]


def suffix(uid: str, number: int) -> str:
    """Five characters for the name of a Pod: the same for the same owner and number."""
    return hashlib.sha256(f"{uid}/{number}".encode()).hexdigest()[:5]


def key_of(obj: JsonObject) -> Key:
    metadata = obj["metadata"]
    return Key(GVK.of(obj).group, obj["kind"], metadata.get("namespace", ""), metadata["name"])

"""
What keeps objects from being healthy, looked up where they are not: their Pods, and Events.

Nothing of this is watched. While an application has objects that are not healthy, the worst few of them are looked at again and again, at growing
pauses, apart from the application's turns: a slow cluster holds no worker, and a cluster on which all is well is asked nothing (rules 8a, 10).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import structlog

from reconciler.cluster.protocol import Cluster, ClusterError
from reconciler.cluster.reasons import explain_events, explain_pods
from reconciler.model.clock import Clock
from reconciler.model.identity import GVK, JsonObject, ObjectRef

_POD, _EVENT, _REPLICA_SET = GVK("", "v1", "Pod"), GVK("", "v1", "Event"), GVK("apps", "v1", "ReplicaSet")
_CONTROLLER_UID: Final = "batch.kubernetes.io/controller-uid"
_HASH: Final = "pod-template-hash"
_BUILT_IN: Final = ("apps", "batch", "")
_FIRST, _LEAST, _LONGEST = 2.0, 5.0, 300.0  # seconds: most rollouts are healthy before they are asked about
_MOST = 3  # objects of one application
_AT_ONCE = 4  # looks at the same time
_PATIENCE = 10.0  # seconds that one look may take

_log = structlog.get_logger("reconciler.engine")


class Followed(NamedTuple):
    """An object that is not healthy. `fields`: what is applied to it, as `Observed` has it. `status`: how it is."""

    ref: ObjectRef
    uid: str
    fields: str
    status: str

    @property
    def about(self) -> tuple[str, str]:
        """What a reason is true of."""
        return self.uid, self.fields


class _Attention:
    """Of one owner: what is followed, by which cluster, when it was last looked at, and the task that does so."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.followed: tuple[Followed, ...] = ()
        self.looked_at: float | None = None
        self.task: asyncio.Task[None] | None = None


class Troubles:
    """`on_change` is told the owner, by its mirror's uid, whenever another reason is known."""

    def __init__(self, clock: Clock, on_change: Callable[[str], None]) -> None:
        self._clock, self._on_change = clock, on_change
        self._owners: dict[str, _Attention] = {}
        self._reasons: dict[tuple[str, str, str, str], tuple[tuple[str, str], str]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def reason(self, ref: ObjectRef, uid: str, fields: str) -> str:
        """Why that object is not healthy, empty where nobody knows. `fields`: what is applied to it: a reason of before does not count."""
        about, text = self._reasons.get(ref.identity, (None, ""))
        return text if about == (uid, fields) else ""

    def follow(self, owner: str, followed: Sequence[Followed], cluster: Cluster) -> None:
        """These objects of the owner are not healthy, the worst first; no others of it are. `cluster`: in the owner's name (rule 13a)."""
        chosen = tuple(followed[:_MOST])
        attention = self._owners.get(owner)
        if attention is None:
            if not chosen:
                return
            attention = self._owners[owner] = _Attention(cluster)
        attention.cluster = cluster
        if chosen == attention.followed:
            return
        for one in attention.followed:
            if all(one.ref != other.ref for other in chosen):
                self._reasons.pop(one.ref.identity, None)
        attention.followed = chosen
        if attention.task is not None:
            attention.task.cancel()
        if chosen:
            attention.task = asyncio.create_task(self._attend(owner, attention))
        else:
            del self._owners[owner]

    def close(self) -> None:
        for attention in self._owners.values():
            if attention.task is not None:
                attention.task.cancel()
        self._owners.clear()

    async def _attend(self, owner: str, attention: _Attention) -> None:
        """Until cancelled. Never more often than `_LEAST`, whatever changes meanwhile."""
        pause = _FIRST
        if attention.looked_at is not None:
            pause = max(_FIRST, attention.looked_at + _LEAST - self._clock.monotonic())
        while True:
            await self._clock.sleep(pause)
            async with self._slots:
                attention.looked_at = self._clock.monotonic()
                changed = [await self.look(one, attention.cluster) for one in attention.followed]
            if any(changed):
                self._on_change(owner)
            pause = _LEAST if any(changed) else min(max(pause * 2, _LEAST), _LONGEST)

    async def look(self, one: Followed, cluster: Cluster) -> bool:
        """Whether another reason is known now. What can't be read leaves it as it was."""
        try:
            async with asyncio.timeout(_PATIENCE):
                text = await _explain(one, cluster)
        except (ClusterError, TimeoutError):
            return False
        except Exception as error:  # noqa: BLE001  # 8b: a reason that can't be found is no harm
            _log.error("a reason could not be found", object=str(one.ref), error=type(error).__name__, exc_info=error)
            return False
        before = self.reason(one.ref, one.uid, one.fields)
        self._reasons[one.ref.identity] = one.about, text
        return text != before


async def _explain(one: Followed, cluster: Cluster) -> str:
    live = await cluster.get(one.ref)
    namespace, spec = one.ref.namespace, _map(live.get("spec"))
    maker, wanted = one.uid, 0
    if (one.ref.group, one.ref.kind) == ("", "Pod"):
        pods = [live]
    elif namespace and _map(spec.get("template")):
        pods, maker, wanted = await _pods(live, namespace, cluster)
    else:
        return explain_events(await _events(namespace or "default", one.uid, cluster))
    text, pod = explain_pods(one.ref.kind, pods)
    if pod:
        text, _ = explain_pods(one.ref.kind, pods, await _events(namespace, pod, cluster))
    elif not text and len(pods) < wanted:
        text = explain_events(await _events(namespace, maker, cluster))
    return text


async def _pods(live: JsonObject, namespace: str, cluster: Cluster) -> tuple[list[JsonObject], str, int]:
    """The Pods of a workload, those of its newest template alone where it has several; who makes them, and how many there should be."""
    gvk, uid, labels = GVK.of(live), live["metadata"]["uid"], _labels(live)
    pods = (await cluster.list(_POD, namespace, labels)).items if labels else []
    maker, wanted = uid, _wanted(live)
    if gvk.kind == "Deployment":
        sets = [each for each in (await cluster.list(_REPLICA_SET, namespace, labels)).items if _owner(each) == uid]
        newest = max(sets, key=lambda each: (_same_template(each, live), _revision(each)), default=None)
        if newest is not None:
            maker, wanted = newest["metadata"]["uid"], _wanted(newest)
    mine = [pod for pod in pods if _owner(pod) == maker]
    return (mine if mine or gvk.group in _BUILT_IN else pods), maker, wanted


async def _events(namespace: str, uid: str, cluster: Cluster) -> list[JsonObject]:
    return (await cluster.list(_EVENT, namespace, fields={"involvedObject.uid": uid})).items


def _labels(live: JsonObject) -> dict[str, str]:
    """The labels that all Pods of a workload have. Those of a Job are its controller's."""
    if GVK.of(live).group == "batch":
        return {_CONTROLLER_UID: live["metadata"]["uid"]}
    spec = _map(live.get("spec"))
    labels = _map(_map(spec.get("selector")).get("matchLabels")) or _map(_map(_map(spec.get("template")).get("metadata")).get("labels"))
    return {key: value for key, value in labels.items() if isinstance(value, str)}


def _wanted(live: JsonObject) -> int:
    found = _map(live.get("status")).get("desiredNumberScheduled") if live.get("kind") == "DaemonSet" else _map(live.get("spec")).get("replicas", 1)
    return found if isinstance(found, int) else 1


def _owner(obj: JsonObject) -> str:
    owners = _map(obj.get("metadata")).get("ownerReferences")
    return next((str(one.get("uid")) for one in owners if isinstance(one, dict) and one.get("controller")), "") if isinstance(owners, list) else ""


def _same_template(replica_set: JsonObject, deployment: JsonObject) -> bool:
    """A ReplicaSet has its Deployment's template, and one label more."""
    one, other = (_map(_map(each.get("spec")).get("template")) for each in (replica_set, deployment))
    labels, wanted = (_map(_map(each.get("metadata")).get("labels")) for each in (one, other))
    return one.get("spec") == other.get("spec") and {key: value for key, value in labels.items() if key != _HASH or key in wanted} == wanted


def _revision(replica_set: JsonObject) -> int:
    number = _map(_map(replica_set.get("metadata")).get("annotations")).get("deployment.kubernetes.io/revision", "")
    return int(number) if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) < 10 else 0


def _map(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}

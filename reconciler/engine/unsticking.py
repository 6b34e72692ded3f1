"""Broken Pods that keep a StatefulSet from going on.

A StatefulSet that starts its Pods in order waits for a Pod that is not ready, also when the template that broke it was mended
since (Kubernetes documents this as "forced rollback" and leaves the Pod to people). A run that applied the mended template
deletes such a Pod: it is not ready, of another revision than the one to be, and beyond the partition.
"""

from __future__ import annotations

from reconciler.cluster.protocol import Cluster, ClusterError
from reconciler.engine.applications import Application
from reconciler.engine.context import Context
from reconciler.model.identity import GVK, JsonObject, ObjectRef
from reconciler.model.run import Phase, Run

_POD = GVK("", "v1", "Pod")
_HASH = "controller-revision-hash"
_AGAIN = 2.0


async def unstick(context: Context, app: Application, run: Run) -> None:
    """For the StatefulSets that an open run applied and that are not healthy. What can't be read now is looked at again."""
    if run.phase is not Phase.RUNNING:
        return
    refs = {ObjectRef.unpack(ref) for step in run.steps if step.phase is Phase.RUNNING for intent in step.intents.values() for ref in intent.refs}
    for ref in refs:
        seen = context.observations.get(ref)
        if ref.kind != "StatefulSet" or seen is None or seen.status == "Healthy":
            continue
        context.hint_after(app.key, _AGAIN)
        try:
            cluster = context.reach.of(app)
            live = await cluster.get(ref)
            for pod in await _stuck_pods(cluster, live):
                meta = pod["metadata"]
                await cluster.delete(ObjectRef.of(pod), uid=meta["uid"], version=meta["resourceVersion"])
        except ClusterError:
            continue


async def _stuck_pods(cluster: Cluster, live: JsonObject) -> list[JsonObject]:
    meta, spec, status = live["metadata"], live["spec"], live.get("status") or {}
    update = status.get("updateRevision")
    if not update or status.get("observedGeneration") != meta.get("generation") or spec.get("podManagementPolicy") == "Parallel":
        return []
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    partition = (((spec.get("updateStrategy") or {}).get("rollingUpdate")) or {}).get("partition") or 0
    pods = (await cluster.list(_POD, meta["namespace"], labels)).items if labels else []
    return [pod for pod in pods if _is_stuck(pod, meta["uid"], update, partition)]


def _is_stuck(pod: JsonObject, owner: str, update: str, partition: int) -> bool:
    meta = pod["metadata"]
    ordinal = meta["name"].rpartition("-")[2]
    ready = any(item.get("type") == "Ready" and item.get("status") == "True" for item in (pod.get("status") or {}).get("conditions") or [])
    mine = any(item.get("uid") == owner and item.get("controller") for item in meta.get("ownerReferences") or [])
    beyond = ordinal.isdigit() and int(ordinal) >= partition
    return mine and beyond and not ready and not meta.get("deletionTimestamp") and (meta.get("labels") or {}).get(_HASH) not in (None, update)

"""ReplicaSets: as many Pods of one template as asked for. DaemonSets, on the one simulated node, are the same with one Pod."""

from __future__ import annotations

from reconciler.cluster.embedded.controllers.scope import (
    BURST,
    MOST_PODS,
    Scope,
    is_deleting,
    is_over,
    is_ready,
    suffix,
    template_hash,
)
from reconciler.model.identity import JsonObject

_HASH = "controller-revision-hash"


def reconcile(scope: Scope, owner: JsonObject) -> float | None:
    if is_deleting(owner):
        return None
    spec = owner["spec"]
    every = scope.pods(owner)
    pods = [pod for pod in every if not is_deleting(pod) and not is_over(pod)]
    again = _scale(scope, owner, pods, min(spec["replicas"], MOST_PODS))
    ready = sum(map(is_ready, pods))
    available, wait = scope.available(pods, spec.get("minReadySeconds", 0))
    status = {
        "observedGeneration": owner["metadata"]["generation"],
        "replicas": len(pods),
        "fullyLabeledReplicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": available,
        "terminatingReplicas": sum(map(is_deleting, every)),
    }
    scope.set_status(owner, status)
    return 0.0 if again else wait


def _scale(scope: Scope, owner: JsonObject, pods: list[JsonObject], wanted: int) -> bool:
    """Makes or deletes Pods, a burst at most; whether more is to be done."""
    missing = wanted - len(pods)
    if missing < 0:
        for pod in sorted(pods, key=lambda one: (is_ready(one), _created(one)))[: min(-missing, BURST)]:
            scope.delete_pod(owner, pod)
        return -missing > BURST
    taken = {pod["metadata"]["name"] for pod in scope.pods(owner)}
    made, number = 0, len(taken)
    while made < min(missing, BURST):
        name = f"{owner['metadata']['name']}-{suffix(owner['metadata']['uid'], number)}"
        number += 1
        if name in taken:
            continue
        if not scope.create_pod(owner, owner["spec"]["template"], name):
            return False
        taken.add(name)
        made += 1
    return missing > BURST


def _created(pod: JsonObject) -> int:
    """Newest first."""
    return -int(pod["metadata"]["resourceVersion"])


def reconcile_daemon_set(scope: Scope, owner: JsonObject) -> float | None:
    if is_deleting(owner):
        return None
    wanted = template_hash(owner["spec"]["template"])
    pods = scope.pods(owner)
    if not pods:
        scope.create_pod(owner, owner["spec"]["template"], f"{owner['metadata']['name']}-{suffix(owner['metadata']['uid'], 0)}", {_HASH: wanted})
        pods = scope.pods(owner)
    living = [pod for pod in pods if not is_deleting(pod)]
    updated = [pod for pod in living if pod["metadata"]["labels"].get(_HASH) == wanted]
    if owner["spec"]["updateStrategy"]["type"] == "RollingUpdate":
        for pod in living:
            if pod not in updated:
                scope.delete_pod(owner, pod)
    available, wait = scope.available(living, owner["spec"].get("minReadySeconds", 0))
    status = {
        "observedGeneration": owner["metadata"]["generation"],
        "desiredNumberScheduled": 1,
        "currentNumberScheduled": len(living),
        "updatedNumberScheduled": len(updated),
        "numberReady": sum(map(is_ready, living)),
        "numberAvailable": available,
        "numberUnavailable": 1 - available,
    }
    scope.set_status(owner, status)
    return wait

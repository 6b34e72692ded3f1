"""Deployments: one ReplicaSet a template; the new one grows and the old ones shrink within maxSurge and maxUnavailable."""

from __future__ import annotations

import math
from typing import Any

from reconciler.cluster.embedded.controllers.scope import MANAGER, Scope, is_deleting, key_of, owner_reference, template_hash
from reconciler.model.identity import JsonObject

_HASH = "pod-template-hash"


def reconcile(scope: Scope, owner: JsonObject) -> float | None:
    if is_deleting(owner):
        return None
    sets = [one for one in scope.objects.owned(owner["metadata"]["uid"], "apps", "ReplicaSet") if not is_deleting(one)]
    name = f"{owner['metadata']['name']}-{template_hash(owner['spec']['template'])}"
    new = next((one for one in sets if one["metadata"]["name"] == name), None)
    old = [one for one in sets if one is not new]
    if not owner["spec"].get("paused"):
        if new is None:
            new = _create(scope, owner, name)
        new = _roll(scope, owner, new, old)
        _clean(scope, owner, old)
    return _report(scope, owner, new, old)


def _create(scope: Scope, owner: JsonObject, name: str) -> JsonObject:
    spec, mark = owner["spec"], {_HASH: name.rpartition("-")[2]}
    template = {**spec["template"], "metadata": {**spec["template"].get("metadata", {})}}
    template["metadata"]["labels"] = {**template["metadata"].get("labels", {}), **mark}
    selector = {**spec["selector"], "matchLabels": {**spec["selector"].get("matchLabels", {}), **mark}}
    return scope.objects.create(
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": owner["metadata"]["namespace"],
                "labels": template["metadata"]["labels"],
                "ownerReferences": [owner_reference(owner)],
            },
            "spec": {"replicas": 0, "selector": selector, "template": template, "minReadySeconds": spec.get("minReadySeconds", 0)},
        },
        MANAGER,
    )


def _roll(scope: Scope, owner: JsonObject, new: JsonObject, old: list[JsonObject]) -> JsonObject:
    replicas = owner["spec"]["replicas"]
    surge, unavailable = limits(owner)
    if owner["spec"]["strategy"]["type"] == "Recreate":
        for one in old:
            _scale(scope, owner, one, 0)
        busy = any(_count(one, "replicas") or _count(one, "terminatingReplicas") for one in old)
        return new if busy else _scale(scope, owner, new, replicas)
    total = sum(one["spec"]["replicas"] for one in [new, *old])
    room = max(0, replicas + surge - total)
    target = replicas if not old or new["spec"]["replicas"] > replicas else min(replicas, new["spec"]["replicas"] + room)
    new = _scale(scope, owner, new, target)
    total = sum(one["spec"]["replicas"] for one in [new, *old])
    least = replicas - unavailable
    spare = total - least - (new["spec"]["replicas"] - _count(new, "availableReplicas"))
    for one in old:  # Pods that are not available serve nobody, so they go first
        gone = min(max(0, spare), one["spec"]["replicas"] - _count(one, "availableReplicas"))
        one.update(_scale(scope, owner, one, one["spec"]["replicas"] - max(0, gone)))
        spare -= max(0, gone)
    spare = min(spare, sum(_count(one, "availableReplicas") for one in [new, *old]) - least)
    for one in old:
        gone = min(max(0, spare), one["spec"]["replicas"])
        _scale(scope, owner, one, one["spec"]["replicas"] - gone)
        spare -= gone
    return new


def limits(owner: JsonObject) -> tuple[int, int]:
    """MaxSurge (rounded up) and maxUnavailable (rounded down) in Pods; both 0 would never move, so then one may be unavailable."""
    replicas, rolling = owner["spec"]["replicas"], owner["spec"]["strategy"].get("rollingUpdate", {})
    surge = _share(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    return surge, unavailable if surge or unavailable else 1


def _share(value: Any, replicas: int, rounded: Any) -> int:
    text = str(value)
    number = text.removesuffix("%")
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        return 0
    return int(rounded(int(number) * replicas / 100)) if text.endswith("%") else int(number)


def _scale(scope: Scope, owner: JsonObject, one: JsonObject, replicas: int) -> JsonObject:
    before = one["spec"]["replicas"]
    if before == replicas:
        return one
    way = "up" if replicas > before else "down"
    scope.events.emit(owner, "ScalingReplicaSet", f"Scaled {way} replica set {one['metadata']['name']} from {before} to {replicas}")
    return scope.objects.replace({**one, "spec": {**one["spec"], "replicas": replicas}}, MANAGER)


def _clean(scope: Scope, owner: JsonObject, old: list[JsonObject]) -> None:
    empty = [one for one in old if not one["spec"]["replicas"] and not _count(one, "replicas")]
    kept = owner["spec"].get("revisionHistoryLimit", 10)
    empty.sort(key=lambda one: int(one["metadata"]["resourceVersion"]), reverse=True)
    for one in empty[kept:]:
        scope.objects.discard(key_of(one))


def _report(scope: Scope, owner: JsonObject, new: JsonObject | None, old: list[JsonObject]) -> float | None:
    sets = [*([new] if new else []), *old]
    replicas = owner["spec"]["replicas"]
    total, ready, available = (sum(_count(one, name) for one in sets) for name in ("replicas", "readyReplicas", "availableReplicas"))
    updated = _count(new, "replicas") if new else 0
    complete = updated == total == available == replicas
    progressing, wait = _progress(scope, owner, complete, (owner["metadata"]["generation"], updated, ready, available))
    enough = available >= replicas - limits(owner)[1]
    words = ("MinimumReplicasAvailable", "has") if enough else ("MinimumReplicasUnavailable", "does not have")
    conditions = [scope.condition(owner, "Available", enough, words[0], f"Deployment {words[1]} minimum availability."), progressing]
    status = {
        "observedGeneration": owner["metadata"]["generation"],
        "replicas": total,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(total, replicas) - available),
        "conditions": conditions,
    }
    scope.set_status(owner, status)
    return wait


def _progress(scope: Scope, owner: JsonObject, complete: bool, stage: Any) -> tuple[JsonObject, float | None]:
    uid = owner["metadata"]["uid"]
    if complete:
        scope.forget(uid)
        return scope.condition(owner, "Progressing", True, "NewReplicaSetAvailable", "The new replica set has successfully progressed."), None
    if owner["spec"].get("paused"):
        return scope.condition(owner, "Progressing", True, "DeploymentPaused", "Deployment is paused"), None
    left = scope.remaining(uid, stage, owner["spec"].get("progressDeadlineSeconds", 600))
    if left:
        return scope.condition(owner, "Progressing", True, "ReplicaSetUpdated", "The replica set is progressing."), left
    return scope.condition(owner, "Progressing", False, "ProgressDeadlineExceeded", "The replica set has timed out progressing."), None


def _count(one: JsonObject, name: str) -> int:
    return int(one.get("status", {}).get(name, 0))

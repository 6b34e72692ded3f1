"""
StatefulSets: Pods `-0` to `-n`, in order unless Parallel, updated from the highest ordinal down to the partition, one at a time.

As in Kubernetes, an OrderedReady set makes no progress while one of its Pods is not ready: a Pod of a broken template has
to be deleted before the set moves on to a repaired one (documented there as "forced rollback").
"""

from __future__ import annotations

from reconciler.cluster.embedded.controllers.scope import (
    MANAGER,
    MOST_PODS,
    Scope,
    is_deleting,
    is_over,
    is_ready,
    key_of,
    owner_reference,
    template_hash,
)
from reconciler.cluster.embedded.storage import Key
from reconciler.model.identity import JsonObject

_HASH = "controller-revision-hash"


def reconcile(scope: Scope, owner: JsonObject) -> float | None:
    if is_deleting(owner):
        return None
    update = _revision(scope, owner)
    current = owner.get("status", {}).get("currentRevision") or update
    templates = {revision["metadata"]["name"]: revision["data"]["spec"]["template"] for revision in _revisions(scope, owner)}
    pods = _by_ordinal(scope, owner)
    if _scale(scope, owner, pods, templates, current, update):
        _roll(scope, owner, pods, update)
    return _report(scope, owner, current, update)


def _revision(scope: Scope, owner: JsonObject) -> str:
    """The name of the revision that holds the template as it is now; made where there is none."""
    template = owner["spec"]["template"]
    name = f"{owner['metadata']['name']}-{template_hash(template)}"
    known = _revisions(scope, owner)
    if all(one["metadata"]["name"] != name for one in known):
        revision = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": name,
                "namespace": owner["metadata"]["namespace"],
                "labels": template.get("metadata", {}).get("labels", {}),
                "ownerReferences": [owner_reference(owner)],
            },
            "data": {"spec": {"template": template}},
            "revision": max((one["revision"] for one in known), default=0) + 1,
        }
        scope.objects.create(revision, MANAGER)
        _clean(scope, owner, known)
    return name


def _revisions(scope: Scope, owner: JsonObject) -> list[JsonObject]:
    return scope.objects.owned(owner["metadata"]["uid"], "apps", "ControllerRevision")


def _clean(scope: Scope, owner: JsonObject, known: list[JsonObject]) -> None:
    used = {pod["metadata"].get("labels", {}).get(_HASH) for pod in scope.pods(owner)} | {owner.get("status", {}).get("currentRevision")}
    unused = sorted((one for one in known if one["metadata"]["name"] not in used), key=lambda one: -int(one["revision"]))
    for one in unused[owner["spec"].get("revisionHistoryLimit", 10) :]:
        scope.objects.discard(key_of(one))


def _by_ordinal(scope: Scope, owner: JsonObject) -> dict[int, JsonObject]:
    prefix = f"{owner['metadata']['name']}-"
    found = {}
    for pod in scope.pods(owner):
        ordinal = pod["metadata"]["name"].removeprefix(prefix)
        if ordinal.isascii() and ordinal.isdigit():
            found[int(ordinal)] = pod
    return found


def _start(owner: JsonObject) -> int:
    ordinals = owner["spec"].get("ordinals")
    start = ordinals.get("start", 0) if isinstance(ordinals, dict) else 0
    return start if isinstance(start, int) else 0


def _ordinals(owner: JsonObject) -> range:
    start = _start(owner)
    return range(start, start + min(owner["spec"]["replicas"], MOST_PODS))


def _partition(owner: JsonObject) -> int:
    return int(owner["spec"]["updateStrategy"].get("rollingUpdate", {}).get("partition", 0))


def _scale(scope: Scope, owner: JsonObject, pods: dict[int, JsonObject], templates: dict[str, JsonObject], current: str, update: str) -> bool:
    """Makes what is missing and deletes what is too much; true when the Pods are all there and updates may go on."""
    ordered = owner["spec"]["podManagementPolicy"] == "OrderedReady"
    settled = True
    for ordinal in _ordinals(owner):
        pod = pods.get(ordinal)
        if pod is None:
            name = current if ordinal < _partition(owner) and current in templates else update
            if not _create(scope, owner, ordinal, name, templates[name]):
                return False
        elif is_over(pod) and not is_deleting(pod):
            scope.delete_pod(owner, pod)
        elif is_ready(pod):
            continue
        settled = False
        if ordered:
            return False
    extra = sorted((ordinal for ordinal in pods if ordinal not in _ordinals(owner)), reverse=True)
    for ordinal in extra:
        if not is_deleting(pods[ordinal]):
            scope.delete_pod(owner, pods[ordinal])
        if ordered:
            return False
    return settled or not ordered


def _create(scope: Scope, owner: JsonObject, ordinal: int, revision: str, template: JsonObject) -> bool:
    name = f"{owner['metadata']['name']}-{ordinal}"
    for claim in owner["spec"].get("volumeClaimTemplates", []):
        _claim(scope, owner, claim, f"{claim['metadata']['name']}-{name}")
    marks = {_HASH: revision, "statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": str(ordinal)}
    return scope.create_pod(owner, template, name, marks)


def _claim(scope: Scope, owner: JsonObject, claim: JsonObject, name: str) -> None:
    namespace = owner["metadata"]["namespace"]
    if scope.objects.find(Key("", "PersistentVolumeClaim", namespace, name)) is None:
        metadata = {"name": name, "namespace": namespace, "labels": owner["spec"]["selector"].get("matchLabels", {})}
        scope.objects.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim.get("spec", {})}, MANAGER)


def _roll(scope: Scope, owner: JsonObject, pods: dict[int, JsonObject], update: str) -> None:
    if owner["spec"]["updateStrategy"]["type"] != "RollingUpdate":
        return
    for ordinal in reversed(_ordinals(owner)):
        pod = pods.get(ordinal)
        if ordinal < _partition(owner) or pod is None:
            return
        if pod["metadata"].get("labels", {}).get(_HASH) != update and not is_deleting(pod):
            scope.delete_pod(owner, pod)
            return
        if not is_ready(pod):
            return


def _report(scope: Scope, owner: JsonObject, current: str, update: str) -> float | None:
    replicas = owner["spec"]["replicas"]
    pods = list(_by_ordinal(scope, owner).values())
    living = [pod for pod in pods if not is_deleting(pod)]
    ready = sum(map(is_ready, living))
    available, wait = scope.available(living, owner["spec"].get("minReadySeconds", 0))
    of_update, of_current = (sum(pod["metadata"].get("labels", {}).get(_HASH) == name for pod in living) for name in (update, current))
    if of_update == ready == len(pods) == replicas and owner["spec"]["updateStrategy"]["type"] == "RollingUpdate":
        current, of_current = update, of_update
    status = {
        "observedGeneration": owner["metadata"]["generation"],
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": available,
        "currentReplicas": of_current,
        "updatedReplicas": of_update,
        "currentRevision": current,
        "updateRevision": update,
    }
    scope.set_status(owner, status)
    return wait

"""
Pods, as a kubelet would report them. No container runs; what happens is decided by the image names of the Pod's containers:

- `never-ready` anywhere in one: the image is never pulled. The Pod stays Pending, reason ImagePullBackOff.
- `crash-loop` anywhere in one: the container starts and ends. The Pod runs and is never ready, reason CrashLoopBackOff.
- `out-of-memory` anywhere in one: the same, and each time it was killed because it needed too much memory.
- `never-answers` anywhere in one: the container runs, and its readiness probe fails for ever.
- `never-fits` anywhere in one: no node has room for the Pod.
- `fail` anywhere in one, for a Pod of a Job, or one of nobody that is never restarted: it ends Failed. Others of these end Succeeded.
- All others: Running after half a second, ready after another half. A deleted Pod is gone after a fifth of a second.
"""

from __future__ import annotations

from collections.abc import Callable

from reconciler.cluster.embedded.controllers.scope import Scope, is_deleting, is_over, is_ready, key_of
from reconciler.cluster.embedded.objects import controller_of
from reconciler.model.identity import JsonObject

_States = Callable[[JsonObject], tuple[JsonObject, JsonObject]]

MANAGER = "kubelet"
START_SECONDS = 0.5
READY_SECONDS = 0.5
STOP_SECONDS = 0.2


def reconcile(scope: Scope, pod: JsonObject) -> float | None:
    uid = pod["metadata"]["uid"]
    if is_deleting(pod):
        return _stop(scope, pod)
    images = [container["image"] for name in ("initContainers", "containers") for container in pod["spec"].get(name, [])]
    if is_over(pod) or is_ready(pod):
        scope.forget(uid)
        return None
    if any("never-fits" in image for image in images):
        _hold_back(scope, pod)
        return None
    if any("never-ready" in image for image in images):
        _wait(scope, pod, "Pending", "ImagePullBackOff")
        return None
    if pod["status"].get("phase") == "Pending":
        left = scope.remaining(uid, "start", START_SECONDS)
        if left:
            return left
        pod = _set(scope, pod, "Running", _running(pod))
        scope.events.emit(pod, "Started", f"Started {len(pod['spec']['containers'])} container(s)")
    if any("crash-loop" in image or "out-of-memory" in image for image in images):
        _wait(scope, pod, "Running", "CrashLoopBackOff")
        return None
    if any("never-answers" in image for image in images):
        _refuse(scope, pod)
        return None
    left = scope.remaining(uid, "ready", READY_SECONDS)
    if left:
        return left
    scope.forget(uid)
    if not _ends(pod):
        _set(scope, pod, "Running", _running(pod), ready=True)
    elif any("fail" in image for image in images):
        _set(scope, pod, "Failed", lambda _: (_end(scope, 1, "Error"), {}))
        scope.events.emit(pod, "Failed", "A container ended with exit code 1", warning=True)
    else:
        _set(scope, pod, "Succeeded", lambda _: (_end(scope, 0, "Completed"), {}))
    return None


def _ends(pod: JsonObject) -> bool:
    owner = controller_of(pod).get("kind")
    return owner == "Job" or (owner is None and pod["spec"].get("restartPolicy") == "Never")


def _stop(scope: Scope, pod: JsonObject) -> float | None:
    if pod["metadata"].get("finalizers"):
        return None
    left = scope.remaining(pod["metadata"]["uid"], "stop", STOP_SECONDS)
    if left:
        return left
    scope.objects.remove(key_of(pod), pod)
    return None


def _running(pod: JsonObject) -> _States:
    return lambda _: ({"running": {"startedAt": pod["status"].get("startTime", "")}}, {})


def _end(scope: Scope, code: int, reason: str) -> JsonObject:
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": scope.objects.timestamp()}}


def _wait(scope: Scope, pod: JsonObject, phase: str, why: str) -> None:
    """Its containers wait for ever, as the kubelet says it: what is broken is in their images' names."""
    if any(one["state"].get("waiting", {}).get("reason") == why for one in pod["status"].get("containerStatuses", [])):
        return
    crashes = why == "CrashLoopBackOff"

    def state(one: JsonObject) -> tuple[JsonObject, JsonObject]:
        killed = "out-of-memory" in one["image"]
        message = "back-off restarting failed container" if crashes else f'Back-off pulling image "{one["image"]}": ErrImagePull: not found'
        return {"waiting": {"reason": why, "message": message}}, _end(scope, *((137, "OOMKilled") if killed else (1, "Error"))) if crashes else {}

    pod = _set(scope, pod, phase, state, restarts=int(crashes))
    first = pod["spec"]["containers"][0]
    message = f"Back-off restarting failed container {first['name']}" if crashes else f'Failed to pull image "{first["image"]}": not found'
    scope.events.emit(pod, "BackOff" if crashes else "Failed", message, warning=True)


def _refuse(scope: Scope, pod: JsonObject) -> None:
    """Says so once: what a real kubelet repeats tells nothing new."""
    if scope.once(f"{pod['metadata']['uid']}/probe"):
        scope.events.emit(pod, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", warning=True)


def _hold_back(scope: Scope, pod: JsonObject) -> None:
    message = "0/1 nodes are available: 1 Insufficient cpu."
    held = scope.condition(pod, "PodScheduled", False, "Unschedulable", message)
    if pod["status"].get("conditions") != [held]:
        scope.set_status(pod, {"phase": "Pending", "conditions": [held]}, MANAGER)
        scope.events.emit(pod, "FailedScheduling", message, warning=True)


def _set(scope: Scope, pod: JsonObject, phase: str, state: _States, *, ready: bool = False, restarts: int = 0) -> JsonObject:
    """`state`: of a container, what it does and what it did before."""
    old = pod["status"]
    statuses = []
    for one in pod["spec"]["containers"]:
        now, last = state(one)
        known = {"name": one["name"], "image": one["image"], "ready": ready, "started": phase == "Running", "restartCount": restarts}
        statuses.append({**known, "state": now, **({"lastState": last} if last else {})})
    reason = "" if ready else "PodCompleted" if phase == "Succeeded" else "ContainersNotReady"
    conditions = [
        scope.condition(pod, "PodScheduled", True, "", ""),
        scope.condition(pod, "Initialized", True, "", ""),
        scope.condition(pod, "ContainersReady", ready, reason, ""),
        scope.condition(pod, "Ready", ready, reason, ""),
    ]
    status = {"phase": phase, "startTime": old.get("startTime", scope.objects.timestamp()), "conditions": conditions, "containerStatuses": statuses}
    return scope.set_status(pod, status, MANAGER)

"""
Pods, as a kubelet would report them. No container runs; what happens is decided by the image names of the Pod's containers:

- `never-ready` anywhere in one: the image is never pulled. The Pod stays Pending, reason ImagePullBackOff.
- `crash-loop` anywhere in one: the container starts and ends. The Pod runs and is never ready, reason CrashLoopBackOff.
- `fail` anywhere in one, for a Pod of a Job: it ends Failed. Other Pods of Jobs end Succeeded.
- All others: Running after half a second, ready after another half. A deleted Pod is gone after a fifth of a second.
"""

from __future__ import annotations

from reconciler.cluster.embedded.controllers.scope import Scope, is_deleting, is_over, is_ready, key_of
from reconciler.cluster.embedded.objects import controller_of
from reconciler.model.identity import JsonObject

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
    if any("never-ready" in image for image in images):
        _set(scope, pod, "Pending", waiting="ImagePullBackOff")
        return None
    if pod["status"].get("phase") == "Pending":
        left = scope.remaining(uid, "start", START_SECONDS)
        if left:
            return left
        pod = _set(scope, pod, "Running")
        scope.events.emit(pod, "Started", f"Started {len(pod['spec']['containers'])} container(s)")
    if any("crash-loop" in image for image in images):
        _set(scope, pod, "Running", waiting="CrashLoopBackOff")
        return None
    left = scope.remaining(uid, "ready", READY_SECONDS)
    if left:
        return left
    scope.forget(uid)
    if controller_of(pod).get("kind") != "Job":
        _set(scope, pod, "Running", ready=True)
    elif any("fail" in image for image in images):
        _set(scope, pod, "Failed")
        scope.events.emit(pod, "Failed", "A container ended with exit code 1", warning=True)
    else:
        _set(scope, pod, "Succeeded")
    return None


def _stop(scope: Scope, pod: JsonObject) -> float | None:
    if pod["metadata"].get("finalizers"):
        return None
    left = scope.remaining(pod["metadata"]["uid"], "stop", STOP_SECONDS)
    if left:
        return left
    scope.objects.remove(key_of(pod), pod)
    return None


def _set(scope: Scope, pod: JsonObject, phase: str, *, waiting: str = "", ready: bool = False) -> JsonObject:
    reasons = {"ImagePullBackOff": "Back-off pulling image", "CrashLoopBackOff": "back-off restarting failed container"}
    now = scope.objects.timestamp()
    old = pod["status"]
    if waiting and old.get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {}).get("reason") == waiting:
        return pod
    if waiting:
        state: JsonObject = {"waiting": {"reason": waiting, "message": reasons[waiting]}}
        scope.events.emit(pod, "Failed" if waiting == "ImagePullBackOff" else "BackOff", reasons[waiting], warning=True)
    elif phase in ("Succeeded", "Failed"):
        state = {"terminated": {"exitCode": int(phase == "Failed"), "reason": "Completed" if phase == "Succeeded" else "Error", "finishedAt": now}}
    else:
        state = {"running": {"startedAt": old.get("startTime", now)}}
    statuses = [
        {
            "name": one["name"],
            "image": one["image"],
            "ready": ready,
            "started": phase == "Running",
            "restartCount": int(waiting == "CrashLoopBackOff"),
            "state": state,
        }
        for one in pod["spec"]["containers"]
    ]
    reason = "" if ready else "PodCompleted" if phase == "Succeeded" else "ContainersNotReady"
    conditions = [
        scope.condition(pod, "PodScheduled", True, "", ""),
        scope.condition(pod, "Initialized", True, "", ""),
        scope.condition(pod, "ContainersReady", ready, reason, ""),
        scope.condition(pod, "Ready", ready, reason, ""),
    ]
    status = {"phase": phase, "startTime": old.get("startTime", now), "conditions": conditions, "containerStatuses": statuses}
    return scope.set_status(pod, status, MANAGER)

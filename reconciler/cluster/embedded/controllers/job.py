"""Jobs: Pods until enough have succeeded, or more than backoffLimit have failed. And claims, which are bound at once."""

from __future__ import annotations

from reconciler.cluster.embedded.controllers.scope import BURST, MOST_PODS, Scope, is_deleting, key_of, suffix
from reconciler.model.identity import JsonObject

_FIRST_BACKOFF_SECONDS = 10.0
_LONGEST_BACKOFF_SECONDS = 360.0


def reconcile(scope: Scope, job: JsonObject) -> float | None:
    spec, status, uid = job["spec"], job.get("status", {}), job["metadata"]["uid"]
    if is_deleting(job):
        return None
    pods = scope.pods(job)
    succeeded, failed = (sum(pod["status"].get("phase") == phase for pod in pods) for phase in ("Succeeded", "Failed"))
    active = [pod for pod in pods if not is_deleting(pod) and pod["status"].get("phase") in ("Pending", "Running")]
    if any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in status.get("conditions", [])):
        return _expire(scope, job)
    wanted = spec.get("completions") or 1
    overdue = scope.remaining(f"{uid}/deadline", None, spec["activeDeadlineSeconds"]) if "activeDeadlineSeconds" in spec else None
    outcome = _outcome(spec, succeeded >= wanted, failed, overdue)
    wait = overdue
    if outcome or spec.get("suspend"):
        for pod in active:
            scope.delete_pod(job, pod)
        active = []
    else:
        wait = _start(scope, job, min(spec["parallelism"], wanted - succeeded) - len(active), len(pods), failed) or overdue
        active = [pod for pod in scope.pods(job) if not is_deleting(pod) and pod["status"].get("phase") in ("Pending", "Running")]
    _report(scope, job, active, succeeded, failed, outcome)
    return wait


def _outcome(spec: JsonObject, done: bool, failed: int, overdue: float | None) -> tuple[str, str, str] | None:
    """(condition, reason, message) of a Job that is over."""
    if done:
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    if failed > spec.get("backoffLimit", 6):
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    if overdue == 0.0:
        return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _start(scope: Scope, job: JsonObject, missing: int, number: int, failed: int) -> float | None:
    """Makes Pods, after a back-off that doubles with each failure; how long to wait for it."""
    if missing <= 0:
        return None
    uid = job["metadata"]["uid"]
    if failed:
        pause = min(_FIRST_BACKOFF_SECONDS * 2 ** min(failed - 1, 10), _LONGEST_BACKOFF_SECONDS)
        left = scope.remaining(uid, failed, pause)
        if left:
            return left
    labels = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": job["metadata"]["name"][:63]}
    for offset in range(min(missing, BURST, MOST_PODS)):
        name = f"{job['metadata']['name'][:57]}-{suffix(uid, number + offset)}"
        if not scope.create_pod(job, job["spec"]["template"], name, labels):
            return None
    return None


def _report(scope: Scope, job: JsonObject, active: list[JsonObject], succeeded: int, failed: int, outcome: tuple[str, str, str] | None) -> None:
    old, now = job.get("status", {}), scope.objects.timestamp()
    status: JsonObject = {
        "startTime": old.get("startTime", now),
        "active": len(active),
        "ready": sum(pod["status"].get("phase") == "Running" for pod in active),
        "succeeded": succeeded,
        "failed": failed,
    }
    if job["spec"].get("suspend") and not outcome:
        status["conditions"] = [scope.condition(job, "Suspended", True, "JobSuspended", "Job suspended")]
    if outcome:
        kind, reason, message = outcome
        status["conditions"] = [scope.condition(job, kind, True, reason, message)]
        if kind == "Complete":
            status["completionTime"] = now
        scope.events.emit(job, "Completed" if kind == "Complete" else reason, message, warning=kind == "Failed")
    scope.set_status(job, status)


def _expire(scope: Scope, job: JsonObject) -> float | None:
    seconds = job["spec"].get("ttlSecondsAfterFinished")
    if seconds is None:
        return None
    left = scope.remaining(f"{job['metadata']['uid']}/ttl", None, seconds)
    if left:
        return left
    scope.objects.discard(key_of(job))
    return None


def reconcile_claim(scope: Scope, claim: JsonObject) -> float | None:
    if claim["status"].get("phase") != "Bound":
        scope.set_status(claim, {"phase": "Bound", "accessModes": claim["spec"].get("accessModes", [])})
    return None

"""How an object is, by the rules of kstatus (sigs.k8s.io/cli-utils). Pure, and total: any JSON object has an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

from reconciler.cluster.reasons import clean
from reconciler.model.health_rule import HealthRule
from reconciler.model.hooks import is_hook_pod
from reconciler.model.identity import GVK, JsonObject

Status = Literal["Healthy", "Progressing", "Degraded", "Unknown"]
Answer = tuple[Status, str]

Rules = Mapping[tuple[str, str], HealthRule]

NO_RULES: Rules = MappingProxyType({})
STATUSES: tuple[str, ...] = get_args(Status)
# Container states that do not heal by waiting a little.
_BAD_WAITS = frozenset(
    {"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}
)
_LEFT_BEHIND = ("NamespaceDeletionDiscoveryFailure", "NamespaceDeletionContentFailure", "NamespaceContentRemaining", "NamespaceFinalizersRemaining")


def assess(obj: JsonObject, rules: Rules = NO_RULES) -> Answer:
    """
    (status, message). Healthy: what was asked for is there. Progressing: it may still come. Degraded: it failed, or does not
    come by waiting. Unknown: nobody has looked at it yet. `rules`: the repository's own; one of them stands before what is known of its kind.

    As kstatus has it, an object of a kind without a rule that has no status is healthy: nobody says whether one will ever come.
    """
    early = unsettled(obj)
    if early is not None:
        return early
    spec, status = _map(obj.get("spec")), _map(obj.get("status"))
    gvk = GVK.of(obj)
    own = rules.get((gvk.group, gvk.kind))
    if own is not None:
        judged, said = own.judge(obj)
        return judged, clean(said or _generic(status)[1] or (f"not healthy by {own.place}" if judged != "Healthy" else ""))
    rule = _RULES.get((gvk.group, gvk.kind))
    if rule is None:
        return _generic(status)
    kind, message = rule(spec, status)
    if kind == "Healthy" and status.get("phase") == "Running" and is_hook_pod(obj):
        return "Progressing", "Pod runs and has not completed"
    return kind, clean(message)


def unsettled(obj: JsonObject) -> Answer | None:
    """What stands before every rule: it goes, or nobody has looked at what was asked for last. None where neither is so."""
    metadata, status = _map(obj.get("metadata")), _map(obj.get("status"))
    if metadata.get("deletionTimestamp"):
        return "Progressing", _terminating(metadata, status)
    observed, generation = status.get("observedGeneration"), metadata.get("generation")
    if isinstance(observed, int) and isinstance(generation, int) and observed < generation:
        return "Progressing", f"Generation is {generation}, but the latest observed is {observed}"
    return None


def has_failed(obj: JsonObject) -> bool:
    """Whether it failed for good: a Job that does not try again by itself, or a Pod that is a hook and has ended so."""
    gvk, status = GVK.of(obj), _map(obj.get("status"))
    if (gvk.group, gvk.kind) == ("batch", "Job"):
        return _is(_conditions(status).get("Failed"), "True")
    return is_hook_pod(obj) and status.get("phase") == "Failed"


def _terminating(metadata: JsonObject, status: JsonObject) -> str:
    """What a deletion waits for, where that is told: of a namespace what is left in it, of others their finalizers."""
    conditions, finalizers = _conditions(status), metadata.get("finalizers")
    left = [conditions[name] for name in _LEFT_BEHIND if _is(conditions.get(name), "True")]
    if left:
        return clean(f"Terminating: {', '.join(_words(one, 'something is left in it') for one in left)}")
    if isinstance(finalizers, list) and finalizers:
        return clean(f"Terminating: waits for {', '.join(str(one) for one in finalizers[:4])} (finalizers)")
    return "Terminating"


def _map(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _count(values: JsonObject, name: str, default: int = 0) -> int:
    value = values.get(name, default)
    return value if _is_count(value) else default


def _conditions(status: JsonObject) -> Mapping[str, JsonObject]:
    found = status.get("conditions")
    return {str(one.get("type")): one for one in found if isinstance(one, dict)} if isinstance(found, list) else {}


def _is(condition: JsonObject | None, wanted: str) -> bool:
    return condition is not None and condition.get("status") == wanted


def _words(condition: JsonObject, otherwise: str) -> str:
    return clean(str(condition.get("message") or condition.get("reason") or otherwise))


def _generic(status: JsonObject) -> Answer:
    """Conditions that mean the same everywhere: Stalled and Failed, Reconciling, then Ready and Available."""
    conditions = _conditions(status)
    for name in ("Stalled", "Failed"):
        if _is(conditions.get(name), "True"):
            return "Degraded", _words(conditions[name], name)
    if _is(conditions.get("Reconciling"), "True"):
        return "Progressing", _words(conditions["Reconciling"], "Reconciling")
    for name in ("Ready", "Available"):
        condition = conditions.get(name)
        if condition is not None and condition.get("status") != "True":
            return "Progressing", _words(condition, f"{name} is {condition.get('status')}")
    return "Healthy", ""


def _deployment(spec: JsonObject, status: JsonObject) -> Answer:
    wanted, conditions = _count(spec, "replicas", 1), _conditions(status)
    progressing = conditions.get("Progressing", {})
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return "Degraded", _words(progressing, "Progress deadline exceeded")
    if _is(conditions.get("ReplicaFailure"), "True"):
        return "Degraded", _words(conditions["ReplicaFailure"], "Replica failure")
    if not status:
        return "Progressing", "Not yet observed"
    replicas, updated, ready, available = (_count(status, name) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"))
    if updated < wanted:
        return "Progressing", f"{updated} of {wanted} updated"
    if replicas > min(updated, wanted):
        return "Progressing", f"{replicas - min(updated, wanted)} old to be ended"
    if available < updated:
        return "Progressing", f"{available} of {updated} available"
    if ready < wanted:
        return "Progressing", f"{ready} of {wanted} ready"
    if "Available" in conditions and not _is(conditions["Available"], "True"):
        return "Progressing", _words(conditions["Available"], "Not available")
    return "Healthy", f"{available} of {wanted} available"


def _stateful_set(spec: JsonObject, status: JsonObject) -> Answer:
    wanted, strategy = _count(spec, "replicas", 1), _map(spec.get("updateStrategy"))
    replicas, updated, ready = (_count(status, name) for name in ("replicas", "updatedReplicas", "readyReplicas"))
    if not status:
        return "Progressing", "Not yet observed"
    if replicas < wanted:
        return "Progressing", f"{replicas} of {wanted} created"
    if ready < wanted:
        return "Progressing", f"{ready} of {wanted} ready"
    if replicas > wanted:
        return "Progressing", f"{replicas - wanted} to be ended"
    if strategy.get("type") == "OnDelete":
        return "Healthy", f"{ready} of {wanted} ready, updated when deleted"
    partition = _count(_map(strategy.get("rollingUpdate")), "partition")
    due = max(0, wanted - partition)
    if updated < due:
        return "Progressing", f"{updated} of {due} updated" + (f" (partition {partition})" if partition else "")
    if not partition and status.get("currentRevision") != status.get("updateRevision"):
        return "Progressing", "Waiting for the update to complete"
    return "Healthy", f"{ready} of {wanted} ready" + (f", updated to partition {partition}" if partition else "")


def _daemon_set(spec: JsonObject, status: JsonObject) -> Answer:
    if "observedGeneration" not in status and not status.get("desiredNumberScheduled"):
        return "Progressing", "Not yet observed"  # a new one is stored with a status of zeros
    wanted = _count(status, "desiredNumberScheduled", -1)
    if wanted < 0:
        return "Progressing", "Missing desiredNumberScheduled"
    names = {"currentNumberScheduled": "created", "updatedNumberScheduled": "updated", "numberAvailable": "available", "numberReady": "ready"}
    if _map(spec.get("updateStrategy")).get("type") == "OnDelete":
        del names["updatedNumberScheduled"]
    for name, word in names.items():
        if _count(status, name) < wanted:
            return "Progressing", f"{_count(status, name)} of {wanted} {word}"
    return "Healthy", f"{wanted} of {wanted} ready"


def _replica_set(spec: JsonObject, status: JsonObject) -> Answer:
    wanted, failure = _count(spec, "replicas", 1), _conditions(status).get("ReplicaFailure")
    if failure is not None and _is(failure, "True"):
        return "Degraded", _words(failure, "Replica failure")
    for name, word in (("replicas", "created"), ("readyReplicas", "ready"), ("availableReplicas", "available")):
        if _count(status, name) < wanted:
            return "Progressing", f"{_count(status, name)} of {wanted} {word}"
    if _count(status, "replicas") > wanted:
        return "Progressing", f"{_count(status, 'replicas') - wanted} to be ended"
    return "Healthy", f"{wanted} of {wanted} available"


def _job(spec: JsonObject, status: JsonObject) -> Answer:
    """Stricter than kstatus, which calls a started Job current: healthy is a Job that completed, or that is suspended."""
    conditions = _conditions(status)
    if _is(conditions.get("Failed"), "True"):
        return "Degraded", _words(conditions["Failed"], "Job failed")
    if _is(conditions.get("Complete"), "True"):
        return "Healthy", f"{_count(status, 'succeeded')} succeeded"
    if _is(conditions.get("Suspended"), "True"):
        return "Healthy", "Job suspended"
    if "startTime" not in status:
        return "Progressing", "Job not started"
    return "Progressing", f"{_count(status, 'succeeded')} of {_count(spec, 'completions', 1)} succeeded"


def _pod(_spec: JsonObject, status: JsonObject) -> Answer:
    phase, conditions = status.get("phase"), _conditions(status)
    if phase == "Succeeded":
        return "Healthy", "Pod has completed"
    if phase == "Failed":
        return "Degraded", f"Pod failed: {status.get('reason') or status.get('message') or 'a container ended with an error'}"
    for name in ("initContainerStatuses", "containerStatuses"):
        containers = status.get(name)
        for one in containers if isinstance(containers, list) else ():
            waiting = _map(_map(_map(one).get("state")).get("waiting"))
            if waiting.get("reason") in _BAD_WAITS:
                return "Degraded", f"Container {_map(one).get('name')}: {waiting['reason']}"
    if phase == "Running" and _is(conditions.get("Ready"), "True"):
        return "Healthy", "Pod is ready"
    scheduled = conditions.get("PodScheduled")
    if scheduled is not None and _is(scheduled, "False"):
        return "Progressing", _words(scheduled, "Pod is not scheduled")
    return "Progressing", f"Pod is {phase or 'not yet observed'}, not ready"


def _cron_job(spec: JsonObject, status: JsonObject) -> Answer:
    """Healthy once it is stored: what comes of its Jobs is told by them."""
    if spec.get("suspend") is True:
        return "Healthy", "Suspended"
    last = status.get("lastScheduleTime")
    return "Healthy", f"Last run: {last}" if last else "Not yet due"


def _autoscaler(_spec: JsonObject, status: JsonObject) -> Answer:
    """Healthy unless it can't reach what it scales. Metrics that are not known yet are no failure: new Pods never have any."""
    able = _conditions(status).get("AbleToScale")
    if able is not None and _is(able, "False"):
        return "Progressing", _words(able, "Unable to scale")
    return "Healthy", f"Replicas: {_count(status, 'currentReplicas')}" if "currentReplicas" in status else ""


def _ingress(_spec: JsonObject, _status: JsonObject) -> Answer:
    """Healthy once it is stored, as kstatus has it: an address is the controller's to give, and not every controller gives one."""
    return "Healthy", ""


def _claim(_spec: JsonObject, status: JsonObject) -> Answer:
    phase = status.get("phase")
    if phase == "Lost":
        return "Degraded", "The volume is lost"
    return ("Healthy", "Bound") if phase == "Bound" else ("Progressing", f"Claim is {phase or 'not yet observed'}, not bound")


def _service(spec: JsonObject, _status: JsonObject) -> Answer:
    if spec.get("type") == "LoadBalancer" and not spec.get("clusterIP"):
        return "Progressing", "The service has no address yet"
    return "Healthy", ""


def _definition(_spec: JsonObject, status: JsonObject) -> Answer:
    conditions = _conditions(status)
    if _is(conditions.get("NamesAccepted"), "False"):
        return "Degraded", _words(conditions["NamesAccepted"], "Names are not accepted")
    established = conditions.get("Established")
    if established is not None and _is(established, "False") and established.get("reason") != "Installing":
        return "Degraded", _words(established, "Not established")
    return ("Healthy", "Established") if _is(established, "True") else ("Progressing", "Not yet established")


def _volume(_spec: JsonObject, status: JsonObject) -> Answer:
    phase = status.get("phase")
    if phase == "Failed":
        return "Degraded", str(status.get("message") or status.get("reason") or "The volume failed")
    return ("Healthy", str(phase)) if phase in ("Available", "Bound", "Released") else ("Progressing", f"Volume is {phase or 'not yet observed'}")


def _served(_spec: JsonObject, status: JsonObject) -> Answer:
    """An APIService: without `Available` the API server has not looked at it yet."""
    available = _conditions(status).get("Available")
    if available is None:
        return "Progressing", "Not yet observed"
    return ("Healthy", "Available") if _is(available, "True") else ("Progressing", _words(available, "Not available"))


def _node(spec: JsonObject, status: JsonObject) -> Answer:
    ready = _conditions(status).get("Ready")
    if ready is None or not _is(ready, "True"):
        return "Progressing", _words(ready or {}, "The node is not ready")
    return "Healthy", "Ready, takes no more pods" if spec.get("unschedulable") is True else "Ready"


def _budget(_spec: JsonObject, _status: JsonObject) -> Answer:
    return "Healthy", ""  # how many disruptions it allows says nothing about whether it was deployed


_RULES: Mapping[tuple[str, str], Callable[[JsonObject, JsonObject], Answer]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("", "ReplicationController"): _replica_set,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume,
    ("", "Service"): _service,
    ("", "Node"): _node,
    ("apiregistration.k8s.io", "APIService"): _served,
    ("policy", "PodDisruptionBudget"): _budget,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}

"""
Why an object is not healthy, in words that a person can act on: from its pods, and from Events. Pure, and total.

What is told is what Kubernetes itself says in pod statuses and Events (core/v1). Never told is what a container or a probe's command wrote:
nobody knows what stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from reconciler.model.identity import JsonObject
from reconciler.model.text import one_line

LONGEST: Final = 300  # characters of a reason

_IMAGE: Final = frozenset({"ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable"})
_BROKEN: Final = frozenset(
    {
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
        "RunContainerError",
        "StartError",
    }
)
_CRASH: Final = "CrashLoopBackOff"
_STARTING: Final = ("FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "NetworkNotReady")
_CLAIM_WAITS: Final = frozenset({"WaitForFirstConsumer", "WaitForPodScheduled", "ExternalProvisioning"})  # said as if all were well
_PROBE: Final = "Unhealthy"
_USER: Final = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY: Final = re.compile(r"(?<=://)([^\s?\"'#]*)[?#][^\s\"']*")
_VALUE: Final = re.compile(r"(Invalid|Duplicate|Unsupported) value: (\"(?:[^\"\\]|\\.)*\"|.*(?=: )|.*)")
_NOISE: Final = re.compile(r"rpc error: code = \w+ desc = ")
_NAMED: Final = re.compile(r'\bpods "[^"]*" is forbidden')  # another name with each try: what holds still is told once, not again and again
_PROBE_WORDS: Final = re.compile(r"(Readiness|Liveness|Startup) probe (?:failed|errored)[^:]*:?\s*(.*)", re.DOTALL)

# The less, the more it explains.
_CAUSE, _ENDED, _GATE, _SLOW, _NOTHING = range(5)


class Reason(NamedTuple):
    """`rank`: the less, the more it explains. `vague`: the Events of the pod may say more."""

    rank: int
    text: str
    vague: bool = False


def explain_pods(kind: str, pods: Sequence[JsonObject], events: Sequence[JsonObject] = ()) -> tuple[str, str]:
    """
    Why a workload of that kind is not ready, from its pods: the reason that says most, empty where all are well. And the uid of the
    pod whose Events would say more, empty where none would. `events`: of that pod, once they were read.
    """
    best: tuple[int, str, str, Reason] | None = None
    for pod in pods:
        reason = explain_pod(pod, events)
        name = _text(_map(pod.get("metadata")).get("name"))
        if reason is not None and (best is None or (reason.rank, name) < best[:2]):
            best = reason.rank, name, _text(_map(pod.get("metadata")).get("uid")), reason
    if best is None:
        return "", ""
    _, name, uid, reason = best
    node = _text(_map(_found(pods, uid).get("spec")).get("nodeName"))
    where = f"pod {name}: " if kind == "StatefulSet" else f"on node {node}: " if kind == "DaemonSet" and node else ""
    return clean(where + reason.text), uid if reason.vague and not events else ""


def explain_pod(pod: JsonObject, events: Sequence[JsonObject] = ()) -> Reason | None:
    """Why a pod is not ready; None where it is, where it has done its work, and where it is being deleted."""
    meta, spec, status = (_map(pod.get(name)) for name in ("metadata", "spec", "status"))
    conditions = {_text(one.get("type")): one for one in _maps(status.get("conditions"))}
    ready = conditions.get("Ready", {}).get("status") == "True"
    if meta.get("deletionTimestamp") or status.get("phase") == "Succeeded" or (status.get("phase") == "Running" and ready):
        return None
    uid = meta.get("uid")
    events = [event for event in events if _map(event.get("involvedObject")).get("uid") == uid]
    if status.get("phase") == "Failed" and status.get("reason"):
        return Reason(_CAUSE, f"{_text(status['reason'])}: {_text(status.get('message'))}".rstrip(": "))
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return Reason(_CAUSE, f"{_text(scheduled.get('reason')) or 'Unschedulable'}: {_text(scheduled.get('message'))}".rstrip(": "))
    found = [reason for reason in _explain_containers(spec, status, events) if reason is not None]
    gates = [one.get("conditionType") for one in _maps(spec.get("readinessGates"))]
    closed = [_text(gate) for gate in gates if conditions.get(_text(gate), {}).get("status") != "True"]
    if closed and conditions.get("ContainersReady", {}).get("status") == "True":
        found.append(Reason(_GATE, f"the readiness gate {closed[0]} is not passed"))
    started = newest(events, _STARTING)
    if started is not None and status.get("phase") == "Pending" and all(one.rank > _CAUSE for one in found):
        return Reason(_CAUSE, _say(started))
    if not found:
        found.append(Reason(_NOTHING, "a pod has not been started yet", vague=True))
    return min(found, key=lambda reason: reason.rank)


def explain_events(events: Iterable[JsonObject]) -> str:
    """What the newest warning about an object says, or that a claim waits for its pod or its driver; empty where there is none."""
    warning = newest(events)
    return "" if warning is None else clean(_say(warning))


def newest(events: Iterable[JsonObject], reasons: Iterable[str] = ()) -> JsonObject | None:
    """The newest warning among these Events, of these reasons where some are given."""
    wanted = frozenset(reasons)
    found = [event for event in events if _is_warning(event) and (not wanted or _text(event.get("reason")) in wanted)]
    return max(found, key=_time, default=None)


def clean(text: str) -> str:
    """On one line, bounded, without what may be secret: credentials and queries in URLs, and values that were refused."""
    text = _QUERY.sub(r"\1", _USER.sub("", text[: 8 * LONGEST]))
    text = _VALUE.sub(r"\1 value", _NAMED.sub("a pod is forbidden", _NOISE.sub("", text)))
    return one_line(" ".join(text.split()), LONGEST)


# Containers -----------------------------------------------------------------------------------------------------------


def _explain_containers(spec: JsonObject, status: JsonObject, events: Sequence[JsonObject]) -> Iterable[Reason | None]:
    for field, told, word in (("initContainers", "initContainerStatuses", "init container"), ("containers", "containerStatuses", "container")):
        declared = {_text(one.get("name")): one for one in _maps(spec.get(field))}
        for one in _maps(status.get(told)):
            name = _text(one.get("name"))
            if one.get("ready") is True:
                continue
            container = declared.get(name, {})
            ends = field == "initContainers" and container.get("restartPolicy") != "Always"  # otherwise it is a sidecar, and goes on
            yield _explain_container(f"{word} {name}", one, container, events, init=ends)


def _explain_container(subject: str, status: JsonObject, declared: JsonObject, events: Sequence[JsonObject], *, init: bool) -> Reason | None:
    state = _map(status.get("state"))
    waiting, ended, last = _map(state.get("waiting")), _map(state.get("terminated")), _map(_map(status.get("lastState")).get("terminated"))
    why = _text(waiting.get("reason"))
    if why in _IMAGE:
        image = _text(status.get("image")) or _text(declared.get("image"))
        words, vague = _explain_image(image, _text(waiting.get("message")), events)
        return Reason(_CAUSE, f"{subject}: {why}: {words}", vague)
    if why == _CRASH:
        return Reason(_CAUSE, f"{subject}: {why}: it ended with {_end(last or ended)}" if last or ended else f"{subject}: {why}")
    if why in _BROKEN:
        return Reason(_CAUSE, f"{subject}: {why}: {_text(waiting.get('message'))}".rstrip(": "))
    if ended:
        return None if ended.get("exitCode") == 0 and init else Reason(_ENDED, f"{subject}: ended with {_end(ended)}")
    if "running" in state:
        return _explain_running(subject, last, declared, events, init=init)
    if last and last.get("exitCode") != 0:
        return Reason(_ENDED, f"{subject}: ended with {_end(last)} and is started again")
    return Reason(_NOTHING, f"{subject}: {why or 'waits to be started'}", vague=True)


def _explain_running(subject: str, last: JsonObject, declared: JsonObject, events: Sequence[JsonObject], *, init: bool) -> Reason:
    again = f", after it ended with {_end(last)}" if last and last.get("exitCode") != 0 else ""
    if init:
        return Reason(_SLOW, f"{subject}: has not finished yet{again}")
    probe = newest((event for event in events if _is_about(event, _text(declared.get("name")))), (_PROBE,))
    told = _PROBE_WORDS.match(_text(probe.get("message"))) if probe is not None else None
    if told is None:
        return Reason(_ENDED if again else _SLOW, f"{subject}: runs and is not ready{again}", vague=True)
    which, detail = told[1].lower(), told[2]
    by_command = "exec" in _map(declared.get(f"{which}Probe"))  # it prints what it likes
    return Reason(_CAUSE, f"{subject}: its {which} probe fails: {'its command failed' if by_command else detail}".rstrip(": "))


def _explain_image(image: str, message: str, events: Sequence[JsonObject]) -> tuple[str, bool]:
    """What is with an image that can't be pulled, and whether Events may say more: older kubelets write the cause there alone."""
    pulls = [event for event in events if "to pull" in _text(event.get("message"))]
    failed = newest(pulls, ("Failed",))
    told = f"{message} {_text(failed.get('message')) if failed is not None else ''}"
    lower = told.lower()
    for marks, words in (
        (("may require authorization",), "not found, or the registry refuses it (is an imagePullSecret missing?)"),
        (("not found", "manifest unknown", "does not exist"), "not found"),
        (("unauthorized", "authentication required", "denied", "forbidden"), "the registry refuses it (is an imagePullSecret missing?)"),
        (("no such host",), "no such registry"),
        (("connection refused", "i/o timeout", "deadline exceeded", "network is unreachable"), "the registry can't be reached"),
        (("toomanyrequests", "too many requests", "rate limit"), "the registry limits how often images are pulled"),
        (("invalid reference format",), "no valid name"),
    ):
        if any(mark in lower for mark in marks):
            return f"image {image}: {words}" if image else words, False
    cause = _text(failed.get("message")) if failed is not None else "" if message.startswith("Back-off") else message
    return cause or f"image {image}".strip(), not cause


def _end(terminated: JsonObject) -> str:
    """What a container itself wrote as its last word (`message`) is not told."""
    reason = _text(terminated.get("reason"))
    code = terminated.get("exitCode")
    if terminated.get("signal"):
        return f"signal {terminated['signal']}"
    return f"exit code {code if isinstance(code, int) else 'unknown'}" + (f" ({reason})" if reason and reason not in ("Error", "Completed") else "")


# Events ---------------------------------------------------------------------------------------------------------------


def _say(event: JsonObject) -> str:
    return f"{_text(event.get('reason'))}: {_text(event.get('message'))}".strip(": ")


def _is_warning(event: JsonObject) -> bool:
    return event.get("type") == "Warning" or _text(event.get("reason")) in _CLAIM_WAITS


def _is_about(event: JsonObject, container: str) -> bool:
    path = _text(_map(event.get("involvedObject")).get("fieldPath"))
    return not path or path == f"spec.containers{{{container}}}"


def _time(event: JsonObject) -> tuple[str, int]:
    """RFC 3339 in UTC sorts as text; to the second, so that Events of either API compare."""
    times = (_map(event.get("series")).get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    meta = _map(event.get("metadata"))
    moment = next((one for one in (*times, meta.get("creationTimestamp")) if isinstance(one, str) and one), "")
    version = _text(meta.get("resourceVersion"))
    return moment[:19], int(version) if version.isascii() and version.isdigit() and len(version) < 20 else 0


def _found(pods: Sequence[JsonObject], uid: str) -> JsonObject:
    return next((pod for pod in pods if _map(pod.get("metadata")).get("uid") == uid), {})


def _map(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _maps(value: Any) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

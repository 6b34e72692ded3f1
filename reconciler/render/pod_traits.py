"""Traits that change pods. Parameters are KubeVela's."""

from __future__ import annotations

import copy
from typing import Final

from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields
from reconciler.render.workloads import Target

_DEFAULT_RESOURCES: Final = {"cpu": "1", "memory": "2048Mi"}

_SECURITY_FLAGS: Final = {"allowPrivilegeEscalation": False, "privileged": False, "readOnlyRootFilesystem": False, "runAsNonRoot": True}

# Field to (least, default).
_PROBE_TIMES: Final = {
    "initialDelaySeconds": (0, 0),
    "periodSeconds": (1, 10),
    "timeoutSeconds": (1, 1),
    "successThreshold": (1, 1),
    "failureThreshold": (1, 3),
}


def set_resources(fields: Fields, target: Target) -> None:
    """`cpu` and `memory` are request and limit alike; `requests` and `limits` say each alone, with KubeVela's defaults."""
    both = {name: fields.text(name) for name in _DEFAULT_RESOURCES if fields.has(name)}
    found: JsonObject = {"requests": dict(both), "limits": dict(both)} if both else {}
    for side in ("requests", "limits"):
        if fields.has(side):
            found[side] = {name: fields.below(side).text(name, default) for name, default in (_DEFAULT_RESOURCES | both).items()}
    if not found:
        raise fields.error("", "needs cpu, memory, requests or limits")
    for container in target.containers(fields):
        there = container.get("resources")
        container["resources"] = {**(there if isinstance(there, dict) else {}), **{side: dict(values) for side, values in found.items()}}


def set_security_context(fields: Fields, target: Target) -> None:
    """Of one container, or of each that `containers` names. KubeVela's defaults: not root, no privileges, a writable root file system."""
    for item in fields.items("containers") if fields.has("containers") else (fields,):
        name = item.required("containerName") if fields.has("containers") else item.text("containerName")
        context: JsonObject = {field: item.flag(field, default) for field, default in _SECURITY_FLAGS.items()}
        context |= {field: item.whole(field, 0, 2**31 - 1, 0) for field in ("runAsUser", "runAsGroup") if item.has(field)}
        if context["runAsNonRoot"] and context.get("runAsUser") == 0:
            raise item.error("runAsUser", "is root, and runAsNonRoot is true unless set to false")
        changes = {"add": item.texts("addCapabilities"), "drop": item.texts("dropCapabilities")}
        capabilities = {side: names for side, names in changes.items() if names}
        if capabilities:
            context["capabilities"] = capabilities
        for container in target.containers(item, name):
            container["securityContext"] = dict(context)


def set_lifecycle(fields: Fields, target: Target) -> None:
    """What runs after the container's start and before its end."""
    hooks = {hook: _handler(fields.below(hook)) for hook in ("postStart", "preStop") if fields.has(hook)}
    if not hooks:
        raise fields.error("", "needs postStart or preStop")
    for container in target.containers(fields):
        there = container.get("lifecycle")
        container["lifecycle"] = {**(there if isinstance(there, dict) else {}), **copy.deepcopy(hooks)}


def _handler(fields: Fields, kinds: tuple[str, ...] = ("exec", "httpGet", "tcpSocket")) -> JsonObject:
    given = [kind for kind in kinds if fields.has(kind)]
    if len(given) != 1:
        raise fields.error("", f"needs exactly one of {', '.join(kinds)}")
    return {given[0]: fields.mapping(given[0])}


def set_startup_probe(fields: Fields, target: Target) -> None:
    """Of one container, or of each that `probes` names; times are KubeVela's defaults unless given."""
    for item in fields.items("probes") if fields.has("probes") else (fields,):
        name = item.required("containerName") if fields.has("probes") else item.text("containerName")
        probe = _handler(item, ("exec", "httpGet", "grpc", "tcpSocket"))
        probe |= {field: item.whole(field, least, 2**31 - 1, default) for field, (least, default) in _PROBE_TIMES.items()}
        if item.has("terminationGracePeriodSeconds"):
            probe["terminationGracePeriodSeconds"] = item.whole("terminationGracePeriodSeconds", 1, 2**31 - 1, 1)
        for container in target.containers(item, name):
            container["startupProbe"] = copy.deepcopy(probe)

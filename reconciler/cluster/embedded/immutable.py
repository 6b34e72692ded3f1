"""Fields of Kubernetes' own kinds that no update may change."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from reconciler.cluster.embedded.fields import same
from reconciler.cluster.embedded.kinds import CRD
from reconciler.cluster.protocol import ImmutableError
from reconciler.model.identity import JsonObject

# Dotted paths that are fixed once set.
_FIXED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("apps", "Deployment"): ("spec.selector",),
    ("apps", "DaemonSet"): ("spec.selector",),
    ("apps", "ReplicaSet"): ("spec.selector",),
    ("batch", "Job"): ("spec.selector", "spec.template", "spec.completionMode", "spec.completions"),
    ("", "Secret"): ("type",),
    ("", "PersistentVolumeClaim"): ("spec.accessModes", "spec.storageClassName", "spec.volumeMode", "spec.selector"),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    CRD: ("spec.group", "spec.scope", "spec.names.kind", "spec.names.plural"),
}
# The only fields of a spec that may change.
_FREE: Mapping[tuple[str, str], frozenset[str]] = {
    ("apps", "StatefulSet"): frozenset(
        {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy", "minReadySeconds"}
    ),
    ("", "Pod"): frozenset({"containers", "initContainers", "activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations"}),
}


def check(key: tuple[str, str], obj: JsonObject, live: JsonObject) -> None:
    """Raises ImmutableError naming the first field that must not change."""
    kind = key[1]
    for path in _FIXED.get(key, ()):
        if not same(_at(obj, path), _at(live, path)):
            raise ImmutableError(f"{kind}: {path}: is immutable")
    free = _FREE.get(key)
    if free is not None:
        new, old = obj.get("spec", {}), live.get("spec", {})
        for name in sorted((new.keys() | old.keys()) - free):
            if not same(new.get(name), old.get(name)):
                raise ImmutableError(f"{kind}: spec.{name}: is immutable; only {', '.join(sorted(free))} may change")
    if key == ("", "Pod"):
        _check_containers(obj, live)
    if key == ("", "Service"):
        _check_address(obj, live)
    if key in (("", "ConfigMap"), ("", "Secret")) and live.get("immutable") is True:
        for name in ("immutable", "data", "binaryData"):
            if not same(obj.get(name), live.get(name)):
                raise ImmutableError(f"{kind}: {name}: is immutable, because the object says so")


def _check_containers(obj: JsonObject, live: JsonObject) -> None:
    for name in ("containers", "initContainers"):
        new, old = (copy.deepcopy(one["spec"].get(name, [])) for one in (obj, live))
        for container in [*new, *old]:
            container.pop("image", None)
        if not same(new, old):
            raise ImmutableError(f"Pod: spec.{name}: only the image may change")


def _check_address(obj: JsonObject, live: JsonObject) -> None:
    new, old = obj["spec"], live["spec"]
    if "ExternalName" not in (new["type"], old["type"]) and new.get("clusterIP") != old.get("clusterIP"):
        raise ImmutableError("Service: spec.clusterIP: is immutable")


def _at(obj: JsonObject, path: str) -> Any:
    value: Any = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value

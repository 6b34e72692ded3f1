"""
Kubernetes' own kinds: the defaults that matter, and the checks that a manifest most often fails.

What is not described here is stored as given: this is a simulation, not an API server's full validation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from reconciler.cluster.embedded import definitions, immutable, names
from reconciler.cluster.embedded.builtin_schemas import SCHEMAS
from reconciler.cluster.embedded.kinds import CRD, Resource
from reconciler.cluster.embedded.schema import conform
from reconciler.cluster.embedded.timezones import read_zone
from reconciler.cluster.protocol import InvalidError
from reconciler.model.identity import JsonObject
from reconciler.model.schedule import parse_schedule

_LONGEST_CRON_NAME = 52
# Taken out by a controller, not by the delete call itself.
LINGERING = frozenset({("", "Namespace"), ("", "Pod"), CRD})
_IN_TEMPLATES = (("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("apps", "ReplicaSet"))


def admit(resource: Resource, obj: JsonObject, live: JsonObject | None) -> None:
    """Completes and checks `obj` in place. Raises InvalidError naming the field."""
    key = (resource.group, resource.kind)
    schema = SCHEMAS.get(key)
    if schema is not None:
        conform(obj, schema)
    complete = _COMPLETE.get(key)
    if complete is not None:
        complete(obj, live)
    if key in _IN_TEMPLATES:
        _check_selector(obj)
    if live is not None:
        immutable.check(key, obj, live)


def _check_selector(obj: JsonObject) -> None:
    spec = obj["spec"]
    labels = spec["template"].get("metadata", {}).get("labels", {})
    names.check_labels(labels, "spec.template.metadata.labels")
    if not spec["selector"].get("matchLabels") and not spec["selector"].get("matchExpressions"):
        raise InvalidError(f"{obj['kind']}: spec.selector: an empty selector is not allowed")
    if not selects(spec["selector"], labels):
        raise InvalidError(f"{obj['kind']}: spec.template.metadata.labels: do not match spec.selector")


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector matches."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for rule in selector.get("matchExpressions", []):
        key, values = rule["key"], rule.get("values", [])
        holds = {
            "In": key in labels and labels[key] in values,
            "NotIn": key not in labels or labels[key] not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not holds[rule["operator"]]:
            return False
    return True


def _deployment(obj: JsonObject, _live: JsonObject | None) -> None:
    strategy = obj["spec"].setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")
    elif "rollingUpdate" in strategy:
        raise InvalidError("Deployment: spec.strategy.rollingUpdate: not allowed with type Recreate")


def _stateful_set(obj: JsonObject, _live: JsonObject | None) -> None:
    strategy = obj["spec"].setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)


def _daemon_set(obj: JsonObject, _live: JsonObject | None) -> None:
    strategy = obj["spec"].setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("maxUnavailable", 1)


def _job(obj: JsonObject, live: JsonObject | None) -> None:
    spec = obj["spec"]
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    policy = spec["template"]["spec"].get("restartPolicy")
    if policy not in ("Never", "OnFailure"):
        raise InvalidError("Job: spec.template.spec.restartPolicy: must be Never or OnFailure")
    if spec.get("manualSelector"):
        return
    if live is not None:
        spec.setdefault("selector", live["spec"]["selector"])
    uid = obj["metadata"]["uid"]
    mark = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": obj["metadata"]["name"]}
    spec.setdefault("selector", {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
    spec["template"].setdefault("metadata", {}).setdefault("labels", {}).update(mark)


def _cron_job(obj: JsonObject, _live: JsonObject | None) -> None:
    spec = obj["spec"]
    if len(obj["metadata"]["name"]) > _LONGEST_CRON_NAME:
        raise InvalidError(f"CronJob: metadata.name: must have at most {_LONGEST_CRON_NAME} characters, for its Jobs add to it")
    try:
        parse_schedule(spec["schedule"])
    except ValueError as error:
        raise InvalidError(f"CronJob: spec.schedule: {error}") from None
    read_zone(spec.get("timeZone"))
    policy = spec["jobTemplate"]["spec"]["template"]["spec"].get("restartPolicy")
    if policy not in ("Never", "OnFailure"):
        raise InvalidError("CronJob: spec.jobTemplate.spec.template.spec.restartPolicy: must be Never or OnFailure")


def _autoscaler(obj: JsonObject, _live: JsonObject | None) -> None:
    spec = obj["spec"]
    if spec["minReplicas"] < 1:
        raise InvalidError("HorizontalPodAutoscaler: spec.minReplicas: must be at least 1")
    if spec["maxReplicas"] < spec["minReplicas"]:
        raise InvalidError("HorizontalPodAutoscaler: spec.maxReplicas: must not be less than minReplicas")


def _service(obj: JsonObject, live: JsonObject | None) -> None:
    spec = obj["spec"]
    for position, port in enumerate(spec.get("ports", [])):
        if len(spec["ports"]) > 1 and not port.get("name"):
            raise InvalidError(f"Service: spec.ports[{position}].name: required where there are several")
        port.setdefault("targetPort", port["port"])
    if spec["type"] == "ExternalName":
        return
    if not spec.get("clusterIP"):
        before = (live or {}).get("spec", {}).get("clusterIP")
        address = int.from_bytes(hashlib.sha256(obj["metadata"]["uid"].encode()).digest()[:3], "big") & 0xFFFFF | 0x100
        # 10.96.0.0/12, the range of service addresses that kubeadm uses
        spec["clusterIP"] = before or f"10.{96 + (address >> 16)}.{address >> 8 & 0xFF}.{address & 0xFF}"
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    if not spec.get("ports") and spec["clusterIP"] != "None":
        raise InvalidError("Service: spec.ports: required")


def _config_map(obj: JsonObject, _live: JsonObject | None) -> None:
    _check_keys("ConfigMap", [*obj.get("data", {}), *obj.get("binaryData", {})])


def _secret(obj: JsonObject, _live: JsonObject | None) -> None:
    obj.setdefault("type", "Opaque")
    data = obj.get("data", {})
    _check_keys("Secret", data)
    for key, value in data.items():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidError(f"Secret: data[{key!r:.100}]: is not base64") from None


def _check_keys(kind: str, keys: Any) -> None:
    for key in keys:
        if not names.is_data_key(key):
            raise InvalidError(f"{kind}: data: {key!r:.100} is not a key (letters, digits, '-', '_', '.')")


def _namespace(obj: JsonObject, live: JsonObject | None) -> None:
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
    obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    if live is None:
        obj["status"] = {"phase": "Active"}


def _pending(obj: JsonObject, live: JsonObject | None) -> None:
    if live is None:
        obj["status"] = {"phase": "Pending"}


def _definition(obj: JsonObject, live: JsonObject | None) -> None:
    definitions.check(obj)
    if live is None:
        obj["status"] = definitions.status(obj)


_COMPLETE: Mapping[tuple[str, str], Callable[[JsonObject, JsonObject | None], None]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("", "Service"): _service,
    ("", "ConfigMap"): _config_map,
    ("", "Secret"): _secret,
    ("", "Namespace"): _namespace,
    ("", "Pod"): _pending,
    ("", "PersistentVolumeClaim"): _pending,
    CRD: _definition,
}

"""Traits that say how many pods there are, and how new ones take the place of old ones. Parameters are KubeVela's."""

from __future__ import annotations

import re
from typing import Any, Final

from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields
from reconciler.render.workloads import Target

_SCALED: Final = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})
_MOST_PODS: Final = 100_000
_MOST: Final = 2**31 - 1
_MEASURES: Final = ("Utilization", "AverageValue")
_PERCENT: Final = re.compile(r"(?:100|[0-9]{1,2})%", re.ASCII)
_AUTOSCALER: Final = "HorizontalPodAutoscaler"
# Kind to the field of its strategy, the types that it knows, and what a rolling update takes, with KubeVela's defaults.
_STRATEGIES: Final[dict[str, tuple[str, tuple[str, ...], dict[str, str]]]] = {
    "Deployment": ("strategy", ("RollingUpdate", "Recreate"), {"maxSurge": "25%", "maxUnavailable": "25%"}),
    "StatefulSet": ("updateStrategy", ("RollingUpdate", "OnDelete"), {"partition": "0"}),
    # Only one of the two may be there: what is not given is left to the cluster.
    "DaemonSet": ("updateStrategy", ("RollingUpdate", "OnDelete"), {"maxSurge": "", "maxUnavailable": ""}),
}


def set_replicas(fields: Fields, target: Target) -> None:
    replicas = fields.whole("replicas", 0, _MOST_PODS, 1)
    if any(obj.get("kind") == _AUTOSCALER for obj in target.objects):
        raise fields.error("", "an autoscaler says how many pods there are: leave out this trait, or the autoscaler")
    workloads = [obj for obj in target.objects if obj.get("kind") in _SCALED and isinstance(obj.get("spec"), dict)]
    if not workloads:
        raise fields.error("", "the component has nothing that can be scaled")
    for obj in workloads:
        obj["spec"]["replicas"] = replicas


def add_autoscaler(fields: Fields, target: Target) -> None:
    """By CPU, and by memory and metrics of pods where they are given. Unlike upstream memory has targets of its own."""
    metrics = [_resource("cpu", fields.below("cpu"))]
    if fields.has("mem"):
        metrics.append(_resource("memory", fields.below("mem")))
    for item in fields.items("podCustomMetrics"):
        measure = {"type": "AverageValue", "averageValue": item.required("value")}
        metrics.append({"type": "Pods", "pods": {"metric": {"name": item.required("name")}, "target": measure}})
    _autoscale(fields, target, metrics)


def add_cpu_scaler(fields: Fields, target: Target) -> None:
    """The short form of `hpa`: by CPU alone."""
    _autoscale(fields, target, [_resource("cpu", fields.replaced("value", fields.whole("cpuUtil", 1, _MOST, 50)))])


def _autoscale(fields: Fields, target: Target, metrics: list[JsonObject]) -> None:
    """The number of pods is the autoscaler's from now on: the field is not sent, so that nothing is healed back."""
    workload = target.workload(fields, _SCALED, "an autoscaler could scale", fields.text("targetKind"))
    wanted = fields.text("targetAPIVersion", str(workload.get("apiVersion")))
    if wanted != workload.get("apiVersion"):
        raise fields.error("targetAPIVersion", f"the component's {workload['kind']} is of {workload.get('apiVersion')}")
    least, most = fields.whole("min", 1, _MOST_PODS, 1), fields.whole("max", 1, _MOST_PODS, 10)
    if least > most:
        raise fields.error("min", f"is more than max, {most}")
    workload["spec"].pop("replicas", None)
    scaled = {"apiVersion": workload["apiVersion"], "kind": workload["kind"], "name": workload["metadata"]["name"]}
    spec = {"scaleTargetRef": scaled, "minReplicas": least, "maxReplicas": most, "metrics": metrics}
    target.objects.append({"apiVersion": "autoscaling/v2", "kind": _AUTOSCALER, "metadata": {"name": target.component}, "spec": spec})


def _resource(name: str, fields: Fields) -> JsonObject:
    """A percentage of what the pods ask for, or an amount a pod."""
    kind = fields.choice("type", _MEASURES, "Utilization")
    value: Any = fields.whole("value", 1, _MOST, 50) if kind == "Utilization" else fields.text("value", "50")
    measure = {"type": kind, "averageUtilization" if kind == "Utilization" else "averageValue": value}
    return {"type": "Resource", "resource": {"name": name, "target": measure}}


def set_update_strategy(fields: Fields, target: Target) -> None:
    """What does not fit the kind of workload is an error; upstream leaves it out silently."""
    workload = target.workload(fields, frozenset(_STRATEGIES), "has an update strategy", fields.choice("targetKind", tuple(_STRATEGIES)))
    field, types, defaults = _STRATEGIES[workload["kind"]]
    given = fields.below("strategy")
    strategy: JsonObject = {"type": given.choice("type", types, "RollingUpdate")}
    rolling = given.below("rollingStrategy")
    for name in sorted(given.mapping("rollingStrategy")):
        if rolling.has(name) and (strategy["type"] != "RollingUpdate" or name not in defaults):
            raise rolling.error(name, f"does nothing for a {workload['kind']} of type {strategy['type']}")
    if strategy["type"] == "RollingUpdate":
        shares = {name: _share(rolling, name, default) for name, default in defaults.items() if default or rolling.has(name)}
        strategy |= {"rollingUpdate": shares} if shares else {}
    workload["spec"][field] = strategy


def _share(fields: Fields, name: str, default: str) -> int | str:
    """A number of pods, or a percentage."""
    text = fields.text(name, default)
    return text if _PERCENT.fullmatch(text) else fields.replaced(name, text).count(name)

"""
HorizontalPodAutoscalers, without metrics: nothing here uses any CPU. The replicas of the target are only kept within
`minReplicas` and `maxReplicas`, and the conditions say so.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.cluster.embedded.controllers.scope import MANAGER, Scope, is_deleting
from reconciler.cluster.embedded.storage import Key
from reconciler.model.identity import GVK, JsonObject

KIND = ("autoscaling", "HorizontalPodAutoscaler")
_NO_METRICS = "the cluster is simulated and has no metrics: replicas are only kept from minReplicas to maxReplicas"


class Targets:
    """Which autoscalers scale which object: a change of the one is a reason to look at the others."""

    def __init__(self) -> None:
        self._scalers: dict[Key, dict[Key, None]] = {}
        self._targets: dict[Key, Key] = {}

    def note(self, key: Key, scaler: JsonObject) -> None:
        self.forget(key)
        target = _target(scaler)
        self._targets[key] = target
        self._scalers.setdefault(target, {})[key] = None

    def forget(self, key: Key) -> None:
        target = self._targets.pop(key, None)
        if target is not None:
            scalers = self._scalers[target]
            del scalers[key]
            if not scalers:
                del self._scalers[target]

    def scalers(self, target: Key) -> Iterable[Key]:
        return self._scalers.get(target, ())


def _target(scaler: JsonObject) -> Key:
    ref = scaler["spec"]["scaleTargetRef"]
    group = GVK.of({"apiVersion": ref.get("apiVersion", ""), "kind": ref["kind"]}).group
    return Key(group, ref["kind"], scaler["metadata"]["namespace"], ref["name"])


def reconcile(scope: Scope, scaler: JsonObject) -> float | None:
    if is_deleting(scaler):
        return None
    key = _target(scaler)
    target = scope.objects.find(key)
    replicas = (target or {}).get("spec", {}).get("replicas")
    if target is None or not isinstance(replicas, int):
        why = f"{key.kind} {key.name} {'is not there' if target is None else 'has no replicas'}"
        scope.set_status(scaler, {"conditions": [scope.condition(scaler, "AbleToScale", False, "FailedGetScale", why)]})
        return None
    wanted = _within(scaler["spec"], replicas)
    if wanted != replicas:
        scope.objects.replace({**target, "spec": {**target["spec"], "replicas": wanted}}, MANAGER)
        scope.events.emit(scaler, "SuccessfulRescale", f"New size: {wanted}; reason: it was {replicas}")
    _report(scope, scaler, target, replicas, wanted)
    return None


def _within(spec: JsonObject, replicas: int) -> int:
    """None at all means that somebody turned the autoscaler off, as in Kubernetes."""
    return min(max(replicas, spec["minReplicas"]), spec["maxReplicas"]) if replicas else 0


def _report(scope: Scope, scaler: JsonObject, target: JsonObject, replicas: int, wanted: int) -> None:
    old, moved = scaler.get("status", {}), wanted != replicas
    limit = ("TooFewReplicas" if wanted > replicas else "TooManyReplicas") if moved else "DesiredWithinRange"
    idle, why = ("FailedGetResourceMetric", _NO_METRICS) if replicas else ("ScalingDisabled", "the target has no replicas")
    status = {
        "currentReplicas": target.get("status", {}).get("replicas", 0),
        "desiredReplicas": wanted,
        "lastScaleTime": scope.objects.timestamp() if moved else old.get("lastScaleTime"),
        "conditions": [
            scope.condition(scaler, "AbleToScale", True, "SucceededRescale" if moved else "ReadyForNewScale", f"Replicas: {wanted}"),
            scope.condition(scaler, "ScalingActive", False, idle, why),
            scope.condition(scaler, "ScalingLimited", moved, limit, f"from {scaler['spec']['minReplicas']} to {scaler['spec']['maxReplicas']}"),
        ],
    }
    scope.set_status(scaler, status)

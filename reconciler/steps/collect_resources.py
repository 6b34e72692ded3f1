"""What an application consists of in the cluster, for definitions that ask: KubeVela's `#CollectPods` and `#CollectServices`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from reconciler.model.identity import AppKey
from reconciler.model.names import COMPONENT_LABEL, LABEL_APPLICATION, LABEL_NAMESPACE, label_of
from reconciler.model.outcome import Call, Done, Failed, Listed, Outcome, Query, Result, Wait

_WORKLOADS: Final = (("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"), ("batch/v1", "Job"), ("v1", "Pod"))


def collect_services(call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG001 - the shape of every step
    """The Services that the application applied."""
    query = Listed("v1", "Service", *_own(call))
    unheard = _hear(call, [query], seen)
    return unheard or _tell(call, ((obj, _component(obj)) for obj in seen[query]))


def collect_pods(call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG001 - the shape of every step
    """The Pods that its workloads select by `matchLabels`, and those that it applied itself."""
    workloads = [Listed(version, kind, *_own(call)) for version, kind in _WORKLOADS]
    unheard = _hear(call, workloads, seen)
    if unheard is not None:
        return unheard
    namespace, _ = _own(call)
    selected = {}
    for workload in (obj for query in workloads[:-1] for obj in seen[query]):
        labels = ((workload.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        if labels:
            selected[Listed("v1", "Pod", namespace, tuple(sorted(labels.items())))] = _component(workload)
    unheard = _hear(call, [*workloads, *selected], seen)
    if unheard is not None:
        return unheard
    found = {obj["metadata"]["name"]: (obj, component) for query, component in selected.items() for obj in seen[query]}
    found |= {obj["metadata"]["name"]: (obj, _component(obj)) for obj in seen[workloads[-1]]}
    return _tell(call, found.values())


def _own(call: Call) -> tuple[str, tuple[tuple[str, str], ...]]:
    app = _app(call)
    return app.namespace, tuple(sorted({LABEL_APPLICATION: label_of(app.name), LABEL_NAMESPACE: app.namespace}.items()))


def _app(call: Call) -> AppKey:
    return AppKey(call.properties.get("namespace") or call.app.namespace, call.properties.get("name") or call.app.name)


def _hear(call: Call, queries: list[Listed], seen: Mapping[Query, Any]) -> Wait | Failed | None:
    if any(query not in seen for query in queries):
        return Wait(None, f"waiting to hear what {_app(call)} consists of", tuple(queries))
    refused = next((query for query in queries if seen[query] is None), None)
    return Failed("NotAllowed", f"this application may not list {refused.kind}s of namespace {refused.namespace}") if refused is not None else None


def _tell(call: Call, found: Iterable[tuple[Mapping[str, Any], str]]) -> Done:
    wanted = call.properties.get("components")
    told = [{"cluster": "local", "component": component, "object": obj} for obj, component in found if not wanted or component in wanted]
    return Done({"list": told})


def _component(obj: Mapping[str, Any]) -> str:
    labels = obj["metadata"].get("labels") or {}
    template = ((obj.get("spec") or {}).get("template") or {}).get("metadata") or {}
    return str(labels.get(COMPONENT_LABEL) or (template.get("labels") or {}).get(COMPONENT_LABEL) or obj["metadata"]["name"])

"""`collect-service-endpoints`: where an application is reached. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from reconciler.model.identity import AppKey
from reconciler.model.names import COMPONENT_LABEL, LABEL_APPLICATION, LABEL_NAMESPACE, label_of
from reconciler.model.outcome import Call, Done, Failed, Listed, Outcome, Query, Result, Wait
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.validation import Finding, check_choice, check_text, check_texts, check_type, check_whole, refuse

_KINDS: Final = (("v1", "Service"), ("networking.k8s.io/v1", "Ingress"))


class CollectEndpoints(NothingToUndo):
    """Of the application's Services, by their names in the cluster and by load balancers, and of its Ingresses; waits until there is one."""

    name = "collect-service-endpoints"
    params: Mapping[str, str] = MappingProxyType(
        {
            "name": "of the application; this one unless given",
            "namespace": "its namespace; this application's own unless given",
            "components": "of these components alone",
            "port": "of this port alone",
            "portName": "of the port of this name alone",
            "outer": "true: of those alone that are reached from outside the cluster",
            "protocal": "http, the default, or https: what the URL begins with",
        }
    )
    required: tuple[str, ...] = ()
    exports = ("value", "outputs")

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found = check_text(properties, "name", "namespace", "portName") + check_texts(properties, "components")
        found += check_whole(properties, "port", 1, 65535) + check_type(properties, "outer", bool)
        return found + check_choice(properties, "protocal", ("http", "https"))

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties)
        if wrong is not None:
            return wrong
        given = call.properties
        app = AppKey(given.get("namespace") or call.app.namespace, given.get("name") or call.app.name)
        labels = tuple(sorted({LABEL_APPLICATION: label_of(app.name), LABEL_NAMESPACE: app.namespace}.items()))
        queries = tuple(Listed(version, kind, app.namespace, labels) for version, kind in _KINDS)
        if any(query not in seen for query in queries):
            return Wait(None, f"waiting to hear of the endpoints of {app}", queries)
        if any(seen[query] is None for query in queries):
            return Failed("NotAllowed", f"this application may not list the Services and Ingresses of namespace {app.namespace}")
        services, ingresses = (seen[query] for query in queries)
        found = [item for obj in services for item in _of_service(obj)] + [item for obj in ingresses for item in _of_ingress(obj)]
        endpoints = [item for item in found if _fits(item, given)]
        if not endpoints:
            return Wait(None, f"waiting for an endpoint of {app}", queries)
        first = endpoints[0]["endpoint"]
        url = f"{given.get('protocal') or 'http'}://{first['host']}:{first['port']}"
        return Done({"outputs": {"endpoints": endpoints}, "value": {"endpoints": endpoints, "endpoint": first, "url": url}}, url)


def _fits(item: dict[str, Any], given: Mapping[str, Any]) -> bool:
    endpoint = item["endpoint"]
    wanted = (("portName", endpoint["portName"]), ("port", endpoint["port"]))
    if any(given.get(name) is not None and given[name] != value for name, value in wanted) or (given.get("outer") and endpoint["inner"]):
        return False
    return not given.get("components") or item["component"] in given["components"]


def _of_service(obj: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    meta, spec = obj["metadata"], obj.get("spec") or {}
    balancers = [item.get("hostname") or item.get("ip") for item in ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []]
    hosts = [(host, False) for host in balancers if host] or [(f"{meta['name']}.{meta['namespace']}.svc", True)]
    component = (spec.get("selector") or {}).get(COMPONENT_LABEL)
    for host, inner in hosts:
        for port in spec.get("ports") or []:
            yield _endpoint(obj, component, host, port["port"], inner=inner, name=port.get("name") or "", protocol=port.get("protocol") or "TCP")


def _of_ingress(obj: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    spec = obj.get("spec") or {}
    secure = {host for item in spec.get("tls") or [] for host in item.get("hosts") or []}
    for rule in spec.get("rules") or []:
        host = rule.get("host")
        for path in (rule.get("http") or {}).get("paths") or [] if host else []:
            port, name = (443, "https") if host in secure else (80, "http")
            yield _endpoint(obj, None, host, port, inner=False, name=name, protocol="TCP", path=path.get("path") or "")


def _endpoint(
    obj: Mapping[str, Any], component: str | None, host: str, port: int, *, inner: bool, name: str, protocol: str, path: str = ""
) -> dict[str, Any]:
    meta = obj["metadata"]
    known = component or (meta.get("labels") or {}).get(COMPONENT_LABEL) or meta["name"]
    return {
        "endpoint": {"protocol": protocol, "host": host, "port": port, "portName": name, "path": path, "inner": inner},
        "ref": {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": meta["name"], "namespace": meta["namespace"]},
        "component": known,
    }

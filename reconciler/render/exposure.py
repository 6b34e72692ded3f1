"""Traits that let others reach a component: `expose` and `gateway`. Parameters are KubeVela's."""

from __future__ import annotations

from typing import Any

from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields
from reconciler.render.services import SERVICE_TYPES, service
from reconciler.render.workloads import LASTING, Target, dig, mappings

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_PATH_TYPES = ("ImplementationSpecific", "Prefix", "Exact")


def add_service(fields: Fields, target: Target) -> None:
    """A Service of the component's name. A component that exposes ports by itself has that one already: an error says so."""
    selector = _selector(fields, target)
    ports = _ports(fields)
    if not ports:
        raise fields.error("ports", "must name at least one port")
    if _find_service(target, target.component) is not None:
        raise fields.error("", f"the component has a Service {target.component} already: leave out `expose` of its ports, or this trait")
    made = service(target.component, selector, ports, fields.choice("type", SERVICE_TYPES, "ClusterIP"))
    annotations = fields.text_map("annotations")
    if annotations:
        made["metadata"]["annotations"] = annotations
    target.objects.append(made)


def add_gateway(fields: Fields, target: Target) -> None:
    """An Ingress, and a Service behind it: `existingServiceName`, or one that the component has by that name already, or a new one."""
    given = fields.below("http")
    paths = {path: given.whole(path, 1, 65535, 0) for path in sorted(fields.mapping("http"))}
    if not paths:
        raise fields.error("http", "must name at least one path and its port")
    wrong = next((path for path, port in paths.items() if not path.startswith("/") or not port), None)
    if wrong is not None:
        raise given.error(wrong, "must be a path that begins with / and its port")
    name = f"{target.component}-{fields.text('name')}" if fields.has("name") else target.component
    backend = fields.text("existingServiceName", name)
    if not fields.has("existingServiceName"):
        _ensure_service(fields, target, name, sorted(set(paths.values())))
    target.objects.append(_ingress(fields, name, backend, paths))


def _ensure_service(fields: Fields, target: Target, name: str, numbers: list[int]) -> None:
    there = _find_service(target, name)
    if there is None:
        ports = [{"port": number, "target": number, "name": f"port-{number}", "protocol": "TCP", "nodePort": 0} for number in numbers]
        target.objects.append(service(name, _selector(fields, target), ports))
        return
    has = {port.get("port") for port in mappings(dig(there, "spec", "ports"))}
    missing = [number for number in numbers if number not in has]
    if missing:
        raise fields.error("http", f"the component's Service {name} has no port {missing[0]}: expose it, or name the Service another by `name`")


def _ingress(fields: Fields, name: str, backend: str, paths: dict[str, int]) -> JsonObject:
    """Upstream's shape: the class as an annotation unless `classInSpec`."""
    kind, class_name = fields.choice("pathType", _PATH_TYPES, "ImplementationSpecific"), fields.text("class", "nginx")
    in_spec, host = fields.flag("classInSpec", default=False), fields.text("domain")
    annotations = {} if in_spec else {"kubernetes.io/ingress.class": class_name}
    if fields.has("gatewayHost"):
        annotations["ingress.controller/host"] = fields.text("gatewayHost")
    annotations |= fields.text_map("annotations")
    labels = fields.text_map("labels")
    routes = [{"path": path, "pathType": kind, "backend": {"service": {"name": backend, "port": {"number": port}}}} for path, port in paths.items()]
    spec: JsonObject = {"ingressClassName": class_name} if in_spec else {}
    if fields.has("secretName"):
        spec["tls"] = [{**({"hosts": [host]} if host else {}), "secretName": fields.text("secretName")}]
    spec["rules"] = [{**({"host": host} if host else {}), "http": {"paths": routes}}]
    meta: JsonObject = {"name": name, **{key: value for key, value in (("labels", labels), ("annotations", annotations)) if value}}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": spec}


def _ports(fields: Fields) -> list[dict[str, Any]]:
    """Of `ports`, or of the older `port`, a list of numbers; as `services.service` takes them."""
    older = fields.values("port")
    items = fields if fields.has("ports") else fields.replaced("ports", [{"port": number} for number in older])
    ports = []
    for item in items.items("ports"):
        port, protocol = item.whole("port", 1, 65535, 0), item.choice("protocol", _PROTOCOLS, "TCP")
        if not port:
            raise item.error("port", "is required")
        name = item.text("name", f"port-{port}" if protocol == "TCP" else f"port-{port}-{protocol.lower()}")
        ports.append({"port": port, "target": port, "name": name, "protocol": protocol, "nodePort": item.whole("nodePort", 1, 65535, 0)})
    if len({port["name"] for port in ports}) != len(ports):
        raise fields.error("ports", "two ports have one name")
    return ports


def _selector(fields: Fields, target: Target) -> dict[str, Any]:
    """`matchLabels`, else what the workload itself selects its pods by."""
    given = fields.text_map("matchLabels")
    matched = given or dig(target.workload(fields, LASTING, "a Service could reach"), "spec", "selector", "matchLabels")
    if not isinstance(matched, dict) or not matched:
        raise fields.error("", "the component's workload has no labels that a Service could select its pods by")
    return dict(matched)


def _find_service(target: Target, name: str) -> JsonObject | None:
    for obj in target.objects:
        if obj.get("kind") == "Service" and obj.get("apiVersion") == "v1" and dig(obj, "metadata", "name") == name:
            return obj
    return None

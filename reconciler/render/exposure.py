"""Traits that let others reach a component: `expose` and `gateway`. Parameters are KubeVela's."""

from __future__ import annotations

from typing import Any

from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields
from reconciler.render.services import SERVICE_TYPES, service
from reconciler.render.workloads import LASTING, Target, dig

_PROTOCOLS = ("TCP", "UDP", "SCTP")


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

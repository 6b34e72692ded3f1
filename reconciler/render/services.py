"""A Service in front of a component's pods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reconciler.model.identity import JsonObject

SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")


def service(name: str, selector: dict[str, str], ports: Sequence[dict[str, Any]], kind: str = "ClusterIP") -> JsonObject:
    """`ports` as `pods.container_ports` answers them. `kind`: the Service's type."""
    entries = []
    for port in ports:
        entry: JsonObject = {"name": port["name"], "port": port["port"], "protocol": port["protocol"], "targetPort": port["target"]}
        if kind == "NodePort" and port["nodePort"]:
            entry["nodePort"] = port["nodePort"]
        entries.append(entry)
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"type": kind, "selector": selector, "ports": entries}}

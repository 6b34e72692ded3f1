"""`K8S_MICROSERVICE`: SREWorks' microservice as a StatefulSet, which a partition can roll out, and a Service (seed 003)."""

from __future__ import annotations

from typing import Any

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.model.names import COMPONENT_LABEL, NAME_LABEL
from reconciler.render.fields import Fields
from reconciler.render.placement import is_label
from reconciler.render.pods import container_ports, environment_of
from reconciler.render.protocol import Files, RenderContext
from reconciler.render.services import service

_INSTANCE_LABEL = "app.kubernetes.io/instance"
_DEFAULT_PORT = {"port": 80, "target": 80, "name": "port-80", "protocol": "TCP", "expose": True, "nodePort": 0}


def render_microservice(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    """`component.properties` is the effective spec: defaults, parameterValues and dataInputs are in it already."""
    fields = Fields(component.name, component.properties, "spec")
    if fields.text("base64Kubeconfig"):
        raise fields.error("base64Kubeconfig", "other clusters are not known yet; leave it empty for this one")
    fields.flag("ignoreCreateNamespace", default=False)
    name = fields.text("name") or component.name
    if not is_label(name):
        raise fields.error("name", "must be a name of at most 63 lower case letters, digits and dashes")
    values = fields.below("values")
    # Several copies of one component may live in one namespace under other names: the name is part of the selector.
    selector = {COMPONENT_LABEL: component.name, _INSTANCE_LABEL: name}
    ports = _ports(values)
    spec: JsonObject = {
        "serviceName": name,
        "replicas": values.whole("replicaCount", 0, 100_000, 1),
        "selector": {"matchLabels": selector},
        "template": {
            "metadata": {"labels": {**selector, NAME_LABEL: context.application}},
            "spec": {"containers": [_container(component.name, values, ports)]},
        },
    }
    partition = _partition(fields.below("rollout"))
    if partition is not None:
        spec["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
    workload: JsonObject = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}
    objects = [workload, service(name, dict(selector), ports)]
    namespace = "" if component.namespace else values.text("deployNamespace")
    if namespace:
        for obj in objects:
            obj["metadata"]["namespace"] = namespace
    return objects


def _container(name: str, values: Fields, ports: list[dict[str, Any]]) -> JsonObject:
    image = values.below("image")
    container: JsonObject = {
        "name": name,
        "image": f"{image.required('repository')}:{image.text('tag', 'latest')}",
        "ports": [{"containerPort": port["target"], "name": port["name"], "protocol": port["protocol"]} for port in ports],
    }
    optional = {"imagePullPolicy": image.text("pullPolicy"), "env": environment_of(values), "resources": values.mapping("resources")}
    return container | {key: value for key, value in optional.items() if value}


def _ports(values: Fields) -> list[dict[str, Any]]:
    """Port 80 where none is given. Numbers alone are ports as well."""
    items = [{"port": item} if isinstance(item, int) else item for item in values.values("ports")]
    return container_ports(values.replaced("ports", items)) or [dict(_DEFAULT_PORT)]


def _partition(rollout: Fields) -> int | None:
    """The manifest's own partition; `apply-components` sets it as well, later (`partition.with_partition`)."""
    if rollout.choice("type", ("partition",)):
        return rollout.below("properties").count("partition")
    return None

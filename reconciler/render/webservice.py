"""`webservice`, `worker`, `statefulset` and `daemon`: KubeVela's long-running components, with its parameters."""

from __future__ import annotations

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.model.names import COMPONENT_LABEL
from reconciler.render.fields import Fields
from reconciler.render.pods import container_ports, pod_template
from reconciler.render.protocol import Files, RenderContext
from reconciler.render.services import SERVICE_TYPES, service


def render_webservice(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    return _workload("Deployment", component, context, {})


def render_worker(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    """A webservice without any Service: it is not called, it calls."""
    return _workload("Deployment", component, context, {})[:1]


def render_statefulset(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    fields = Fields(component.name, component.properties)
    more: JsonObject = {"serviceName": fields.text("serviceName", component.name)}
    if fields.has("partition"):
        more["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": fields.count("partition")}}
    return _workload("StatefulSet", component, context, more)


def render_daemon(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    """A webservice with one Pod on every node."""
    return _workload("DaemonSet", component, context, {})


def _workload(kind: str, component: Component, context: RenderContext, more: JsonObject) -> list[JsonObject]:
    """
    The workload, and a Service where a port is exposed. Replicas are left to the scaler trait (1 where nobody says), so that an
    autoscaler may have them.
    """
    fields = Fields(component.name, component.properties)
    # The selector is immutable in the cluster: it holds nothing that a new revision might change.
    selector = {COMPONENT_LABEL: component.name}
    spec = {"selector": {"matchLabels": selector}, **more, "template": pod_template(context.application, component.name, fields)}
    objects: list[JsonObject] = [{"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": component.name}, "spec": spec}]
    exposed = [port for port in container_ports(fields) if port["expose"]]
    if exposed:
        objects.append(service(component.name, dict(selector), exposed, fields.choice("exposeType", SERVICE_TYPES, "ClusterIP")))
    return objects

"""`webservice`, `worker` and `statefulset`: KubeVela's long-running components, with its parameters."""

from __future__ import annotations

from types import MappingProxyType

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields
from reconciler.render.pods import COMPONENT_LABEL, container_ports, pod_template
from reconciler.render.protocol import Files, RenderContext
from reconciler.render.services import service

_EXPOSE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")

WORKER_PARAMS = MappingProxyType(
    {
        "image": "container image",
        "imagePullPolicy": "Always, IfNotPresent or Never",
        "imagePullSecrets": "names of secrets with registry credentials",
        "cmd": "command, instead of the image's own",
        "args": "arguments",
        "env": "list of {name, value} or {name, valueFrom: {secretKeyRef|configMapKeyRef: {name, key}}}",
        "cpu": "CPU request and limit, for example 500m",
        "memory": "memory request and limit, for example 256Mi",
        "limit": "{cpu, memory}: limits where they are more than the requests",
        "volumeMounts": "{pvc, configMap, secret, emptyDir, hostPath}: lists of {name, mountPath, ...}",
        "livenessProbe": "as in a Kubernetes container",
        "readinessProbe": "as in a Kubernetes container",
        "hostAliases": "list of {ip, hostnames}",
        "labels": "labels of the pods",
        "annotations": "annotations of the pods",
        "addRevisionLabel": "accepted for KubeVela's sake; no revision is ever put into a pod",
    }
)
WEBSERVICE_PARAMS = MappingProxyType(
    {
        **WORKER_PARAMS,
        "ports": "list of {port, containerPort, name, protocol, expose, nodePort}; those with expose: true are in the Service",
        "port": "one port of the container, the older way",
        "exposeType": "type of the Service: ClusterIP, NodePort or LoadBalancer",
    }
)
STATEFULSET_PARAMS = MappingProxyType(
    {
        **WEBSERVICE_PARAMS,
        "serviceName": "the governing Service; the component's own name unless given",
        "partition": "pods below this ordinal stay as they are",
    }
)


def render_webservice(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    return _workload("Deployment", component, context, {})


def render_worker(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    """A webservice without any Service: it is not called, it calls."""
    return _workload("Deployment", component, context, {})[:1]


def render_statefulset(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    fields = Fields(component.name, component.properties)
    more: JsonObject = {"serviceName": fields.text("serviceName", component.name)}
    if fields.has("partition"):
        more["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": fields.whole("partition", 0, 2**31 - 1, 0)}}
    return _workload("StatefulSet", component, context, more)


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
        objects.append(service(component.name, dict(selector), exposed, fields.choice("exposeType", _EXPOSE_TYPES, "ClusterIP")))
    return objects

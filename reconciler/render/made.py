"""The objects that workflow steps make of their own parameters, by step type: KubeVela's built-in steps of those names."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.model.names import DEFINED, STEP_NAME
from reconciler.render.fields import Fields
from reconciler.render.objects import render_objects
from reconciler.render.protocol import Files, RenderContext
from reconciler.steps.create_config import make_config

_DOCKER: Final = "https://index.docker.io/v1/"


def _make_deployment(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    fields = Fields(component.name, component.properties)
    step = fields.required(STEP_NAME)
    labels = {"workflow.oam.dev/step-name": f"{context.application}-{step}"[:63].rstrip("-_.")}
    container: dict[str, Any] = {"name": step, "image": fields.required("image")}
    if fields.has("cmd"):
        container["command"] = fields.texts("cmd")
    spec = {
        "replicas": fields.whole("replicas", 0, 2**31 - 1, 1),
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": dict(labels)}, "spec": {"containers": [container]}},
    }
    return [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": step}, "spec": spec}]


def _make_config_map(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001
    fields = Fields(component.name, component.properties)
    return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": _named(fields, "configName"), "data": _entries(fields, "data")}]


def _make_secret(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001
    fields = Fields(component.name, component.properties)
    secret: JsonObject = {"apiVersion": "v1", "kind": "Secret", "metadata": _named(fields, "secretName"), "type": fields.text("type", "Opaque")}
    entries = _entries(fields, "data")
    if fields.choice("kind", ("generic", "docker-registry"), "generic") == "docker-registry":
        secret["type"] = fields.text("type", "kubernetes.io/dockerconfigjson")
        entries[".dockerconfigjson"] = _login(fields.below("dockerRegistry"))
    return [{**secret, "stringData": entries}]


def _make_data(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001
    fields = Fields(component.name, component.properties)
    kind = fields.choice("kind", ("ConfigMap", "Secret"), "ConfigMap")
    metadata = _named(fields, "name", context.application)
    return [{"apiVersion": "v1", "kind": kind, "metadata": metadata, "stringData" if kind == "Secret" else "data": _entries(fields, "data")}]


def _make_config(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001
    fields = Fields(component.name, component.properties)
    return [make_config(fields.required("name"), fields.text("namespace"), fields.text("template"), fields.mapping("config"))]


def _named(fields: Fields, field: str, otherwise: str = "") -> JsonObject:
    name = fields.text(field, otherwise) or fields.required(field)
    return {"name": name, **({"namespace": fields.text("namespace")} if fields.has("namespace") else {})}


def _entries(fields: Fields, field: str) -> dict[str, str]:
    inside = fields.below(field)
    return {key: inside.scalar(key) for key in sorted(fields.mapping(field))}


def _login(fields: Fields) -> str:
    """As `kubectl create secret docker-registry` writes it."""
    user, password = fields.required("username"), fields.required("password")
    auth = base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogatepass")).decode()
    return json.dumps({"auths": {fields.text("server", _DOCKER): {"username": user, "password": password, "auth": auth}}}, sort_keys=True)


MADE: Mapping[str, Callable[[Component, RenderContext, Files], list[JsonObject]]] = MappingProxyType(
    {
        "apply-deployment": _make_deployment,
        "export2config": _make_config_map,
        "export2secret": _make_secret,
        "export-data": _make_data,
        "create-config": _make_config,
        DEFINED: render_objects,
    }
)

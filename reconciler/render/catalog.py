"""All component types by name. Trait types are in `traits.TRAIT_TYPES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.render import manifests, microservice, objects, webservice
from reconciler.render.protocol import Files, RenderContext


class ComponentType(NamedTuple):
    """`params`: each property with its meaning; properties besides these have no effect (validation tells of them)."""

    render: Callable[[Component, RenderContext, Files], list[JsonObject]]
    params: Mapping[str, str]
    required: tuple[str, ...] = ()


COMPONENT_TYPES: Mapping[str, ComponentType] = MappingProxyType(
    {
        "webservice": ComponentType(webservice.render_webservice, webservice.WEBSERVICE_PARAMS, ("image",)),
        "worker": ComponentType(webservice.render_worker, webservice.WORKER_PARAMS, ("image",)),
        "statefulset": ComponentType(webservice.render_statefulset, webservice.STATEFULSET_PARAMS, ("image",)),
        "k8s-objects": ComponentType(objects.render_objects, objects.PARAMS, ("objects",)),
        "manifests": ComponentType(manifests.render_manifests, manifests.PARAMS, ("path",)),
        "K8S_MICROSERVICE": ComponentType(microservice.render_microservice, microservice.PARAMS),
    }
)

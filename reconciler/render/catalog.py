"""All component types by name. What their properties may be is checked before (`dialects`); here only what they need is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.render.helm import render_helm
from reconciler.render.kustomize import render_kustomize
from reconciler.render.manifests import render_manifests
from reconciler.render.microservice import render_microservice
from reconciler.render.objects import render_objects
from reconciler.render.protocol import Files, RenderContext
from reconciler.render.tasks import render_cron_task, render_task
from reconciler.render.webservice import render_daemon, render_statefulset, render_webservice, render_worker

Render = Callable[[Component, RenderContext, Files], list[JsonObject]]

COMPONENT_TYPES: Mapping[str, Render] = MappingProxyType(
    {
        "webservice": render_webservice,
        "worker": render_worker,
        "statefulset": render_statefulset,
        "daemon": render_daemon,
        "task": render_task,
        "cron-task": render_cron_task,
        "k8s-objects": render_objects,
        "manifests": render_manifests,
        "kustomize": render_kustomize,
        "helm": render_helm,
        "K8S_MICROSERVICE": render_microservice,
    }
)

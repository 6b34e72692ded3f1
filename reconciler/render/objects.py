"""`k8s-objects`: objects written out in the application itself. KubeVela's component of that name."""

from __future__ import annotations

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields
from reconciler.render.placement import flatten_lists
from reconciler.render.protocol import Files, RenderContext


def render_objects(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    fields = Fields(component.name, component.properties)
    objects = fields.values("objects")
    if not objects:
        raise fields.error("objects", "must hold at least one object")
    return flatten_lists(objects)

"""`k8s-objects`: objects written out in the application itself. KubeVela's component of that name."""

from __future__ import annotations

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.model.names import DEFINED
from reconciler.render.fields import Fields
from reconciler.render.placement import flatten_lists
from reconciler.render.protocol import Files, RenderContext


def render_objects(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    fields = Fields(component.name, component.properties)
    objects = fields.values("objects")
    if not objects and component.type != DEFINED:  # what a definition applies is known when its step runs
        raise fields.error("objects", "must hold at least one object")
    return flatten_lists(objects)

"""The renderer for component types that are written in Python."""

from __future__ import annotations

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.model.text import nearest, one_line
from reconciler.render.catalog import COMPONENT_TYPES
from reconciler.render.made import MADE
from reconciler.render.placement import check_objects, place
from reconciler.render.protocol import Files, RenderContext, RenderError
from reconciler.render.traits import apply_traits


class PythonRenderer:
    """Pure: equal arguments give equal objects, and no argument is changed."""

    def render(self, component: Component, context: RenderContext, files: Files) -> list[JsonObject]:
        """
        Objects in the order they are to be applied. Those without a namespace go to the component's, else the context's.

        Raises RenderError, and nothing else for what a component or a file holds.
        """
        render = COMPONENT_TYPES.get(component.type) or MADE.get(component.type)
        if render is None:
            guess = nearest(component.type, COMPONENT_TYPES)
            hint = f"; did you mean {guess}?" if guess else ""
            raise RenderError(f"component {one_line(component.name, 80)}: there is no component type {one_line(component.type, 60)}{hint}")
        objects = render(component, context, files)
        check_objects(component.name, objects)
        namespace = component.namespace or context.namespace
        if component.traits:
            apply_traits(component, namespace, objects)
            check_objects(component.name, objects)  # names and labels that traits made, too
        return place(component.name, namespace, objects)

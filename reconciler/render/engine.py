"""The renderer: component types and traits that are written in Python, and those that the repository defines."""

from __future__ import annotations

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.model.text import nearest, one_line
from reconciler.render.catalog import COMPONENT_TYPES
from reconciler.render.defined import render_defined
from reconciler.render.made import MADE
from reconciler.render.placement import check_objects, place
from reconciler.render.protocol import Files, RenderContext, RenderError
from reconciler.render.traits import apply_traits


class ComponentRenderer:
    """Pure: equal arguments give equal objects, and no argument is changed."""

    def render(self, component: Component, context: RenderContext, files: Files) -> list[JsonObject]:
        """
        Objects in the order they are to be applied. Those without a namespace go to the component's, else the context's.

        Raises RenderError, and nothing else for what a component or a file holds.
        """
        namespace = component.namespace or context.namespace
        leading = 0
        if component.defined:
            leading = next(
                (index for index, trait in enumerate(component.traits) if not context.definition("trait", trait.type)), len(component.traits)
            )
            objects = render_defined(component, component.traits[:leading], context)
        else:
            objects = _render_built_in(component, context, files)
        check_objects(component.title, objects)
        if component.traits[leading:]:
            apply_traits(component, leading, context, namespace, objects)
            check_objects(component.title, objects)  # names and labels that traits made, too
        return place(component.title, namespace, objects)


def _render_built_in(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:
    render = COMPONENT_TYPES.get(component.type) or MADE.get(component.type)
    if render is None:
        guess = nearest(component.type, COMPONENT_TYPES)
        hint = f"; did you mean {guess}?" if guess else ""
        raise RenderError(f"component {one_line(component.name, 80)}: there is no component type {one_line(component.type, 60)}{hint}")
    return render(component, context, files)

"""Inputs of a step put into the component that it applies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from reconciler.dialects.charts import HELM
from reconciler.model.application import Component
from reconciler.model.text import one_line
from reconciler.render.protocol import RenderError
from reconciler.workflow.paths import parse_path, with_path

_DEEPEST = 10


def with_values(component: Component, values: Mapping[str, Any]) -> Component:
    """
    A copy of the component with each value at its dotted path, `[i]` for list items (one behind the last makes a new one).

    Paths begin at the component where they start with `properties` or `traits[`, else in its properties (KubeVela's rule
    for parameterKey); what is no property of a chart's component is one of the chart's values. Raises RenderError for a path that leads
    nowhere or more than ten parts deep.
    """
    root: Any = msgspec.to_builtins(component)
    for path, value in values.items():
        rooted = path.startswith(("properties.", "properties[", "traits["))
        try:
            if len(parse_path(path)) > _DEEPEST:
                raise ValueError(f"more than {_DEEPEST} parts deep")
            root = with_path(root, _place(component, path if rooted else f"properties.{path}"), value)
        except ValueError as error:
            raise RenderError(f"component {component.name}: input {one_line(path, 120)}: {one_line(error)}") from error
    try:
        return msgspec.convert(root, Component)
    except msgspec.ValidationError as error:
        raise RenderError(f"component {component.name}: inputs do not fit: {one_line(error)}") from error


def _place(component: Component, path: str) -> str:
    parts = parse_path(path)
    is_value = component.is_built_in("helm") and parts[0] == "properties" and len(parts) > 1 and parts[1] not in HELM.fields
    return f"properties.values.{path.removeprefix('properties.')}" if is_value else path

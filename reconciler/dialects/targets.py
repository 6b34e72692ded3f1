"""Where the inputs of components go."""

from __future__ import annotations

from typing import Any

from reconciler.dialects.fieldpath import parse_path
from reconciler.dialects.steps import mappings


def full_target(parameter_key: str) -> str:
    """Where an input of a component goes, from the component's top: into its properties, unless it says otherwise."""
    return parameter_key if parameter_key.startswith(("properties.", "traits[")) else f"properties.{parameter_key}"


def find_step_inputs(steps: list[Any]) -> dict[str, list[str]]:
    """Targets of the inputs of all steps by component: those fields may be missing until the step runs."""
    found: dict[str, list[str]] = {}
    listed = [step for _, step in mappings(steps, ())]
    for step in [*listed, *(member for group in listed for _, member in mappings(group.get("subSteps"), ()))]:
        properties = step.get("properties")
        component = properties.get("component") if isinstance(properties, dict) else None
        if not isinstance(component, str):
            continue
        for _, entry in mappings(step.get("inputs"), ()):
            try:
                parse_path(entry.get("parameterKey"))
            except ValueError:
                continue  # said where the step is read
            found.setdefault(component, []).append(full_target(entry["parameterKey"]))
    return found

"""Data between steps: outputs to inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from reconciler.model.application import Step
from reconciler.model.expression import ExpressionError, is_path, parse_expression
from reconciler.model.run import Phase, StepState
from reconciler.workflow.paths import read_path, with_path

_PART_OF_COMPONENT = re.compile(r"(?:properties|traits)(?:[.\[]|$)", re.ASCII)


class Pending(Exception):  # noqa: N818  # not an error: the step has to wait
    """An input is not there yet. The text is KubeVela's: `Pending on Input: db-conn`."""


class Absent(Pending):
    """An input never comes: the step that should have given it is over and gave nothing."""


def gather_inputs(spec: Step, steps: Sequence[StepState], context: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the step's properties with inputs in them, values for its components by path). Raises Pending.

    Steps that apply components hand what is for `properties` or `traits` on to those; all else goes into the step's own properties. `context`:
    what an input may read as `context.…`, where no step gives it.
    """
    properties, values = dict(spec.properties), {}
    for item in spec.inputs:
        value = read_input(item.source, steps, context)
        if spec.components and _PART_OF_COMPONENT.match(item.target):
            values[item.target] = value
        else:
            target = item.target.removeprefix("properties.")
            try:
                properties = with_path(properties, target, value)
            except ValueError as error:
                raise Pending(f"Input {item.source} does not fit: {error}") from error
    return properties, values


def read_input(source: str, steps: Sequence[StepState], context: Mapping[str, Any]) -> Any:
    """
    The value of that name, or of the path below it. An output comes before what is in `context`. Raises Pending, and Absent where a step left its
    outputs null when it was over, and where the context has no such thing.
    """
    name, _, rest = source.partition(".")
    for step in steps:
        if step.phase.final and step.phase is not Phase.SUCCEEDED and (source in step.outputs or name in step.outputs):
            raise Absent(f"Input {source} never comes: step {step.name} gave nothing")
        for key, path in ((source, ""), (name, rest)):
            if step.phase is Phase.SUCCEEDED and key in step.outputs:
                try:
                    return read_path(step.outputs[key], path) if path else step.outputs[key]
                except (LookupError, ValueError):
                    break
    if context and name == "context":
        try:
            return read_path(dict(context), rest)
        except (LookupError, ValueError):
            raise Absent(f"Input {source} never comes: there is no such thing in the context") from None
    raise Pending(f"Pending on Input: {source}")


def read_outputs(spec: Step, exported: dict[str, Any]) -> dict[str, Any]:
    """What the step's `outputs` name of what it exports; a path that leads nowhere, and an expression without an answer, give null."""
    found: dict[str, Any] = {}
    for output in spec.outputs:
        try:
            found[output.name] = _read_output(output.value, exported)
        except (LookupError, ValueError):
            found[output.name] = None
    return found


def _read_output(text: str, exported: dict[str, Any]) -> Any:
    """Raises LookupError or ValueError where there is nothing. Names of plug-ins' outputs may hold what means nothing in an expression."""
    if not is_path(text):
        with suppress(ExpressionError):
            return parse_expression(text).ask(exported)
    return read_path(exported, text)

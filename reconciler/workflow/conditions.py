"""Whether a step is run or skipped where failures are visited: what its `if` says, of the steps before it, its inputs and its run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reconciler.model.application import Step, Workflow
from reconciler.model.expression import ExpressionError, parse_expression
from reconciler.model.identity import AppKey
from reconciler.model.run import Run, StepState
from reconciler.model.standing import describe
from reconciler.workflow.data import Pending, read_input


def steps_asked(spec: Step) -> list[str]:
    """Names of the steps whose status the condition asks for."""
    if not spec.condition:
        return []
    try:
        return parse_expression(spec.condition).subjects("status")
    except ExpressionError:  # validation finds these; a stored revision of an older version may have one
        return []


def holds(spec: Step, run: Run, workflow: Workflow) -> bool:
    """Whether the condition of that step is true now. Raises ExpressionError, also where it has no answer."""
    expression = parse_expression(spec.condition)
    if expression.always:
        return True
    names = {
        "status": {step.name: describe(step) for step in run.steps},
        "inputs": {item.source: _value(item.source, run.steps) for item in spec.inputs},
        "context": context_of(spec, run, workflow),
        "parameter": spec.properties,
    }
    return expression.read(names)


def context_of(spec: Step, run: Run, workflow: Workflow) -> dict[str, Any]:
    """What `context` is in a condition; the workflow's own parameters are in it too."""
    app, number = AppKey.parse(run.app), run.revision.rpartition("-v")[2]
    group = next((step.name for step in workflow.steps if step.key == spec.group), "")
    return {
        **workflow.parameters,
        "name": app.name,
        "appName": app.name,
        "namespace": app.namespace,
        "appLabels": workflow.labels,
        "appRevision": run.revision,
        "appRevisionNum": int(number) if number.isdigit() else 0,
        "workflowName": app.name,
        "stepName": spec.name,
        "stepGroupName": group,
    }


def _value(source: str, steps: Sequence[StepState]) -> Any:
    """Null where it is not there."""
    try:
        return read_input(source, steps)
    except Pending:
        return None

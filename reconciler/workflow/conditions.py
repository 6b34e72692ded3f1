"""Whether a step is run or skipped where failures are visited: what its `if` says, of the steps before it, its inputs and its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.model.application import Step, Workflow
from reconciler.model.canonical import digest
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
    context = context_of(spec, run, workflow)
    names = {
        "status": {step.name: describe(step) for step in run.steps},
        "inputs": {item.source: _value(item.source, run.steps, context) for item in spec.inputs},
        "context": context,
        "parameter": spec.properties,
    }
    return expression.read(names)


def context_of(spec: Step, run: Run, workflow: Workflow) -> dict[str, Any]:
    """What `context` is for a step; the workflow's own parameters are in it too. `stepSessionID` is a word that can stand in a name, and another one
    each time the step is done anew."""
    app, number = AppKey.parse(run.app), run.revision.rpartition("-v")[2]
    begun = next((step.round for step in run.steps if step.key == spec.key), 0)
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
        "stepSessionID": digest([run.owner, run.name, spec.key, begun])[:10],
    }


def _value(source: str, steps: Sequence[StepState], context: Mapping[str, Any]) -> Any:
    """Null where it is not there."""
    try:
        return read_input(source, steps, context)
    except Pending:
        return None

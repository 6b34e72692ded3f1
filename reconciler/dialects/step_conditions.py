"""Conditions of steps (`if`) as they are checked: whether they can be read, and whether all that they ask for is there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from reconciler.dialects.findings import Findings, suggest
from reconciler.dialects.steps import Draft
from reconciler.model.application import Step
from reconciler.model.expression import ExpressionError, Path, parse_expression
from reconciler.model.standing import FIELDS
from reconciler.model.text import one_line

ROOTS = ("status", "inputs", "context", "parameter")
CONTEXT = ("name", "namespace", "appName", "appLabels", "appRevision", "appRevisionNum", "workflowName", "stepName", "stepGroupName", "stepSessionID")
_WITHHELD = {"appAnnotations": "annotations are no part of a revision; a label can be asked for, by appLabels"}


def asked_of(step: Step) -> list[str]:
    """Names of the steps whose status its condition asks for; none where it can't be read."""
    try:
        return parse_expression(step.condition).subjects("status") if step.condition else []
    except ExpressionError:
        return []


def check_conditions(drafts: list[Draft], parameters: Iterable[str], findings: Findings) -> None:
    """`parameters`: further names below `context`."""
    known = {draft.step.name: draft for draft in drafts}
    context = (*CONTEXT, *parameters)
    for draft in drafts:
        if not draft.step.condition:
            continue
        at = (*draft.at, "if")
        try:
            paths = parse_expression(draft.step.condition).paths
        except ExpressionError as error:
            findings.error(at, f"can't be read: {one_line(error)}")
            continue
        inputs = [entry.source for entry, _ in draft.inputs]
        for path in dict.fromkeys(paths):
            message = _objection(path, known, inputs, context)
            if message:
                hint = '; a name with - stands in brackets: status["my-step"]' if "-" in draft.step.condition else ""
                findings.error(at, message + (hint if path.parts[0] not in ROOTS or "unknown step" in message else ""))


def _objection(path: Path, steps: Mapping[str, Draft], inputs: list[str], context: Collection[str]) -> str:
    """What is wrong with a path; empty where nothing is."""
    root, *rest = path.parts
    if root in steps:
        return f"unknown name {one_line(root, 80)}; how a step stands is {one_line(Path(('status', root)), 100)}"
    if root not in ROOTS:
        return f"unknown name {one_line(root, 80)}{suggest(root, (*ROOTS, 'always'))}"
    if root == "parameter":
        return ""
    if not rest:
        return f"{root} alone is nothing that can be true or false"
    known = {"status": list(steps), "inputs": inputs, "context": list(context)}[str(root)]
    what = {"status": "step", "inputs": "input", "context": "name in context:"}[str(root)]
    if root == "context" and rest[0] in _WITHHELD and rest[0] not in known:
        return f"unknown name in context: {rest[0]}: {_WITHHELD[str(rest[0])]}"
    if rest[0] not in known:
        return f"unknown {what} {one_line(rest[0], 80)}{suggest(rest[0], known)}"
    if root == "status" and len(rest) > 1 and rest[1] not in FIELDS:
        return f"unknown field {one_line(rest[1], 80)} of a step's status{suggest(rest[1], FIELDS)}"
    return ""

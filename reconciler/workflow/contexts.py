"""
The contexts of a run's steps, as SREWorks has them: what a step begins with, kept before it starts, and what a person puts in.

A step's context is the workflow's own, over it what the steps right before it leave, and over that what people gave: a person's
value is never lost to an older one that is handed on. A gate hands on no decision: each gate takes one of its own (rule 4c). Pure.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final, NamedTuple

from reconciler.model.application import Workflow
from reconciler.model.canonical import canonical
from reconciler.model.names import (
    CONTEXT_CANCEL,
    CONTEXT_CANCEL_REASON,
    CONTEXT_CONTINUE,
    CONTEXT_DECISIONS,
    CONTEXT_DELIVERED,
    CONTEXT_INTERNAL,
    CONTEXT_LIMIT,
    CONTEXT_ROLLBACK,
    GATE_STEP_TYPES,
)
from reconciler.model.run import Given, Phase, Run, StepState, Verb, copy_run, living
from reconciler.model.text import nearest, one_line

TOTAL_LIMIT: Final = 128 * 1024
_DECISIONS: dict[tuple[bool, bool], Verb] = {(True, False): "continue", (False, True): "rollback", (False, False): "end"}


class ContextError(ValueError):
    """What is put in does not hold, or would be too much. `code`: SREWorks' number for it (INVALID_USER_ARGS)."""

    code = 10002

    def __str__(self) -> str:
        return f"{self.code}: {super().__str__()}"


class Put(NamedTuple):
    """`run`: with what was given in it. `verb`: the decision that was given with it, which still needs its commit (rule 4); empty for none."""

    run: Run
    verb: Verb | str


def keep_snapshot(run: Run, workflow: Workflow, step: StepState) -> dict[str, Any]:
    """Writes what the step begins with into the run. Raises ContextError where that would be too much."""
    context = compose(run, workflow, step)
    known = [canonical(snapshot) for snapshot in run.snapshots]
    mark = canonical(context)
    if mark not in known:
        _check_size(context)
        if sum(map(_size, (*run.snapshots, context))) > TOTAL_LIMIT:
            raise ContextError(f"the contexts of a run are at most {TOTAL_LIMIT} bytes together")
        run.snapshots.append(context)
        known.append(mark)
    step.context = known.index(mark)
    return context


def compose(run: Run, workflow: Workflow, step: StepState) -> dict[str, Any]:
    """What the step began with; before it begins, what it would begin with now."""
    return dict(_compose(run, workflow, step, {}))


def _compose(run: Run, workflow: Workflow, step: StepState, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """`known`: by step key, so that a step on many ways is asked once."""
    if step.context is not None:
        return run.snapshots[step.context]
    if step.key not in known:
        context = dict(workflow.parameters)
        for parent in _parents(run, workflow, step):
            context |= _leave(run, parent, _compose(run, workflow, parent, known))
        for given in run.given:
            context |= given.values
        known[step.key] = context
    return known[step.key]


def readable(run: Run, workflow: Workflow, step: StepState) -> dict[str, Any]:
    """What a step's `outputs` may read beside what it exports: its context, and what steps before it delivered."""
    if step.context is None:
        return {}
    delivered = {name: value for other in run.steps if other.phase is Phase.SUCCEEDED for name, value in other.outputs.items()}
    return {**compose(run, workflow, step), CONTEXT_DELIVERED: delivered}


def carry_contexts(old: Run, new: Run, start: str) -> None:
    """
    What a reset keeps of contexts. `new`: the run with its steps reset, `old` as it was before; `start`: the key of the first of them.

    That step begins again with its own snapshot, if it had begun, and what people gave after that is forgotten. Where all are reset
    (`start` empty) all is as at first: the workflow's own context and nothing given.
    """
    step = old.step(start) if start else None
    began = step.started_at if step is not None and step.context is not None else None
    if step is not None and began is not None:
        new.step(start).context = step.context
        new.given = [given for given in new.given if given.at < began]
    elif step is None:
        new.given = []
    _forget_unused(new)


def _forget_unused(run: Run) -> None:
    """Snapshots with which no step began: a run that is begun again and again keeps no more than it needs."""
    used = sorted({step.context for step in run.steps if step.context is not None})
    run.snapshots = [run.snapshots[index] for index in used]
    for step in run.steps:
        step.context = used.index(step.context) if step.context is not None else None


def put_context(run: Run, workflow: Workflow, values: dict[str, Any], now: datetime) -> Put:
    """
    Merges values into the context of all steps that have not begun; what a person gives wins over what is handed on.

    `continueRollout` and `rollback` are a decision and no data: both or neither. Raises ContextError, and changes nothing, for an empty
    context, half a decision or a contradictory one, the machine's own keys (all but those that call the run off), too much, and a
    run that has ended.
    """
    if not values:
        raise ContextError("the context must not be empty")
    if run.phase.final or run.phase is Phase.ROLLING_BACK:
        raise ContextError(f"{run.name} has ended: its context can't be set any more")
    if not workflow.contexts:
        raise ContextError("the steps of this workflow have no context")
    verb = _read_decision(values)
    data = {name: value for name, value in values.items() if name not in CONTEXT_DECISIONS}
    for name in data:
        if name.startswith(CONTEXT_INTERNAL) and name not in (CONTEXT_CANCEL, CONTEXT_CANCEL_REASON):
            raise ContextError(f"{one_line(name, 80)} is the machine's own")
    new = copy_run(run)
    if data:
        new.given.append(Given(data, now))
        if sum(_size(given.values) for given in new.given) > TOTAL_LIMIT:
            raise ContextError(f"what is given to a run is at most {TOTAL_LIMIT} bytes together")
        context = dict(workflow.parameters)
        for given in new.given:
            context |= given.values
        _check_size(context)
    return Put(new, verb)


def _read_decision(values: dict[str, Any]) -> Verb | str:
    if not CONTEXT_DECISIONS & values.keys():
        for name in values:
            meant = nearest(name, CONTEXT_DECISIONS) if len(name) <= 40 else None  # a guess is slow, and input is untrusted
            if meant is not None:
                raise ContextError(f"unknown key {one_line(name, 80)}; did you mean {meant}?")
        return ""
    missing = sorted(CONTEXT_DECISIONS - values.keys())
    if missing:
        others = sorted(one_line(name, 80) for name in values.keys() - CONTEXT_DECISIONS)
        unknown = f"; what is {', '.join(others[:5])}?" if others else ""
        raise ContextError(f"{CONTEXT_CONTINUE} and {CONTEXT_ROLLBACK} must both be set: {missing[0]} is missing{unknown}")
    both = values[CONTEXT_CONTINUE], values[CONTEXT_ROLLBACK]
    if not all(isinstance(value, bool) for value in both):
        raise ContextError(f"{CONTEXT_CONTINUE} and {CONTEXT_ROLLBACK} must be true or false")
    if both not in _DECISIONS:
        raise ContextError(f"{CONTEXT_CONTINUE} must be false if {CONTEXT_ROLLBACK} is true")
    return _DECISIONS[both]


def _parents(run: Run, workflow: Workflow, step: StepState) -> list[StepState]:
    """The steps right before it, in the order written."""
    position = next((index for index, spec in enumerate(workflow.steps) if spec.key == step.key), None)
    if position is None:
        return []
    if workflow.mode == "StepByStep":
        keys = [workflow.steps[position - 1].key] if position else []
    else:
        names = set(workflow.steps[position].depends_on)
        keys = [spec.key for spec in workflow.steps if spec.name in names]
    return [run.step(key) for key in keys]


def _leave(run: Run, step: StepState, context: dict[str, Any]) -> dict[str, Any]:
    """What a step hands on: its context, over it what it shared itself, less a decision that it took."""
    left = context | next((shared.values for shared in reversed(living(run.shared)) if shared.step == step.key), {})
    if step.type in GATE_STEP_TYPES:
        left = {name: value for name, value in left.items() if name not in CONTEXT_DECISIONS}
    return left


def _check_size(context: dict[str, Any]) -> None:
    if _size(context) > CONTEXT_LIMIT:
        raise ContextError(f"a step's context is at most {CONTEXT_LIMIT} bytes")


def _size(context: dict[str, Any]) -> int:
    return len(json.dumps(context, default=str, ensure_ascii=False).encode("utf-8", "replace"))

"""Timeouts of steps and groups: a deadline that is stored when a step first starts, and that no retry and no restart of the daemon moves (9c)."""

from __future__ import annotations

from datetime import timedelta

from reconciler.model.duration import format_duration
from reconciler.model.outcome import Failed
from reconciler.model.run import Phase, StepState
from reconciler.model.standing import STEP_TIMEOUT
from reconciler.workflow.turn import Turn
from reconciler.workflow.visiting import skip


def expire(turn: Turn) -> None:
    """
    Ends what is out of time, gates too. What is under way is waited for, so that its result is known, but nothing further is begun.

    A gate ends so only after a look at git later than its deadline, as its timer opens (rule 4c): who approved in time wins. Of a group that is
    out of time, the steps that have begun fail with it and the others are skipped.
    """
    for step in turn.run.steps:
        if step.phase.final or step.deadline is None or turn.stands_still(step):
            continue
        gates = [one for one in (step, *turn.members(step)) if one.phase is Phase.WAITING and one.key not in turn.groups]
        looked = turn.facts.looked_at is not None and turn.facts.looked_at > step.deadline
        if turn.now < step.deadline or (gates and not looked):
            turn.wake_at(step.deadline)
        elif step.key in turn.groups:
            _expire_group(turn, step)
        elif not any(turn.continued(gate) for gate in gates):
            _expire(turn, step, _over(turn, step))


def is_expired(turn: Turn, step: StepState) -> bool:
    """Whether it is only waited for what it began. A group goes on until its steps are over."""
    if step.key in turn.groups:
        return False
    parent = turn.run.step(step.group) if step.group else step
    return any(one.deadline is not None and turn.now >= one.deadline for one in (step, parent)) and step.phase is not Phase.WAITING


def _expire_group(turn: Turn, group: StepState) -> None:
    group.reason, group.message = STEP_TIMEOUT, _over(turn, group)
    for member in turn.members(group):
        if member.phase.final or member.suspended_at is not None:
            continue
        if member.started_at is None:
            skip(turn, member, f"group {group.name} is out of time")
        else:
            _expire(turn, member, f"group {group.name}: {group.message}")


def _expire(turn: Turn, step: StepState, message: str) -> None:
    turn.again(step)
    if step.phase.final:  # nobody can carry out any more what it began
        return
    if all(path in step.results for path in step.intents):
        turn.fail(step, Failed(STEP_TIMEOUT, f"{message}; {step.message}" if step.message else message))


def _over(turn: Turn, step: StepState) -> str:
    return f"not done within {format_duration(timedelta(seconds=turn.spec(step).timeout))}"

"""What a person may order at a run at once (rule 7f): to end it, to roll it back, and to have a step stand still, go on or be done again.

The order is written into the run, which is stored before anything acts on it. What becomes of it is the machine's.
"""

from __future__ import annotations

from datetime import datetime

from reconciler.model.application import Workflow
from reconciler.model.run import Command, Decision, Phase, Run, StepState, Verb, copy_run
from reconciler.model.text import nearest
from reconciler.workflow.pausing import resume_step, suspend_step
from reconciler.workflow.resetting import ResetError, reopen, reset

_KEPT = 20
_DECIDES: dict[str, Verb] = {"terminate": "end", "rollback": "rollback"}


class Refused(Exception):  # noqa: N818  # an answer, not a fault
    """It is not possible as things stand; the message says why, as a clause."""


class NoStep(Refused):
    """The run has no such step; the message names those that it has."""


class Needless(Exception):  # noqa: N818  # an answer, not a fault
    """It is so already, and nothing is changed; the message says so, as a clause."""


def find_step(run: Run, name: str) -> StepState:
    """The step of that key or name. Raises NoStep."""
    for step in run.steps:
        if name in (step.key, step.name):
            return step
    names = [step.name for step in run.steps]
    close = nearest(name, names)
    raise NoStep(f"{run.name} has no step {name}, but {', '.join(names) or 'none'}" + (f"; did you mean {close}?" if close else ""))


def obey(run: Run, workflow: Workflow, command: Command, value: str, now: datetime) -> Run:
    """
    The run with the command in it; the one that was handed in stays as it is. `value`: the item that says the same as an annotation, for a
    command that decides (rule 4c: when it is read in git later it has been used).

    Raises Refused and Needless.
    """
    new = copy_run(run)
    match command.verb:
        case "terminate":
            _end(new, command, value, now)
        case "rollback":
            new = _roll_back(new, command, value, now)
        case "suspend":
            _suspend(new, command, now)
        case "resume":
            _resume(new, command, now)
        case "retry" | "restart":
            new = _begin_again(new, workflow, command.step)
    owing = [other for other in new.commands[:-_KEPT] if other.owed is not None and other.owed.state in ("Owed", "Built", "Differs")]
    new.commands = [*owing, *new.commands[-_KEPT:], command]
    return new


def _decide(run: Run, command: Command, value: str, now: datetime) -> None:
    verb = _DECIDES[command.verb]
    decision = Decision(gate="run", verb=verb, value=value, at=now, author=command.author, message=command.reason, by="order", round=run.round)
    run.decisions.append(decision)


def _decided(run: Run, verb: Verb) -> bool:
    return any(decision.verb == verb and decision.by == "order" for decision in run.decisions[run.answered :])


def ended_by_order(run: Run) -> bool:
    """Whether a person has it end, and it has not ended yet: at the API, or by deleting it (rule 3g)."""
    return not run.phase.final and (_decided(run, "end") or bool(run.order))


def _end(run: Run, command: Command, value: str, now: datetime) -> None:
    if run.phase.final:
        raise Needless(f"{run.name} has ended already ({run.phase.value})")
    if _decided(run, "end"):
        raise Needless(f"{run.name} is being ended already")
    _decide(run, command, value, now)


def _roll_back(run: Run, command: Command, value: str, now: datetime) -> Run:
    if run.phase is Phase.ROLLING_BACK or (not run.phase.final and (run.restores or run.kind == "undo" or _decided(run, "rollback"))):
        raise Needless(f"{run.name} is being rolled back already")
    if run.phase is Phase.ROLLED_BACK:
        raise Needless(f"{run.name} was rolled back")
    if run.kind == "restore":
        raise Refused(f"{run.name} goes back itself, and what goes back is never rolled back: terminate it, or push what is to run")
    if run.undo_cause or run.restore_target or run.phase is Phase.SUPERSEDED:
        raise Refused(f"{run.name} has ended and nothing is left of it to roll back")
    if run.phase.final:
        run = reopen(run)
    _decide(run, command, value, now)
    return run


def _suspend(run: Run, command: Command, now: datetime) -> None:
    step = _find_open(run, command.step)
    if step.suspended_at is not None:
        raise Needless(f"step {step.name} is suspended already")
    for one in (step, *_open_members(run, step)):
        if one.suspended_at is None:
            suspend_step(one, f"suspended by {command.author}: {command.reason}", now)


def _resume(run: Run, command: Command, now: datetime) -> None:
    steps = [_find_open(run, command.step)] if command.step else [step for step in run.steps if step.suspended_at and not step.phase.final]
    if run.phase.final or not steps:
        raise Needless(f"nothing of {run.name} is suspended")
    for step in steps:
        if step.suspended_at is None and command.step:
            way = f"`reconciler workflow continue {run.app} --step {step.name}` makes it"
            waits = f"; it waits at its gate, and what opens a gate is a commit: {way}" if step.phase is Phase.WAITING else ""
            raise Needless(f"step {step.name} is not suspended{waits}")
        for one in (step, *_open_members(run, step)):
            if one.suspended_at is not None:
                resume_step(run, one, now)


def _open_members(run: Run, group: StepState) -> list[StepState]:
    """The steps that belong to that one and have not ended: they stand still and go on with it."""
    return [step for step in run.steps if step.group == group.key and not step.phase.final]


def _find_open(run: Run, name: str) -> StepState:
    step = find_step(run, name)
    if run.phase is Phase.ROLLING_BACK:
        raise Refused(f"{run.name} is being rolled back, which no step holds up; terminate ends it")
    if run.phase.final or step.phase.final:
        raise Refused(f"step {step.name} has ended ({step.phase.value})")
    return step


def _begin_again(run: Run, workflow: Workflow, step: str) -> Run:
    try:
        return reset(run, workflow, find_step(run, step).key if step else "")
    except ResetError as error:
        raise Refused(str(error)) from None

"""The state machine of a run. Pure: `advance` turns a run and facts into the next run and what is to be done.

The engine stores the run that comes back before it acts on anything (rule 3d). Called again with the same facts it answers the
same; called after a crash with nothing but the stored run it asks for the same effects under the same keys (rule 9a).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from reconciler.model.application import Retry, Workflow
from reconciler.model.outcome import HEALTH_SECONDS, StepType
from reconciler.model.run import Phase, Run, StepState, copy_run
from reconciler.workflow.admission import QUEUED
from reconciler.workflow.compensating import begin_undo, undo
from reconciler.workflow.facts import Advance, Facts
from reconciler.workflow.intake import take_in
from reconciler.workflow.notices import add_notices
from reconciler.workflow.proceeding import proceed
from reconciler.workflow.stopping import await_restore, is_decided, is_stopped, is_superseded, stop
from reconciler.workflow.turn import Turn

IMPLICIT_GATE = "suspend"


def open_steps(workflow: Workflow, implicit: list[str]) -> list[StepState]:
    """The steps of a new run: implicit gates first (rules 3f, 4g), then the workflow's."""
    gates = [StepState(name=key, type=IMPLICIT_GATE, key=key) for key in implicit]
    return gates + [StepState(name=step.name, type=step.type, key=step.key, group=step.group) for step in workflow.steps]


class Machine:
    """`types`: step types by name. The machine imports none: plug-ins and definitions come in the same way. `retry`: the back-off of steps
    where neither they nor their workflow say another, `health`: how many seconds they wait for it."""

    def __init__(self, types: Mapping[str, StepType], retry: Retry | None = None, health: float = HEALTH_SECONDS) -> None:
        self._types, self._retry, self._health = types, retry or Retry(), health

    def advance(self, run: Run, workflow: Workflow, facts: Facts, now: datetime) -> Advance:
        """One look at a run. Never raises for what a run or a manifest holds: a step that breaks fails for an internal reason."""
        turn = Turn(self._types, copy_run(run), workflow, facts, now, self._retry, self._health)
        if not run.phase.final:
            _play(turn)
        if workflow.callback is not None:
            add_notices(run, turn.run, now)
        place = {step.key: position for position, step in enumerate(turn.run.steps)}
        orders = sorted(turn.orders.values(), key=lambda order: place[order.step])
        return Advance(turn.run, orders, frozenset(turn.queries), turn.wake)


def _play(turn: Turn) -> None:
    run = turn.run
    take_in(turn)
    if run.phase is Phase.ROLLING_BACK:
        (undo if run.undo_cause else await_restore)(turn)
        return
    if run.kind == "undo":
        run.started_at = turn.now
        begin_undo(turn, "removed", "the application was removed from git")
        return
    if run.started_at is None and turn.facts.admitted:
        run.started_at = turn.now
    if is_stopped(turn):
        stop(turn)
    elif run.suspended_at:
        turn.again_unresolved()
    elif turn.facts.admitted:
        _go_on(turn)
    else:
        _queue(turn)


def _go_on(turn: Turn) -> None:
    run = turn.run
    proceed(turn)
    if not run.phase.final and not run.undo_cause and (is_decided(turn) or is_superseded(turn)):
        stop(turn)  # a step called it off, or it has come to the gate that a newer revision waited for (6b)


def _queue(turn: Turn) -> None:
    """It does nothing for which it would have to be admitted: it waits to begin, and on at its gate, or until it would run again."""
    run = turn.run
    if run.started_at is not None:
        trial = turn.on_trial()
        _go_on(trial)
        if trial.run.phase is not Phase.RUNNING:
            turn.take_over(trial)
            return
        run.phase = Phase.WAITING
    run.reason, run.message = QUEUED, f"waits in queue {run.queue} to be admitted"

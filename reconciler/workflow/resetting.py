"""Beginning again in the same run: a step and all that comes behind it, or every step (restart from a step, retry).

What is reset has a higher round, and so new effect keys and new gate codes (rules 4a, 9a); its results and outputs are gone. What came before
it stays as it is and is not done again. A run that had ended is open again.
"""

from __future__ import annotations

from reconciler.model.application import Workflow
from reconciler.model.run import Phase, Run, Shared, StepState, copy_run
from reconciler.workflow.contexts import carry_contexts
from reconciler.workflow.ordering import Ordering


class ResetError(Exception):
    """It can't be begun again; the message says why, as a clause."""


def reach(run: Run, workflow: Workflow, start: str = "") -> list[str]:
    """
    Keys of the steps that a reset from the step of key `start` resets, in workflow order; of all, where it is empty. Raises KeyError.

    They are that step, those behind it, and those that did not succeed: a run in which one is left failed could not go on. A step that belongs to
    another takes that one along, but not the others that belong to it.
    """
    if not start:
        return [step.key for step in run.steps]
    ordering = Ordering(run, workflow)
    found: set[str] = set()
    todo = [run.step(start)]
    while todo:
        step = todo.pop()
        if step.key in found:
            continue
        found.add(step.key)
        if step.group:
            parent = run.step(step.group)
            found.add(parent.key)
            todo += [other for other in ordering.dependents(parent) if other.group != parent.key]
        todo += ordering.dependents(step)
        todo += [other for other in run.steps if other.group == step.key]
    return [step.key for step in run.steps if step.key in found or _is_unfinished(run, step)]


def _is_unfinished(run: Run, step: StepState) -> bool:
    """Whether its end is no success: of a run that goes on only its failure, for the others still may get there."""
    return step.phase is Phase.FAILED or (run.phase.final and step.phase is not Phase.SUCCEEDED)


def reset(run: Run, workflow: Workflow, start: str = "") -> Run:
    """
    The run with those steps to be done again. `start`: a step's key; empty: all, with the parameters that they had at first.

    A run that goes on can be reset only from a step that failed. Raises ResetError.
    """
    _check(run, start)
    keys = set(reach(run, workflow, start))
    new = copy_run(run)
    new.steps = [_begin_again(step) if step.key in keys else step for step in new.steps]
    if any(entry.step in keys for entry in new.shared):
        new.shared.append(Shared("", forget=sorted(keys)))
    carry_contexts(run, new, start)
    return _open_again(new) if run.phase.final else new


def _check(run: Run, start: str) -> None:
    if start and all(step.key != start for step in run.steps):
        raise ResetError(f"{run.name} has no step {start}")
    if run.restores or run.kind == "undo":
        raise ResetError(f"{run.name} takes back what another run did")
    if run.restore_target:
        raise ResetError(f"what {run.name} did was taken back to {run.restore_target}")
    if run.phase is Phase.SUPERSEDED:
        raise ResetError(f"{run.name} was superseded")
    if run.phase is Phase.ROLLING_BACK:
        raise ResetError(f"{run.name} is being rolled back")
    if run.phase.final:
        return
    if not start:
        raise ResetError(f"{run.name} has not ended")
    if run.step(start).phase is not Phase.FAILED:
        raise ResetError(f"{run.name} has not ended, and step {start} has not failed")


def _begin_again(step: StepState) -> StepState:
    return StepState(name=step.name, type=step.type, key=step.key, group=step.group, round=step.round + 1)


def _open_again(run: Run) -> Run:
    """It waits in its queue again, and nothing that was decided or went wrong before counts any more."""
    run.phase, run.reason, run.message, run.failure = Phase.PENDING, "", "", ""
    run.started_at = run.finished_at = run.suspended_at = run.undo_since = None
    run.undo_cause, run.order = "", ""
    run.answered, run.round = len(run.decisions), run.round + 1
    return run


def reopen(run: Run) -> Run:
    """A run that has ended, open again with its steps as they are: for a rollback of what it did."""
    return _open_again(copy_run(run))

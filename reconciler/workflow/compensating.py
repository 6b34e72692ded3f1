"""Undoing what a run did: the succeeded steps in the reverse of the order in which they depend on each other, independent ones at once."""

from __future__ import annotations

from datetime import timedelta

from reconciler.model.outcome import Do, Done, Failed, Gate, Wait
from reconciler.model.run import SYNC, UNDO, Phase, StepState
from reconciler.workflow.ordering import Ordering
from reconciler.workflow.retrying import merge, pause_before
from reconciler.workflow.turn import Turn, parameters_changed


def nothing_to_undo(turn: Turn) -> bool:
    return not any(step.touched for step in turn.run.steps)


def begin_undo(turn: Turn, cause: str, message: str) -> None:
    """From here on nothing new is run. What never changed anything is over at once. `cause`: as in `Run.undo_cause`."""
    run = turn.run
    assert cause in ("failure", "decision", "removed", "superseded")
    run.phase, run.reason, run.undo_cause = Phase.ROLLING_BACK, "Compensating", cause  # type: ignore[assignment]  # checked above
    run.undo_since, run.answered = turn.now, len(run.decisions)
    run.message = f"undoing what was done: {message}"[:1024]
    for step in run.steps:
        for path in [path for path in step.intents if path.startswith(SYNC)]:  # nobody asks any more how it is
            del step.intents[path]
            step.results.pop(path, None)
        if step.phase.final or step.touched:
            continue
        step.phase = Phase.SKIPPED if step.phase is Phase.PENDING else Phase.TERMINATED
        step.finished_at = turn.now
    undo(turn)


def undo(turn: Turn) -> None:
    """One look at a run whose steps are undone. A later order to end it leaves the rest as it is."""
    if any(decision.verb == "end" for decision in turn.run.decisions[turn.run.answered :]):
        _give_up(turn)
        return
    ordering = Ordering(turn.run, turn.workflow)
    while sum(_move(turn, step) for step in _free(ordering, _standing(turn))):  # all of them, and then what that sets free
        pass
    standing = _standing(turn)
    failed = [step for step in standing if step.undo_error]
    left = [step for step in standing if not step.undo_error]
    # What comes before a step that can't be undone stays too.
    if {step.key for step in left} <= ordering.ahead_of(failed):
        _end(turn, left)


def _standing(turn: Turn) -> list[StepState]:
    return [step for step in turn.run.steps if step.touched and step.phase is not Phase.ROLLED_BACK]


def _free(ordering: Ordering, standing: list[StepState]) -> list[StepState]:
    """Those of the standing steps that no other one came after."""
    ahead = ordering.ahead_of(standing)
    return [step for step in standing if not step.undo_error and step.key not in ahead]


def _give_up(turn: Turn) -> None:
    """What is under way still comes in; nothing new begins."""
    for step in turn.run.steps:
        turn.take_back(step)
        if step.phase is Phase.ROLLING_BACK:
            _move(turn, step, anew=False)
    if not turn.run.in_flight:
        turn.finish(Phase.TERMINATED, "Ended", "ended while it was being undone: what is not undone stays")


def _move(turn: Turn, step: StepState, *, anew: bool = True) -> bool:
    """True where that may let another step go on."""
    if step.phase is not Phase.ROLLING_BACK:
        step.phase, step.retry_at, step.finished_at = Phase.ROLLING_BACK, None, None
    if step.retry_at is not None and turn.now < step.retry_at:
        turn.wake_at(step.retry_at)
        return False
    outcome = turn.ask_undo(step, turn.spec(step))
    match outcome:
        case Do(effects):
            step.retry_at = None
            changed = turn.intend(step, effects, prefix=UNDO, anew=anew)
            return _fail(turn, step, parameters_changed(changed)) if changed else False
        case Wait(until, message, watch):
            turn.queries.update(watch)
            turn.wake_at(until)
            step.message, step.until = message, until
            return False
        case Done(message=message):
            step.phase, step.message, step.finished_at = Phase.ROLLED_BACK, message, turn.now
            return True
        case Gate():
            return _fail(turn, step, Failed("NoCompensation", "a gate can't stand in the way of undoing a step"))
        case Failed():
            return _fail(turn, step, outcome)


def _fail(turn: Turn, step: StepState, failed: Failed) -> bool:
    step.message = failed.message
    pause: float | None = failed.after
    if not failed.ignorable:
        retry = merge(turn.spec(step).undo_retry, turn.workflow.undo_retry, turn.retry, turn.workflow.usual)
        pause = pause_before(retry, step.undo_attempt + 1, f"{turn.run.name}/{step.key}/undo/{step.undo_attempt}") if failed.retryable else None
    if pause is None:
        step.phase, step.undo_error, step.finished_at = Phase.FAILED, failed.message or failed.reason, turn.now
        turn.run.failure = turn.run.failure or "user"
        return True
    step.undo_attempt += not failed.ignorable
    step.retry_at = turn.now + timedelta(seconds=pause)
    turn.wake_at(step.retry_at)
    for path in [path for path, result in step.results.items() if path.startswith(UNDO) and not result.ok]:
        del step.results[path], step.intents[path]
    return False


def _end(turn: Turn, left: list[StepState]) -> None:
    """All is undone, or what is left stands behind a step that can't be."""
    run = turn.run
    failed = next((step for step in run.steps if step.undo_error), None)
    why = run.message.partition(": ")[2]
    if failed is not None:
        names = ", ".join(step.name for step in left)
        kept = f"; not undone, because they come before it: {names}" if names else ""
        _finish(turn, Phase.FAILED, "RollbackFailed", f"step {failed.name} could not be undone: {failed.undo_error}{kept}")
    elif run.undo_cause == "superseded":
        _finish(turn, Phase.SUPERSEDED, "Superseded", why)
    elif run.undo_cause == "removed":
        _finish(turn, Phase.TERMINATED, "Removed", why)
    elif run.undo_cause == "failure":
        _finish(turn, Phase.ROLLED_BACK, "StepFailed", f"{why}; what was done before it is undone")
    else:
        _finish(turn, Phase.ROLLED_BACK, "RolledBack", f"undone what was done: {why}")


def _finish(turn: Turn, phase: Phase, reason: str, message: str) -> None:
    """The steps keep the phases that undoing gave them."""
    phases = {step.key: step.phase for step in turn.run.steps}
    turn.finish(phase, reason, message[:1024])
    for step in turn.run.steps:
        step.phase = phases[step.key] if phases[step.key].final else step.phase

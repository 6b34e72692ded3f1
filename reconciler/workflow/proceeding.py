"""How a run goes on: which steps begin, what they answer, and when the run is over."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.model.application import Step
from reconciler.model.names import CONTEXT_CANCEL, CONTEXT_CANCEL_REASON
from reconciler.model.outcome import Do, Done, Failed, Gate, Outcome, Wait
from reconciler.model.run import SYNC, Decision, Phase, StepState
from reconciler.model.text import one_line
from reconciler.workflow.compensating import begin_undo
from reconciler.workflow.contexts import ContextError, keep_snapshot
from reconciler.workflow.data import Absent, Pending
from reconciler.workflow.grouping import move_group
from reconciler.workflow.ordering import Ordering
from reconciler.workflow.stopping import at_gate, is_decided
from reconciler.workflow.timing import expire, is_expired
from reconciler.workflow.turn import Turn, parameters_changed
from reconciler.workflow.visiting import is_passed


def proceed(turn: Turn) -> None:
    run, ordering = turn.run, Ordering(turn.run, turn.workflow)
    expire(turn)
    moved = True
    while moved:
        moved = False
        for step in run.steps:
            if not step.phase.final and turn.stands_still(step):
                turn.again(step)
            elif not step.phase.final and _may_run(turn, ordering, step):
                moved |= _visit(turn, ordering, step)
            elif step.phase is Phase.SUCCEEDED and turn.spec(step).sync and not _has_failed(turn):
                _look_at(turn, step)
    if is_decided(turn):  # a step called it off: what is under way is waited for
        run.phase, run.reason = Phase.RUNNING, "Running"
    else:
        _conclude(turn)


def _conclude(turn: Turn) -> None:
    run, on_failure = turn.run, turn.workflow.on_failure
    failures = [step for step in run.steps if step.phase is Phase.FAILED]
    failed = next((step for step in failures if step.key not in turn.groups), next(iter(failures), None))
    active = [step for step in run.steps if step.phase in (Phase.RUNNING, Phase.WAITING) and step.key not in turn.groups]
    over = all(step.phase.final for step in run.steps)
    if failed is not None and on_failure == "undo":
        turn.again_unresolved()
        if not turn.run.in_flight:  # what only waits is not waited for
            begin_undo(turn, "failure", f"step {failed.name}: {failed.message}")
    # Where failures are not visited, a decision could change nothing any more.
    elif failed is not None and (over if on_failure == "visit" else all(step.phase is Phase.WAITING for step in active)):
        turn.finish(Phase.FAILED, failed.reason, f"step {failed.name}: {failed.message}")
    elif over and all(step.phase in (Phase.SUCCEEDED, Phase.SKIPPED) for step in run.steps):
        turn.finish(Phase.SUCCEEDED, "Succeeded", "")
    elif not active and not any(step.retry_at or step.suspended_at for step in run.steps if not step.phase.final) and not _is_looked_at(turn):
        _stuck(turn)
    else:
        waiting = at_gate(turn)
        run.phase = Phase.WAITING if waiting else Phase.RUNNING
        run.reason = "Gate" if waiting else "Running"
        telling = [step for step in run.steps if step.message and not step.phase.final and step.key not in turn.groups]
        run.message = "; ".join(f"{step.name}: {step.message}" for step in telling)[:1024]


def _has_failed(turn: Turn) -> bool:
    return any(step.phase is Phase.FAILED for step in turn.run.steps)


def _is_looked_at(turn: Turn) -> bool:
    """Whether a finished step is looked at again whose resource may yet become what another one waits for."""
    return any(step.phase is Phase.SUCCEEDED and turn.spec(step).sync and turn.can_sync(step) for step in turn.run.steps)


def _stuck(turn: Turn) -> None:
    """Nothing runs, nothing can: an input that never came, a resource that never became so. Validation finds most of these."""
    pending = next((step for step in turn.run.steps if step.phase is Phase.PENDING), None)
    turn.run.failure = "user"
    message = f"step {pending.name}: {pending.message or 'what it waits for never comes'}" if pending else "no step can go on"
    if turn.workflow.on_failure == "undo":
        if pending is not None:
            pending.error = message
        begin_undo(turn, "failure", message)
    else:
        turn.finish(Phase.FAILED, "NothingToDo", message)


def _may_run(turn: Turn, ordering: Ordering, step: StepState) -> bool:
    """Whether all that must come before has come. After a failure, and once it is called off, nothing new starts."""
    if step.retry_at is not None and turn.now < step.retry_at:
        turn.wake_at(step.retry_at)
        return False
    if is_expired(turn, step):
        return False
    on_failure = turn.workflow.on_failure
    failed = on_failure != "visit" and _has_failed(turn)
    if step.phase is not Phase.PENDING:
        return not failed or on_failure != "undo"
    if failed or is_decided(turn):
        return False
    if ordering.may_begin(step):
        return True
    if on_failure == "visit" and (awaited := ordering.awaited(step)):
        step.message = f"Pending on DependsOn: {awaited}"
    return False


def _visit(turn: Turn, ordering: Ordering, step: StepState) -> bool:
    """Runs it, or skips it and what belongs to it."""
    try:
        turn.inputs(turn.spec(step))
    except Absent:
        pass  # the condition may ask for it, and running the step says that it is not there
    except Pending as pending:
        step.message = str(pending)
        return False
    if is_passed(turn, ordering, step):
        return True
    return move_group(turn, step) if step.key in turn.groups else _move(turn, step)


def _move(turn: Turn, step: StepState) -> bool:
    """Asks the step what is next and writes the answer down. True where that may let another step go on."""
    spec = turn.spec(step)
    if step.phase is Phase.PENDING:
        if turn.workflow.contexts and step.context is None and not _take_context(turn, step):
            return False
        turn.start(step)
    step.retry_at = None
    try:
        outcome = turn.ask(step, spec)
    except Absent as absent:
        return turn.fail(step, Failed("Input", str(absent)))
    return _take(turn, step, spec, outcome)


def _take_context(turn: Turn, step: StepState) -> bool:
    """Keeps what the step begins with. False where it must not begin: the run is called off, whichever step is next."""
    if step.key in turn.run.implicit:
        return True
    try:
        context = keep_snapshot(turn.run, turn.workflow, step)
    except ContextError as error:
        turn.fail(step, Failed("ContextTooLarge", str(error)))
        return False
    if context.get(CONTEXT_CANCEL):
        reason = one_line(str(context.get(CONTEXT_CANCEL_REASON) or "canceled by user"), 512)
        turn.run.decisions.append(
            Decision(gate="run", verb="end", value=f"context={CONTEXT_CANCEL}", at=turn.now, message=reason, by="engine", round=turn.run.round)
        )
        return False
    return True


def _take(turn: Turn, step: StepState, spec: Step, outcome: Outcome) -> bool:
    match outcome:
        case Do(effects):
            step.phase, step.message = Phase.RUNNING, step.message if step.attempt else ""
            changed = turn.intend(step, effects)
            return turn.fail(step, parameters_changed(changed)) if changed else False
        case Wait(until, message, watch):
            turn.queries.update(watch)
            turn.wake_at(until)
            step.phase, step.message = Phase.RUNNING, message
            step.until = min((when for when in (until, step.deadline) if when is not None), default=None)
            return False
        case Gate(message, deadline):
            return _wait_at_gate(turn, step, message, deadline)
        case Done():
            return turn.succeed(step, spec, outcome)
        case Failed():
            return turn.fail(step, outcome)


def _wait_at_gate(turn: Turn, step: StepState, message: str, deadline: datetime | None) -> bool:
    if step.phase is not Phase.WAITING:
        step.phase, step.since = Phase.WAITING, step.since or turn.now
        step.message = message
        return True  # asked again at once: a deadline counts from `since`, and a decision may stand there already
    step.message, step.until = message, deadline
    if deadline is None or turn.continued(step):
        return False
    if turn.now >= deadline and turn.facts.looked_at is not None and turn.facts.looked_at > deadline:
        turn.run.decisions.append(Decision(gate=step.key, verb="continue", value="timer", at=turn.now, by="timer", round=step.round))
        return True
    turn.wake_at(deadline)
    return False


def _look_at(turn: Turn, step: StepState) -> None:
    """Looks again, each `sync` seconds, at what a finished step made. An error for good is the step's failure."""
    spec = turn.spec(step)
    if not turn.can_sync(step):
        return
    due = (step.synced_at or step.finished_at or turn.now) + timedelta(seconds=spec.sync)
    if turn.now < due:
        turn.wake_at(due)
        return
    outcome = turn.ask_sync(step, spec)
    match outcome:
        case Do(effects):
            turn.intend(step, effects, prefix=f"{SYNC}{step.syncs}/")
            return
        case Wait(until, _, watch):
            turn.queries.update(watch)
            turn.wake_at(until)
            return
        case Failed() if not outcome.retryable and not outcome.ignorable:
            step.sync_error = outcome.message or outcome.reason
            turn.fail(step, outcome)
            return
        case Done(resource=resource) if resource:
            step.resource = resource
    for path in [path for path in step.intents if path.startswith(SYNC)]:
        del step.intents[path]
        step.results.pop(path, None)
    step.syncs, step.synced_at = step.syncs + 1, turn.now
    turn.wake_at(turn.now + timedelta(seconds=spec.sync))

"""How steps are passed that need not run: those whose condition is false, and after a failure those that have none (KubeVela's `if`)."""

from __future__ import annotations

from reconciler.model.expression import ExpressionError
from reconciler.model.run import Phase, StepState
from reconciler.workflow.conditions import holds
from reconciler.workflow.ordering import Ordering
from reconciler.workflow.turn import Turn


def is_passed(turn: Turn, ordering: Ordering, step: StepState) -> bool:
    """Whether that step, which may begin and has not yet, is skipped instead; it is then written down. Where failures are not visited: never."""
    spec = turn.specs.get(step.key)
    if spec is None or turn.workflow.on_failure != "visit" or step.started_at is not None:
        return False
    if not spec.condition:
        if not ordering.disappointed(step):
            return False
        return skip(turn, step, "")
    try:
        return not holds(spec, turn.run, turn.workflow) and skip(turn, step, "")
    except ExpressionError as error:
        return skip(turn, step, f"pre check error: {error}")


def skip(turn: Turn, step: StepState, message: str) -> bool:
    """With all that belongs to it. What it would have given is null from now on."""
    _close(turn, step, message)
    for member in turn.members(step):
        if not member.phase.final:
            _close(turn, member, f"group {step.name} is skipped")
    return True


def _close(turn: Turn, step: StepState, message: str) -> None:
    step.phase, step.reason, step.message, step.finished_at = Phase.SKIPPED, "Skip", message, turn.now
    turn.give_nothing(step)

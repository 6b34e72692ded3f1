"""Groups: steps that are over when those that belong to them are, and stand as they do together (kubevela/workflow, pkg/tasks/builtin)."""

from __future__ import annotations

from reconciler.model.run import Phase, StepState
from reconciler.model.standing import GROUP_REASONS, STEP_TIMEOUT, reason_of
from reconciler.workflow.turn import Turn


def move_group(turn: Turn, group: StepState) -> bool:
    """Begins a group, or looks how its steps stand. True where that may let another step go on."""
    members = turn.members(group)
    if group.phase is Phase.PENDING:
        turn.start(group)
        return True
    if all(member.phase.final for member in members):
        _end(turn, group, members)
        return True
    active = {member.phase for member in members if not member.phase.final}
    group.phase = Phase.WAITING if Phase.WAITING in active and Phase.RUNNING not in active else Phase.RUNNING
    if group.reason != STEP_TIMEOUT:
        group.message = "; ".join(f"{member.name}: {member.message}" for member in members if member.message and not member.phase.final)[:1024]
    return False


def _end(turn: Turn, group: StepState, members: list[StepState]) -> None:
    """Out of time counts most, then a failure; it is skipped where all its steps were."""
    group.finished_at = turn.now
    failed = [member for member in members if member.phase in (Phase.FAILED, Phase.TERMINATED)]
    if group.reason == STEP_TIMEOUT:
        group.phase = Phase.FAILED
    elif failed:
        reasons = [reason_of(member) for member in failed]
        group.phase = Phase.FAILED
        group.reason = next((reason for reason in GROUP_REASONS if reason in reasons), "Action")
        group.message = f"step {failed[0].name}: {failed[0].message}"[:1024]
    else:
        skipped = all(member.phase is Phase.SKIPPED for member in members)
        group.phase, group.reason = (Phase.SKIPPED, "Skip") if skipped else (Phase.SUCCEEDED, "")
        group.message = "all its steps are skipped" if skipped else ""
    if group.phase is Phase.FAILED:
        turn.run.failure = turn.run.failure or "user"

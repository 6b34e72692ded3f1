"""What a workflow's callback is owed: one notice for each change of the run and of each step that its receiver is promised (rule 9b)."""

from __future__ import annotations

from datetime import datetime

from reconciler.model.run import Notice, Phase, Run, StepState

_OF_RUN = frozenset(
    {Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED, Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.TERMINATED, Phase.SUPERSEDED},
)
_OF_STEP = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.ROLLING_BACK, Phase.ROLLED_BACK})
_UNDOING = frozenset({Phase.ROLLING_BACK, Phase.ROLLED_BACK})


def add_notices(before: Run, after: Run, now: datetime) -> None:
    """
    Appends to `after` what became different since `before`, in the order in which one follows from the other: that the run began, how
    steps ended, that it is undone, how far steps are undone, those first that are, how it ended.
    """
    known = len(after.shared)
    began = before.started_at is None and after.started_at is not None and after.kind != "undo"  # which runs nothing
    if began:
        after.notices.append(Notice(Phase.RUNNING, now, known=len(before.shared)))
    was = {step.key: step for step in before.steps}
    changed = [step for step in after.steps if step.phase in _OF_STEP and _differs(was.get(step.key), step)]
    of_steps = [Notice(step.phase, now, step.key, step.error, step.undo_error, known) for step in changed]
    resumed = after.phase is Phase.RUNNING and (began or before.phase is Phase.WAITING)
    of_run = []
    if after.phase is not before.phase and after.phase in _OF_RUN and not resumed:
        # What was removed ends Terminated here; who is called back waits to hear that it was undone.
        phase = Phase.ROLLED_BACK if after.phase is Phase.TERMINATED and after.reason == "Removed" else after.phase
        of_run.append(Notice(phase, now, error=_error(after), undo_error=after.undo_error, known=known))
    undone = sorted((notice for notice in of_steps if notice.phase in _UNDOING or notice.undo_error), key=lambda one: one.phase is Phase.ROLLING_BACK)
    ran = [notice for notice in of_steps if notice not in undone]
    after.notices += ran + (of_run + undone if after.phase is Phase.ROLLING_BACK else undone + of_run)


def _differs(before: StepState | None, after: StepState) -> bool:
    return before is None or (before.phase, before.round) != (after.phase, after.round)


def _error(run: Run) -> str:
    """The first failure of a step that ran, kept while it is undone."""
    return run.run_error or (run.message if run.phase is Phase.FAILED and not run.undo_error else "")

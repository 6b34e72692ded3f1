"""What a workflow's callback is owed: one notice for each change of the run and of each step that its receiver is promised (rule 9b)."""

from __future__ import annotations

from datetime import datetime

from reconciler.model.run import Notice, Phase, Run

_OF_RUN = frozenset(
    {Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED, Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.TERMINATED, Phase.SUPERSEDED},
)
_OF_STEP = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.ROLLING_BACK, Phase.ROLLED_BACK})


def add_notices(before: Run, after: Run, now: datetime) -> None:
    """Appends to `after` what became different since `before`, steps first; but that the run began comes before all."""
    known = len(after.shared)
    began = before.started_at is None and after.started_at is not None
    if began:
        after.notices.append(Notice(Phase.RUNNING, now, known=len(before.shared)))
    was = {step.key: step for step in before.steps}
    for step in after.steps:
        old = was.get(step.key)
        if step.phase in _OF_STEP and (old is None or (old.phase, old.round) != (step.phase, step.round)):
            after.notices.append(Notice(step.phase, now, step.key, step.error, step.undo_error, known))
    if after.phase is not before.phase and after.phase in _OF_RUN and not (began and after.phase is Phase.RUNNING):
        resumed = after.phase is Phase.RUNNING and before.phase is Phase.WAITING
        if not resumed:
            after.notices.append(Notice(after.phase, now, error=_error(after), undo_error=after.undo_error, known=known))


def _error(run: Run) -> str:
    """The first failure of a step that ran, kept while it is undone."""
    return run.run_error or (run.message if run.phase is Phase.FAILED and not run.undo_error else "")

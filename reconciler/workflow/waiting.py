"""What a run that goes on is waiting for: health, a timer, another try. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.model.run import Phase
from reconciler.model.status import RunView, StepView
from reconciler.workflow.admission import QUEUED
from reconciler.workflow.wording import plain

_ACTIVE = (Phase.RUNNING, Phase.WAITING, Phase.ROLLING_BACK)


def describe_step(run: RunView) -> str:
    """The step that it is at, what that does, and until when."""
    if run.reason == QUEUED:
        return f": it {plain(run.message)}"
    step = _current(run)
    if step is None:
        return ": its first step has not begun" if all(step.phase == Phase.PENDING for step in run.steps) else ""
    name, doing = plain(step.name), plain(step.message)
    if step.retry_at is not None:
        what = "could not be undone and" if step.phase == Phase.ROLLING_BACK else "failed and" if step.phase == Phase.PENDING else "is not ready and"
        return f": step {name} {what} is tried again at {_clock(step.retry_at)}: {doing}"
    limit = f", at the longest until {_clock(step.until)}" if step.until is not None else ""
    if not doing or doing.startswith("waiting "):
        return f": step {name} is {doing or 'at work'}{limit}"
    return f": step {name}: {doing}{limit}"


def describe_failure(run: RunView) -> str:
    """That a step has failed, of a run that goes on all the same: what always runs is still run."""
    failed = first_failed(run)
    return (
        f"; step {plain(failed.name)} failed ({plain(failed.message)}), and what is left is visited before the run ends" if failed is not None else ""
    )


def first_failed(run: RunView) -> StepView | None:
    """A group only where none of its steps failed."""
    failed = [step for step in run.steps if step.phase == Phase.FAILED]
    groups = {step.group for step in run.steps}
    return next(iter([step for step in failed if step.key not in groups] or failed), None)


def ends_at(run: RunView) -> datetime | None:
    """When what it waits for ends by itself."""
    step = _current(run)
    if step is None:
        return None
    return step.retry_at or step.until


def _current(run: RunView) -> StepView | None:
    """The first that does something, else the first that says what it waits for; a group stands for none of its steps."""
    groups = {step.group for step in run.steps}
    active = [step for step in run.steps if (step.phase in _ACTIVE or step.retry_at is not None) and step.key not in groups]
    return next(iter(active or [step for step in run.steps if step.phase == Phase.PENDING and step.message]), None)


def _clock(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%H:%M:%S UTC")

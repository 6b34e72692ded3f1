"""Standing still: the whole run while its application is suspended, and single steps. Deadlines of what stands still move with it (rule 6a)."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.model.run import Run, StepState


def paused(run: Run, step: StepState) -> timedelta:
    """How long the step has stood still in all, with its run or alone, until it last went on."""
    return run.paused + step.paused


def standing(run: Run, step: StepState, now: datetime) -> timedelta:
    """How long it has been standing still now. Where both stand, each moment counts once."""
    since = min((moment for moment in (run.suspended_at, step.suspended_at) if moment is not None), default=now)
    return max(now - since, timedelta())


def suspend_step(step: StepState, message: str, now: datetime) -> None:
    """It begins nothing new; what it has begun is still taken in."""
    step.suspended_at, step.message = now, message


def resume_step(run: Run, step: StepState, now: datetime) -> None:
    """It goes on where it stood. While the whole run stands still the rest of that time is the run's."""
    assert step.suspended_at is not None
    stood = max((run.suspended_at or now) - step.suspended_at, timedelta())
    step.paused += stood
    step.suspended_at, step.message = None, ""
    if step.retry_at is not None:
        step.retry_at += stood
    if step.deadline is not None:
        step.deadline += stood

"""Runs that ask to be run once more (`restart-workflow`): when, and which. All of it follows from what is stored of the runs (rule 2)."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.engine.applications import Application
from reconciler.model.run import Phase, Run
from reconciler.steps.restart_workflow import SCHEDULED, RestartWorkflow


def find_scheduled(app: Application, digest: str) -> tuple[Run, datetime] | None:
    """
    The newest run, and when it is to be run again; None where it did not succeed, is of another digest, or asks for nothing.

    `after` means once: a run that came about by it is not run again by it.
    """
    run = app.newest_own
    if run is None or run.phase is not Phase.SUCCEEDED or run.digest != digest:
        return None
    asked = _asked(run)
    if asked is None:
        return None
    before = next((other for other in reversed(app.runs) if other.revision == run.revision and other.name != run.name and not other.restores), None)
    earlier = _asked(before) if before is not None else None
    if asked[1] == "after" and earlier is not None and run.created_at is not None and earlier[0] <= run.created_at:
        return None
    return run, asked[0]


def _asked(run: Run) -> tuple[datetime, str] | None:
    """The earliest moment of its steps, and by which of their properties."""
    told = [step.resource for step in run.steps if step.type == RestartWorkflow.name and step.resource.get("status") == SCHEDULED]
    return min(((datetime.fromisoformat(each["id"]), each["name"]) for each in told), default=None)


def seconds_to(when: datetime, now: datetime) -> float:
    return max(timedelta(), when - now).total_seconds()

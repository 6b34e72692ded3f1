"""A run in KubeVela's words: one table for runs and one for steps. Those of SREWorks stand in `sreworks_states.py`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from reconciler.model.run import Phase, Run, StepState
from reconciler.model.standing import PHASES, phase_of, reason_of
from reconciler.model.text import MASK

KUBEVELA_RUN: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.PENDING: "initializing",
        Phase.RUNNING: "executing",
        Phase.WAITING: "suspending",
        Phase.ROLLING_BACK: "executing",
        Phase.SUCCEEDED: "succeeded",
        Phase.FAILED: "failed",
        Phase.ROLLED_BACK: "terminated",
        Phase.TERMINATED: "terminated",
        Phase.SUPERSEDED: "terminated",
        Phase.SKIPPED: "skipped",
    }
)
KUBEVELA_STEP = PHASES

STEPFLOW_RUN: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.PENDING: "Pending",
        Phase.RUNNING: "Running",
        Phase.WAITING: "Running",
        Phase.ROLLING_BACK: "RollingBack",
        Phase.SUCCEEDED: "Success",
        Phase.FAILED: "Failed",
        Phase.ROLLED_BACK: "RollBacked",
        Phase.TERMINATED: "Failed",
        Phase.SUPERSEDED: "RollBacked",
        Phase.SKIPPED: "RollBacked",
    }
)
# Upstream, a step that never ran goes straight to RollBacked when the workflow is rolled back.
STEPFLOW_STEP: Mapping[Phase, str] = STEPFLOW_RUN
# What a step may wait for of another, as ours; None: it never comes while steps still begin.
STEPFLOW_REACHED: Mapping[str, Phase | None] = MappingProxyType(
    {
        "Pending": Phase.PENDING,
        "Running": Phase.RUNNING,
        "Success": Phase.SUCCEEDED,
        "RollingBack": None,
        "RollBacked": None,
        "Failed": None,
    }
)


def kubevela(run: Run) -> dict[str, Any]:
    """
    `status.workflow` of an Application: `{appRevision, mode, status, message, suspend, terminated, finished, steps, startTime, endTime}`, each
    step `{id, name, type, phase, message, reason, firstExecuteTime, lastExecuteTime, subSteps}`. Times are missing where nothing has happened
    yet, and `subSteps` where there are none.
    """
    members: dict[str, list[StepState]] = {}
    for step in run.steps:
        members.setdefault(step.group, []).append(step)
    return {
        "appRevision": run.revision,
        "mode": f"{run.mode}-{run.group_mode}",
        "status": KUBEVELA_RUN[run.phase],
        "message": run.message,
        "suspend": run.phase is Phase.WAITING or run.suspended_at is not None,
        "terminated": KUBEVELA_RUN[run.phase] in ("terminated", "failed"),
        "finished": run.phase.final,
        "steps": [_kubevela_step(run, step, members.get(step.key, [])) for step in members.get("", [])],
        **_times(startTime=run.started_at, endTime=run.finished_at),
    }


def _kubevela_step(run: Run, step: StepState, members: list[StepState]) -> dict[str, Any]:
    known = (*(intent.at for intent in step.intents.values()), *(result.at for result in step.results.values()), step.since, step.finished_at)
    last = max((when for when in (step.started_at, *known) if when is not None), default=None)
    return {
        "id": sha256(f"{run.owner}/{run.name}/{step.round}/{step.key}".encode()).hexdigest()[:10],
        "name": step.name,
        "type": step.type,
        "phase": phase_of(step),
        "message": step.message,
        "reason": reason_of(step),
        **_times(firstExecuteTime=step.started_at, lastExecuteTime=last),
        **({"subSteps": [_kubevela_step(run, member, []) for member in members]} if members else {}),
    }


def _times(**times: datetime | None) -> dict[str, str]:
    """As Kubernetes writes them."""
    return {name: when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for name, when in times.items() if when is not None}


def stepflow(run: Run) -> dict[str, Any]:
    """
    A Workflow's status (seed 004): `{phase, stepPhases, attributes, runError, rollbackError, syncError}`.

    The values of attributes are for later steps and for who is called back; here they may not be seen (rule 3e).
    """
    return {
        "phase": STEPFLOW_RUN[run.phase],
        "stepPhases": {step.name: _stepflow_step(run, step) for step in run.steps},
        "attributes": dict.fromkeys(run.attributes, MASK),
        "runError": run.run_error,
        "rollbackError": run.undo_error,
        "syncError": run.sync_error,
    }


def _stepflow_step(run: Run, step: StepState) -> str:
    """Upstream, Failed says that a step could not be rolled back; one that only failed to run is rolled back with the others."""
    if step.phase is Phase.FAILED and run.undo_cause and not step.undo_error:
        return STEPFLOW_RUN[Phase.ROLLED_BACK if run.phase.final else Phase.ROLLING_BACK]
    return STEPFLOW_STEP[step.phase]

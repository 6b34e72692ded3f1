"""A run in KubeVela's words: one table for runs and one for steps. Those of SREWorks stand in `sreworks_states.py`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from reconciler.model.run import Phase, Run, StepState
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
# Upstream has no step that is rolled back or terminated: such a step has failed.
KUBEVELA_STEP: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.PENDING: "pending",
        Phase.RUNNING: "running",
        Phase.WAITING: "suspending",
        Phase.ROLLING_BACK: "running",
        Phase.SUCCEEDED: "succeeded",
        Phase.FAILED: "failed",
        Phase.ROLLED_BACK: "failed",
        Phase.TERMINATED: "failed",
        Phase.SUPERSEDED: "failed",
        Phase.SKIPPED: "skipped",
    }
)

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
    """`status.workflow` of an Application, in short: `{status, message, steps: [{name, type, phase, message}]}`."""
    return {
        "status": KUBEVELA_RUN[run.phase],
        "message": run.message,
        "steps": [{"name": step.name, "type": step.type, "phase": KUBEVELA_STEP[step.phase], "message": step.message} for step in run.steps],
    }


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

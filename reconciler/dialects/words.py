"""A run in the words of its manifest family: one table for runs and one for steps, for each family."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from reconciler.model.run import Phase, Run

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
SREWORKS_RUN: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.PENDING: "PENDING",
        Phase.RUNNING: "RUNNING",
        Phase.WAITING: "SUSPEND",
        Phase.ROLLING_BACK: "RUNNING",
        Phase.SUCCEEDED: "SUCCESS",
        Phase.FAILED: "FAILURE",
        Phase.ROLLED_BACK: "TERMINATED",
        Phase.TERMINATED: "TERMINATED",
        Phase.SUPERSEDED: "TERMINATED",
        Phase.SKIPPED: "SUCCESS",
    }
)
SREWORKS_STEP: Mapping[Phase, str] = MappingProxyType({**SREWORKS_RUN, Phase.WAITING: "WAITING_SUSPEND"})


def kubevela(run: Run) -> dict[str, Any]:
    """`status.workflow` of an Application, in short: `{status, message, steps: [{name, type, phase, message}]}`."""
    return {
        "status": KUBEVELA_RUN[run.phase],
        "message": run.message,
        "steps": [{"name": step.name, "type": step.type, "phase": KUBEVELA_STEP[step.phase], "message": step.message} for step in run.steps],
    }


def sreworks(run: Run) -> dict[str, Any]:
    """`{workflowStatus, workflowErrorMessage, tasks: [{taskName, taskType, taskStatus, taskErrorMessage}]}` (seed 003)."""
    status = "EXCEPTION" if run.phase is Phase.FAILED and run.failure == "internal" else SREWORKS_RUN[run.phase]
    return {
        "workflowStatus": status,
        "workflowErrorMessage": run.message if status in ("FAILURE", "EXCEPTION", "TERMINATED") else "",
        "tasks": [
            {
                "taskName": step.name,
                "taskType": step.type,
                "taskStatus": SREWORKS_STEP[step.phase],
                "taskErrorMessage": step.message if SREWORKS_STEP[step.phase] in ("FAILURE", "TERMINATED") else "",
            }
            for step in run.steps
        ],
    }

"""A run in KubeVela's words: one table for runs and one for steps. Those of SREWorks stand in `sreworks_states.py`."""

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


def kubevela(run: Run) -> dict[str, Any]:
    """`status.workflow` of an Application, in short: `{status, message, steps: [{name, type, phase, message}]}`."""
    return {
        "status": KUBEVELA_RUN[run.phase],
        "message": run.message,
        "steps": [{"name": step.name, "type": step.type, "phase": KUBEVELA_STEP[step.phase], "message": step.message} for step in run.steps],
    }

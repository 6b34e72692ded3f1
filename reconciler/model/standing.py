"""
How a step stands, in the words in which conditions (`if`) ask for it.

They are KubeVela's (kubevela/workflow, api/v1alpha1/types.go), because conditions are: so they can't be left to that family's dialect alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from reconciler.model.run import Phase, StepState

# Upstream has no step that is rolled back or terminated: such a step has failed.
PHASES: Final[Mapping[Phase, str]] = MappingProxyType(
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
# Of a failed group the first of these that one of its steps has.
GROUP_REASONS: Final = ("FailedAfterRetries", "Timeout", "Action", "Terminate")
TIMEOUT: Final = "Timeout"
STEP_TIMEOUT: Final = "StepTimeout"  # ours: Timeout is also what a cluster answers
_FAILURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        STEP_TIMEOUT: TIMEOUT,
        "HealthTimeout": TIMEOUT,
        "Input": "Input",
        "AttributesTooLarge": "Output",
        "OutputsTooLarge": "Output",
        "InvalidProperties": "ProcessParameter",
        "StepBroken": "Rendering",
        "UnknownStepType": "Rendering",
        **{reason: reason for reason in GROUP_REASONS},
    }
)
FLAGS: Final = ("failed", "succeeded", "skipped", "timeout", "failedAfterRetries", "terminate")
FIELDS: Final = ("name", "type", "phase", "reason", "message", *FLAGS)


def phase_of(step: StepState) -> str:
    """Between two tries it has failed, for reason Execute; one that a person suspended is as a gate that waits."""
    if _is_suspended(step):
        return PHASES[Phase.WAITING]
    return "failed" if _is_tried_again(step) else PHASES[step.phase]


def reason_of(step: StepState) -> str:
    """Wait, Skip, Suspend, Terminate, Execute, or why it failed; empty where there is nothing to say."""
    if _is_suspended(step):
        return "Suspend"
    if _is_tried_again(step):
        return "Execute"
    if step.phase is Phase.FAILED:
        return "FailedAfterRetries" if step.exhausted else _FAILURES.get(step.reason, "Action")
    if step.phase is Phase.RUNNING:
        return "Wait" if step.message else ""
    reasons = {
        Phase.WAITING: "Suspend",
        Phase.SKIPPED: "Skip",
        Phase.TERMINATED: "Terminate",
        Phase.ROLLED_BACK: "Terminate",
        Phase.SUPERSEDED: "Terminate",
    }
    return reasons.get(step.phase, "")


def describe(step: StepState) -> dict[str, Any]:
    """What `status.<step>` is in a condition: the keys are `FIELDS`."""
    phase, reason = phase_of(step), reason_of(step)
    return {
        "name": step.name,
        "type": step.type,
        "phase": phase,
        "reason": reason,
        "message": step.message,
        "failed": phase == "failed",
        "succeeded": phase == "succeeded",
        "skipped": phase == "skipped",
        "timeout": reason == TIMEOUT,
        "failedAfterRetries": reason == "FailedAfterRetries",
        "terminate": reason == "Terminate",
    }


def _is_suspended(step: StepState) -> bool:
    return step.suspended_at is not None and not step.phase.final


def _is_tried_again(step: StepState) -> bool:
    return step.phase is Phase.PENDING and step.retry_at is not None

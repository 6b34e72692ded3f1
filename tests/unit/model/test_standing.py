"""How a step stands in KubeVela's words, for conditions and status alike."""

from datetime import UTC, datetime

import pytest

from reconciler.model.run import Phase, StepState
from reconciler.model.standing import FIELDS, describe, phase_of, reason_of

NOW = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "phase", "reason"),
    [
        ({}, "pending", ""),
        ({"phase": Phase.PENDING, "retry_at": NOW}, "failed", "Execute"),
        ({"phase": Phase.RUNNING}, "running", ""),
        ({"phase": Phase.RUNNING, "message": "waiting for web"}, "running", "Wait"),
        ({"phase": Phase.RUNNING, "suspended_at": NOW}, "suspending", "Suspend"),
        ({"phase": Phase.WAITING}, "suspending", "Suspend"),
        ({"phase": Phase.SUCCEEDED, "suspended_at": NOW}, "succeeded", ""),
        ({"phase": Phase.SKIPPED, "reason": "Skip"}, "skipped", "Skip"),
        ({"phase": Phase.TERMINATED}, "failed", "Terminate"),
        ({"phase": Phase.FAILED, "reason": "Conflict"}, "failed", "Action"),
        ({"phase": Phase.FAILED, "reason": "Conflict", "exhausted": True}, "failed", "FailedAfterRetries"),
        ({"phase": Phase.FAILED, "reason": "StepTimeout"}, "failed", "Timeout"),
        ({"phase": Phase.FAILED, "reason": "HealthTimeout"}, "failed", "Timeout"),
        ({"phase": Phase.FAILED, "reason": "Input"}, "failed", "Input"),
        ({"phase": Phase.FAILED, "reason": "InvalidProperties"}, "failed", "ProcessParameter"),
        ({"phase": Phase.FAILED, "reason": "AttributesTooLarge"}, "failed", "Output"),
        ({"phase": Phase.FAILED, "reason": "StepBroken"}, "failed", "Rendering"),
        ({"phase": Phase.FAILED, "reason": "Terminate"}, "failed", "Terminate"),
    ],
)
def test_every_state_has_a_phase_and_a_reason(fields, phase, reason):
    step = StepState("a", "suspend", "a", **fields)
    assert (phase_of(step), reason_of(step)) == (phase, reason)


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_a_word_and_conditions_find_all_fields(phase):
    found = describe(StepState("a", "suspend", "a", phase))
    assert tuple(found) == FIELDS
    assert [found["failed"], found["succeeded"], found["skipped"]].count(True) <= 1

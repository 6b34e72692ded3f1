import pytest

from reconciler.dialects import sreworks_states
from reconciler.dialects.registry import dialects
from reconciler.dialects.words import KUBEVELA_RUN, KUBEVELA_STEP, STEPFLOW_RUN, STEPFLOW_STEP
from reconciler.model.run import Phase, Run, StepState


def run(phase, failure=""):
    steps = [
        StepState("a", "suspend", "a", Phase.WAITING if phase is Phase.WAITING else Phase.PENDING, message="hold"),
        StepState("b", "deploy", "b"),
    ]
    return Run(name="r", app="n/a", revision="a-v1", digest="d", phase=phase, failure=failure, steps=steps, message="why")


def words(family, *args):
    (dialect,) = [dialect for dialect in dialects({}) if dialect.family == family]
    return dialect.words(run(*args))


@pytest.mark.parametrize("table", [KUBEVELA_RUN, KUBEVELA_STEP, sreworks_states.RUN, sreworks_states.STEP, STEPFLOW_RUN, STEPFLOW_STEP])
def test_every_phase_has_a_word_in_every_family(table):
    assert set(table) == set(Phase)


@pytest.mark.parametrize(
    ("phase", "kubevela", "sreworks"),
    [
        ("Pending", "initializing", "PENDING"),
        ("Running", "executing", "RUNNING"),
        ("Waiting", "suspending", "SUSPEND"),
        ("Succeeded", "succeeded", "SUCCESS"),
        ("Failed", "failed", "FAILURE"),
        ("Terminated", "terminated", "TERMINATED"),
        ("RolledBack", "terminated", "TERMINATED"),
        ("Superseded", "terminated", "TERMINATED"),
    ],
)
def test_runs_have_the_words_of_their_family(phase, kubevela, sreworks):
    assert words("kubevela", Phase(phase))["status"] == kubevela
    assert words("sreworks", Phase(phase))["workflowStatus"] == sreworks


def test_an_internal_failure_is_an_exception_in_sreworks():
    assert words("sreworks", Phase.FAILED, "internal")["workflowStatus"] == "EXCEPTION"
    assert words("sreworks", Phase.FAILED, "user")["workflowStatus"] == "FAILURE"


def test_steps_are_told_in_the_familys_words():
    steps = words("kubevela", Phase.WAITING)["steps"]
    assert [[step[field] for field in ("name", "type", "phase", "message", "reason")] for step in steps] == [
        ["a", "suspend", "suspending", "hold", "Suspend"],
        ["b", "deploy", "pending", "", ""],
    ]
    assert [task["taskStatus"] for task in words("sreworks", Phase.WAITING)["tasks"]] == ["WAITING_SUSPEND", "PENDING"]

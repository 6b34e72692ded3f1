"""Rule 4g where failures are visited: conditions, timeouts and groups may open a way past a gate."""

import msgspec
import pytest

from reconciler.gates.weakening import weakening
from reconciler.model.application import Input, Output, Step
from tests.unit.gates.test_weakening import application, apply, gate


def visited(*steps, mode="StepByStep"):
    app = application(*steps, mode=mode)
    return msgspec.structs.replace(app, workflow=msgspec.structs.replace(app.workflow, on_failure="visit"))


def put(step, **fields):
    return msgspec.structs.replace(step, **fields)


def group(name, *members, mode="DAG", condition=""):
    return [
        Step(name, "step-group", name, mode=mode, condition=condition),
        *(put(member, group=name, key=f"{name}.{member.name}") for member in members),
    ]


PLAIN = [gate(), apply("web")]
GROUPED = [*group("g", gate(), apply("db")), apply("web")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (PLAIN, [put(gate(), condition="status.x.failed"), apply("web")]),
        ([put(gate(), condition="always"), apply("web")], PLAIN),
        (PLAIN, [*group("g", gate()), apply("web")]),
        (GROUPED, [gate(), *group("g", apply("db")), apply("web")]),
        (GROUPED, [*group("other", gate(), apply("db")), apply("web")]),
        (GROUPED, [*group("g", gate(), apply("db"), condition="status.x.failed"), apply("web")]),
    ],
    ids=["condition", "no-longer-always", "into-a-group", "out-of-its-group", "another-group", "condition-of-its-group"],
)
def test_rule_4g_a_gate_with_a_new_condition_or_in_another_group_is_changed(old, new):
    assert weakening(visited(*old), visited(*new)) == "gate verify of the promoted revision is gone or changed"


@pytest.mark.parametrize(
    "new", [PLAIN, [put(gate(), condition="always"), apply("web")], [put(gate(), timeout=60.0), apply("web")]], ids=["same", "always", "timeout"]
)
def test_rule_4g_a_gate_that_always_waits_or_fails_by_itself_is_not_weaker(new):
    assert weakening(visited(*PLAIN), visited(*new)) == ""


@pytest.mark.parametrize("condition", ["always", "status.verify.timeout"])
def test_rule_4g_a_step_behind_a_gate_that_gains_a_condition_may_run_without_it(condition):
    new = visited(gate(), put(apply("web"), condition=condition))
    assert "before gate verify" in weakening(visited(*PLAIN), new)
    assert weakening(new, new) == ""


def test_rule_4g_data_from_behind_the_gate_keeps_a_step_with_a_condition_behind_it():
    source = apply("db", outputs=[Output("conn", "connection")])
    new = visited(gate(), source, put(apply("web", inputs=[Input("conn", "properties.c")]), condition="status.x.succeeded"))
    assert weakening(visited(gate(), source, apply("web")), new) == ""


def test_rule_4g_a_gate_in_a_group_guards_what_comes_behind_the_group():
    assert weakening(visited(*GROUPED), visited(*GROUPED)) == ""
    assert "applies web before gate verify" in weakening(visited(*GROUPED), visited(apply("web"), *GROUPED[:3]))


def test_rule_4g_beside_a_gate_in_a_group_nothing_is_guarded_but_step_by_step():
    ordered = visited(*group("g", gate(), apply("db"), mode="StepByStep"))
    assert "applies db before gate verify" in weakening(ordered, visited(*group("g", gate(), apply("db"))))
    assert weakening(visited(*group("g", gate(), apply("db"))), ordered) == ""


def test_rule_4g_in_a_dag_depending_on_a_group_is_depending_on_its_gates():
    old = visited(*group("g", gate()), apply("web", after=["g"]), mode="DAG")
    assert weakening(old, old) == ""
    assert "before gate verify" in weakening(old, visited(*group("g", gate()), apply("web"), mode="DAG"))


@pytest.mark.parametrize(
    "new",
    [
        [*group("g", apply("db")), gate()],
        [gate(), *group("g", apply("db"), condition="always")],
        [gate(), *group("g", put(apply("db"), condition="always"))],
    ],
    ids=["before-the-gate", "group-always-runs", "step-always-runs"],
)
def test_rule_4g_a_gate_guards_the_steps_of_a_group_that_comes_behind_it(new):
    old = visited(gate(), *group("g", apply("db")))
    assert weakening(old, old) == ""
    assert "applies db before gate verify" in weakening(old, visited(*new))


def test_rule_4g_through_a_step_that_always_runs_a_step_still_depends_on_the_gate():
    clean = put(apply("clean", after=["verify"]), condition="always")
    old = visited(gate(), clean, apply("web", after=["apply-clean"]), mode="DAG")
    assert weakening(old, old) == ""
    assert "applies web before gate verify" in weakening(old, visited(gate(), clean, apply("web"), mode="DAG"))


@pytest.mark.parametrize(
    "new",
    [
        [put(apply("x"), condition="false"), gate(after=["apply-x"]), apply("web")],
        [*group("g", apply("x"), condition="false"), gate(after=["apply-x"]), apply("web")],
        [put(apply("x"), condition="false"), apply("y", after=["apply-x"]), gate(after=["apply-y"]), apply("web")],
    ],
    ids=["a-step", "a-group", "further-up"],
)
def test_rule_4g_a_gate_that_depends_on_what_may_be_skipped_may_be_skipped_itself(new):
    """Where it is, nothing holds up what comes behind it."""
    plain = visited(*(put(step, condition="") for step in new))
    assert weakening(visited(*PLAIN), plain) == ""
    assert weakening(plain, visited(*new)) == "gate verify of the promoted revision is gone or changed"
    assert weakening(visited(*new), visited(*new)) == ""

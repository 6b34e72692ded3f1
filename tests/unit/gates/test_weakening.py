"""Rule 4g: what counts as a weaker workflow, and what does not."""

import msgspec
import pytest

from reconciler.gates.weakening import weakening
from reconciler.model.application import Application, Component, Input, Output, Step, Workflow


def gate(name="verify", kind="suspend", *, given=True, after=(), **properties):
    return Step(name, kind, name, given, properties, depends_on=list(after))


def apply(*components, name="", partition=None, after=(), inputs=(), outputs=()):
    name = name or "apply-" + "-".join(components)
    properties = {} if partition is None else {"rollout": {"type": "partition", "properties": {"partition": partition}}}
    return Step(name, "apply-components", name, True, properties, list(components), list(after), list(inputs), list(outputs))


def application(*steps, mode="StepByStep", components=None):
    names = {name for step in steps for name in step.components}
    found = components or [Component(name, name, "webservice") for name in sorted(names)]
    return Application("shop", "web", "sreworks", {}, "web.yaml", components=found, workflow=Workflow(mode, list(steps)))


def between(old, new):
    return weakening(application(*old), application(*new))


PROMOTED = [apply("web", name="canary", partition=2), gate(message="look"), apply("web", "db", name="rest")]


@pytest.mark.parametrize(
    "new",
    [
        PROMOTED,
        [gate("first"), *PROMOTED],
        [*PROMOTED, gate("last")],
        [*PROMOTED, apply("cache")],
        [apply("cache"), *PROMOTED],
        PROMOTED[:2],
        PROMOTED[1:],
        [apply("web", name="canary", partition=3), *PROMOTED[1:]],
        [apply("web", name="canary", partition="3"), *PROMOTED[1:]],
    ],
    ids=["same", "gate-before", "gate-after", "apply-after", "new-component", "apply-gone", "canary-gone", "smaller-canary", "partition-as-text"],
)
def test_rule_4g_a_workflow_that_keeps_its_gates_in_order_is_not_weaker(new):
    assert between(PROMOTED, new) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([gate()], [apply("web")]),
        ([gate()], [gate("other")]),
        ([gate()], [gate(kind="rollout-promotion")]),
        ([gate()], [gate(duration="1m")]),
        ([gate(duration="10m")], [gate(duration="1m")]),
        ([gate(message="look at the graphs")], [gate(message="whatever")]),
        ([gate()], [gate(given=False)]),
        ([gate("a"), gate("b")], [gate("b"), gate("a")]),
        ([gate("step-0", given=False), gate("step-1", given=False)], [gate("step-0", given=False)]),
        ([gate("ship", "deploy", auto=False)], [gate("ship", "deploy", auto=True)]),
        ([gate("ship", "deploy", auto=False)], [gate("ship", "deploy")]),
    ],
    ids=[
        "dropped",
        "renamed",
        "type",
        "gained-duration",
        "shorter",
        "parameters",
        "name-gone",
        "order",
        "fewer",
        "automatic",
        "automatic-by-default",
    ],
)
def test_rule_4g_a_dropped_or_changed_gate_is_weaker_and_is_named(old, new):
    assert between(old, new) in {f"gate {step.name} of the promoted revision is gone or changed" for step in old}


def test_rule_4g_generated_names_do_not_count():
    assert between([gate("suspend-1", given=False)], [gate("suspend-3", given=False)]) == ""


@pytest.mark.parametrize("kind", ["apply-component", "deploy", "print-message-in-status"])
def test_rule_4g_steps_that_are_no_gates_may_go(kind):
    assert between([Step("a", kind, "a", properties={"auto": True})], []) == ""


@pytest.mark.parametrize(
    "new",
    [
        [apply("db", name="early"), *PROMOTED],
        [apply("web", name="canary", partition=1), *PROMOTED[1:]],
        [apply("web", name="canary"), *PROMOTED[1:]],
        [apply("web", name="canary", partition="50%"), *PROMOTED[1:]],
        [PROMOTED[0], PROMOTED[2], PROMOTED[1]],
    ],
    ids=["another-component", "smaller-partition", "no-partition", "not-comparable", "gate-moved-behind"],
)
def test_rule_4g_an_apply_moved_before_its_gate_is_weaker(new):
    assert "before gate verify" in between(PROMOTED, new)


def test_rule_4g_an_apply_that_stood_before_the_gate_may_stay_there():
    assert between([apply("web"), gate(), apply("db")], [apply("web", name="renamed"), gate(), apply("db")]) == ""


def test_rule_4g_a_gated_deploy_guards_what_it_applies_itself():
    ship = Step("ship", "deploy", "ship", properties={"auto": False}, components=["web"])
    assert "before gate ship" in between([ship], [apply("web"), ship])


@pytest.mark.parametrize("field", ["namespace", "policies"])
def test_rule_4g_the_same_component_in_another_place_or_under_other_policies_is_another_apply(field):
    staging, production = ({"namespace": place} if field == "namespace" else {"policies": [place]} for place in ("staging", "production"))
    components = [Component("web-1", "web", "webservice", **staging), Component("web-2", "web", "webservice", **production)]
    first, second = apply("web-1", name="staging"), apply("web-2", name="production")
    promoted = application(first, gate(), second, components=components)
    assert weakening(promoted, promoted) == ""
    assert "before gate verify" in weakening(promoted, application(second, gate(), first, components=components))


def test_rule_4g_a_gate_before_several_gates_guards_what_comes_behind_all_of_them():
    old = [gate("a"), apply("web"), gate("b"), apply("db")]
    assert "applies db before gate b" in between(old, [gate("a"), apply("web"), apply("db", name="soon"), gate("b")])
    assert "applies web before gate a" in between(old, [apply("web"), gate("a"), gate("b"), apply("db")])


DAG = [gate(), apply("web", after=["verify"]), apply("db", after=["apply-web"])]


@pytest.mark.parametrize(
    "new",
    [
        [gate(), apply("web"), apply("db", after=["apply-web"])],
        [gate(), apply("web", after=["verify"]), apply("db")],
        [gate(after=["apply-web"]), apply("web"), apply("db", after=["verify"])],
    ],
)
def test_rule_4g_in_a_dag_only_what_depends_on_the_gate_is_behind_it(new):
    assert "before gate verify" in weakening(application(*DAG, mode="DAG"), application(*new, mode="DAG"))


def test_rule_4g_in_a_dag_the_order_of_writing_says_nothing():
    assert weakening(application(*DAG, mode="DAG"), application(*DAG[::-1], mode="DAG")) == ""


def test_rule_4g_a_sequence_turned_into_a_dag_without_dependencies_is_weaker():
    assert "before gate verify" in weakening(application(gate(), apply("web")), application(gate(), apply("web"), mode="DAG"))


def test_rule_4g_in_a_dag_data_from_behind_the_gate_keeps_a_step_behind_it():
    source = apply("web", after=["verify"], outputs=[Output("address", "connection.host")])
    old = application(gate(), source, apply("db", inputs=[Input("address.host", "x")]), mode="DAG")
    assert weakening(old, old) == ""
    assert "applies db before gate verify" in weakening(old, application(gate(), source, apply("db"), mode="DAG"))


def test_rule_4g_in_a_cycle_nothing_is_surely_behind_a_gate():
    cycle = application(gate(after=["apply-web"]), *DAG[1:], mode="DAG")
    assert "before gate verify" in weakening(application(*DAG, mode="DAG"), cycle)


def test_a_rollout_that_cannot_be_read_is_compared_as_it_is():
    odd = Step("canary", "apply-components", "canary", properties={"rollout": ["?"]}, components=["web"])
    assert "before gate verify" in between(PROMOTED, [odd, *PROMOTED[1:]])


def test_rule_4g_a_partition_that_comes_while_the_run_goes_on_may_be_none_at_all():
    taking = apply("web", name="canary", partition=2, inputs=[Input("n", "rollout.properties.partition")])
    giving = Step("giving", "suspend", "giving", outputs=[Output("n", "weight")])
    assert "step canary applies web before gate verify" in between([giving, *PROMOTED], [giving, taking, *PROMOTED[1:]])


def test_rule_4g_a_gate_that_gains_an_input_is_another_gate():
    opened = Step("verify", "suspend", "verify", inputs=[Input("n", "duration")])
    assert between([gate()], [opened]) == "gate verify of the promoted revision is gone or changed"


def test_rule_4g_what_policies_make_is_applied_with_the_first_that_a_run_applies_and_so_not_before_a_gate_that_it_was_behind():
    def with_policy(*steps):
        app = application(*steps)
        workflow = msgspec.structs.replace(app.workflow, leading=["policy/split"])
        return msgspec.structs.replace(
            app, components=[Component("policy/split", "split", "split", kind="policy"), *app.components], workflow=workflow
        )

    behind, before = with_policy(gate(), apply("web")), with_policy(apply("cache"), gate(), apply("web"))
    assert weakening(behind, before) == "step apply-cache applies policy/split before gate verify; the promoted revision did so behind it"
    assert not weakening(before, before)
    assert not weakening(before, behind)
    assert not weakening(application(gate(), apply("web")), before)

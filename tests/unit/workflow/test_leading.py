"""What comes first of all that a run applies, though no step names it."""

import msgspec
import pytest

from reconciler.model.outcome import Call, Do, Done, Effect
from reconciler.model.run import Intent, StepState
from reconciler.steps.catalog import STEP_TYPES
from reconciler.workflow.leading import lead
from tests.unit.workflow.machines import START, SUCCEEDED, Driver, apply, step


def driver(*steps, leading=("policy/a", "policy/b"), **more):
    made = Driver(*steps, **more)
    made.workflow = msgspec.structs.replace(made.workflow, leading=list(leading), on_failure="visit")
    return made.look()


def ordered(run):
    return [(order.step, order.path, order.effect.params["component"]) for order in run.orders]


def test_the_first_step_that_applies_brings_it_before_its_own_one_after_the_other_and_once_in_a_run():
    run = driver(apply("web"), apply("db"))
    expected = [
        ("web", "leading/policy/a", "policy/a"),
        ("web", "leading/policy/b", "policy/b"),
        ("web", "apply/web", "web"),
        ("db", "apply/db", "db"),
    ]
    for one in expected:
        assert ordered(run) == [one]
        run.finish()
    assert run.ended == SUCCEEDED


def test_rule_4_nothing_of_it_is_applied_before_a_gate_that_stands_before_all_that_is_applied():
    run = driver(step("verify"), apply("web"))
    assert (run.orders, run.run.phase) == ([], "Waiting")


def test_of_steps_that_run_at_once_one_brings_it_and_the_others_wait():
    run = driver(apply("web"), apply("db"), mode="DAG", leading=["policy/a"])
    assert ordered(run) == [("web", "leading/policy/a", "policy/a")]
    assert run.state("db").message == "waiting for policy/a, which is applied first"
    run.finish()
    assert sorted(ordered(run)) == [("db", "apply/db", "db"), ("web", "apply/web", "web")]
    assert run.finish().ended == SUCCEEDED


def test_a_failure_is_the_steps_and_is_tried_again_under_a_new_key():
    run = driver(apply("web"), leading=["policy/a"])
    (first,) = run.keys
    run.fail()
    assert (run.state("web").attempt, run.state("web").message) == (1, "no")
    run.look(3600)
    assert ordered(run) == [("web", "leading/policy/a", "policy/a")]
    assert run.keys != [first]
    run.fail(retry="terminal")
    assert (run.run.phase, run.run.message) == ("Failed", "step web: no")


def test_what_failed_for_good_in_one_step_is_tried_by_the_next_one_that_runs_all_the_same():
    again = msgspec.structs.replace(apply("db"), condition="always")
    run = driver(apply("web"), again, leading=["policy/a"])
    run.fail(retry="terminal")
    assert ordered(run) == [("db", "leading/policy/a", "policy/a")]


def test_rule_9_after_a_crash_what_was_begun_is_asked_for_again_under_its_key_and_nothing_else():
    run = driver(apply("web"), leading=["policy/a"])
    key, run.orders = run.keys, []
    assert run.look().keys == key


class Curious:
    """Tells what it sees of its results and of what it has begun."""

    name, params, required = "apply-object", {"value": ""}, ()

    def check(self, properties):
        return []

    def next(self, call: Call, results, seen, now):
        assert not [path for path in (*call.begun, *results) if path != "apply/own"]
        return Done() if results else Do({"apply/own": Effect("apply", {"component": "web"})})


def test_a_step_hears_nothing_of_it():
    run = driver(apply("web"), leading=["policy/a"], types={**STEP_TYPES, "apply-object": Curious()})
    run.finish()
    assert run.finish().ended == SUCCEEDED


@pytest.mark.parametrize("kind", ["http", "delete"])
def test_effects_that_apply_nothing_do_not_bring_it(kind):
    class Other(Curious):
        def next(self, call, results, seen, now):
            return Done() if results else Do({"x": Effect(kind, {})})

    run = driver(apply("web"), types={**STEP_TYPES, "apply-object": Other()})
    assert [order.path for order in run.orders] == ["x"]
    assert run.finish().ended == SUCCEEDED


def test_what_a_step_has_begun_already_goes_on_without_it():
    begun = StepState("web", "apply-object", "web", intents={"apply/web": Intent("key", "apply", "digest", START)})
    outcome = Do({"apply/web": Effect("apply", {"component": "web"})})
    assert lead([begun], ["policy/a"], begun, outcome) is outcome
    assert lead([begun], ["policy/a"], StepState("db", "apply-object", "db"), outcome) != outcome

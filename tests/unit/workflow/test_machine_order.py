"""What runs when, what is tried again, and what a run does with steps that misbehave (rules 3d, 6c, 9a)."""

from datetime import timedelta

import pytest

from reconciler.model.outcome import Call, Do, Done, Effect, Failed, Gate, Result, Wait
from reconciler.model.run import Phase
from reconciler.steps.catalog import STEP_TYPES
from reconciler.workflow.retrying import ATTEMPTS
from tests.unit.workflow.machines import SUCCEEDED, Driver, apply, step


class Scripted:
    """A step type that answers by a function."""

    name, params, required = "scripted", {}, ()

    def __init__(self, answer):
        self.answer = answer

    def check(self, properties):
        return []

    def next(self, call: Call, results, seen, now):
        return self.answer(call, results)

    def undo(self, call: Call, results, seen, now):
        return Done()


def scripted(answer, *steps, **more):
    return Driver(*(steps or [step("odd", "scripted")]), types={**STEP_TYPES, "scripted": Scripted(answer)}, **more)


def test_steps_run_one_after_the_other_in_the_order_written():
    driver = Driver(apply("a"), apply("b"), apply("c")).look()
    for done in range(3):
        assert driver.phases == ["Succeeded"] * done + ["Running"] + ["Pending"] * (2 - done)
        driver.finish()
    assert (driver.ended, driver.ordered) == (SUCCEEDED, ["a", "b", "c"])


def test_in_a_dag_steps_wait_for_what_they_depend_on_and_for_nothing_else():
    driver = Driver(apply("last", after=["a", "b"]), apply("a"), apply("b"), apply("free"), mode="DAG").look()
    assert [order.step for order in driver.orders] == ["a", "b", "free"]
    driver.finish("a")
    assert "last" not in driver.ordered
    driver.finish("b")
    assert [order.step for order in driver.orders] == ["last", "free"]
    assert driver.finish().ended == SUCCEEDED


def test_a_dependency_that_is_no_step_is_never_taken_for_done():
    driver = Driver(apply("a", after=["ghost"]), mode="DAG").look()
    assert (driver.ended, driver.ordered) == ((Phase.FAILED, "NothingToDo"), [])


@pytest.mark.parametrize("mode", ["StepByStep", "DAG"])
def test_a_workflow_without_steps_succeeds_at_once(mode):
    assert Driver(mode=mode).look().ended == SUCCEEDED


def test_outputs_of_a_step_become_inputs_of_another():
    value = {"component": "db", "objects": [], "connection": {"host": "db.shop", "port": 5432}}
    driver = Driver(
        apply("db", outputs=[("db-conn", "connection")]),
        apply("web", inputs=[("db-conn", "properties.env.DB"), ("db-conn.port", "properties.port")]),
        step("say", "print-message-in-status", inputs=[("db-conn.host", "message")]),
    ).look()
    driver.finish(value=value)
    assert driver.orders[0].effect.params["values"] == {"properties.env.DB": {"host": "db.shop", "port": 5432}, "properties.port": 5432}
    assert driver.finish().ended == SUCCEEDED
    assert driver.state("say").message == "db.shop"


def test_a_step_whose_input_is_not_there_waits_and_says_for_what():
    driver = Driver(apply("web", inputs=[("conn", "properties.c")]), apply("db", outputs=[("conn", "connection")]), mode="DAG").look()
    assert driver.phases == ["Pending", "Running"]
    assert driver.state("web").message == "Pending on Input: conn"
    assert "web: Pending on Input: conn" in driver.run.message
    assert [order.step for order in driver.finish().orders] == ["web"]
    assert driver.state("web").message == ""


def test_an_input_that_never_comes_fails_the_run_with_its_name():
    driver = Driver(apply("web", inputs=[("conn", "properties.c")])).look()
    assert (driver.ended, driver.run.failure, driver.ordered) == ((Phase.FAILED, "NothingToDo"), "user", [])
    assert "Pending on Input: conn" in driver.run.message


def test_rule_3d_every_order_has_a_stored_intent_with_its_key():
    driver = Driver(apply("a"), apply("b"), mode="DAG").look()
    assert [(driver.state(order.step).intents[order.path].key, order.effect.kind) for order in driver.orders] == [
        (key, "apply") for key in driver.keys
    ]
    assert len(set(driver.keys)) == 2


def test_rule_9a_a_crash_before_the_result_asks_for_the_same_effect_under_the_same_key():
    driver = Driver(apply("a")).look()
    before = driver.orders
    assert driver.look(3600.0).orders == before
    assert driver.state("a").attempt == 0


def test_rule_9a_an_attempt_grows_on_a_recorded_failure_and_gives_a_new_key():
    driver = Driver(apply("a")).look()
    first = driver.keys
    driver.fail()
    assert (driver.state("a").attempt, driver.orders) == (1, [])
    assert timedelta(seconds=0.9) <= driver.wake - driver.now <= timedelta(seconds=1)
    assert "a: no" in driver.run.message
    driver.look(1.0)
    assert [key.rpartition("/")[0] for key in driver.keys] == [key.rpartition("/")[0] for key in first]
    assert driver.keys != first
    assert driver.finish().ended == SUCCEEDED
    assert driver.state("a").reason == ""


def test_rule_9a_what_succeeded_is_not_done_again_in_the_next_attempt():
    driver = Driver(
        step("both", "apply-and-wait", components=["one", "two"], component="x", resourceType="Pod", resourceAPIVersion="v1", names=["p"])
    ).look()
    driver.finish().fail()
    driver.look(1.0)
    assert [(order.path, order.key.rpartition("/")[2]) for order in driver.orders] == [("apply/two", "1")]
    assert driver.state("both").results["apply/one"].ok


def test_the_pauses_between_attempts_double_up_to_a_minute_and_end():
    driver = Driver(apply("a")).look()
    pauses = []
    while not driver.run.phase.final:
        driver.fail()
        if driver.wake is not None:
            pauses.append((driver.wake - driver.now).total_seconds())
            assert driver.look(pauses[-1] - 0.5).orders == []
            driver.look(0.5)
    # Up to a tenth shorter, so that what failed together is not tried again together.
    assert all(0.9 * full <= pause <= full for pause, full in zip(pauses, [1, 2, 4, 8, 16, 32] + [60] * 8, strict=True))
    assert len(set(pauses)) == len(pauses) == ATTEMPTS - 1
    assert (driver.ended, driver.run.failure) == ((Phase.FAILED, "Conflict"), "user")


def test_rule_6c_a_failure_for_good_is_not_tried_again_and_rolls_nothing_back():
    driver = Driver(apply("a"), apply("b")).look(target="web-v1").fail(retry="terminal")
    assert (driver.ended, driver.phases) == ((Phase.FAILED, "Conflict"), ["Failed", "Skipped"])
    assert (driver.run.message, driver.run.restore_target, driver.run.write_back) == ("step a: no", "", None)
    assert driver.run.finished_at == driver.now


def test_after_a_failure_nothing_new_starts_and_what_runs_ends_first():
    driver = Driver(apply("bad"), apply("slow"), apply("next", after=["slow"]), mode="DAG").look().fail("bad", retry="terminal")
    assert (driver.run.phase, driver.phases) == (Phase.RUNNING, ["Failed", "Running", "Pending"])
    driver.finish("slow")
    assert (driver.ended, driver.phases) == ((Phase.FAILED, "Conflict"), ["Failed", "Succeeded", "Skipped"])


def test_after_a_failure_no_gate_keeps_the_run_open():
    driver = Driver(apply("bad"), step("verify"), mode="DAG").look()
    assert driver.phases == ["Running", "Waiting"]
    assert driver.fail(retry="terminal").ended == (Phase.FAILED, "Conflict")


def test_rule_9a_other_parameters_under_a_stored_key_fail_the_step():
    driver = Driver(apply("a")).look()
    driver.state("a").intents["apply/a"].digest = "0" * 64
    driver.look()
    assert (driver.ended, driver.run.failure, driver.orders) == ((Phase.FAILED, "ParametersChanged"), "internal", [])


@pytest.mark.parametrize("stop", [{"newer": "web-v3"}, {"held": "holiday"}])
def test_rule_9a_other_parameters_are_not_ordered_while_a_run_stops_either(stop):
    driver = Driver(apply("a")).look()
    driver.state("a").intents["apply/a"].digest = "0" * 64
    assert driver.look(**stop).orders == []
    assert driver.state("a").reason == "ParametersChanged"


def test_an_unknown_step_type_fails_the_step_and_names_it():
    driver = Driver(step("odd", "teleport")).look()
    assert driver.ended == (Phase.FAILED, "UnknownStepType")
    assert "teleport" in driver.run.message


def raises(call, results):
    raise RuntimeError("secret detail")


@pytest.mark.parametrize(("answer", "name"), [(raises, "RuntimeError"), (lambda *_: None, "NoneType")])
def test_a_step_type_that_breaks_fails_its_run_for_an_internal_reason_and_without_its_words(answer, name):
    driver = scripted(answer).look()
    assert (driver.ended, driver.run.failure) == ((Phase.FAILED, "StepBroken"), "internal")
    assert name in driver.run.message
    assert "secret" not in driver.run.message


def test_a_step_type_that_ignores_its_decision_does_not_hang_the_machine():
    driver = scripted(lambda call, _: Gate("again", call.deadline(call.since, 1.0))).look()
    driver.look(2.0).look(1.0, looked_at=driver.now)
    assert [used.by for used in driver.run.decisions] == ["timer"]
    assert driver.phases == ["Waiting"]


def test_a_retryable_failure_without_an_effect_is_tried_again_too():
    answers = iter([Failed("Busy", "busy", retryable=True), Done()])
    driver = scripted(lambda *_: next(answers)).look()
    assert (driver.state("odd").attempt, driver.state("odd").reason) == (1, "Busy")
    assert driver.look(1.0).ended == SUCCEEDED


def test_several_effects_of_one_step_are_ordered_at_once_and_each_only_once_a_look():
    effects = {"one": Effect("apply", {"n": 1}), "two": Effect("apply", {"n": 2})}
    driver = scripted(
        lambda _, results: Done() if len(results) == 2 else Do(effects), step("odd", "scripted"), step("x", "print-message-in-status"), mode="DAG"
    )
    assert [order.path for order in driver.look().orders] == ["one", "two"]
    driver.results[driver.keys[0]] = Result()
    assert [order.path for order in driver.look().orders] == ["two"]
    assert driver.finish().phases[0] == "Succeeded"


@pytest.mark.parametrize("stop", [{"newer": "web-v3"}, {"held": "holiday"}])
def test_rule_6a_a_step_that_is_asked_again_while_a_run_stops_begins_nothing_further(stop):
    effects = {"one": Effect("apply", {"n": 1}), "two": Effect("apply", {"n": 2})}
    driver = scripted(lambda call, _: Do(effects if call.begun else {"one": effects["one"]})).look().look(**stop)
    assert [order.path for order in driver.orders] == ["one"]
    assert list(driver.state("odd").intents) == ["one"]


def test_the_wake_is_the_earliest_of_all_that_steps_wait_for():
    def answer(call, _):
        return Wait(call.deadline(call.since, float(call.properties["s"])), "later")

    driver = scripted(answer, step("a", "scripted", s=20), step("b", "scripted", s=10), step("c", "scripted", s=30), mode="DAG").look()
    assert driver.wake == driver.now + timedelta(seconds=10)


def test_a_final_run_never_changes():
    driver = Driver(apply("a")).look().finish()
    before = driver.run
    driver.look(99.0, newer="web-v9", removed=True, held="x", decisions=())
    assert (driver.run, driver.orders, driver.wake) == (before, [], None)


def test_the_run_that_is_handed_in_is_left_as_it_was():
    driver = Driver(apply("a"), step("verify"))
    before = driver.run
    driver.look()
    assert (before.phase, before.started_at, [state.intents for state in before.steps]) == (Phase.PENDING, None, [{}, {}])

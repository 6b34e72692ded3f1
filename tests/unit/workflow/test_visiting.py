"""KubeVela's `if`: what runs and what is skipped, after failures too (research A3, defects A6)."""

import re

import msgspec
import pytest

from reconciler.model.run import Phase
from reconciler.workflow.conditions import context_of
from tests.unit.workflow.machines import SUCCEEDED, Driver, decision
from tests.unit.workflow.visits import apply, given, group, say, step, visit


def phases(driver):
    return {state.name: state.phase.value for state in driver.run.steps}


def test_after_a_failure_steps_are_skipped_but_those_that_always_run_and_the_run_ends_failed():
    driver = visit(apply("bad"), apply("next"), given(apply("clean"), "always"), say("told", "status.bad.failed")).look()
    driver.fail("bad", retry="terminal")
    assert driver.run.phase is Phase.RUNNING
    driver.finish("clean")
    assert phases(driver) == {"bad": "Failed", "next": "Skipped", "clean": "Succeeded", "told": "Succeeded"}
    assert (driver.ended, driver.run.message, driver.state("next").reason) == ((Phase.FAILED, "Conflict"), "step bad: no", "Skip")


def test_without_a_failure_a_step_that_asks_for_one_is_skipped_and_the_run_succeeds():
    driver = visit(apply("good"), say("told", "status.good.failed"), say("next")).look().finish()
    assert phases(driver) == {"good": "Succeeded", "told": "Skipped", "next": "Succeeded"}
    assert driver.ended == SUCCEEDED


def test_a_step_that_its_own_condition_skips_holds_up_only_those_that_depend_on_it():
    driver = visit(say("off", "false"), say("after"), say("named", after=["off"]), say("further", after=["named"])).look()
    assert phases(driver) == {"off": "Skipped", "after": "Succeeded", "named": "Skipped", "further": "Skipped"}
    assert driver.ended == SUCCEEDED


def test_step_by_step_a_failure_before_skips_also_what_depends_on_another_step_that_succeeded():
    """The previous steps count there, whatever is named besides; in a DAG only what is named does (research A3)."""
    steps = (apply("good"), apply("bad"), apply("named", after=["good"]), given(apply("asked", after=["good"]), "status.good.succeeded"))
    driver = visit(*steps).look().finish()
    driver.fail("bad", retry="terminal")
    assert driver.ordered == ["good", "bad", "asked"]
    driver.finish()
    assert phases(driver) == {"good": "Succeeded", "bad": "Failed", "named": "Skipped", "asked": "Succeeded"}
    other = visit(*steps, mode="DAG").look()
    other.fail("bad", retry="terminal")
    other.finish()
    assert phases(other)["named"] == "Running"


def test_in_a_dag_only_what_depends_on_the_failed_step_is_skipped_and_other_branches_go_on():
    driver = visit(
        apply("bad"),
        apply("next", after=["bad"]),
        apply("free"),
        apply("behind", after=["free"]),
        given(apply("clean", after=["bad"]), "always"),
        mode="DAG",
    ).look()
    driver.fail("bad", retry="terminal")
    assert {order.step for order in driver.orders} == {"free", "clean"}
    driver.finish()
    driver.finish()
    assert phases(driver) == {"bad": "Failed", "next": "Skipped", "free": "Succeeded", "behind": "Succeeded", "clean": "Succeeded"}
    assert driver.ended == (Phase.FAILED, "Conflict")


def test_behind_a_step_that_always_runs_it_still_counts_that_one_further_up_failed():
    driver = visit(apply("bad"), given(say("clean", after=["bad"]), "always"), say("last", after=["clean"]), mode="DAG").look()
    driver.fail(retry="terminal")
    assert phases(driver) == {"bad": "Failed", "clean": "Succeeded", "last": "Skipped"}


def test_in_a_dag_a_step_waits_for_those_that_its_condition_asks_about():
    driver = visit(apply("first"), say("told", "status.first.succeeded"), mode="DAG").look()
    assert driver.phases == ["Running", "Pending"]
    assert driver.finish().phases == ["Succeeded", "Succeeded"]


def test_a_step_that_waits_says_for_what():
    driver = visit(apply("first"), apply("second", after=["first"]), apply("third", inputs=[("conn", "properties.c")]), mode="DAG").look()
    assert [driver.state(name).message for name in ("second", "third")] == ["Pending on DependsOn: first", "Pending on Input: conn"]


def test_a_suspended_branch_of_a_dag_lets_the_others_go_on_and_a_failure_leaves_its_gate_open():
    driver = visit(step("verify"), apply("bad"), apply("behind", after=["verify"]), mode="DAG").look()
    driver.fail("bad", retry="terminal")
    assert (driver.run.phase, driver.phases) == (Phase.WAITING, ["Waiting", "Failed", "Pending"])
    driver.decide(decision("continue"))
    assert driver.finish().ended == (Phase.FAILED, "Conflict")
    assert driver.state("behind").phase is Phase.SUCCEEDED


@pytest.mark.parametrize("condition", ['status["bad"].failed && 1 == "a"', "status.bad.outputs.x", "status.bad.message", "status."])
def test_defect_a6_13_a_condition_without_an_answer_skips_the_step_and_says_so(condition):
    driver = visit(apply("bad"), say("told", condition), say("clean", "always")).look().fail(retry="terminal")
    assert driver.state("told").phase is Phase.SKIPPED
    assert driver.state("told").message.startswith("pre check error: ")
    assert driver.state("clean").phase is Phase.SUCCEEDED


def test_a_condition_reads_status_inputs_context_and_parameters():
    condition = (
        'status.db.phase == "succeeded" && inputs["conn.host"] == "db.shop" && context.appName + "/" + context.namespace == "web/shop" '
        '&& context.appRevisionNum == 2 && parameter.message =~ "^r.n$" && context.stepName == "told" && context.appLabels["tier"] == "shop"'
    )
    told = given(say("told", inputs=[("conn.host", "x")]), condition)
    driver = visit(apply("db", outputs=[("conn", "connection")]), told)
    driver.workflow = msgspec.structs.replace(driver.workflow, labels={"tier": "shop"})
    driver.look()
    driver.finish(value={"component": "db", "objects": [], "connection": {"host": "db.shop"}})
    assert (driver.state("told").phase, driver.state("told").message) == (Phase.SUCCEEDED, "ran")


def test_an_input_from_the_context_is_there_at_once_and_one_that_it_has_not_fails_the_step():
    driver = visit(say("told", inputs=[("context.appName", "message")]), say("lost", inputs=[("context.colour", "message")]))
    driver.look()
    assert (driver.state("told").phase, driver.state("told").message) == (Phase.SUCCEEDED, "web")
    assert (driver.state("lost").reason, driver.state("lost").message) == (
        "Input",
        "Input context.colour never comes: there is no such thing in the context",
    )


def test_a_steps_session_is_its_own_stays_over_tries_and_is_another_when_it_is_done_anew():
    driver = visit(say("a"), say("b")).look()

    def session(name):
        spec = next(step for step in driver.workflow.steps if step.name == name)
        return context_of(spec, driver.run, driver.workflow)["stepSessionID"]

    first = session("a")
    assert re.fullmatch(r"[0-9a-f]{10}", first)
    assert session("b") != first
    driver.state("a").attempt = 3
    assert session("a") == first
    driver.state("a").round = 1
    assert session("a") != first


def test_what_a_step_did_not_give_is_null_to_a_condition_and_fails_a_step_that_takes_it():
    give = given(apply("give", outputs=[("conn", "connection")]), "false")
    takes = apply("takes", inputs=[("conn", "properties.c")])
    driver = visit(give, say("asks", 'inputs["conn"] == null', inputs=[("conn", "x")]), takes, mode="DAG").look()
    assert driver.state("takes").reason == "Input"
    assert driver.state("takes").message == "Input conn never comes: step give gave nothing"
    assert driver.state("asks").reason == "Input"
    assert driver.ordered == []


def test_a_condition_is_asked_once_before_the_first_try():
    driver = visit(apply("first"), given(apply("second"), "status.first.succeeded")).look().finish().fail("second")
    driver.run.step("first").phase = Phase.FAILED  # were it asked again, it would be skipped now
    driver.look(1.0)
    assert [order.step for order in driver.orders] == ["second"]


def test_defect_a6_11_a_step_is_tried_ten_times_also_when_the_daemon_restarts_in_between():
    driver = visit(apply("a"), say("told", "status.a.failedAfterRetries")).look()
    tries = 0
    while not driver.run.phase.final:
        tries += 1
        driver.fail()
        if driver.wake is not None:
            driver.look((driver.wake - driver.now).total_seconds())
    assert (tries, driver.state("a").exhausted, driver.state("a").reason) == (10, True, "Conflict")
    assert driver.state("told").phase is Phase.SUCCEEDED


def test_a_restored_run_skips_what_was_skipped():
    driver = visit(say("off", "false"), step("verify"), apply("a"), kind="restore").look().finish()
    assert phases(driver) == {"off": "Skipped", "verify": "Succeeded", "a": "Succeeded"}


def test_in_other_workflows_conditions_do_not_count():
    assert Driver(say("off", "false")).look().phases == ["Succeeded"]


def test_a_step_in_a_group_may_be_asked_about_by_its_name():
    driver = visit(*group("g", apply("inner")), say("told", "status.inner.failed && status.g.failed")).look().fail(retry="terminal")
    assert phases(driver) == {"g": "Failed", "inner": "Failed", "told": "Succeeded"}

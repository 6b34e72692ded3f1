"""Groups of steps: order, phases, gates within them (research A3, KubeVela issue 4508)."""

from datetime import timedelta

import pytest

from reconciler.dialects.words import kubevela
from reconciler.engine.graph import _nodes
from reconciler.model.run import Phase
from tests.unit.workflow.machines import SUCCEEDED, decision
from tests.unit.workflow.visits import apply, given, group, say, step, visit


def test_the_steps_of_a_group_run_at_once_and_what_comes_behind_it_waits_for_all_of_them():
    driver = visit(apply("first"), *group("g", apply("a"), apply("b")), apply("last")).look()
    assert (driver.phases, driver.ordered) == (["Running", "Pending", "Pending", "Pending", "Pending"], ["first"])
    driver.finish()
    assert [order.step for order in driver.orders] == ["g.a", "g.b"]
    driver.finish("g.a")
    assert (driver.phases, [order.step for order in driver.orders]) == (["Succeeded", "Running", "Succeeded", "Running", "Pending"], ["g.b"])
    assert [order.step for order in driver.finish().orders] == ["last"]
    assert driver.finish().ended == SUCCEEDED


def test_a_group_may_run_its_steps_one_after_the_other():
    driver = visit(*group("g", apply("a"), apply("b"), mode="StepByStep")).look()
    assert driver.ordered == ["g.a"]
    assert driver.finish().ordered == ["g.a", "g.b"]


def test_steps_may_depend_on_steps_of_other_groups():
    driver = visit(*group("one", apply("a")), *group("two", apply("b", after=["a"]), apply("c")), mode="DAG").look()
    assert [order.step for order in driver.orders] == ["one.a", "two.c"]
    assert [order.step for order in driver.finish("one.a").orders] == ["two.b", "two.c"]


@pytest.mark.parametrize(("retry", "reason"), [("terminal", "Action"), ("backoff", "FailedAfterRetries")])
def test_a_group_fails_when_all_its_steps_are_over_and_one_failed_and_says_why(retry, reason):
    driver = visit(*group("g", apply("bad"), apply("good")), say("next"), say("clean", "status.g.failed")).look()
    while not driver.state("g.bad").phase.final:
        driver.fail("g.bad", retry=retry)
        if not driver.state("g.bad").phase.final:
            driver.look((driver.state("g.bad").retry_at - driver.now).total_seconds())
    assert driver.state("g").phase is Phase.RUNNING
    driver.finish("g.good")
    assert driver.phases == ["Failed", "Failed", "Succeeded", "Skipped", "Succeeded"]
    assert (driver.state("g").reason, driver.state("g").message, driver.run.message) == (reason, "step bad: no", "step bad: no")


def test_a_skipped_group_skips_its_steps_also_those_that_always_run():
    driver = visit(*group("g", say("a"), say("b", "always"), condition="false"), say("next")).look()
    assert driver.phases == ["Skipped", "Skipped", "Skipped", "Succeeded"]


def test_a_group_whose_steps_are_all_skipped_is_skipped_and_else_it_succeeded():
    driver = visit(*group("none", say("a", "false")), *group("some", say("b", "false"), say("c"))).look()
    assert driver.phases == ["Skipped", "Skipped", "Succeeded", "Skipped", "Succeeded"]
    assert driver.ended == SUCCEEDED


def test_a_group_without_steps_is_over_at_once():
    assert visit(step("empty", "step-group")).look().ended == SUCCEEDED


def test_a_gate_in_a_group_waits_with_its_group_and_opens_by_its_own_key():
    driver = visit(*group("g", step("verify"), apply("a"))).look()
    assert (driver.run.phase, driver.state("g").phase) == (Phase.RUNNING, Phase.RUNNING)
    driver.finish()
    assert (driver.run.phase, driver.state("g").phase, driver.state("g").since) == (Phase.WAITING, Phase.WAITING, None)
    assert driver.decide(decision("continue", "verify")).run.phase is Phase.WAITING
    assert driver.decide(decision("continue", "g.verify")).ended == SUCCEEDED


def test_kubevela_issue_4508_a_suspend_with_a_duration_in_a_group_opens_by_itself():
    driver = visit(*group("g", step("pause", duration="30s"))).look()
    assert driver.wake == driver.now + timedelta(seconds=30)
    driver.look(31.0)
    assert driver.run.phase is Phase.WAITING
    driver.look(1.0, looked_at=driver.now)
    assert driver.ended == SUCCEEDED


@pytest.mark.parametrize("verb", ["end", "rollback"])
def test_a_decision_in_a_group_ends_the_whole_run(verb):
    driver = visit(*group("g", step("verify"), apply("a")), apply("last")).look(target="web-v1").finish()
    driver.decide(decision(verb, "g.verify"))
    assert driver.run.phase in (Phase.TERMINATED, Phase.ROLLING_BACK)
    assert driver.phases == ["Terminated", "Terminated", "Succeeded", "Skipped"]


def test_a_condition_within_a_group_is_of_the_steps_own_level():
    driver = visit(*group("g", apply("bad"), say("next"), given(say("clean"), "always"), mode="StepByStep")).look().fail(retry="terminal")
    assert driver.phases == ["Failed", "Failed", "Skipped", "Succeeded"]


def test_defect_a6_01_the_message_of_a_suspend_stands_in_its_status():
    driver = visit(*group("g", step("verify", message="is it well?", duration="1min"))).look()
    assert driver.state("g.verify").message == "is it well?"
    (shown,) = kubevela(driver.run)["steps"]
    assert (shown["subSteps"][0]["message"], shown["subSteps"][0]["phase"]) == ("is it well?", "suspending")


def test_a_group_is_drawn_above_its_steps_and_before_what_comes_behind_it():
    driver = visit(apply("first"), *group("g", apply("a"), apply("b", after=["a"])), apply("last")).look()
    assert {node.key: node.after for node in _nodes(driver.run, driver.workflow)} == {
        "first": [],
        "g": ["first"],
        "g.a": ["g"],
        "g.b": ["g.a"],
        "last": ["g"],
    }

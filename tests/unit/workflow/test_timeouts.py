"""Timeouts of steps and groups (research A3, rule 9c, defects A6)."""

from datetime import timedelta

import pytest

from reconciler.model.run import Decision, Phase
from reconciler.workflow.pausing import resume_step, suspend_step
from reconciler.workflow.resetting import reset
from tests.unit.workflow.machines import SUCCEEDED, decision
from tests.unit.workflow.visits import apply, given, group, say, step, visit


def late(driver, seconds):
    """That much later, git was just looked at."""
    return driver.look(seconds, looked_at=driver.now + timedelta(seconds=seconds))


def limited(spec, seconds=60.0):
    return given(spec, timeout=seconds)


def test_a_step_that_is_out_of_time_fails_and_the_rest_is_visited():
    driver = visit(limited(step("verify")), say("next"), say("clean", "status.verify.timeout")).look()
    assert driver.wake == driver.state("verify").deadline == driver.now + timedelta(seconds=60)
    driver.look(59.0)
    assert driver.run.phase is Phase.WAITING
    assert driver.look(2.0).run.phase is Phase.WAITING  # somebody may have approved in time: git was not looked at since
    late(driver, 1.0)
    assert driver.phases == ["Failed", "Skipped", "Succeeded"]
    assert (driver.ended, driver.run.message) == ((Phase.FAILED, "StepTimeout"), "step verify: not done within 1m")


def test_rule_9c_a_timeout_counts_from_the_first_start_and_no_retry_moves_it():
    driver = visit(limited(apply("a"))).look()
    deadline = driver.state("a").deadline
    for _ in range(4):
        driver.fail()
        driver.look((driver.wake - driver.now).total_seconds())
    assert (driver.state("a").attempt, driver.state("a").deadline) == (4, deadline)
    driver.fail()
    driver.look((deadline - driver.now).total_seconds())
    assert (driver.state("a").phase, driver.state("a").reason, driver.orders) == (Phase.FAILED, "StepTimeout", [])


def test_rule_9c_a_timeout_that_passed_while_the_daemon_was_down_counts_at_the_first_look():
    assert late(visit(limited(step("verify"))).look(), 86400.0).state("verify").reason == "StepTimeout"


def test_rule_6a_a_timeout_stands_still_while_the_application_is_suspended():
    driver = visit(limited(step("verify"))).look(30.0).look(held="holiday").look(300.0).look(held="")
    assert driver.state("verify").deadline == driver.now + timedelta(seconds=60)
    assert driver.run.phase is Phase.WAITING


def test_defect_a6_10_out_of_time_nothing_is_begun_once_more_and_what_is_under_way_is_known_first():
    both = limited(step("both", "deploy", components=["one", "two"]))
    driver = visit(both).look().look(61.0)
    assert (driver.state("both").phase, [order.path for order in driver.orders]) == (Phase.RUNNING, ["apply/one"])
    driver.finish()
    assert (driver.state("both").phase, driver.state("both").reason) == (Phase.FAILED, "StepTimeout")
    assert list(driver.state("both").intents) == ["apply/one"]
    assert driver.state("both").results["apply/one"].ok


def test_defect_a6_14_the_next_look_is_at_the_earliest_of_timer_and_timeouts():
    driver = visit(limited(step("soon", duration="90s"), 60.0), limited(step("late", duration="20s"), 300.0), mode="DAG").look()
    assert driver.wake == driver.now + timedelta(seconds=20)
    driver.look(21.0).look(1.0, looked_at=driver.now)
    assert driver.phases == ["Waiting", "Succeeded"]
    assert driver.wake == driver.state("soon").deadline


def test_a_gate_that_was_opened_in_time_is_passed_although_its_timeout_is_over():
    driver = late(visit(limited(step("verify"))).look(), 30.0)
    assert driver.look(31.0, looked_at=driver.now + timedelta(seconds=31), decisions=(decision("continue"),)).ended == SUCCEEDED


def test_the_timeout_of_a_group_covers_its_steps():
    members = [step("verify"), apply("slow"), apply("later", after=["slow"]), say("clean", "always", after=["slow"])]
    driver = visit(*group("g", *members, timeout=60.0), say("next"), say("told", "status.g.timeout")).look()
    late(driver, 61.0)
    assert (driver.state("g").phase, driver.state("g.verify").reason) == (Phase.RUNNING, "StepTimeout")
    driver.finish()
    assert driver.phases == ["Failed", "Failed", "Failed", "Skipped", "Skipped", "Skipped", "Succeeded"]
    assert (driver.state("g").reason, driver.state("g").message) == ("StepTimeout", "not done within 1m")
    assert driver.ended == (Phase.FAILED, "StepTimeout")
    assert driver.ordered == ["g.slow"]


def test_a_group_that_is_done_in_time_is_not_out_of_time_later():
    driver = visit(*group("g", apply("a"), timeout=60.0), step("verify")).look().finish()
    assert driver.look(100.0).run.phase is Phase.WAITING


@pytest.mark.parametrize("stop", [{"newer": "web-v3"}, {"decisions": (decision("end", "run"),)}])
def test_a_run_that_is_stopped_ends_as_it_would_without_timeouts(stop):
    driver = visit(limited(apply("a"))).look().look(61.0, **stop)
    assert driver.finish().run.phase in (Phase.SUPERSEDED, Phase.TERMINATED)


def test_the_timeout_of_a_step_that_a_person_suspended_stands_still_too():
    driver = visit(limited(step("verify"))).look(30.0)
    deadline = driver.state("verify").deadline
    suspend_step(driver.state("verify"), "lunch", driver.now)
    late(driver, 300.0)
    assert driver.run.phase is Phase.WAITING
    resume_step(driver.run, driver.state("verify"), driver.now)
    late(driver, 59.0)
    assert driver.state("verify").deadline == deadline + timedelta(seconds=300)
    assert late(driver, 2.0).state("verify").reason == "StepTimeout"


def test_both_pauses_count_once_where_application_and_step_are_suspended():
    driver = visit(limited(step("verify"))).look()
    deadline = driver.state("verify").deadline
    suspend_step(driver.state("verify"), "lunch", driver.now)
    driver.look(10.0, held="holiday").look(100.0, held="")
    resume_step(driver.run, driver.state("verify"), driver.now + timedelta(seconds=10))
    assert driver.state("verify").deadline == deadline + timedelta(seconds=120)


def test_a_step_that_is_begun_again_has_its_whole_time_again():
    driver = visit(*group("g", limited(step("verify")), timeout=100.0), say("next")).look()
    late(driver, 61.0)
    assert driver.ended == (Phase.FAILED, "StepTimeout")
    driver.run = reset(driver.run, driver.workflow, "g.verify")
    driver.look(1000.0)
    assert driver.phases == ["Waiting", "Waiting", "Pending"]
    assert driver.state("g.verify").deadline == driver.now + timedelta(seconds=60)
    assert driver.state("g").deadline == driver.now + timedelta(seconds=100)
    driver.decide(Decision("g.verify", "continue", "g.verify=continue@2", driver.now, round=1))
    assert (driver.ended, driver.phases) == (SUCCEEDED, ["Succeeded", "Succeeded", "Succeeded"])

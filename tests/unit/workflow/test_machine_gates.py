"""What opens a gate, and what stands still while an application is suspended (rules 3f, 4c, 4e, 4g, 6a, 7a, 9c)."""

from datetime import timedelta
from itertools import pairwise

import msgspec
import pytest

from reconciler.model.application import Step
from reconciler.model.outcome import Health
from reconciler.model.run import Phase
from tests.unit.workflow.machines import START, SUCCEEDED, Driver, apply, decision, step

SECOND = timedelta(seconds=1)
GATES = [step("verify"), step("verify", "rollout-promotion"), step("verify", "deploy", components=["web"], auto=False)]


def by_timer(driver):
    return [(used.gate, used.verb, used.value) for used in driver.run.decisions if used.by == "timer"]


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.type)
def test_nothing_behind_a_gate_begins_before_a_decision(gate):
    driver = Driver(gate, apply("b")).look().look(86400.0, looked_at=START + timedelta(days=2))
    assert (driver.run.phase, driver.run.reason, driver.phases, driver.ordered) == (Phase.WAITING, "Gate", ["Waiting", "Pending"], [])
    assert driver.state("verify").since == START
    assert driver.wake is None


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.type)
def test_rule_4c_a_continue_is_stored_with_where_it_stood_and_opens_the_gate(gate):
    used = decision("continue")
    driver = Driver(gate, apply("b")).look().decide(used)
    assert driver.run.decisions == [used]
    assert driver.ordered == (["verify"] if gate.type == "deploy" else ["b"])


def test_rule_4c_the_same_decision_is_used_once():
    driver = Driver(step("verify"), step("again")).look().decide(decision("continue"))
    driver.decide(decision("continue")).decide(decision("continue"), decision("continue"))
    assert len(driver.run.decisions) == 1
    assert driver.phases == ["Succeeded", "Waiting"]


def test_rule_4c_a_continue_opens_its_own_gate_and_no_other():
    driver = Driver(step("verify"), step("other"), mode="DAG").look().decide(decision("continue", "other"))
    assert driver.phases == ["Waiting", "Succeeded"]


@pytest.mark.parametrize("looked", [None, -1, 0])
def test_rule_4c_a_timer_waits_for_a_look_at_git_that_is_later_than_its_deadline(looked):
    driver = Driver(step("verify", duration="10m"), apply("b")).look()
    deadline = START + timedelta(minutes=10)
    assert driver.wake == deadline
    driver.look(3600.0, looked_at=None if looked is None else deadline + looked * SECOND)
    assert (driver.phases, driver.ordered, by_timer(driver)) == (["Waiting", "Pending"], [], [])
    assert driver.wake <= driver.now, "a wake that is over asks for a look at git"
    driver.look(looked_at=deadline + SECOND)
    assert (driver.phases, by_timer(driver)) == (["Succeeded", "Running"], [("verify", "continue", "timer")])


def test_rule_4c_a_timer_does_not_open_before_its_deadline_whatever_git_says():
    driver = Driver(step("verify", duration="10m")).look().look(599.0, looked_at=START + timedelta(hours=1))
    assert driver.phases == ["Waiting"]


def test_rule_4c_a_rollback_seen_by_the_look_after_the_deadline_beats_the_timer():
    driver = Driver(step("verify", duration="10m"), apply("b")).look(target="web-v1")
    driver.look(601.0, looked_at=START + timedelta(seconds=601), decisions=(decision("rollback"),))
    assert (driver.run.phase, driver.ordered, by_timer(driver)) == (Phase.ROLLING_BACK, [], [])


def test_rule_4c_a_continue_in_time_leaves_the_timer_nothing_to_do():
    driver = Driver(step("verify", duration="10m"), apply("b")).look()
    driver.look(601.0, looked_at=START + timedelta(seconds=601), decisions=(decision("continue"),))
    assert (driver.ordered, by_timer(driver)) == (["b"], [])


def test_rule_9c_a_clock_that_jumps_back_fires_a_timer_late_and_once():
    driver = Driver(step("verify", duration="10m"), step("end")).look().look(-3600.0)
    assert driver.wake == START + timedelta(minutes=10)
    driver.look(4300.0, looked_at=START + timedelta(hours=2)).look(-3600.0).look(7200.0)
    assert by_timer(driver) == [("verify", "continue", "timer")]


PAIR = (apply("canary"), step("hold"), step("promote", "rollout-promotion"), apply("rest"))


@pytest.mark.parametrize("mode", ["StepByStep", "DAG"])
def test_rule_4e_one_continue_for_the_promotion_passes_both_gates_of_a_pair(mode):
    chain = [
        PAIR[0],
        *(msgspec.structs.replace(spec, depends_on=[before.name]) for before, spec in pairwise(PAIR)),
    ]
    driver = Driver(*chain, mode=mode).look().finish()
    assert driver.phases == ["Succeeded", "Waiting", "Pending", "Pending"]
    driver.decide(decision("continue", "promote"))
    assert (driver.phases, len(driver.run.decisions)) == (["Succeeded", "Succeeded", "Succeeded", "Running"], 1)


def test_rule_4e_a_continue_for_the_suspend_alone_opens_only_the_suspend():
    driver = Driver(*PAIR).look().finish().decide(decision("continue", "hold"))
    assert driver.phases == ["Succeeded", "Succeeded", "Waiting", "Pending"]


def test_rule_4e_a_timer_of_the_suspend_opens_only_the_suspend():
    driver = Driver(step("hold", duration="1m"), *PAIR[2:]).look().look(61.0, looked_at=START + timedelta(minutes=2))
    assert driver.phases == ["Succeeded", "Waiting", "Pending"]


def test_rule_4e_in_a_dag_a_suspend_that_the_promotion_does_not_depend_on_forms_no_pair():
    driver = Driver(*PAIR[1:3], mode="DAG").look().decide(decision("continue", "promote"))
    assert driver.phases == ["Waiting", "Succeeded"]


@pytest.mark.parametrize("mode", ["StepByStep", "DAG"])
@pytest.mark.parametrize("implicit", [["workflow-changed"], ["state-lost"], ["state-lost", "workflow-changed"]])
def test_rule_4g_and_3f_nothing_begins_before_the_implicit_gates_are_open(mode, implicit):
    driver = Driver(apply("a"), mode=mode, implicit=implicit).look()
    for key in implicit:
        assert (driver.ordered, driver.state(key).phase) == ([], Phase.WAITING)
        assert driver.state(key).message
        driver.decide(decision("continue", key))
    assert driver.ordered == ["a"]


@pytest.mark.parametrize("verb", ["rollback", "end"])
def test_rule_4e_an_implicit_gate_takes_rollback_and_end_too(verb):
    driver = Driver(apply("a"), implicit=["workflow-changed"]).look(target="web-v1").decide(decision(verb, "workflow-changed"))
    assert driver.run.phase is (Phase.ROLLING_BACK if verb == "rollback" else Phase.TERMINATED)
    assert driver.ordered == []


def test_rule_7a_a_restore_run_passes_every_gate_and_ignores_the_rollout():
    rollout = {"type": "partition", "properties": {"partition": 2}}
    properties = {"components": [{"type": "X", "name": "web"}], "rollout": rollout}
    canary = Step("canary", "apply-components", "canary", properties=properties, components=["web"])
    steps = [canary, step("a", duration="1h"), step("b", "rollout-promotion"), step("c", "deploy", components=["web"], auto=False)]
    assert Driver(*steps).look().orders[0].effect.params == {"component": "web", "partition": 2}
    driver = Driver(*steps, kind="restore").look()
    assert driver.orders[0].effect.params == {"component": "web"}
    assert driver.finish().phases == ["Succeeded", "Succeeded", "Succeeded", "Running"]
    assert driver.finish().ended == SUCCEEDED


def test_rule_6a_a_suspended_application_opens_no_gate_and_no_timer_and_begins_nothing():
    driver = Driver(step("verify", duration="10m"), apply("b")).look().look(held="holiday")
    driver.look(3600.0, looked_at=START + timedelta(hours=2), decisions=(decision("continue"),))
    assert (driver.phases, driver.run.decisions, driver.ordered) == (["Waiting", "Pending"], [], [])


def test_rule_6a_a_continue_that_came_during_a_suspension_counts_after_it():
    driver = Driver(step("verify"), apply("b")).look(held="holiday").decide(decision("continue"))
    assert driver.look(held="", decisions=(decision("continue"),)).ordered == ["b"]


def test_rule_6a_the_deadline_of_a_gate_stands_still_while_suspended():
    driver = Driver(step("verify", duration="10m")).look().look(300.0, held="holiday")
    driver.look(3600.0, held="", looked_at=START + timedelta(days=1))
    assert (driver.phases, driver.wake) == (["Waiting"], START + timedelta(minutes=70))
    driver.look(299.0)
    assert driver.phases == ["Waiting"]
    assert driver.look(1.0).ended == SUCCEEDED


def test_rule_6a_the_pause_before_another_attempt_stands_still_while_suspended():
    driver = Driver(apply("a")).look().fail().look(held="holiday").look(3600.0, held="")
    assert driver.orders == []
    assert 0.9 * SECOND <= driver.wake - driver.now <= SECOND


OBJECTS = {"component": "web", "objects": [{"ref": "apps/v1|Deployment|shop|web", "uid": "u"}]}


def health_deadline(driver):
    """When the step that waits for health fails: an unhealthy object is all that there is to see."""
    (query,) = driver.queries
    assert isinstance(query, Health)
    return driver.look(seen={query: {"status": "Progressing", "message": ""}}).wake - driver.now


def test_rule_6a_the_deadline_of_health_stands_still_while_suspended():
    driver = Driver(step("web", "apply-component", components=["web"], component="web")).look().finish(value=OBJECTS)
    assert health_deadline(driver) == timedelta(minutes=10)
    driver.look(60.0, held="holiday").look(3600.0, held="")
    assert health_deadline(driver) == timedelta(minutes=9)


def test_rule_6a_a_suspension_moves_no_deadline_that_begins_after_it():
    driver = Driver(step("verify", "deploy", components=["web"], auto=False)).look().look(held="holiday").look(3600.0, held="")
    driver.decide(decision("continue")).finish(value=OBJECTS)
    assert health_deadline(driver) == timedelta(minutes=10)


def test_rule_6a_of_a_suspension_during_an_apply_only_what_follows_its_result_moves_the_deadline():
    driver = Driver(step("web", "apply-component", components=["web"], component="web")).look().look(held="holiday")
    driver.look(600.0).finish(value=OBJECTS).look(300.0, held="")
    assert health_deadline(driver) == timedelta(minutes=10)


@pytest.mark.parametrize(("verb", "phase"), [("rollback", Phase.ROLLING_BACK), ("end", Phase.TERMINATED)])
def test_rule_6a_rollback_and_end_act_while_suspended(verb, phase):
    driver = Driver(step("verify")).look(target="web-v1")
    assert driver.look(held="holiday").decide(decision(verb)).run.phase is phase


def test_rule_6a_a_suspension_asks_again_for_what_was_under_way_and_for_nothing_new():
    driver = Driver(apply("a"), apply("b")).look()
    keys = driver.keys
    assert driver.look(held="holiday").keys == keys
    assert driver.finish().orders == []
    assert driver.phases == ["Running", "Pending"]
    driver.look(held="")
    assert driver.ordered == ["a", "b"]

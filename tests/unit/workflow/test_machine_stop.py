"""How a run ends before its time: rollback, end, removal, a newer revision (rules 4c, 6a, 6b, 7a), and a crash on the way."""

import pytest

from reconciler.model.outcome import Health
from reconciler.model.run import Phase, WriteBack
from tests.unit.workflow.machines import SUCCEEDED, Driver, apply, decision, step

STOPS = {
    "rollback": {"decisions": (decision("rollback"),)},
    "end": {"decisions": (decision("end"),)},
    "removed": {"removed": True},
    "newer": {"newer": "web-v3"},
}
ENDS = {"rollback": Phase.ROLLING_BACK, "end": Phase.TERMINATED, "removed": Phase.TERMINATED, "newer": Phase.SUPERSEDED}


@pytest.fixture(params=list(STOPS))
def stop(request):
    return request.param


def test_rule_6a_a_stop_waits_for_the_effect_under_way_and_begins_nothing_new(stop):
    driver = Driver(apply("a"), apply("b")).look(target="web-v1")
    keys = driver.keys
    driver.look(**STOPS[stop])
    assert (driver.run.phase, driver.keys) == (Phase.RUNNING, keys)
    driver.finish()
    assert (driver.run.phase, driver.orders, driver.ordered) == (ENDS[stop], [], ["a"])


def test_rule_6a_a_stop_acts_at_once_where_nothing_is_under_way(stop):
    driver = Driver(step("verify"), apply("b")).look(target="web-v1").look(**STOPS[stop])
    assert (driver.run.phase, driver.ordered) == (ENDS[stop], [])
    assert all(state.phase.final for state in driver.run.steps)


def test_rule_6a_a_stop_ends_a_wait_for_health_at_once(stop):
    driver = Driver(step("web", "apply-component", components=["web"], component="web")).look(target="web-v1")
    driver.finish(value={"objects": [{"ref": "apps/v1|Deployment|shop|web", "uid": "u"}]})
    assert driver.queries
    driver.look(**STOPS[stop])
    assert (driver.run.phase, driver.queries, driver.wake) == (ENDS[stop], frozenset(), None)


def test_rule_9a_a_stop_after_a_crash_asks_for_what_was_begun_even_if_what_came_before_is_ill_by_now(stop):
    both = step("both", "deploy", components=["one", "two"])
    driver = Driver(both).look(target="web-v1").finish(value={"objects": [{"ref": "apps/v1|Deployment|shop|one", "uid": "u"}]})
    (query,) = driver.queries
    driver.look(seen={query: {"status": "Healthy"}})
    keys = driver.keys
    assert [order.path for order in driver.orders] == ["apply/two"]
    driver.look(seen={query: {"status": "Degraded"}}, **STOPS[stop])
    assert (driver.keys, driver.run.phase) == (keys, Phase.RUNNING)
    driver.look(seen={})
    assert driver.keys == keys
    assert driver.finish().run.phase is ENDS[stop]


def test_rule_9a_a_stop_does_not_wait_for_an_effect_that_nobody_can_carry_out_any_more(stop):
    driver = Driver(apply("a")).look(target="web-v1")
    driver.machine = Driver(types={"none": None}).machine
    assert driver.look(**STOPS[stop]).run.phase is ENDS[stop]


def test_a_failed_effect_does_not_hold_back_a_stop(stop):
    driver = Driver(apply("a")).look(target="web-v1").fail().look(**STOPS[stop])
    assert (driver.run.phase, driver.state("a").attempt) == (ENDS[stop], 1)


@pytest.mark.parametrize("order", [("rollback", "end"), ("end", "rollback")])
def test_rule_4c_rollback_beats_end_beats_a_newer_revision(order):
    driver = Driver(step("verify")).look(target="web-v1").look(newer="web-v3", decisions=tuple(map(decision, order)))
    assert driver.run.phase is Phase.ROLLING_BACK
    driver = Driver(step("verify")).look().look(newer="web-v3", decisions=(decision("end"),))
    assert driver.ended == (Phase.TERMINATED, "Ended")


def test_rule_4c_a_rollback_that_comes_while_an_end_waits_for_an_effect_still_wins():
    driver = Driver(apply("a")).look(target="web-v1").decide(decision("end", "run")).decide(decision("rollback", "run")).finish()
    assert driver.run.phase is Phase.ROLLING_BACK


def test_rule_7a_a_rollback_names_its_target_owes_the_commit_and_ends_with_the_restore():
    driver = Driver(apply("a"), step("verify"), apply("b")).look(target="web-v1").finish().decide(decision("rollback"))
    assert (driver.run.phase, driver.run.restore_target) == (Phase.ROLLING_BACK, "web-v1")
    assert driver.run.write_back == WriteBack(state="Owed", target="web-v1", rejected="digest", at=driver.now)
    assert driver.phases == ["Succeeded", "Terminated", "Skipped"]
    assert driver.look(60.0).run.phase is Phase.ROLLING_BACK
    driver.look(60.0, restored="Succeeded")
    assert (driver.ended, driver.run.finished_at) == ((Phase.ROLLED_BACK, "RolledBack"), driver.now)


def test_rule_6a_a_rollback_under_way_is_finished_before_anything_else():
    driver = Driver(step("verify")).look(target="web-v1").decide(decision("rollback"))
    driver.look(newer="web-v3", removed=True, held="holiday", target="web-v0", decisions=(decision("end"),))
    assert (driver.run.phase, driver.run.restore_target) == (Phase.ROLLING_BACK, "web-v1")
    assert driver.look(restored="Succeeded").ended == (Phase.ROLLED_BACK, "RolledBack")


def test_rule_7a_a_restore_that_fails_leaves_the_run_failed_and_holds():
    driver = Driver(step("verify")).look(target="web-v1").decide(decision("rollback")).look(restored="Failed")
    assert (driver.ended, driver.run.failure) == ((Phase.FAILED, "RestoreFailed"), "user")


def test_rule_7a_without_a_target_nothing_is_touched():
    driver = Driver(apply("a"), step("verify"), apply("b")).look().finish().decide(decision("rollback"))
    assert (driver.ended, driver.run.failure) == ((Phase.FAILED, "NoRollbackTarget"), "user")
    assert (driver.run.write_back, driver.run.restore_target, driver.ordered) == (None, "", ["a"])
    assert driver.phases == ["Succeeded", "Skipped", "Skipped"]


def test_rule_7a_a_restore_run_never_rolls_back_itself():
    driver = Driver(apply("a"), kind="restore").look(target="web-v0").decide(decision("rollback", "run")).finish()
    assert (driver.ended, driver.run.write_back, driver.run.restore_target) == ((Phase.TERMINATED, "Ended"), None, "")


def test_rule_7a_a_restore_run_that_fails_holds_and_goes_nowhere():
    driver = Driver(apply("a"), kind="restore").look(target="web-v0").fail(retry="terminal")
    assert (driver.ended, driver.run.write_back) == ((Phase.FAILED, "Conflict"), None)


def test_rule_6c_an_end_keeps_what_was_applied_and_applies_no_more():
    driver = Driver(apply("a"), step("verify"), apply("b")).look(target="web-v1").finish().decide(decision("end"))
    assert (driver.ended, driver.phases) == ((Phase.TERMINATED, "Ended"), ["Succeeded", "Terminated", "Skipped"])
    assert (driver.run.write_back, driver.run.restore_target) == (None, "")


def test_rule_6a_a_superseded_run_names_what_superseded_it():
    driver = Driver(step("verify")).look().look(newer="web-v3")
    assert (driver.run.superseded_by, driver.run.message) == ("web-v3", "web-v3 is newer")


def test_rule_6b_the_fourth_run_goes_on_to_its_gate_before_the_newest_is_taken():
    driver = Driver(apply("a"), step("verify"), apply("b")).look(newer="web-v9", patient=True)
    assert driver.run.phase is Phase.RUNNING
    assert driver.finish().ended == (Phase.SUPERSEDED, "Superseded")
    assert driver.state("verify").since == driver.now


def test_rule_6b_the_fourth_run_goes_on_to_its_end_where_it_has_no_gate():
    assert Driver(apply("a"), apply("b")).look(newer="web-v9", patient=True).finish().finish().ended == SUCCEEDED


def test_rule_6b_a_patient_run_waits_at_a_gate_only_when_nothing_else_of_it_runs():
    driver = Driver(apply("a"), step("verify"), mode="DAG").look(newer="web-v9", patient=True).look()
    assert driver.run.phase is Phase.RUNNING
    assert driver.finish().run.phase is Phase.SUPERSEDED


def test_rule_6a_superseding_waits_for_the_end_of_a_suspension():
    driver = Driver(step("verify")).look(held="holiday").look(newer="web-v3")
    assert driver.run.phase is not Phase.SUPERSEDED
    driver.look(held="")
    assert driver.look().run.phase is Phase.SUPERSEDED


def test_a_wait_for_health_asks_about_what_was_applied():
    driver = Driver(step("web", "apply-component", components=["web"], component="web")).look()
    driver.finish(value={"objects": [{"ref": "apps/v1|Deployment|shop|web", "uid": "u"}]})
    (query,) = driver.queries
    assert isinstance(query, Health)
    assert driver.look(seen={query: {"status": "Healthy"}}).ended == SUCCEEDED

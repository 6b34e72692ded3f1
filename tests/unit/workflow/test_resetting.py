"""Beginning again in the same run: what is reset, what stays, and what of the rounds before still counts (RULES 4a, 9a)."""

import pytest

from reconciler.model.outcome import Done
from reconciler.model.run import Notice, Phase
from reconciler.workflow.resetting import ResetError, reach, reopen, reset
from tests.unit.workflow.machines import SUCCEEDED, Driver, apply, decision, step


class Sharing:
    """A step type that shares its name and how often it was begun."""

    name, params, required = "sharing", {}, ()

    def check(self, properties):
        return []

    def next(self, call, results, seen, now):
        return Done({}, attributes={call.step: call.key})

    def undo(self, call, results, seen, now):
        return Done({})


def failed_in_the_middle():
    """a succeeded, b failed for good, c never began."""
    return Driver(apply("a"), apply("b"), apply("c")).look().finish("a").fail("b", retry="terminal")


def put(driver, run):
    driver.run = run
    return driver


def test_a_reset_step_and_all_behind_it_are_done_again_and_the_earlier_one_is_not():
    driver = failed_in_the_middle()
    assert driver.run.phase is Phase.FAILED
    put(driver, reset(driver.run, driver.workflow, "b"))
    assert driver.phases == ["Succeeded", "Pending", "Pending"]
    driver.look().finish("b").finish("c")
    assert driver.ended == SUCCEEDED
    assert driver.state("a").round == 0


def test_rule_9a_reset_steps_have_new_effect_keys_and_begin_their_attempts_anew():
    driver = failed_in_the_middle()
    before = set(driver.results)
    driver.ordered = []
    put(driver, reset(driver.run, driver.workflow, "b")).look()
    assert driver.ordered == ["b"]
    assert not before & set(driver.keys)
    assert (driver.state("b").round, driver.state("b").attempt, driver.state("b").results) == (1, 0, {})


def test_a_run_that_ended_is_open_again_without_its_end_and_waits_to_be_admitted():
    driver = failed_in_the_middle()
    run = reset(driver.run, driver.workflow, "b")
    assert (run.phase, run.reason, run.message, run.failure, run.finished_at, run.started_at) == (Phase.PENDING, "", "", "", None, None)
    driver.run = run
    assert driver.look(admitted=False).run.reason == "Queued"


def test_retry_begins_all_steps_again():
    driver = Driver(apply("a"), apply("b")).look().finish("a").finish("b")
    assert driver.ended == SUCCEEDED
    put(driver, reset(driver.run, driver.workflow)).look()
    assert [order.step for order in driver.orders] == ["a"]
    assert [state.round for state in driver.run.steps] == [1, 1]


def test_of_a_dag_only_what_depends_on_the_step_is_reset_and_what_ended_unfinished_is_opened_again():
    steps = [apply("a"), apply("b"), apply("c", after=["a"]), apply("d", after=["b"]), apply("e", after=["c"])]
    driver = Driver(*steps, mode="DAG").look().finish("b").fail("a", retry="terminal").finish("d")
    assert driver.phases == ["Failed", "Succeeded", "Skipped", "Succeeded", "Skipped"]
    assert reach(driver.run, driver.workflow, "b") == ["a", "b", "c", "d", "e"], "the failed one too, or the run could not go on"
    assert reach(driver.run, driver.workflow, "a") == ["a", "c", "e"]


def test_who_takes_an_output_of_the_step_is_reset_with_it():
    steps = [apply("a", outputs=[("host", "host")]), apply("b", inputs=[("host", "properties.host")]), apply("c")]
    driver = Driver(*steps, mode="DAG").look().finish("a").finish("b").finish("c")
    assert reach(driver.run, driver.workflow, "a") == ["a", "b"]


def test_a_step_of_a_group_takes_the_group_along_and_what_comes_behind_it_but_not_the_others_of_the_group():
    driver = Driver(apply("g"), apply("one"), apply("two"), apply("z", after=["g"]), mode="DAG").look().finish("g", "one", "two").finish("z")
    for name in ("one", "two"):
        driver.state(name).group = "g"
    assert reach(driver.run, driver.workflow, "one") == ["g", "one", "z"]
    assert reach(driver.run, driver.workflow, "g") == ["g", "one", "two", "z"]


def test_rule_4a_a_decision_of_the_round_before_opens_no_gate_again():
    driver = Driver(step("verify"), apply("a")).look().decide(decision("continue")).fail("a", retry="terminal")
    put(driver, reset(driver.run, driver.workflow, "verify")).look()
    assert driver.phases == ["Waiting", "Pending"]
    driver.decide(decision("continue", value="verify=continue@new"))
    assert driver.phases[0] == "Succeeded"


def test_an_end_of_the_round_before_does_not_end_the_run_again_but_a_new_one_does():
    driver = Driver(step("verify"), apply("a")).look().decide(decision("end"))
    assert driver.run.phase is Phase.TERMINATED
    put(driver, reset(driver.run, driver.workflow)).look()
    assert driver.run.phase is Phase.WAITING
    driver.decide(decision("end", value="verify=end@new"))
    assert driver.run.phase is Phase.TERMINATED


def test_what_a_reset_step_had_shared_is_forgotten_while_the_bodies_of_earlier_notices_stay_the_same():
    driver = Driver(step("one", "sharing"), apply("a"), types={"sharing": Sharing(), **Driver().machine._types})
    driver.look().fail("a", retry="terminal")
    earlier = list(driver.run.shared)
    driver.run.notices.append(Notice(Phase.SUCCEEDED, driver.now, known=len(earlier)))
    put(driver, reset(driver.run, driver.workflow))
    assert driver.run.attributes == {}
    assert driver.run.shared[: len(earlier)] == earlier
    driver.look()
    assert driver.run.attributes["one"].endswith("/1/one/0")


def test_a_failed_step_of_a_run_that_goes_on_can_be_reset_and_the_others_go_on():
    driver = Driver(apply("a"), apply("b"), mode="DAG").look().fail("a", retry="terminal")
    under_way = driver.keys
    assert (driver.phases, driver.run.phase) == (["Failed", "Running"], Phase.RUNNING)
    put(driver, reset(driver.run, driver.workflow, "a")).look()
    assert set(under_way) < set(driver.keys)
    assert driver.finish().ended == SUCCEEDED


@pytest.mark.parametrize(
    ("change", "start", "told"),
    [
        ({"phase": Phase.RUNNING}, "", "has not ended"),
        ({"phase": Phase.RUNNING}, "a", "step a has not failed"),
        ({"phase": Phase.ROLLING_BACK}, "b", "is being rolled back"),
        ({"phase": Phase.SUPERSEDED}, "b", "was superseded"),
        ({"phase": Phase.ROLLED_BACK, "restore_target": "web-v1"}, "", "taken back to web-v1"),
        ({"restores": "web-v3-1"}, "", "takes back what another run did"),
        ({"kind": "undo"}, "", "takes back what another run did"),
        ({}, "nobody", "has no step nobody"),
    ],
)
def test_what_can_not_be_begun_again_is_refused_with_the_reason(change, start, told):
    driver = failed_in_the_middle()
    for name, value in change.items():
        setattr(driver.run, name, value)
    with pytest.raises(ResetError, match=told):
        reset(driver.run, driver.workflow, start)


def test_resetting_leaves_the_run_that_it_was_given_as_it_is():
    driver = failed_in_the_middle()
    before = driver.run.phase, driver.phases
    reset(driver.run, driver.workflow, "b")
    assert (driver.run.phase, driver.phases) == before


def test_a_run_that_is_opened_again_for_a_rollback_goes_back_although_it_had_failed():
    driver = failed_in_the_middle()
    put(driver, reopen(driver.run)).look(target="web-v1", decisions=[decision("rollback", gate="run")])
    assert (driver.run.phase, driver.run.restore_target) == (Phase.ROLLING_BACK, "web-v1")

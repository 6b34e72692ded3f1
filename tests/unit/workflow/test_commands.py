"""What a person orders at a run, in every phase that it can be in (RULES 4c, 6a, 7f; research D2: terminate must work, retry and abort)."""

from datetime import timedelta

import msgspec
import pytest

from reconciler.model.application import Retry, Workflow
from reconciler.model.outcome import Do, Done, Effect, Failed, Wait
from reconciler.model.run import Command, Phase, Run
from reconciler.workflow.commands import Needless, NoStep, Refused, obey
from tests.unit.workflow.machines import START, SUCCEEDED, Driver, apply, decision, step

END, BACK = "run=end@c0de", "run=rollback@c0de"


def order(driver, verb, name="", value=""):
    """The command, stored as the store does; the driver looks when the test does."""
    command = Command(verb, driver.now, "Ada", "because", driver.run.name, name)
    value = value or {"terminate": END, "rollback": BACK}.get(verb, "")
    driver.run = msgspec.json.decode(msgspec.json.encode(obey(driver.run, driver.workflow, command, value, driver.now)), type=Run)
    return driver


class Undoable:
    """One effect to do and one to undo."""

    name, params, required = "undoable", {}, ()

    def check(self, properties):
        return []

    def next(self, call, results, seen, now):
        return self._one(results, call)

    def undo(self, call, results, seen, now):
        return self._one(results, call)

    def _one(self, results, call):
        if "it" not in results:
            return Do({"it": Effect("act", {"name": call.step})})
        result = results["it"]
        return Done({}) if result.ok else Failed(result.reason, result.error, retryable=result.retry == "backoff")


UNDOABLE = {"undoable": Undoable(), **Driver().machine._types}


def compensating(*steps):
    driver = Driver(*(steps or (step("a", "undoable"), step("b", "undoable"))), types=UNDOABLE)
    driver.workflow = Workflow(driver.workflow.mode, driver.workflow.steps, "undo", retry=Retry(limit=0))
    return driver.look().finish("a").fail("b", retry="terminal")


def undoing():
    """What an application that was removed had done is undone."""
    driver = Driver(step("a", "undoable"), types=UNDOABLE).look().finish("a")
    driver.run.kind, driver.run.phase, driver.run.finished_at = "undo", Phase.PENDING, None
    return driver.look()


def restoring():
    return Driver(step("verify")).look(target="web-v1").decide(decision("rollback"))


PHASES = {
    "Queued": lambda: Driver(apply("a")).look(admitted=False),
    "Pending": lambda: Driver(apply("a")),
    "running": lambda: Driver(apply("a"), apply("b")).look(),
    "at a gate": lambda: Driver(step("verify"), apply("a")).look(),
    "waiting for a timer": lambda: Driver(step("verify", duration="1h"), apply("a")).look(),
    "suspended": lambda: Driver(apply("a"), apply("b")).look(held="holiday"),
    "suspended at a gate": lambda: Driver(step("verify")).look().look(held="holiday"),
    "a step suspended": lambda: order(Driver(apply("a"), apply("b")).look(), "suspend", "a").look(),
    "trying again": lambda: Driver(apply("a")).look().fail("a"),
    "waiting for health": lambda: Driver(step("a", "apply-and-wait", components=["a"])).look(),
    "patient": lambda: Driver(apply("a"), step("verify")).look(newer="web-v3", patient=True),
    "a branch failed": lambda: Driver(apply("a"), apply("b"), mode="DAG").look().fail("a", retry="terminal"),
    "compensating": compensating,
    "compensating, trying again": lambda: compensating().fail("a"),
    "waiting for its restore": restoring,
    "a restore run": lambda: Driver(apply("a"), kind="restore", restores="web-v3-1").look(),
    "an undo run": undoing,
    "rollback decided, an effect in flight": lambda: Driver(apply("a")).look(target="web-v1").decide(decision("rollback", gate="run")),
}


@pytest.mark.parametrize("phase", PHASES)
def test_terminate_ends_a_run_in_every_phase_as_soon_as_what_is_in_flight_has_its_result(phase):
    driver = order(PHASES[phase](), "terminate").look()
    looks = 0
    while not driver.run.phase.final:
        assert driver.orders, "it waits for nothing but effects in flight"
        assert set(driver.keys) <= {intent.key for state in driver.run.steps for intent in state.intents.values()}
        driver.finish()
        looks += 1
        assert looks <= 1
        driver.facts["restored"] = "Failed"
    assert driver.run.phase in (Phase.TERMINATED, Phase.ROLLED_BACK, Phase.FAILED)
    assert all(state.phase.final for state in driver.run.steps)


@pytest.mark.parametrize("phase", PHASES)
def test_a_terminated_run_says_so_and_who_ordered_it(phase):
    driver = order(PHASES[phase](), "terminate").look()
    driver = driver if driver.run.phase.final else driver.finish()
    assert driver.ended == (Phase.TERMINATED, "Ended")
    ended = driver.run.decisions[-1]
    assert (ended.verb, ended.by, ended.author, ended.message, ended.value) == ("end", "order", "Ada", "because", END)
    assert driver.run.commands[-1].verb == "terminate"


def test_terminate_begins_nothing_new_and_waits_for_what_is_in_flight():
    driver = order(Driver(apply("a"), apply("b")).look(), "terminate").look()
    assert (driver.run.phase, [item.step for item in driver.orders]) == (Phase.RUNNING, ["a"])
    driver.finish("a")
    assert driver.phases == ["Terminated", "Skipped"]


class Forgetful:
    """Begins an effect and never asks for it again; waits for nothing, or says nonsense."""

    name, params, required = "forgetful", {}, ()

    def __init__(self, answer):
        self._answer = answer

    def check(self, properties):
        return []

    def next(self, call, results, seen, now):
        return self._answer if call.begun else Do({"it": Effect("act")})

    undo = check


@pytest.mark.parametrize(
    "answer", [Wait(None, "waiting for nobody"), Done({}), Do({"other": Effect("act")}), None, Failed("No", "no", ignorable=True)]
)
def test_a_step_that_forgets_what_it_began_holds_up_no_end(answer):
    driver = Driver(step("a", "forgetful"), types={"forgetful": Forgetful(answer)}).look()
    assert driver.orders
    driver = order(driver, "terminate").look()
    driver = driver if driver.run.phase.final else driver.look(3600)
    assert driver.run.phase is Phase.TERMINATED


def test_terminate_during_a_compensation_leaves_the_rest_undone():
    driver = order(compensating(), "terminate").look().finish("a")
    assert driver.ended == (Phase.TERMINATED, "Ended")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Terminated", "RolledBack", "Superseded"])
def test_terminating_what_has_ended_changes_nothing(phase):
    driver = Driver(apply("a")).look()
    driver.run.phase = Phase(phase)
    with pytest.raises(Needless, match="has ended already"):
        order(driver, "terminate")


def test_a_second_terminate_changes_nothing():
    driver = order(Driver(apply("a")).look(), "terminate")
    with pytest.raises(Needless, match="being ended already"):
        order(driver, "terminate")


@pytest.mark.parametrize("phase", ["Queued", "running", "at a gate", "suspended", "a step suspended", "trying again", "waiting for health"])
def test_rule_7f_rollback_acts_at_once_in_every_phase_of_a_run_that_goes_on(phase):
    driver = order(PHASES[phase](), "rollback").look(target="web-v1")
    driver = driver if driver.run.phase is Phase.ROLLING_BACK else driver.finish()
    assert (driver.run.phase, driver.run.restore_target) == (Phase.ROLLING_BACK, "web-v1")
    assert driver.run.write_back.rejected == "digest"


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Terminated"])
def test_rollback_of_a_run_that_has_ended_opens_it_again_and_takes_back_what_it_did(phase):
    driver = Driver(apply("a")).look().finish("a")
    driver.run.phase = Phase(phase)
    order(driver, "rollback").look(target="web-v1")
    assert (driver.run.phase, driver.run.restore_target) == (Phase.ROLLING_BACK, "web-v1")


@pytest.mark.parametrize(
    ("phase", "error"),
    [("waiting for its restore", Needless), ("compensating", Needless), ("a restore run", Needless), ("an undo run", Needless)],
)
def test_rollback_where_one_is_under_way_changes_nothing(phase, error):
    with pytest.raises(error, match="being rolled back already"):
        order(PHASES[phase](), "rollback")


def test_rollback_of_what_was_rolled_back_or_goes_back_itself_is_refused():
    with pytest.raises(Needless, match="was rolled back"):
        order(restoring().look(restored="Succeeded"), "rollback")
    with pytest.raises(Refused, match="goes back itself"):
        order(Driver(apply("a"), kind="restore").look(), "rollback")
    with pytest.raises(Refused, match="nothing is left"):
        order(compensating().fail("a", retry="terminal"), "rollback")


def test_a_suspended_step_stands_still_while_the_others_go_on():
    driver = order(Driver(apply("a"), apply("b"), apply("c", after=["a"]), mode="DAG").look(), "suspend", "a").look()
    driver.finish("a", "b")
    assert driver.phases == ["Running", "Succeeded", "Pending"], "its result is taken in, and nothing more"
    assert driver.state("a").results
    assert driver.state("a").message == "suspended by Ada: because"
    order(driver, "resume", "a").look().finish("c")
    assert driver.ended == SUCCEEDED


def test_a_step_that_was_suspended_before_it_began_does_not_begin_and_fails_no_run():
    driver = order(Driver(apply("a")), "suspend", "a").look().look(3600)
    assert (driver.run.phase, driver.orders) == (Phase.RUNNING, [])
    assert [item.step for item in order(driver, "resume").look().orders] == ["a"]


def test_the_timer_of_a_suspended_gate_stands_still_and_others_do_not():
    driver = Driver(step("one", duration="60s"), step("two", duration="60s"), mode="DAG").look(looked_at=START)
    order(driver, "suspend", "one").look(100, looked_at=START + timedelta(seconds=99))
    assert driver.phases == ["Waiting", "Succeeded"]
    order(driver, "resume", "one").look(59, looked_at=START + timedelta(seconds=159))
    assert driver.phases[0] == "Waiting"
    driver.look(2, looked_at=START + timedelta(seconds=161))
    assert driver.ended == SUCCEEDED


def test_a_suspended_gate_takes_no_continue_but_ends_when_told_to():
    driver = order(Driver(step("verify"), apply("a")).look(), "suspend", "verify").decide(decision("continue"))
    assert (driver.phases[0], driver.run.decisions) == ("Waiting", [])
    order(driver, "resume", "verify").decide(decision("continue"))
    assert driver.phases[0] == "Succeeded"


def test_rule_4e_a_suspended_gate_of_a_pair_takes_no_continue_for_the_pair():
    driver = Driver(step("verify"), step("promote", "rollout-promotion")).look()
    order(driver, "suspend", "verify").decide(decision("continue", gate="promote"))
    assert driver.phases == ["Waiting", "Pending"]


def test_the_back_off_of_a_suspended_step_stands_still():
    driver = Driver(apply("a"), mode="DAG").look().fail("a")
    left = driver.wake - driver.now
    order(driver, "suspend", "a").look(3600)
    assert driver.wake is None
    order(driver, "resume", "a").look()
    assert driver.wake - driver.now == left


@pytest.mark.parametrize("step_first", [True, False])
def test_time_in_which_run_and_step_both_stand_still_is_counted_once(step_first):
    driver = Driver(step("one", duration="100s"), mode="DAG").look(looked_at=START)
    order(driver, "suspend", "one").look(10, held="holiday").look(10)
    if step_first:
        order(driver, "resume", "one").look(10).look(held="")
    else:
        driver.look(10, held="")
        order(driver, "resume", "one")
    driver.look(99, looked_at=driver.now + timedelta(seconds=99))
    assert driver.phases == ["Waiting"]
    driver.look(2, looked_at=driver.now + timedelta(seconds=2))
    assert driver.ended == SUCCEEDED


@pytest.mark.parametrize("run_first", [True, False])
def test_the_back_off_of_a_step_that_stands_still_with_its_run_stands_still_once(run_first):
    driver = Driver(apply("a"), mode="DAG").look().fail("a")
    left = driver.wake - driver.now
    order(driver, "suspend", "a").look(10).look(10, held="holiday").look(10)
    driver = driver.look(10, held="") if run_first else order(driver, "resume", "a").look(10)
    driver = order(driver, "resume", "a").look() if run_first else driver.look(0, held="")
    assert driver.wake - driver.now == left


def test_a_suspended_group_takes_its_steps_along_and_their_timers_stand_still_too():
    driver = Driver(step("g"), step("one", duration="60s"), step("two"), mode="DAG").look(looked_at=START)
    for name in ("one", "two"):
        driver.state(name).group = "g"
    order(order(driver, "suspend", "two"), "suspend", "g")
    assert all(driver.state(name).suspended_at for name in ("g", "one", "two"))
    driver.now += timedelta(seconds=100)
    order(driver, "resume", "g")
    assert [driver.state(name).suspended_at for name in ("g", "one", "two")] == [None, None, None]
    assert driver.state("one").paused == timedelta(seconds=100)


def test_resume_without_a_step_lets_all_suspended_steps_go_on():
    driver = Driver(apply("a"), apply("b"), mode="DAG")
    order(order(driver, "suspend", "a"), "suspend", "b").look()
    assert driver.orders == []
    order(driver, "resume").look()
    assert [item.step for item in driver.orders] == ["a", "b"]


def test_a_continue_is_no_command_and_resume_opens_no_gate():
    driver = Driver(step("verify")).look()
    with pytest.raises(Needless, match="what opens a gate is a commit"):
        order(driver, "resume", "verify")


@pytest.mark.parametrize(("verb", "name"), [("suspend", "a"), ("resume", "a")])
def test_a_step_that_has_ended_or_is_rolled_back_can_not_be_suspended_or_resumed(verb, name):
    with pytest.raises(Refused, match="has ended"):
        order(Driver(apply("a"), apply("b")).look().finish("a"), verb, name)
    with pytest.raises(Refused, match="being rolled back"):
        order(compensating(), verb, name)


def test_suspending_twice_changes_nothing():
    driver = order(Driver(apply("a")).look(), "suspend", "a")
    with pytest.raises(Needless, match="suspended already"):
        order(driver, "suspend", "a")


def test_a_step_that_is_not_there_is_told_with_the_nearest_name():
    with pytest.raises(NoStep, match="did you mean verify"):
        order(Driver(step("verify")).look(), "suspend", "verfy")


@pytest.mark.parametrize("verb", ["retry", "restart"])
def test_retry_from_a_failed_step_does_it_again_and_leaves_the_earlier_ones(verb):
    driver = order(Driver(apply("a"), apply("b")).look().finish("a").fail("b", retry="terminal"), verb, "b").look()
    assert [item.step for item in driver.orders] == ["b"]
    assert driver.finish("b").ended == SUCCEEDED


def test_what_was_terminated_can_be_retried_and_terminated_again():
    driver = order(Driver(step("verify")).look(), "terminate").look()
    order(driver, "retry").look()
    assert driver.run.phase is Phase.WAITING
    order(driver, "terminate", value="run=end@0ther").look()
    assert driver.ended == (Phase.TERMINATED, "Ended")
    assert [command.verb for command in driver.run.commands] == ["terminate", "retry", "terminate"]


def test_what_can_not_be_begun_again_is_refused_and_nothing_is_written():
    driver = Driver(apply("a")).look()
    with pytest.raises(Refused, match="has not ended"):
        order(driver, "retry")
    assert driver.run.commands == []


def test_rule_4c_the_commit_that_says_the_same_later_decides_nothing_more():
    driver = order(Driver(step("verify")).look(), "rollback").look(target="web-v1")
    driver.decide(decision("rollback", gate="run", value=BACK))
    assert len(driver.run.decisions) == 1

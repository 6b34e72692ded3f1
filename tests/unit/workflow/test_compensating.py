"""How what a run did is undone: in which order, with which tries, why, and that a crash anywhere on the way changes nothing (rules 6c, 9a)."""

from datetime import timedelta
from itertools import permutations

import msgspec
import pytest

from reconciler.model.application import Need, Retry, Workflow
from reconciler.model.outcome import Done, Effect, Failed
from reconciler.model.run import Phase, Run
from reconciler.workflow.machine import open_steps
from tests.unit.workflow.machines import START, SUCCEEDED, Driver, decision, step

UNDONE = (Phase.ROLLED_BACK, "StepFailed")


def work(name, *, after=(), needs=(), sync=0.0, retry=None, undo_retry=None, kind="random", **properties):
    """A step with one effect to run it, one to undo it, and one to look at it; results come from the test."""
    made = step(name, kind, after=[*after, *(need[0] for need in needs)], **properties)
    numbers = {"retry": retry or Retry(), "undo_retry": undo_retry or Retry()}
    return msgspec.structs.replace(made, needs=[Need(*need) for need in needs], sync=sync, **numbers)


def flow(*steps, types=None, **run):
    driver = Driver(types=types, **run)
    driver.workflow = Workflow("DAG", list(steps), "undo", Retry(limit=3, period=60.0), Retry(limit=3, period=60.0))
    driver.run.steps = open_steps(driver.workflow, driver.run.implicit)
    return driver.look()


def chain(**more):
    """a, then b behind it, and c, which waits for nothing."""
    return flow(work("a", **more), work("b", after=["a"]), work("c"))


def failed(driver, name):
    return driver.fail(name, retry="terminal")


def asked(driver):
    """What is to be undone now."""
    return sorted(order.step for order in driver.orders if order.path.startswith("undo/"))


def drain(driver):
    """All goes well from here on."""
    while driver.orders or driver.wake:
        driver.finish() if driver.orders else driver.look((driver.wake - driver.now).total_seconds())
    return driver


# Order --------------------------------------------------------------------------------------------------------------------


def test_a_step_that_fails_for_good_has_those_before_it_undone_one_after_the_other_and_independent_ones_at_once():
    driver = failed(chain().finish("a").finish("c"), "b")
    assert driver.run.phase is Phase.ROLLING_BACK
    assert asked(driver) == ["a", "c"], "b did nothing, so nothing stands behind a"
    driver.finish()
    assert driver.ended == UNDONE
    assert driver.phases == ["RolledBack", "Failed", "RolledBack"]


def test_a_step_is_undone_only_after_all_that_came_behind_it():
    driver = flow(work("a"), work("b", after=["a"]), work("c", after=["a"]), work("d", after=["b", "c"]), work("e", after=["d"]))
    driver = failed(driver.finish().finish().finish(), "e")
    seen = []
    while driver.orders:
        seen.append(asked(driver))
        driver.finish()
    assert seen == [["d"], ["b", "c"], ["a"]]
    assert driver.ended == UNDONE


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_the_order_of_undoing_is_that_of_the_dependencies_however_the_steps_are_written(order):
    before = {"a": [], "b": ["a"], "c": ["b"]}
    driver = flow(*(work(name, after=before[name]) for name in order), work("last", after=["c"]))
    driver = failed(driver.finish().finish().finish(), "last")
    seen = []
    while driver.orders:
        seen += asked(driver)
        driver.finish()
    assert seen == ["c", "b", "a"]


def test_a_step_that_did_nothing_keeps_the_order_of_those_around_it():
    """c began because b was running, and b because a had succeeded: c is undone before a, although b needs nothing."""
    driver = flow(work("a"), work("b", after=["a"]), work("c", needs=[("b", "Running")]))
    driver = failed(driver.finish("a").finish("c"), "b")
    assert asked(driver) == ["c"]
    assert asked(driver.finish()) == ["a"]


def test_two_hundred_steps_in_layers_are_undone_without_asking_each_of_them_many_times():
    layers = [
        [work(f"s{layer}-{number}", after=[f"s{layer - 1}-{other}" for other in range(10)] if layer else []) for number in range(10)]
        for layer in range(19)
    ]
    driver = flow(*(one for layer in layers for one in layer), work("last", after=[f"s18-{number}" for number in range(10)]))
    for _ in layers:
        driver.finish()
    failed(driver, "last")
    for _ in layers:
        assert len(asked(driver)) == 10
        driver.finish()
    assert driver.ended == UNDONE


def test_what_only_waits_is_not_waited_for_and_what_is_under_way_is():
    driver = flow(work("slow", sleepSeconds="600"), work("busy"), work("bad"))
    driver = failed(driver.finish("slow"), "bad")
    assert (driver.run.phase, [order.step for order in driver.orders]) == (Phase.RUNNING, ["busy"])
    driver.finish("busy")
    assert driver.run.phase is Phase.ROLLING_BACK
    assert asked(driver) == ["busy", "slow"]


def test_while_what_is_under_way_comes_in_nothing_new_begins():
    driver = flow(work("busy"), work("next", after=["busy"]), work("bad"))
    failed(driver, "bad").finish("busy")
    assert "next" not in driver.ordered
    assert driver.phases[1] == "Skipped"


# Tries --------------------------------------------------------------------------------------------------------------------


def test_undoing_has_tries_of_its_own_with_keys_of_their_own():
    driver = failed(flow(work("a", undo_retry=Retry(limit=2, period=3.0)), work("b", after=["a"])).finish("a"), "b")
    keys = set(driver.keys)
    for _ in range(2):
        driver.fail("a")
        assert (driver.run.phase, driver.orders, driver.wake) == (Phase.ROLLING_BACK, [], driver.now + timedelta(seconds=3))
        driver.look(3)
        assert not keys & set(driver.keys)
        keys |= set(driver.keys)
    driver.fail("a")
    assert driver.ended == (Phase.FAILED, "RollbackFailed")
    assert driver.state("a").undo_error == "no"
    assert driver.run.run_error == "no"


def test_undoing_without_a_limit_is_tried_until_it_is_done():
    driver = failed(flow(work("a", undo_retry=Retry(limit=-1, period=3.0)), work("b", after=["a"])).finish("a"), "b")
    for _ in range(50):
        driver.fail("a").look(3)
    assert driver.run.phase is Phase.ROLLING_BACK
    assert driver.finish().ended == UNDONE


def test_a_step_says_its_own_numbers_and_else_the_workflow_does():
    driver = flow(work("a", retry=Retry(limit=1, period=5.0)), work("b"))
    driver.fail("a").fail("b")
    assert [driver.state(name).retry_at - driver.now for name in "ab"] == [timedelta(seconds=5), timedelta(seconds=60)]
    driver.look(5).fail("a")
    assert driver.ended == UNDONE


def test_what_can_not_be_undone_keeps_what_stands_before_it_and_no_other():
    driver = flow(work("a"), work("b", after=["a"]), work("c"), work("d", after=["b", "c"]))
    driver = failed(driver.finish("a", "c").finish("b"), "d")
    assert asked(driver) == ["b", "c"]
    driver.fail("b", retry="terminal")
    assert (driver.run.phase, asked(driver)) == (Phase.ROLLING_BACK, ["c"])
    driver.finish("c")
    assert driver.ended == (Phase.FAILED, "RollbackFailed")
    assert driver.phases == ["Succeeded", "Failed", "RolledBack", "Failed"]
    assert driver.run.message == "step b could not be undone: no; not undone, because they come before it: a"


class Unready:
    """Answers what a test wants to hear, once for each call."""

    name, params, required = "unready", {}, ()

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []

    def check(self, properties):
        return []

    def _answer(self, which, call):
        self.calls.append((which, call))
        found = self.answers.get(which, Done())
        return found.pop(0) if isinstance(found, list) else found

    def next(self, call, results, seen, now):
        return self._answer("next", call)

    def undo(self, call, results, seen, now):
        return self._answer("undo", call)

    def sync(self, call, results, seen, now):
        return self._answer("sync", call)


def types(unready):
    return {"unready": unready, **Driver().machine._types}


NOT_YET = Failed("NotReady", "not yet", ignorable=True, after=7.0)


def test_not_ready_yet_counts_no_attempt_neither_of_running_nor_of_undoing():
    unready = Unready(next=[NOT_YET] * 40 + [Done()], undo=[NOT_YET] * 40 + [Done()])
    driver = flow(work("a", kind="unready"), work("b", after=["a"]), types=types(unready))
    for _ in range(40):
        assert driver.wake == driver.now + timedelta(seconds=7)
        driver.look(7)
    assert (driver.state("a").phase, driver.state("a").attempt) == (Phase.SUCCEEDED, 0)
    failed(driver, "b")
    for _ in range(40):
        driver.look(7)
    assert driver.ended == UNDONE
    assert driver.state("a").undo_attempt == 0


# Looking at what was made -------------------------------------------------------------------------------------------------


def test_a_finished_step_is_looked_at_again_each_period_and_an_error_for_good_has_all_undone():
    driver = flow(work("a", sync=30.0), work("b", after=["a"], sleepSeconds="600")).finish("a").finish("b")
    assert driver.wake == driver.now + timedelta(seconds=30)
    driver.look(30)
    assert [order.path for order in driver.orders] == ["sync/0/run"]
    driver.finish()
    assert driver.wake == driver.now + timedelta(seconds=30)
    driver.look(30).fail("a")
    assert (driver.run.phase, driver.state("a").attempt) == (Phase.RUNNING, 0), "an error that may pass is looked at again"
    driver.look(30)
    assert [order.path for order in driver.orders] == ["sync/2/run"]
    driver.fail("a", retry="terminal")
    assert driver.run.phase is Phase.ROLLING_BACK
    assert (driver.run.sync_error, driver.run.run_error) == ("no", "no")
    assert drain(driver).ended == UNDONE
    assert driver.phases == ["RolledBack", "RolledBack"], "what was found broken is undone too"


def test_a_look_that_is_under_way_when_undoing_begins_is_asked_for_no_more():
    driver = flow(work("a", sync=30.0), work("b", sleepSeconds="600"), work("c", retry=Retry(limit=0))).finish("a").finish("b").look(30)
    assert [order.path for order in driver.orders if order.step == "a"] == ["sync/0/run"]
    driver.fail("c")
    assert driver.run.phase is Phase.ROLLING_BACK
    assert not [path for path in driver.state("a").intents if path.startswith("sync/")]


def test_a_step_that_waits_for_what_a_look_may_find_is_no_dead_end():
    unready = Unready(next=Done(resource={"status": "Starting"}), sync=[Done(resource={"status": "Starting"}), Done(resource={"status": "Ready"})])
    driver = flow(work("a", kind="unready", sync=30.0), work("b", needs=[("a", "Succeeded", "Ready")]), types=types(unready))
    assert (driver.run.phase, driver.phases) == (Phase.RUNNING, ["Succeeded", "Pending"])
    driver.look(30)
    assert driver.phases == ["Succeeded", "Pending"]
    driver.look(30)
    assert driver.phases == ["Succeeded", "Running"]


def test_a_step_that_waits_for_what_never_comes_has_what_was_done_undone():
    driver = flow(work("a"), work("b", needs=[("a", "Succeeded", "Ready")])).finish("a")
    assert driver.run.phase is Phase.ROLLING_BACK
    assert driver.finish().ended == UNDONE
    assert "step b: what it waits for never comes" in driver.run.message


# What is waited for -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("need", "begins"),
    [
        (("a", "Pending"), "at once"),
        (("a", "Running"), "at once"),
        (("a", "Succeeded"), "at its end"),
        (("a",), "at its end"),
        (("a", "Succeeded", "Ready"), "at its end"),
        (("a", "Succeeded", "Other"), "never"),
        (("a", "Running", "Ready"), "at its end"),
    ],
)
def test_a_step_begins_when_another_has_come_to_a_phase_and_its_resource_is_so(need, begins):
    unready = Unready(next=[NOT_YET, Done(resource={"status": "Ready"})])
    driver = flow(work("a", kind="unready"), work("b", needs=[need]), types=types(unready))
    first = "b" in driver.ordered
    driver.look(7)
    assert (first, "b" in driver.ordered) == {"at once": (True, True), "at its end": (False, True), "never": (False, False)}[begins]


# Attributes ---------------------------------------------------------------------------------------------------------------


def test_what_a_step_shares_is_told_to_all_behind_it_and_its_own_to_itself_when_it_is_undone():
    unready = Unready(next=[Done(attributes={"id": "1", "by": "a"}), Done(attributes={"by": "b"})])
    driver = flow(work("a", kind="unready"), work("b", kind="unready", after=["a"]), work("c", after=["b"]), types=types(unready))
    told = {call.step: call.attributes for which, call in unready.calls if which == "next"}
    assert told == {"a": {}, "b": {"id": "1", "by": "a"}}
    assert driver.run.attributes == {"id": "1", "by": "b"}
    failed(driver, "c")
    told = {call.step: call.attributes for which, call in unready.calls if which == "undo"}
    assert told == {"b": {"id": "1", "by": "b"}, "a": {"id": "1", "by": "a"}}


def test_rule_3e_what_the_steps_share_is_limited_and_too_much_fails_the_step():
    unready = Unready(next=[Done(attributes={"text": "x" * 9000}), Done(attributes={"more": "x" * 9000})])
    driver = flow(work("a", kind="unready"), work("b", kind="unready", after=["a"]), types=types(unready))
    assert driver.ended == UNDONE
    assert (driver.state("b").phase, driver.state("b").reason) == (Phase.FAILED, "AttributesTooLarge")
    assert driver.run.attributes.keys() == {"text"}


def test_undoing_knows_the_results_of_having_run():
    driver = failed(chain().finish("a", value={"made": "it"}).finish("c"), "b")
    assert driver.state("a").results["run"].value == {"made": "it"}
    assert driver.state("a").results.keys() == {"run"}


# Why ----------------------------------------------------------------------------------------------------------------------


def test_a_newer_revision_has_what_was_done_undone_before_it_takes_its_place():
    driver = chain().finish("a").look(newer="web-v3")
    assert driver.run.phase is Phase.RUNNING, "what is under way comes in first"
    driver.finish()
    assert (driver.run.phase, driver.run.superseded_by) == (Phase.ROLLING_BACK, "web-v3")
    assert drain(driver).ended == (Phase.SUPERSEDED, "Superseded")
    assert driver.phases == ["RolledBack"] * 3


def test_a_newer_revision_takes_its_place_at_once_where_nothing_was_done():
    driver = flow(work("a")).fail("a").look(newer="web-v3")
    assert (driver.ended, driver.phases) == ((Phase.SUPERSEDED, "Superseded"), ["Skipped"])


def test_a_removed_application_has_what_an_open_run_did_undone():
    driver = chain().finish("a").finish().look(removed=True)
    driver = driver if driver.run.phase is Phase.ROLLING_BACK else driver.finish()
    assert drain(driver).run.phase in (Phase.TERMINATED, Phase.SUCCEEDED)


def test_a_decision_to_roll_back_undoes_the_run_owes_no_commit_and_asks_for_no_restore():
    driver = flow(work("a"), work("b", after=["a"], sleepSeconds="600")).finish("a").finish("b").look(target="web-v1")
    driver.decide(decision("rollback", gate="run"))
    assert (driver.run.phase, driver.run.undo_cause) == (Phase.ROLLING_BACK, "decision")
    assert asked(driver) == ["b"]
    assert drain(driver).ended == (Phase.ROLLED_BACK, "RolledBack")
    assert (driver.run.write_back, driver.run.restore_target) == (None, "")


def test_a_later_end_leaves_the_rest_as_it_is_once_what_is_under_way_has_come_in():
    driver = flow(work("a"), work("b", after=["a"]), work("c", after=["b"])).finish("a").finish("b")
    failed(driver, "c")
    driver.decide(decision("end", gate="run"), seconds=1)
    assert (driver.run.phase, asked(driver)) == (Phase.ROLLING_BACK, ["b"])
    driver.finish()
    assert driver.ended == (Phase.TERMINATED, "Ended")
    assert driver.phases == ["Succeeded", "RolledBack", "Failed"]


def test_an_end_ends_also_what_is_tried_again_for_ever():
    driver = failed(flow(work("a", undo_retry=Retry(limit=-1)), work("b", after=["a"])).finish("a"), "b")
    driver.fail("a").decide(decision("end", gate="run"), seconds=1)
    assert driver.ended == (Phase.TERMINATED, "Ended")


def test_a_failure_is_undone_also_where_an_end_was_decided_for_another_reason_before():
    driver = chain().finish("a").finish("c").decide(decision("rollback", gate="run"), decision("end", gate="run"))
    driver.finish("b")
    assert driver.run.phase is Phase.ROLLING_BACK, "rollback beats end"
    assert drain(driver).ended == (Phase.ROLLED_BACK, "RolledBack")


# An undo run --------------------------------------------------------------------------------------------------------------


def test_an_undo_run_undoes_what_another_run_did_and_nothing_else():
    first = flow(work("a"), work("b", after=["a"])).finish("a", value={"made": "it"}).finish("b")
    assert first.ended == SUCCEEDED
    driver = flow(work("a"), work("b", after=["a"]))
    driver.run = Run("web-v2-2", "shop/web", "web-v2", "digest", owner="uid", kind="undo", steps=first.run.steps)
    driver.ordered = []
    driver.look(admitted=False)
    assert asked(driver) == ["b"], "it waits in no queue"
    assert all("web-v2-2" in key for key in driver.keys)
    driver.finish()
    assert asked(driver) == ["a"]
    assert driver.finish().ended == (Phase.TERMINATED, "Removed")


# Crashes ------------------------------------------------------------------------------------------------------------------


def test_rule_9a_after_a_crash_at_any_look_the_same_effects_are_asked_for_under_the_same_keys():
    """Every look of a run that fails and is undone: asked again with nothing but what is stored, it answers the same."""
    driver = flow(
        work("a", sync=30.0), work("b", after=["a"]), work("c", sleepSeconds="5"), work("d", after=["b", "c"], retry=Retry(limit=1, period=2.0))
    )
    looks = 0

    def crash():
        nonlocal looks
        looks += 1
        before = (driver.run, driver.keys)
        results, driver.results = driver.results, {}
        driver.look()
        assert (driver.run, driver.keys) == before
        driver.results = results

    acts = [
        driver.finish,
        driver.finish,
        lambda: driver.look(5),
        lambda: driver.look(30),
        lambda: driver.fail("d"),
        lambda: driver.look(2),
    ]
    acts += [
        lambda: driver.finish("a"),
        lambda: driver.fail("d"),
        lambda: driver.fail("b"),
        lambda: driver.look(60),
    ]
    for act in acts:
        crash()
        act()
    crash()
    assert driver.run.phase is Phase.ROLLING_BACK
    assert drain(driver).ended == UNDONE
    assert looks == len(acts) + 1


def test_rule_9a_no_key_is_ever_given_twice_for_running_undoing_and_looking():
    driver = flow(work("a", sync=1.0, undo_retry=Retry(limit=-1, period=1.0)), work("b", after=["a"]))
    keys = [*driver.keys]
    driver.finish("a")
    for act in (
        *[lambda: driver.look(1), lambda: driver.finish("a")] * 3,
        lambda: driver.fail("b", retry="terminal"),
        *[lambda: driver.fail("a"), lambda: driver.look(1)] * 3,
    ):
        act()
        keys += [key for key in driver.keys if key not in keys]
    assert len(keys) == len(set(keys)) == 2 + 3 + 4


def test_what_a_failed_try_may_have_left_is_undone_although_its_effect_is_to_be_done_anew():
    driver = flow(work("a"), work("b"))
    driver.run.step("a").intents["run"].refs = ["v1|ConfigMap|shop|a"]
    driver.fail("a")
    assert driver.state("a").phase is Phase.PENDING
    failed(driver, "b")
    assert asked(driver) == ["a"]


def test_the_effects_of_undoing_have_the_parameters_of_the_step():
    driver = failed(flow(work("a", rollbackResult="fatal"), work("b", after=["a"])).finish("a"), "b")
    assert [order.effect for order in driver.orders] == [Effect("random", {"result": "fatal"})]
    assert driver.run.undo_since == START

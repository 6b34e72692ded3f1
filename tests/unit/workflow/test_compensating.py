"""In which order what a run did is undone, with which tries, and what is known and waited for meanwhile (rule 9a)."""

from datetime import timedelta
from itertools import permutations

import pytest

from reconciler.model.application import Retry
from reconciler.model.outcome import Done
from reconciler.model.run import Phase
from tests.unit.workflow.flows import NOT_YET, UNDONE, Unready, asked, chain, drain, failed, flow, types, work

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

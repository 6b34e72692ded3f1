"""Who of the runs in queues goes on, and what a run does meanwhile."""

from datetime import timedelta

import msgspec
import pytest

from reconciler.model.run import Decision, Intent, Phase, Run, StepState
from reconciler.workflow.admission import Line, Ticket, line_up, place_of
from tests.unit.workflow.machines import START, SUCCEEDED, Driver, apply, decision, step


def ticket(number, queue="default"):
    return Ticket(START + timedelta(seconds=number), f"shop/app-{number}", f"app-{number}-v1-1", queue)


def run(number=0, phase=Phase.PENDING, queue="default", **fields):
    made = ticket(number, queue)
    return Run(made.run, made.app, "v1", "digest", queue=queue, phase=phase, created_at=made.created, **fields)


def served(line, times):
    """One after the other: who is admitted, goes on and ends."""
    order = []
    for _ in range(times):
        for found in line.admit():
            order.append(found)
        line.leave(order[-1])
    return order


# The line ----------------------------------------------------------------------------------------------------------------


def test_fifo_goes_by_creation_whoever_came_first_and_from_whichever_queue():
    line = Line("FIFO", 1)
    for number in (3, 1, 2, 0):
        line.join(ticket(number, f"queue-{number % 2}"))
    assert [found.app for found in served(line, 4)] == ["shop/app-0", "shop/app-1", "shop/app-2", "shop/app-3"]


def test_fair_a_queue_of_ten_thousand_delays_one_of_one_by_a_round():
    line = Line("FAIR", 1)
    for number in range(10_000):
        line.join(ticket(number, "many"))
    line.join(ticket(10_000, "one"))
    assert [found.queue for found in served(line, 3)] == ["many", "one", "many"]


def test_fair_goes_by_creation_within_a_queue_and_a_queue_that_comes_waits_for_its_turn():
    line = Line("FAIR", 1)
    for number, queue in [(4, "a"), (1, "a"), (3, "b")]:
        line.join(ticket(number, queue))
    [first] = line.admit()
    line.join(ticket(0, "c"))
    line.leave(first)
    assert [(found.queue, found.created.second) for found in (first, *served(line, 3))] == [("a", 1), ("b", 3), ("a", 4), ("c", 0)]


@pytest.mark.parametrize("strategy", ["FIFO", "FAIR"])
def test_as_many_are_admitted_as_places_are_free_and_who_left_is_passed_over(strategy):
    line = Line(strategy, 2)
    for number in range(5):
        line.join(ticket(number, f"queue-{number % 2}"))
    line.leave(ticket(1, "queue-1"))
    line.leave(ticket(3, "queue-1"))
    assert [found.created.second for found in line.admit()] == [0, 2]
    assert line.admit() == []
    line.leave(ticket(2, "queue-0"))
    assert [found.created.second for found in line.admit()] == [4]
    assert len(line) == 0


def test_who_rolls_back_waits_for_nobody_and_the_others_wait_until_fewer_run():
    line = Line("FIFO", 1)
    line.join(ticket(0))
    assert line.admit() == [ticket(0)]
    line.hold(ticket(1))
    line.join(ticket(2))
    line.leave(ticket(0))
    assert line.admit() == []
    line.leave(ticket(1))
    assert line.admit() == [ticket(2)]


def test_who_lines_up_again_and_again_leaves_nothing_behind():
    line = Line("FAIR", 1)
    line.hold(ticket(0))
    for _ in range(1000):
        line.join(ticket(1))
        line.leave(ticket(1))
    assert sum(len(lane) for lane in line._lanes.values()) < 50
    line.join(ticket(1))
    line.leave(ticket(0))
    assert line.admit() == [ticket(1)]


def test_after_a_restart_who_ran_goes_on_and_the_queue_that_was_not_served_longest_is_next():
    ended = run(0, Phase.SUCCEEDED, "a", started_at=START + timedelta(hours=1))
    going = run(5, Phase.RUNNING, "b", started_at=START + timedelta(hours=2))
    line = line_up("FAIR", 2, [run(1, queue="b"), going, run(2, queue="a"), ended, run(4, queue="c"), run(3, Phase.WAITING, "d")])
    assert line.holds(ticket(5, "b"))
    [first] = line.admit()
    line.leave(first)
    assert [found.queue for found in (first, *served(line, 3))] == ["c", "a", "b"]


IN_FLIGHT = StepState("a", "deploy", "a", Phase.RUNNING, intents={"x": Intent("key", "apply", "digest", START)})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (run(phase=Phase.PENDING), "waits"),
        (run(phase=Phase.RUNNING), "holds"),
        (run(phase=Phase.ROLLING_BACK), "holds"),
        (run(phase=Phase.WAITING), ""),
        (run(phase=Phase.WAITING, reason="Queued"), "waits"),
        (run(phase=Phase.SUCCEEDED), ""),
        (run(phase=Phase.RUNNING, suspended_at=START), ""),
        (run(phase=Phase.RUNNING, suspended_at=START, steps=[IN_FLIGHT]), "holds"),
        (run(phase=Phase.PENDING, suspended_at=START), ""),
        (run(phase=Phase.ROLLING_BACK, suspended_at=START), "holds"),
        (run(phase=Phase.RUNNING, queue=""), ""),
    ],
)
def test_only_what_runs_and_rolls_back_counts(found, expected):
    assert place_of(found) == expected


# The machine -------------------------------------------------------------------------------------------------------------


def queued(*steps, **fields):
    return Driver(*steps, queue="default", **fields)


def test_a_run_that_is_not_admitted_stays_pending_and_says_so():
    driver = queued(apply("one")).look(admitted=False)
    assert (driver.run.phase, driver.run.reason, driver.run.message) == (Phase.PENDING, "Queued", "waits in queue default to be admitted")
    assert (driver.run.started_at, driver.orders, driver.wake) == (None, [], None)
    driver.look(60, admitted=True)
    assert (driver.run.phase, driver.run.reason, driver.run.message) == (Phase.RUNNING, "Running", "")
    assert driver.run.started_at == driver.now
    assert driver.ordered == ["one"]


@pytest.mark.parametrize("stop", [{"newer": "web-v3"}, {"removed": True}, {"decisions": (decision("end", "run"),)}])
def test_a_run_that_waits_in_a_queue_is_stopped_without_having_begun(stop):
    driver = queued(apply("one")).look(admitted=False).look(**stop)
    assert driver.run.phase.final
    assert (driver.run.started_at, driver.phases, driver.orders) == (None, ["Skipped"], [])


def test_a_run_whose_gate_opens_takes_nothing_up_before_it_is_admitted_again():
    driver = queued(step("verify"), apply("one")).look(admitted=True)
    assert driver.run.phase is Phase.WAITING
    driver.look(admitted=False)
    assert driver.run.reason == "Gate"
    driver.decide(decision("continue"))
    assert (driver.run.phase, driver.run.reason, driver.ordered, driver.phases) == (Phase.WAITING, "Queued", [], ["Waiting", "Pending"])
    assert [used.verb for used in driver.run.decisions] == ["continue"]
    driver.look(admitted=True)
    assert (driver.run.phase, driver.ordered) == (Phase.RUNNING, ["one"])
    assert driver.finish().ended == SUCCEEDED


def test_a_timer_that_is_over_opens_once_it_is_admitted():
    driver = queued(step("verify", duration="30s"), apply("one")).look(admitted=True)
    driver.look(31, admitted=False, looked_at=START + timedelta(seconds=31))
    assert (driver.run.reason, driver.wake, driver.ordered) == ("Queued", None, [])
    driver.look(1, admitted=True)
    assert (driver.run.phase, driver.ordered, [used.by for used in driver.run.decisions]) == (Phase.RUNNING, ["one"], ["timer"])


def test_a_gate_that_is_the_last_step_needs_no_place():
    driver = queued(apply("one"), step("verify")).look(admitted=True).finish()
    assert driver.look(admitted=False).decide(decision("continue")).ended == SUCCEEDED


def test_rolling_back_waits_for_no_place():
    driver = queued(step("verify"), apply("one")).look(admitted=True)
    driver.look(admitted=False, target="web-v1").decide(decision("rollback"))
    assert driver.run.phase is Phase.ROLLING_BACK


def test_a_run_that_was_suspended_waits_until_it_is_admitted_again():
    driver = queued(apply("one"), apply("two")).look(admitted=True).look(held="holiday").finish()
    assert place_of(driver.run) == ""
    driver.look(held="", admitted=False)
    assert (driver.run.phase, driver.run.reason, place_of(driver.run), driver.ordered) == (Phase.WAITING, "Queued", "waits", ["one"])
    assert driver.look(admitted=True).ordered == ["one", "two"]


def test_a_look_at_a_run_that_is_not_admitted_is_the_same_each_time():
    driver = queued(step("verify"), apply("one")).look(admitted=True).look(admitted=False).decide(decision("continue"))
    before = msgspec.json.encode(driver.run)
    assert msgspec.json.encode(driver.look().run) == before
    assert Decision("verify", "continue", "verify=continue", START, "c0ffee", "c0ffee", "Ada") in driver.run.decisions


# Effects that wait for their turn -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [{"newer": "web-v3"}, {"removed": True}, {"decisions": (decision("end", "run"),)}])
def test_a_run_that_stops_takes_back_what_waits_for_its_turn_and_ends_at_once(stop):
    driver = Driver(apply("one")).look()
    driver.look(unbegun=frozenset(driver.keys), **stop)
    assert driver.run.phase.final
    assert driver.state("one").intents == {}


def test_a_run_that_stops_waits_for_what_may_have_begun():
    driver = Driver(apply("one")).look().look(newer="web-v3")
    assert not driver.run.phase.final
    assert driver.finish().run.phase is Phase.SUPERSEDED


def test_a_suspended_application_starts_nothing_that_waits_for_its_turn_and_later_has_it_under_the_same_key():
    driver = Driver(apply("one")).look()
    keys = driver.keys
    driver.look(unbegun=frozenset(keys), held="holiday")
    assert driver.orders == []
    driver.look(unbegun=frozenset(), held="")
    assert driver.keys == keys

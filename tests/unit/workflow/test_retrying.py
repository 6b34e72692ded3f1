"""When what failed is tried again: the numbers of step, workflow and daemon, pauses, caps and jitter."""

from datetime import timedelta

import msgspec
import pytest

from reconciler.model.application import Retry
from reconciler.model.outcome import Failed, Wait
from reconciler.model.run import Phase
from reconciler.steps.health import deadline_of
from reconciler.workflow.machine import Machine
from reconciler.workflow.retrying import DEFAULT, merge, pause_before, pause_of_wait
from tests.unit.workflow.machines import START, Driver, apply


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], DEFAULT),
        ([Retry(limit=2)], Retry(2, 1.0, 2.0, 60.0)),
        ([Retry(limit=2), Retry(limit=9, period=5.0, factor=3.0, cap=7.0)], Retry(2, 5.0, 3.0, 7.0)),
        ([Retry(), Retry(cap=7.0), Retry(4, 2.0, 3.0, 50.0)], Retry(4, 2.0, 3.0, 7.0)),
        ([Retry(period=10.0)], Retry(14, 10.0, 1.0, 60.0)),
        ([Retry(period=3600.0), Retry(), Retry(14, 1.0, 2.0, 60.0)], Retry(14, 3600.0, 1.0, 3600.0)),
        ([Retry(period=10.0), Retry(factor=4.0)], Retry(14, 10.0, 1.0, 60.0)),
        ([Retry(cap=30.0), Retry(period=3600.0)], Retry(14, 3600.0, 1.0, 30.0)),
    ],
)
def test_each_number_comes_from_the_first_that_says_it(given, expected):
    assert merge(*given) == expected


def test_pauses_grow_up_to_the_cap_and_end_with_the_limit():
    retry = Retry(8, 1.0, 2.0, 60.0)
    pauses = [pause_before(retry, failures, "key") for failures in range(1, 10)]
    assert pauses[-1] is None
    for pause, most in zip(pauses, [1, 2, 4, 8, 16, 32, 60, 60], strict=False):
        assert most * 0.9 <= pause <= most


def test_jitter_comes_from_the_key_and_is_the_same_each_time():
    retry = Retry(8, 1.0, 2.0, 60.0)
    assert len({pause_before(retry, 5, f"key-{number}") for number in range(20)}) > 15
    assert pause_before(retry, 5, "key") == pause_before(retry, 5, "key")


def test_a_limit_below_0_never_ends_and_one_of_0_tries_once():
    assert pause_before(Retry(-1, 1.0, 2.0, 60.0), 100_000, "key") is not None
    assert pause_before(Retry(0, 1.0, 2.0, 60.0), 1, "key") is None


def test_waits_for_what_nobody_tells_of_grow_from_a_second_to_a_minute():
    pauses = [pause_of_wait(looks, "key") for looks in range(1, 20)]
    assert all(0.9 <= pause <= 60 for pause in pauses)
    assert pauses[0] <= 1
    assert pauses[-1] > 54
    assert pause_of_wait(1_000_000, "key") == pauses[-1]


def failing(driver):
    """Fails until it is not tried again; the pauses meanwhile."""
    pauses = []
    while not driver.fail().run.phase.final:
        pauses.append((driver.wake - driver.now).total_seconds())
        driver.look(pauses[-1])
    return pauses


def with_retries(step=None, workflow=None, daemon=None):
    one = msgspec.structs.replace(apply("one"), retry=step or Retry())
    driver = Driver(one)
    driver.workflow = msgspec.structs.replace(driver.workflow, retry=workflow or Retry())
    driver.machine = Machine(driver.machine._types, daemon)
    return driver.look()


@pytest.mark.parametrize("level", ["step", "workflow", "daemon"])
def test_step_workflow_and_daemon_may_each_say_all_numbers(level):
    pauses = failing(with_retries(**{level: Retry(3, 10.0, 3.0, 20.0)}))
    assert [most * 0.9 <= pause <= most for pause, most in zip(pauses, [10, 20, 20], strict=True)] == [True] * 3


def test_the_step_wins_over_the_workflow_and_that_over_the_daemon():
    pauses = failing(with_retries(step=Retry(limit=1), workflow=Retry(limit=5, period=4.0), daemon=Retry(9, 7.0, 1.0, 7.0)))
    assert pauses == [4.0]


def test_a_run_of_a_newer_revision_begins_with_no_attempts_behind_it():
    driver = with_retries(step=Retry(2, 5.0))
    driver.fail().look(5).fail()
    assert driver.state("one").attempt == 2
    newer = with_retries(step=Retry(2, 5.0))
    newer.run = msgspec.structs.replace(newer.run, name="web-v3-1")
    assert newer.state("one").attempt == 0
    assert failing(newer) == [5.0, 5.0]


class Healthy:
    """Answers until when it would wait for health."""

    name, params, required = "healthy", {}, ()

    def check(self, properties):
        return []

    def next(self, call, results, seen, now):
        return Wait(deadline_of(call, START), "health")

    def undo(self, call, results, seen, now):
        return Failed("NoCompensation", "")


@pytest.mark.parametrize(
    ("step", "workflow", "daemon", "seconds"), [(None, 0.0, 600.0, 600), (None, 0.0, 30.0, 30), (None, 90.0, 30.0, 90), ("2m", 90.0, 30.0, 120)]
)
def test_a_wait_for_health_ends_as_step_workflow_and_daemon_say(step, workflow, daemon, seconds):
    from tests.unit.workflow.machines import step as make

    driver = Driver(make("one", "healthy", **({"timeout": step} if step else {})))
    driver.workflow = msgspec.structs.replace(driver.workflow, health=workflow)
    driver.machine = Machine({"healthy": Healthy()}, None, daemon)
    driver.look()
    assert driver.run.phase is Phase.RUNNING
    assert driver.wake == START + timedelta(seconds=seconds)

"""Places for the runs of queues, as the engine gives them."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.engine.admission import Admission
from reconciler.model.identity import AppKey
from reconciler.model.run import Phase, Run

START = datetime(2030, 1, 1, tzinfo=UTC)


def run(number, phase=Phase.PENDING, queue="default", **fields):
    when = START + timedelta(seconds=number)
    return Run(f"app-{number}-v1-1", f"shop/app-{number}", "v1", "digest", queue=queue, phase=phase, created_at=when, **fields)


def key(number):
    return AppKey("shop", f"app-{number}")


@pytest.fixture
def hints():
    return []


@pytest.fixture
def admission(hints):
    return Admission("FIFO", 1, hints.append)


def test_a_run_without_a_queue_is_always_admitted(admission):
    assert all(admission.admits(run(number, queue="")) for number in range(5))


def test_a_run_that_ends_admits_the_next_with_one_hint(admission, hints):
    assert [admission.admits(run(number)) for number in range(4)] == [True, False, False, False]
    admission.note(run(0, Phase.RUNNING))
    for number in (1, 2, 3):
        admission.note(run(number, reason="Queued"))
    assert (hints, admission.waiting) == ([], 3)
    admission.note(run(0, Phase.SUCCEEDED))
    assert hints == [key(1)]
    assert [admission.admits(run(number)) for number in (1, 2)] == [True, False]
    assert hints == [key(1)], "who asks needs no hint"


def test_a_place_that_was_given_counts_before_it_is_taken_up(admission, hints):
    for number in (0, 1, 2):
        admission.admits(run(number))
    admission.note(run(0, Phase.SUCCEEDED))
    admission.note(run(2, reason="Queued"))
    assert hints == [key(1)]


@pytest.mark.parametrize("phase", [Phase.SUPERSEDED, Phase.TERMINATED])
def test_a_run_that_is_stopped_while_it_waits_leaves_the_line(admission, hints, phase):
    for number in (0, 1, 2):
        admission.admits(run(number))
    admission.note(run(1, phase))
    admission.note(run(0, Phase.FAILED))
    assert hints == [key(2)]


def test_rule_8_a_run_whose_turn_fails_holds_up_nobody_and_comes_back_at_its_place(admission, hints):
    for number in (0, 1, 2, 3):
        admission.admits(run(number))
    admission.note(run(0, Phase.SUCCEEDED))
    admission.withdraw(key(1))
    assert hints == [key(1), key(2)]
    assert not admission.admits(run(1))
    admission.note(run(2, Phase.SUCCEEDED))
    assert hints[2:] == [key(1)], "it was made before the third"


def test_a_run_that_goes_on_keeps_its_place_when_a_turn_of_it_fails(admission, hints):
    admission.admits(run(0))
    admission.note(run(0, Phase.RUNNING))
    admission.admits(run(1))
    admission.withdraw(key(0))
    assert hints == []


def test_a_run_at_its_gate_gives_its_place_up_and_takes_one_again(admission, hints):
    admission.admits(run(0))
    admission.admits(run(1))
    admission.note(run(0, Phase.WAITING))
    assert hints == [key(1)]
    admission.note(run(1, Phase.RUNNING))
    waits = run(0, Phase.WAITING)
    assert not admission.admits(waits)
    admission.note(waits)
    assert admission.waiting == 0, "at a gate it waits for a decision, not for a place"
    admission.note(run(0, Phase.WAITING, reason="Queued"))
    admission.note(run(1, Phase.SUCCEEDED))
    assert hints == [key(1), key(0)]


def test_a_look_at_a_run_at_its_gate_holds_a_free_place_only_while_it_lasts(admission, hints):
    waits = run(0, Phase.WAITING)
    assert admission.admits(waits)
    assert not admission.admits(run(1))
    admission.note(waits)
    assert hints == [key(1)]


def test_after_a_restart_who_ran_goes_on_first_and_more_than_may_if_they_did(admission, hints):
    runs = [run(4), run(1), run(2, Phase.RUNNING), run(3, Phase.ROLLING_BACK), run(0, Phase.SUCCEEDED)]
    admission.load(runs)
    assert [admission.admits(found) for found in runs[:4]] == [False, False, True, True]
    admission.note(run(2, Phase.SUCCEEDED))
    assert hints == []
    admission.note(run(3, Phase.ROLLED_BACK))
    assert hints == [key(1)]


def test_a_run_that_goes_on_keeps_its_place_when_its_application_is_read_anew(admission, hints):
    admission.admits(run(0))
    admission.note(run(0, Phase.RUNNING))
    admission.admits(run(1))
    old = Run("app-0-v0-1", "shop/app-0", "v0", "digest", queue="default", phase=Phase.SUPERSEDED, created_at=START)
    admission.renew(key(0), [old, run(0, Phase.RUNNING)])
    assert hints == []


def test_a_place_goes_when_somebody_deletes_its_application(admission, hints):
    admission.admits(run(0))
    admission.note(run(0, Phase.RUNNING))
    admission.admits(run(1))
    admission.renew(key(0), [])
    assert hints == [key(1)]
    assert admission._tickets.keys() == {"shop/app-1"}

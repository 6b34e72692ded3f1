"""`check-metrics`: what follows from how a metric was, and from nothing being known of it."""

from datetime import UTC, datetime

import pytest

from reconciler.model.identity import AppKey
from reconciler.model.outcome import Call, Done, Failed, Measured, Wait
from reconciler.steps.catalog import STEP_TYPES

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
GIVEN = {"query": "sum(up)", "condition": ">=1", "duration": "60s", "failDuration": "30s"}
QUERY = Measured("", "sum(up)", NOW, 60.0)


def ask(answer=None, **more):
    call = Call(AppKey("d", "a"), "s", "check-metrics", GIVEN, since=NOW, **more)
    return STEP_TYPES["check-metrics"].next(call, {}, {} if answer is None else {QUERY: answer}, NOW)


def was(*values, seconds=10.0, end=None):
    """One value each ten seconds; None: there was none."""
    points = [(index * seconds, value) for index, value in enumerate(values) if value is not None]
    return {"points": points, "start": 0.0, "end": (len(values) - 1) * seconds if end is None else end, "step": seconds}


def test_the_metric_is_asked_for_since_the_step_began():
    assert ask() == Wait(None, "waiting to hear whether sum(up) is >=1", (QUERY,))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (was(*[1] * 7), Done),
        (was(*[1] * 6), Wait),
        (was(0, *[1] * 7), Done),
        (was(*[1] * 7, 0), Wait),
        (was(*[1] * 4, 0, *[1] * 6), Wait),
        (was(0, 0, 0), Wait),
        (was(0, 0, 0, 0), Failed),
        (was(1, 1, 0, 0, 0, 0), Failed),
        (was(1, 0, 0, 0, 0, 0, 1), Wait),
        (was(1, 1, 1, None, None, None, 1, 1, 1, 1, 1), Wait),
        (was(*[1] * 5, None, *[1] * 5), Done),
        (was(*[1] * 7, None, None, None, None), Failed),
        (was(None, None, None), Wait),
        (was(None, None, None, None), Failed),
        (was(*[1] * 4, end=50.0), Wait),
    ],
)
def test_defect_a6_3_it_succeeds_after_duration_without_a_gap_and_fails_after_fail_duration(answer, kind):
    outcome = ask(answer)
    assert isinstance(outcome, kind)
    if kind is Failed:
        assert (outcome.reason, outcome.retryable) == ("MetricFailed", False)
    if kind is Wait:
        assert outcome.watch == (QUERY,)


def test_nothing_is_concluded_while_nobody_answers():
    waiting = ask({"error": "no connection to prometheus:9090", "start": 0.0, "end": 1e9, "step": 1.0})
    assert isinstance(waiting, Wait)
    assert "no connection to prometheus:9090" in waiting.message


def test_one_that_the_operator_does_not_name_is_refused_and_a_simulation_asks_nobody():
    assert ask({"refused": "no"}) == Failed("MetricRefused", "no")
    assert isinstance(ask({"pretended": True}), Done)


def test_rule_7a_a_restore_run_waits_for_no_metric():
    assert ask(restore=True) == Done()


@pytest.mark.parametrize(("condition", "holds"), [(">1", False), ("<= 1", True), ("<2", True), ("==1", True), ("!= 1", False), (">= 1e-3", True)])
def test_every_operator_is_what_it_says(condition, holds):
    call = Call(AppKey("d", "a"), "s", "check-metrics", {**GIVEN, "condition": condition}, since=NOW)
    outcome = STEP_TYPES["check-metrics"].next(call, {}, {QUERY: was(*[1] * 7)}, NOW)
    assert isinstance(outcome, Done if holds else Failed)

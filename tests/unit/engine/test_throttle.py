"""How fast effects are started: rates hold, who comes first is served first, and nobody who is stuck holds up others."""

import asyncio
import random

import pytest

from reconciler.engine.throttle import Throttle
from reconciler.model.identity import AppKey

A, B, C = (AppKey("default", name) for name in "abc")


class Recorded:
    """A throttle whose hints and waits are kept. `pass_time` lets time pass and hands out what comes meanwhile, as its loop does."""

    def __init__(self, clock, rate=0.0, **rates):
        self.hints, self.told, self.clock = [], [], clock
        self.throttle = Throttle(rate, rates, clock, self.hints.append, lambda *wait: self.told.append(wait))
        self.take, self.withdraw = self.throttle.take, self.throttle.withdraw

    def pass_time(self, seconds, then=lambda: None):
        end, turns = self.clock.time + seconds, 0
        while (pause := self.throttle.delay()) is not None and self.clock.time + pause <= end:
            self.clock.time += pause
            self.throttle._grant()
            then()
            turns += 1
        self.clock.time = end
        return turns


def test_without_limits_nobody_waits(clock):
    throttle = Recorded(clock)
    assert all(throttle.take(A, f"key-{number}", "random") for number in range(1000))
    assert throttle.throttle.delay() is None


def test_only_the_limited_type_waits(clock):
    throttle = Recorded(clock, random=1)
    assert [throttle.take(A, f"{kind}-{number}", kind) for number in range(2) for kind in ("random", "http")] == [True, True, False, True]
    assert throttle.throttle.waits("random-1")


def test_who_waits_is_hinted_when_the_token_comes_and_may_start_then(clock):
    throttle = Recorded(clock, random=2)
    assert [throttle.take(app, str(app), "random") for app in (A, B, C)] == [True, True, False]
    assert throttle.throttle.delay() == pytest.approx(0.5)
    throttle.pass_time(0.4)
    assert (throttle.hints, throttle.take(C, str(C), "random")) == ([], False)
    throttle.pass_time(0.2)
    assert throttle.hints == [C]
    assert throttle.take(C, str(C), "random")
    assert throttle.told == [(C, "random", pytest.approx(0.5))]
    assert throttle.throttle.unbegun(C) == frozenset()


def test_first_come_first_served_for_each_type_and_over_all(clock):
    throttle = Recorded(clock, 1, random=1000)
    apps = [AppKey("default", f"app-{number}") for number in range(6)]
    for number, app in enumerate(apps):
        throttle.take(app, str(app), "random" if number % 2 else "http")
    throttle.pass_time(5)
    assert throttle.hints == apps[1:]


def test_a_slow_type_does_not_hold_up_another(clock):
    throttle = Recorded(clock, 10, slow=0.1)
    throttle.take(A, "slow-0", "slow")
    for number in range(1, 20):
        throttle.take(A, f"slow-{number}", "slow")
    assert all(throttle.take(B, f"fast-{number}", "fast") for number in range(9))


@pytest.mark.parametrize(("rate", "rates", "allowed"), [(5.0, {}, 5), (0.0, {"random": 0.5}, 1), (3.0, {"random": 2.0}, 2)])
def test_a_rate_holds_in_every_window_of_time(clock, rate, rates, allowed):
    chance, started = random.Random(7), []
    throttle = Recorded(clock, rate, **rates)
    waiting = []

    def start():
        begun = [key for key in waiting if throttle.take(A, key, "random")]
        waiting[:] = [key for key in waiting if key not in begun]
        started.extend(clock.time for _ in begun)

    for number in range(200):
        waiting.append(f"key-{number}")
        start()
        throttle.pass_time(chance.choice([0, 0, 0.01, 0.3, 4]), start)
    limit = min(rate or 1000, rates.get("random", 1000))
    assert len(started) > 20
    for position, begin in enumerate(started):
        for count, end in enumerate(started[position:], 1):
            assert count <= allowed + limit * (end - begin) + 1e-6


def test_what_is_withdrawn_costs_no_token_and_what_is_kept_keeps_its_place(clock):
    throttle = Recorded(clock, 1)
    for app, key in [(A, "a0"), (A, "a1"), (A, "a2"), (B, "b0")]:
        throttle.take(app, key, "random")
    throttle.withdraw(A, {"a2"})
    throttle.pass_time(2)
    assert throttle.hints == [A, B]
    assert throttle.throttle.unbegun(A) == {"a2"}


def test_rule_8_a_token_that_is_never_used_holds_up_nobody(clock):
    throttle = Recorded(clock, 1)
    for app in (A, B, C):
        throttle.take(app, str(app), "random")
    throttle.pass_time(2)
    assert throttle.hints == [B, C]
    assert throttle.take(C, str(C), "random")


def test_ten_thousand_that_wait_cost_one_turn_of_the_loop_for_each_token(clock):
    throttle = Recorded(clock, 10)
    for number in range(10_000):
        throttle.take(A, f"key-{number}", f"type-{number % 5}")
    assert throttle.pass_time(100) == pytest.approx(1000, abs=2)
    assert len(throttle.hints) == pytest.approx(1000, abs=2)


async def test_its_loop_sleeps_while_nobody_waits_and_hands_out_tokens_as_they_come():
    from reconciler.daemon import SystemClock

    hints, taken = [], []
    throttle = Throttle(50.0, {"random": 50.0}, SystemClock(), hints.append, lambda *_: None)
    task = asyncio.create_task(throttle.run())
    try:
        while len(throttle.unbegun(A)) < 5:
            throttle.take(A, f"key-{len(taken)}", "random")
            taken.append(1)
        while len(hints) < 5:
            await asyncio.sleep(0.005)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert hints == [A] * 5

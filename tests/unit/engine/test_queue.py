"""The key queue: each key once, one worker a key, failures with back-off (rules 8a, 8b)."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise

from reconciler.daemon import SystemClock
from reconciler.engine.queue import KeyQueue
from reconciler.model.identity import AppKey

A, B, C = (AppKey("default", name) for name in "abc")


@asynccontextmanager
async def working(work, clock=None, on_error=lambda key, error, pause: None, width=8, beat=5.0):
    queue = KeyQueue(work, clock or SystemClock(), on_error, width, beat)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settle(times=20):
    for _ in range(times):
        await asyncio.sleep(0)


async def test_many_hints_are_one_turn():
    turns = []

    async def work(key):
        turns.append(key)

    async with working(work) as queue:
        for _ in range(100):
            queue.add(A)
        assert queue.depth == 1
        await settle()
        assert turns == [A]


async def test_a_hint_that_comes_during_a_turn_is_kept_and_never_runs_beside_it():
    turns, free, beside = [], asyncio.Event(), []

    async def work(key):
        beside.append(len(turns) - len(done))
        turns.append(key)
        await free.wait()
        done.append(key)

    done = []
    async with working(work) as queue:
        queue.add(A)
        await settle()
        for _ in range(3):
            queue.add(A)
        await settle()
        assert turns == [A]
        free.set()
        await settle()
        assert turns == [A, A]
        assert beside == [0, 0]


async def first_of(*keys, hint):
    """The order of the turns, one at a time, where `hint` is called once all keys stand in the row."""
    turns = []

    async def work(key):
        turns.append(key)

    queue = KeyQueue(work, SystemClock(), lambda key, error, pause: None, width=1)
    for key in keys:
        queue.add(key)
    hint(queue)
    task = asyncio.create_task(queue.run())
    await settle(60)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return turns


async def test_what_waits_in_the_row_already_goes_before_it_once_it_is_urgent_and_only_once():
    assert await first_of(A, B, C, hint=lambda queue: queue.add(C, urgent=True)) == [C, A, B]
    assert await first_of(A, B, C, hint=lambda queue: (queue.add(C, urgent=True), queue.add(C))) == [C, A, B]


async def test_an_urgent_hint_that_comes_during_a_turn_is_still_urgent_after_it():
    turns = []

    async def work(key):
        turns.append(key)
        if turns == [A]:
            for hint, urgent in ((B, False), (C, False), (A, True), (A, False)):
                queue.add(hint, urgent=urgent)

    async with working(work, width=1) as queue:
        queue.add(A)
        await settle(60)
    assert turns == [A, A, B, C]


async def test_what_a_person_waits_for_comes_first():
    turns = []

    async def work(key):
        turns.append(key)

    queue = KeyQueue(work, SystemClock(), lambda key, error, pause: None, width=1)
    queue.add(A)
    queue.add(B)
    queue.add(C, urgent=True)
    task = asyncio.create_task(queue.run())
    await settle(60)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert turns == [C, A, B]


async def test_those_that_are_only_looked_at_have_their_turn_while_urgent_ones_never_end():
    turns = []

    async def work(key):
        turns.append(key)
        if key == C and len(turns) < 50:
            queue.add(C, urgent=True)

    queue = KeyQueue(work, SystemClock(), lambda key, error, pause: None, width=1)
    queue.add(C, urgent=True)
    queue.add(A)
    queue.add(B)
    task = asyncio.create_task(queue.run())
    await settle(400)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert A in turns[:10]
    assert B in turns[:20]


async def test_rule_8a_a_slow_key_holds_one_worker_and_no_other_key():
    turns, never = [], asyncio.Event()

    async def work(key):
        if key == A:
            await never.wait()
        turns.append(key)

    async with working(work, width=2) as queue:
        for key in (A, B, C):
            queue.add(key)
        await settle(60)
        assert turns == [B, C]


async def test_rule_8b_a_key_that_raises_comes_again_ever_more_slowly_and_others_at_once(clock):
    turns, errors = [], []

    async def work(key):
        turns.append((key, clock.time))
        if key == A:
            raise RuntimeError("broken")

    async with working(work, clock, lambda key, error, _: errors.append((key, str(error)))) as queue:
        queue.add(A)
        await settle()
        for _ in range(400):
            clock.time += 0.25
            queue.add(B)
            await settle(6)
        times = [when for key, when in turns if key == A]
        pauses = [later - sooner for sooner, later in pairwise(times)]
        assert len(times) < 12
        assert pauses[0] < 1
        assert all(later > sooner for sooner, later in pairwise(pauses[:6]))
        assert errors == [(A, "broken")] * len(times)
        assert sum(key == B for key, _ in turns) == 400


async def test_after_a_success_the_back_off_begins_anew(clock):
    turns, broken = [], True

    async def work(key):
        turns.append(clock.time)
        if broken:
            raise RuntimeError

    async with working(work, clock) as queue:
        queue.add(A)
        for _ in range(40):
            await settle(6)
            clock.time += 0.5
            queue.add(B)
        broken = False
        queue.add(A)
        await settle()
        broken = True
        queue.add(A)
        await settle()
        last = clock.time
        clock.time += 0.6
        queue.add(B)
        await settle()
        assert turns[-1] > last


async def test_the_earliest_timer_of_a_key_counts_and_a_later_one_adds_nothing(clock):
    turns = []

    async def work(key):
        turns.append((key, clock.time))

    async with working(work, clock) as queue:
        queue.add_after(A, 10.0)
        queue.add_after(A, 30.0)
        queue.add_at(A, clock.now() + timedelta(seconds=5))
        for _ in range(50):
            clock.time += 1.0
            queue.add(B)
            await settle(6)
        assert [when for key, when in turns if key == A] == [5.0]


async def test_a_time_that_has_passed_is_now(clock):
    turns = []

    async def work(key):
        turns.append(key)

    async with working(work, clock) as queue:
        queue.add_at(A, clock.now() - timedelta(days=1))
        await settle()
        assert turns == [A]


async def test_the_delay_is_that_of_the_next_turn_and_none_where_there_is_none():
    now, free = [100.0], asyncio.Event()

    class Clock(SystemClock):
        def monotonic(self):
            return now[0]

    async def work(key):
        await free.wait()

    async with working(work, Clock(), beat=3600.0) as queue:
        assert queue.delay() is None
        queue.add_after(A, 30)
        queue.add_after(B, 20)
        queue.add_after(A, 10)
        assert queue.delay() == 10
        now[0] += 4
        assert queue.delay() == 6
        queue.forget(A)
        assert queue.delay() == 16
        queue.add(C)
        assert queue.delay() == 0
        await settle()
        assert queue.delay() == 0, "a turn is under way"
        free.set()
        await settle()
        assert queue.delay() == 16

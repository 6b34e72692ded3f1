"""Virtual time: it jumps when nothing can be done, and never otherwise."""

import asyncio
import threading
from datetime import timedelta

import pytest

from reconciler.simulation.clock import START, VirtualClock, VirtualLoop


def run(main):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def test_a_week_passes_in_a_few_turns_and_in_the_order_of_the_deadlines():
    async def main():
        clock, seen = VirtualClock(asyncio.get_running_loop()), []

        async def note(seconds):
            await clock.sleep(seconds)
            seen.append((seconds, round(clock.monotonic())))

        await asyncio.gather(note(604800), note(1), note(86400))
        return seen, clock.now(), asyncio.get_running_loop().turns

    seen, now, turns = run(main())
    assert seen == [(1, 1), (86400, 86400), (604800, 604800)]
    assert timedelta(days=7) <= now - START < timedelta(days=7, seconds=1)
    assert turns < 50


def test_a_deadline_does_not_come_while_something_can_be_done():
    async def main():
        expired = False
        try:
            async with asyncio.timeout(1):
                for _ in range(1000):
                    await asyncio.sleep(0)
        except TimeoutError:
            expired = True
        return expired

    assert run(main()) is False


def test_each_turn_is_later_than_the_one_before():
    async def main():
        clock, times = VirtualClock(asyncio.get_running_loop()), []
        for _ in range(1000):
            times.append(clock.now())
            await asyncio.sleep(0)
        return times

    times = run(main())
    assert times == sorted(set(times))


def test_what_is_handed_to_threads_is_done_in_this_one_and_its_errors_come_back():
    async def main():
        assert await asyncio.to_thread(threading.current_thread) is threading.main_thread()
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)

    run(main())


def test_a_turn_can_be_waited_for_where_time_stands_still():
    async def main():
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        loop.call_at_turn(loop.turns + 100, stop.set)
        while not stop.is_set():
            await asyncio.sleep(0)
        return loop.turns

    assert 100 <= run(main()) < 110


def test_waiting_for_what_can_never_happen_is_an_error_and_no_hang():
    async def main():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="nothing is left"):
        run(main())

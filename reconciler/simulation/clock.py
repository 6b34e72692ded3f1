"""Time that jumps: while something can be done it hardly moves, and when nothing can it is the next deadline at once."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START = datetime(2000, 1, 1, tzinfo=UTC)
_TURN = 1  # microseconds that one turn of the loop takes: what comes later is later, by any clock
_SECOND = 1_000_000


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    An event loop of one thread on virtual time, from 0 seconds on. What others hand to threads is done here and at once: one
    order of things, the same each time.
    """

    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)

    @property
    def turns(self) -> int:
        """How often it has looked at what can be done: what a simulation costs."""
        return self._jumps.turns

    def call_at_turn(self, turn: int, call: Callable[[], None]) -> None:
        """Calls from that turn on: where time does not move, no timer would. The last one that was asked for counts."""
        self._jumps.last, self._jumps.on_last = turn, call

    def time(self) -> float:
        return self._jumps.elapsed / _SECOND

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:  # noqa: ARG002
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # whoever awaits it is told, as by a thread
            future.set_exception(error)
        return future


class _Jumps(selectors.DefaultSelector):
    """Never waits: where the loop would, time passes. `elapsed`: microseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed, self.turns = 0, 0
        self.last: float = math.inf
        self.on_last: Callable[[], None] = lambda: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns += 1
        if self.turns >= self.last:
            self.on_last()
        found = super().select(0)
        if timeout is None and not found:
            raise RuntimeError("nothing is left that could ever happen")
        self.elapsed += max(_TURN, 0 if found or timeout is None else math.ceil(timeout * _SECOND))
        return found


class VirtualClock:
    """The clock of a `VirtualLoop`: 2000-01-01T00:00:00Z is where it begins."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

"""The key queue: each key once, one worker a key, timers in a heap, failures with back-off (rules 8a, 8b)."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime

from reconciler.model.clock import Clock
from reconciler.model.identity import AppKey

_FIRST, _LONGEST = 0.5, 60.0
_URGENT_ROW = 3


class KeyQueue:
    """Work is a coroutine function of a key. It is never run twice at once for one key; a hint that comes meanwhile is kept.

    `on_error` is told of every exception and of the seconds until the next try; the key comes again after a growing pause, and no
    other key notices. `beat`: seconds after which an idle queue shows at the latest that it lives.
    """

    def __init__(
        self,
        work: Callable[[AppKey], Awaitable[None]],
        clock: Clock,
        on_error: Callable[[AppKey, Exception, float], None],
        width: int = 8,
        beat: float = 5.0,
    ) -> None:
        self._work, self._clock, self._on_error, self._width, self._beat = work, clock, on_error, width, beat
        self._urgent: OrderedDict[AppKey, None] = OrderedDict()
        self._ready: OrderedDict[AppKey, None] = OrderedDict()
        self._busy: set[AppKey] = set()
        self._again: dict[AppKey, bool] = {}  # hints that came during a key's turn, and whether one of them was urgent
        self._timers: list[tuple[float, int, AppKey]] = []
        self._due: dict[AppKey, float] = {}
        self._failures: dict[AppKey, int] = {}
        self._count = self._urgent_row = 0
        self._wake = asyncio.Event()
        self.heartbeat = clock.monotonic()

    @property
    def depth(self) -> int:
        return len(self._ready) + len(self._urgent)

    def delay(self) -> float | None:
        """Seconds until a key gets a turn; 0 while one has it, None when none will by itself."""
        if self.depth or self._busy:
            return 0.0
        while self._timers and self._due.get(self._timers[0][2]) != self._timers[0][0]:
            heapq.heappop(self._timers)  # an earlier hint took its place
        return max(0.0, self._timers[0][0] - self._clock.monotonic()) if self._timers else None

    def add(self, key: AppKey, *, urgent: bool = False) -> None:
        """A hint: look at this key again. `urgent`: a person or a run waits for it, also where it stands in the row already."""
        if key in self._busy:
            self._again[key] = urgent or self._again.get(key, False)
            return
        if urgent:
            self._ready.pop(key, None)
        if key not in self._urgent:
            (self._urgent if urgent else self._ready)[key] = None
            self._wake.set()

    def add_at(self, key: AppKey, when: datetime) -> None:
        """A hint for later. The earliest one of a key counts; a timer that has passed is harmless."""
        self.add_after(key, max(0.0, (when - self._clock.now()).total_seconds()))

    def add_after(self, key: AppKey, seconds: float) -> None:
        due = self._clock.monotonic() + seconds
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._timers, (due, self._count, key))
        self._wake.set()

    def forget(self, key: AppKey) -> None:
        self._failures.pop(key, None)
        self._due.pop(key, None)

    async def run(self) -> None:
        """Until cancelled."""
        slots = asyncio.Semaphore(self._width)
        async with asyncio.TaskGroup() as group:
            while True:
                self.heartbeat = self._clock.monotonic()
                self._fire_timers()
                while self._urgent or self._ready:
                    await slots.acquire()
                    if not (self._urgent or self._ready):
                        slots.release()
                        break
                    key = self._next()
                    self._busy.add(key)
                    group.create_task(self._one(key, slots))
                    self._fire_timers()
                await self._rest()

    def _next(self) -> AppKey:
        """Urgent keys come first, but not one after the other without end: the others have every fourth turn."""
        if self._urgent and (self._urgent_row < _URGENT_ROW or not self._ready):
            self._urgent_row += 1
            return self._urgent.popitem(last=False)[0]
        self._urgent_row = 0
        return self._ready.popitem(last=False)[0]

    async def _rest(self) -> None:
        self._wake.clear()
        pause = self._timers[0][0] - self._clock.monotonic() if self._timers else self._beat
        try:
            async with asyncio.timeout(max(0.0, min(pause, self._beat))):
                await self._wake.wait()
        except TimeoutError:
            return

    def _fire_timers(self) -> None:
        now = self._clock.monotonic()
        while self._timers and self._timers[0][0] <= now:
            due, _, key = heapq.heappop(self._timers)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)

    async def _one(self, key: AppKey, slots: asyncio.Semaphore) -> None:
        try:
            await self._work(key)
            self._failures.pop(key, None)
        except Exception as error:  # noqa: BLE001  # rule 8b: whatever one key does, it is quarantined alone
            count = self._failures[key] = self._failures.get(key, 0) + 1
            pause = min(_FIRST * 2 ** (count - 1), _LONGEST) * random.uniform(0.9, 1.1)  # noqa: S311  # jitter
            self._on_error(key, error, pause)
            self.add_after(key, pause)
        finally:
            self._busy.discard(key)
            slots.release()
            if key in self._again:
                self.add(key, urgent=self._again.pop(key))
            self._wake.set()

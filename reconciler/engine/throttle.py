"""How fast the effects of steps are started: token buckets over all of them and by step type, on the monotonic clock (RULES 9c)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Container, Mapping
from typing import NamedTuple

from reconciler.model.clock import Clock
from reconciler.model.event import Event, Sink
from reconciler.model.identity import AppKey

_ALMOST = 1e-9  # a token that is due is there, whatever the sum of fractions says


class Bucket:
    """`rate` tokens a second; what is saved up is at most one second's, and at least one: in any t seconds at most that and `rate` times t."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._most, self._at = rate, max(1.0, rate), now
        self._tokens = self._most

    def wait(self, now: float) -> float:
        """Seconds until there is a token."""
        self._tokens = min(self._most, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        return 0.0 if self._tokens >= 1 - _ALMOST else (1 - self._tokens) / self._rate

    def take(self) -> None:
        """After `wait` answered 0."""
        self._tokens = max(0.0, self._tokens - 1)


class Waiting(NamedTuple):
    number: int
    app: AppKey
    kind: str
    since: float


class Throttle:
    """
    Who asks gets a token, or waits in line: first come, first served for each step type, and among those that wait for nothing else.

    `rate`: over all, 0: none. `rates`: by step type. `hint`: asks for a turn of the application that got a token; it asks again then. One that
    never does costs its token and holds up nobody. `tell`: application, step type and seconds of each wait that is over.
    """

    def __init__(
        self, rate: float, rates: Mapping[str, float], clock: Clock, hint: Callable[[AppKey], None], tell: Callable[[AppKey, str, float], None]
    ) -> None:
        self._clock, self._hint, self._tell = clock, hint, tell
        now = clock.monotonic()
        self._all = Bucket(rate, now) if rate else None
        self._buckets = {kind: Bucket(each, now) for kind, each in rates.items()}
        self._lines: dict[str, deque[str]] = {}  # effect keys; those that left are passed over when their turn comes
        self._waiting: dict[str, Waiting] = {}
        self._granted: set[str] = set()
        self._of_app: dict[AppKey, set[str]] = {}
        self._count = 0
        self._wake = asyncio.Event()

    def take(self, app: AppKey, key: str, kind: str) -> bool:
        """Whether the effect of that key may start now. Where not, it is in line."""
        if key in self._granted:
            self._drop(app, key)
            return True
        if key in self._waiting:
            return False
        bucket = self._buckets.get(kind)
        if bucket is None and self._all is None:
            return True
        self._count += 1
        self._waiting[key] = Waiting(self._count, app, kind, self._clock.monotonic())
        self._of_app.setdefault(app, set()).add(key)
        self._lines.setdefault(kind if bucket is not None else "", deque()).append(key)
        self._grant(key)
        if key in self._granted:
            self._drop(app, key)
            return True
        self._wake.set()
        return False

    def waits(self, key: str) -> bool:
        return key in self._waiting

    def unbegun(self, app: AppKey) -> frozenset[str]:
        """Keys of its effects that are in line, or have a token, and were not started."""
        return frozenset(self._of_app.get(app, ()))

    def withdraw(self, app: AppKey, keep: Container[str] = ()) -> None:
        """Its effects leave the line but for those to keep."""
        for key in [key for key in self._of_app.get(app, ()) if key not in keep]:
            self._drop(app, key)

    def delay(self) -> float | None:
        """Seconds until somebody gets a token; None where nobody waits."""
        now = self._clock.monotonic()
        pauses = [self._pause(kind, now) for kind in list(self._lines) if self._head(kind) is not None]
        return max(min(pauses), self._all.wait(now) if self._all is not None else 0.0) if pauses else None

    async def run(self) -> None:
        """Hands tokens out as they come, until cancelled. Sleeps while nobody waits."""
        while True:
            self._wake.clear()
            self._grant()
            try:
                async with asyncio.timeout(self.delay()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _grant(self, asker: str = "") -> None:
        now = self._clock.monotonic()
        while self._all is None or self._all.wait(now) == 0.0:
            heads = [head for kind in list(self._lines) if (head := self._head(kind)) is not None and self._pause(kind, now) == 0.0]
            if not heads:
                return
            key = min(heads, key=lambda head: self._waiting[head].number)
            one = self._waiting.pop(key)
            for bucket in (self._all, self._buckets.get(one.kind)):
                if bucket is not None:
                    bucket.take()
            self._granted.add(key)
            if key != asker:
                self._tell(one.app, one.kind, now - one.since)
                self._hint(one.app)

    def _head(self, kind: str) -> str | None:
        line = self._lines[kind]
        while line and line[0] not in self._waiting:
            line.popleft()
        if not line:
            del self._lines[kind]
            return None
        return line[0]

    def _pause(self, kind: str, now: float) -> float:
        bucket = self._buckets.get(kind)
        return bucket.wait(now) if bucket is not None else 0.0

    def _drop(self, app: AppKey, key: str) -> None:
        self._waiting.pop(key, None)
        self._granted.discard(key)
        mine = self._of_app.get(app, set())
        mine.discard(key)
        if not mine:
            self._of_app.pop(app, None)


def tell_by(sink: Sink) -> Callable[[AppKey, str, float], None]:
    """Each wait that is over as an event."""
    return lambda key, kind, seconds: sink.emit(Event("throttled", key, {"type": kind, "seconds": seconds}))

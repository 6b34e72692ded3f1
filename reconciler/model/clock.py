"""Time comes in as an argument; this is the shape of what brings it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """`now` is aware UTC and may jump (rule 9c); `monotonic` is seconds and may not."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...

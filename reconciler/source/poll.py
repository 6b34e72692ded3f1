"""The poll: the truth beside the watch's hints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger


class Poll:
    """Calls `look` every `seconds`, late by up to `jitter` seconds (a tenth of the interval by default): many daemons must not ask at once."""

    def __init__(self, look: Callable[[], Awaitable[None]], seconds: float, jitter: float | None = None) -> None:
        # A late look is still wanted, several late ones are one, and none begins before the last one ended.
        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=defaults)
        trigger = IntervalTrigger(seconds=seconds, jitter=seconds / 10 if jitter is None else jitter, timezone=UTC)
        self._scheduler.add_job(look, trigger, id="poll")

    def start(self) -> None:
        """Needs a running loop. The first look is one interval from now."""
        self._scheduler.start()

    def stop(self) -> None:
        """No further look begins. A second call does nothing."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

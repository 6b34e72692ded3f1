"""What the engine's unit tests share."""

import pytest


class FakeClock:
    """A clock that only its test turns; a sleep ends at once."""

    def __init__(self):
        from datetime import UTC, datetime

        self.time, self.wall = 0.0, datetime(2030, 1, 1, tzinfo=UTC)

    def now(self):
        from datetime import timedelta

        return self.wall + timedelta(seconds=self.time)

    def monotonic(self):
        return self.time

    async def sleep(self, seconds):
        self.time += seconds


@pytest.fixture
def clock():
    return FakeClock()

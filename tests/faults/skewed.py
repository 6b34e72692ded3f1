"""The daemon with a clock that is wrong: `python skewed.py SECONDS run ...`; so many seconds ahead, or behind where it is negative."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

from reconciler import daemon
from reconciler.__main__ import main

AHEAD = timedelta(seconds=float(sys.argv.pop(1)))
right = daemon.SystemClock.now


def now(self: daemon.SystemClock) -> datetime:
    return right(self) + AHEAD


daemon.SystemClock.now = now  # type: ignore[method-assign]

if __name__ == "__main__":
    main()

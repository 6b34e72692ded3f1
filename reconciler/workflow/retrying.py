"""When what failed is tried again (rule 6c, and KubeVela's back-off): pauses that grow, a longest one, and a limit."""

from __future__ import annotations

import hashlib

from reconciler.model.application import Retry

ATTEMPTS = 15  # with the back-off below about nine minutes, just under the health deadline (rule 6c)
DEFAULT = Retry(limit=ATTEMPTS - 1, period=1.0, factor=2.0, cap=60.0)
_JITTER = 0.1
_WAIT, _LONGEST_WAIT = 0.05, 60.0


def merge(*given: Retry) -> Retry:
    """Each number from the first that says it: the step, the workflow, the daemon. A period alone means that period, each time, however long."""
    levels = (*given, DEFAULT)
    limit = next(level.limit for level in levels if level.limit is not None)
    nearest, period = next((number, level.period) for number, level in enumerate(levels) if level.period is not None)
    factor = next(level.factor or 1.0 for level in levels if level.factor is not None or level.period is not None)
    where, cap = next((number, level.cap) for number, level in enumerate(levels) if level.cap is not None)
    return Retry(limit, period, factor, max(cap, period) if where > nearest else cap)


def pause_before(retry: Retry, failures: int, key: str) -> float | None:
    """
    Seconds until the try that follows that many failures; None when there is none. `retry`: a merged one.

    Growing pauses are up to a tenth shorter, by the key of the try: what failed together is not tried again together.
    """
    assert retry.limit is not None
    assert retry.period is not None
    assert retry.factor is not None
    assert retry.cap is not None
    if 0 <= retry.limit < failures:
        return None
    pause = min(retry.period * retry.factor ** min(failures - 1, 64), retry.cap)
    return pause if retry.factor == 1.0 else _shorter(pause, key)


def pause_of_wait(looks: int, key: str) -> float:
    """Seconds until the next of so many looks in a row that found nothing new: KubeVela's, from 1 to 60. It counts as no try."""
    return _shorter(min(max(_WAIT * 2 ** min(looks, 64), 1.0), _LONGEST_WAIT), key)


def _shorter(pause: float, key: str) -> float:
    chance = int.from_bytes(hashlib.sha256(key.encode()).digest()[:2]) / 65536
    return pause * (1 - _JITTER * chance)

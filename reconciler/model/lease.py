"""
Who leads, decided from what was seen of a Lease and when (rules 3h, 9c). Pure: seconds come in, from a clock that never stands still or jumps.

Nobody's clock is compared with another's. A candidate counts from when it saw the last change, the leader from before it asked for its last
renewal: what the leader counts is over first, however their clocks are set.
"""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple

SPARE: Final = 1 / 3
"""The share of a lease that must be left for anything to be started under it: what was started has that long to arrive."""

Move = Literal["look", "make", "take", "renew", "wait", "lost"]


class Record(NamedTuple):
    """What a Lease says. `holder`: empty where it was released. `epoch`: how often it went from one to another. `renewed`: a text that is
    another one with each renewal; what time it says does not count."""

    holder: str
    seconds: float
    epoch: int
    renewed: str


class Standing(NamedTuple):
    """
    What one candidate knows. `me`: nobody else's, of another process neither. `seconds`: how long its own lease is.

    `fresh`: nobody can ever have led, for there is no state. `record`: as it was seen last, None where there is no Lease; `since`: when it was
    first seen so, None before the first look. `last`: the last one there was. `epoch`: the one under which it leads, None where it does not;
    `until`: as long as it surely does.
    """

    me: str
    seconds: float
    fresh: bool = False
    record: Record | None = None
    since: float | None = None
    last: Record | None = None
    epoch: int | None = None
    until: float = -math.inf


def see(standing: Standing, record: Record | None, now: float, *, refused: bool = False) -> Standing:
    """`record` was read, and the answer came at `now`. What did not change is as old as it was. `refused`: a write just was, so that it did
    change, though it may look as before."""
    if standing.since is not None and record == standing.record and not refused:
        return standing
    return standing._replace(record=record, since=now, last=record or standing.last)


def choose(standing: Standing, now: float) -> Move:
    """What is to be done. `make`, `take` and `renew` write `wanted`, by compare-and-swap on what was seen."""
    record = standing.record
    if standing.since is None:
        return "look"
    if standing.epoch is not None:
        if record is not None and record.epoch == standing.epoch and record.holder == standing.me:
            return "renew"
        mine = now < standing.until and (record is None or (record.epoch == standing.epoch and not record.holder))
        return "lost" if not mine else "renew" if record is not None else "make"  # once its time is over, another one may have led meanwhile
    if expires_in(standing, now) > 0:
        return "wait"
    return "make" if record is None else "take"


def expires_in(standing: Standing, now: float) -> float:
    """Seconds until another one than the leader may take what was seen; 0 where it may now. Where there is no Lease, somebody may have deleted
    the one of a leader that is about to renew it."""
    record = standing.record
    if standing.since is None or (record is None and standing.last is None and standing.fresh):
        return 0.0
    if record is not None and record.holder in ("", standing.me):
        return 0.0
    seconds = record.seconds if record is not None else max(standing.seconds, standing.last.seconds if standing.last is not None else 0.0)
    return max(0.0, standing.since + seconds - now)


def wanted(standing: Standing, renewed: str) -> Record:
    """What the Lease is to say next. An epoch is one holder's: a taker whose answer was lost goes on with the one that it has written."""
    if standing.epoch is not None:
        epoch = standing.epoch
    elif standing.last is None:
        epoch = 0
    else:
        mine = standing.record is not None and standing.record.holder == standing.me
        epoch = standing.last.epoch + (0 if mine else 1)
    return Record(standing.me, float(math.ceil(standing.seconds)), epoch, renewed)


def written(standing: Standing, record: Record, asked: float, now: float) -> Standing:
    """What was wanted is stored: asked for at `asked`, answered at `now`. It leads from here on."""
    return see(standing, record, now)._replace(epoch=record.epoch, until=max(standing.until, asked + standing.seconds))


def may_start(standing: Standing, now: float) -> bool:
    """Whether enough is left of the lease to start something under it."""
    return standing.epoch is not None and standing.until - now >= standing.seconds * SPARE

"""Who of the runs that wait in queues may go on: so many at once, by when they were made, or one queue after the other. Pure.

A run counts while it runs or rolls back. One that stands at a gate, or whose application is suspended, gives its place up and is admitted again
before it goes on. What rolls back waits for nobody: then the next ones wait until fewer run.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from reconciler.model.run import Phase, Run

Strategy = Literal["FIFO", "FAIR"]
QUEUED = "Queued"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_SLACK = 16


class Ticket(NamedTuple):
    """A run in a queue; tickets sort by when their runs were made. `app`: as `AppKey` writes itself."""

    created: datetime
    app: str
    run: str
    queue: str


def ticket_of(run: Run) -> Ticket:
    return Ticket(run.created_at or _LONG_AGO, run.app, run.name, run.queue)


def place_of(run: Run) -> Literal["waits", "holds", ""]:
    """Whether a run waits for a place, holds one, or neither: it needs none, or could do nothing with it now."""
    if not run.queue or run.phase.final:
        return ""
    if run.phase is Phase.ROLLING_BACK:
        return "holds"
    if run.suspended_at is not None:
        return "holds" if run.phase is Phase.RUNNING and run.in_flight else ""
    if run.reason == QUEUED or run.phase is Phase.PENDING:
        return "waits"
    return "holds" if run.phase is Phase.RUNNING else ""


class Line:
    """
    The runs of all queues, in memory; `line_up` makes it from what is stored.

    `limit`: how many hold a place at once. FIFO: who was made first comes first. FAIR: each queue in which somebody waits has its turn before
    one has its second, so that a queue of many delays one of few by a round at most; within a queue as FIFO. A decision costs O(log n).
    """

    def __init__(self, strategy: Strategy, limit: int) -> None:
        self._fair, self._limit = strategy == "FAIR", limit
        self._holding: set[Ticket] = set()
        self._waiting: set[Ticket] = set()
        self._lanes: dict[str, list[Ticket]] = {}  # heaps; those who left are passed over when their turn comes
        self._round: deque[str] = deque()  # each lane once, the next one first

    def __len__(self) -> int:
        return len(self._waiting)

    def holds(self, ticket: Ticket) -> bool:
        return ticket in self._holding

    def join(self, ticket: Ticket) -> None:
        """It waits, unless it has its place already."""
        if ticket in self._holding or ticket in self._waiting:
            return
        self._waiting.add(ticket)
        name = ticket.queue if self._fair else ""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = []
            self._round.append(name)
        heapq.heappush(lane, ticket)
        if len(lane) > 2 * len(self._waiting) + _SLACK:
            lane[:] = sorted(self._waiting.intersection(lane))

    def hold(self, ticket: Ticket) -> None:
        """It goes on, whatever the limit says."""
        self._waiting.discard(ticket)
        self._holding.add(ticket)

    def take(self, ticket: Ticket) -> bool:
        """A place at once, where one is free and nobody waits for it."""
        if self._waiting or len(self._holding) >= self._limit:
            return False
        self._holding.add(ticket)
        return True

    def leave(self, ticket: Ticket) -> None:
        self._waiting.discard(ticket)
        self._holding.discard(ticket)

    def admit(self) -> list[Ticket]:
        """Gives the free places to those whose turn it is."""
        admitted: list[Ticket] = []
        while self._waiting and len(self._holding) < self._limit:
            name = self._round.popleft()
            lane = self._lanes[name]
            ticket = self._next(lane)
            if ticket is not None:
                self.hold(ticket)
                admitted.append(ticket)
            if lane:
                self._round.append(name)
            else:
                del self._lanes[name]
        return admitted

    def _next(self, lane: list[Ticket]) -> Ticket | None:
        while lane:
            ticket = heapq.heappop(lane)
            if ticket in self._waiting:
                return ticket
        return None


def line_up(strategy: Strategy, limit: int, runs: Iterable[Run]) -> Line:
    """
    The line after a restart, from all stored runs: what went on goes on, and the queue whose last turn is longest ago has the next.

    Nothing is stored for it: who was made when, and which queue was served when, stands in the runs.
    """
    line, served, waiting = Line(strategy, limit), dict[str, datetime](), list[Ticket]()
    for run in runs:
        if run.queue and run.started_at is not None:
            served[run.queue] = max(run.started_at, served.get(run.queue, _LONG_AGO))
        match place_of(run):
            case "holds":
                line.hold(ticket_of(run))
            case "waits":
                waiting.append(ticket_of(run))
    for ticket in sorted(waiting, key=lambda ticket: (served.get(ticket.queue, _LONG_AGO), ticket)):
        line.join(ticket)
    return line

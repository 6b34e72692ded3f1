"""Places for the runs of queues: who may go on, told by hints (RULES 2: rebuilt from the stored runs, never stored itself)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reconciler.model.identity import AppKey
from reconciler.model.run import Run
from reconciler.workflow.admission import Line, Strategy, Ticket, line_up, place_of, ticket_of


class Admission:
    """
    The one line of a daemon. `hint`: asks for a turn of the application whose run was given a place.

    A place is given before the run has taken it up; where its turn fails instead, the place goes to the next, and the run lines up again with
    its next turn: one that is stuck holds up no other (rule 8).
    """

    def __init__(self, strategy: Strategy, limit: int, hint: Callable[[AppKey], None]) -> None:
        self._strategy, self._limit, self._hint = strategy, limit, hint
        self._line = Line(strategy, limit)
        self._tickets: dict[str, set[Ticket]] = {}  # in the line, by application
        self._given: set[Ticket] = set()  # a place that is not taken up yet

    @property
    def waiting(self) -> int:
        return len(self._line)

    def load(self, runs: Iterable[Run]) -> None:
        """All stored runs, before the first turn. Places are given with the first question."""
        stored = list(runs)
        self._line = line_up(self._strategy, self._limit, stored)
        for run in stored:
            if place_of(run):
                self._tickets.setdefault(run.app, set()).add(ticket_of(run))

    def admits(self, run: Run) -> bool:
        """Whether it may go on now; `note` has to follow, or `withdraw`. One that may not has a turn when it may."""
        if not run.queue:
            return True
        ticket, where = ticket_of(run), place_of(run)
        if where != "waits" and not self._line.holds(ticket):
            self._tickets.setdefault(run.app, set()).add(ticket)
            if where == "holds":
                self._line.hold(ticket)
            elif self._line.take(ticket):
                self._given.add(ticket)
        elif where == "waits":
            self._join(ticket)
            self._admit(ticket)
        return self._line.holds(ticket)

    def note(self, run: Run) -> None:
        """How it is stored now: it takes its place up, waits, or leaves it to the next."""
        self._place(run)
        self._admit()

    def _place(self, run: Run) -> None:
        if not run.queue:
            return
        ticket = ticket_of(run)
        match place_of(run):
            case "holds":
                self._given.discard(ticket)
                self._tickets.setdefault(run.app, set()).add(ticket)
                self._line.hold(ticket)
            case "waits":
                self._join(ticket)
            case _:
                self._drop(ticket)

    def withdraw(self, key: AppKey) -> None:
        """Its turn failed: what it was given, or waits for, is the next one's."""
        for ticket in list(self._tickets.get(str(key), ())):
            if ticket in self._given or not self._line.holds(ticket):
                self._drop(ticket)
        self._admit()

    def renew(self, key: AppKey, runs: Iterable[Run]) -> None:
        """Somebody else changed what is stored of it: these are its runs now."""
        for ticket in list(self._tickets.get(str(key), ())):
            self._drop(ticket)
        for run in runs:
            self._place(run)  # all of them, before what is free goes to others
        self._admit()

    def _join(self, ticket: Ticket) -> None:
        self._tickets.setdefault(ticket.app, set()).add(ticket)
        self._line.join(ticket)

    def _drop(self, ticket: Ticket) -> None:
        self._line.leave(ticket)
        self._given.discard(ticket)
        mine = self._tickets.get(ticket.app, set())
        mine.discard(ticket)
        if not mine:
            self._tickets.pop(ticket.app, None)

    def _admit(self, asker: Ticket | None = None) -> None:
        for ticket in self._line.admit():
            self._given.add(ticket)
            if ticket != asker:
                self._hint(AppKey.parse(ticket.app))

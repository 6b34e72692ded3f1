"""Requests to look again now: git first, then one application with what lives of it in the cluster.

A hint without authority (rules 3a, 13d): it changes no decision, revision or suspension, and lifts nothing that is held or rejected;
the one thing that it ends before its time is the pause of a key whose turns fail. Many requests for one application are one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.engine.applications import Application
from reconciler.engine.index import Index
from reconciler.model.clock import Clock
from reconciler.model.identity import AppKey
from reconciler.model.status import ApplicationStatus, Attention
from reconciler.workflow.attention import Seen, report


@dataclass(slots=True)
class Request:
    """`before`: where the application stood when it was asked for. `fault`: why git could not be read. `live`: its turn has begun."""

    before: ApplicationStatus
    answers: list[asyncio.Future[Attention]]
    fault: str = ""
    live: bool = False
    healed: set[str] = field(default_factory=set)


class Requests:
    """
    A request goes through three hands: `asked` until a look begins, `looking` until it ends, `turning` until its application's
    turn is done and nothing that it began is under way. `look`: asks for a look at git; `turn`: gives a key its turn at once.
    """

    def __init__(self, apps: dict[AppKey, Application], index: Index, clock: Clock, look: Callable[[], None], turn: Callable[[AppKey], None]) -> None:
        self._apps, self._index, self._clock, self._look, self._turn = apps, index, clock, look, turn
        self._asked: dict[AppKey, Request] = {}
        self._looking: dict[AppKey, Request] = {}
        self._turning: dict[AppKey, Request] = {}

    def ask(self, key: AppKey) -> asyncio.Future[Attention] | None:
        """What comes of it; shared by all who ask before the look begins. None where there is no such application, or no status yet."""
        app = self._apps.get(key)
        if app is None or app.status is None:
            return None
        if key not in self._asked:
            self._asked[key] = Request(app.status, [asyncio.get_running_loop().create_future()])
        self._look()
        return self._asked[key].answers[0]

    async def wait(self, key: AppKey, seconds: float) -> Attention | None:
        """What came of it within that time, or that nothing did yet; None where there is no such application."""
        answer, now = self.ask(key), self._status(key)
        if answer is None or now is None:
            return None
        await asyncio.wait({answer}, timeout=seconds)  # it is shared: never cancelled for one who goes
        if answer.done():
            return answer.result()
        turning = any(answer in request.answers for request in self._turning.values())
        missing = "its turn is not done" if turning else "git has not answered"
        return self._report(key, Request(now, [], f"{missing} within {seconds:g} s"), timed_out=True)

    def begin_look(self) -> None:
        self._looking, self._asked = self._asked, {}

    def end_look(self, fault: str = "") -> None:
        """Every application that was asked for has its turn now, also where git could not be read."""
        for key, request in self._looking.items():
            request.fault = fault
            earlier = self._turning.get(key)
            if earlier is not None:
                request.before, request.answers = earlier.before, [*earlier.answers, *request.answers]
            self._turning[key] = request
            self._turn(key)
        self._looking = {}

    def takes_turn(self, key: AppKey) -> bool:
        """Whether the cluster is to be asked for what lives, before the turn that a request waits for."""
        request = self._turning.get(key)
        if request is None or request.live:
            return False
        request.live = True
        return True

    def end_turn(self, key: AppKey) -> None:
        """Tells what happened, once nothing of this application is under way any more."""
        request, app = self._turning.get(key), self._apps.get(key)
        if request is None or not request.live:
            return
        if app is not None:
            request.healed.update(app.healed)
            if app.results or app.look_again or any(name not in app.debts() for name in app.tasks):
                return
        del self._turning[key]
        report = self._report(key, request)
        for answer in request.answers:
            answer.set_result(report)

    def _status(self, key: AppKey) -> ApplicationStatus | None:
        app = self._apps.get(key)
        return app.status if app is not None else None

    def _report(self, key: AppKey, request: Request, *, timed_out: bool = False) -> Attention:
        head, app = self._index.head, self._apps.get(key)
        seen = Seen(
            commit=head.id if head is not None else "",
            fault=request.fault,
            healed=tuple(sorted(request.healed)),
            drifted=app.heal_at if app is not None else None,
            timed_out=timed_out,
        )
        return report(key, request.before, self._status(key), seen, self._clock.now())

"""Telling a workflow's callback what became of it (rule 9b): in order, under one key for each change, until it is taken or a day has passed.

A run neither waits for it nor is changed by it. What was taken is noted in memory and stored with the next write of the run, at the latest
when all that an ended run owes is settled; what a crash forgets is sent again under the same key with the same body.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import NamedTuple

import msgspec

from reconciler.cluster.protocol import ClusterError
from reconciler.dialects.words import STEPFLOW_RUN
from reconciler.engine.applications import Application
from reconciler.engine.content import ContentError
from reconciler.engine.context import Context
from reconciler.engine.lanes import Lanes, receiver_of
from reconciler.model.application import Callback, Retry
from reconciler.model.event import Event
from reconciler.model.identity import AppKey
from reconciler.model.run import Notice, Run, merge_shared
from reconciler.notify.protocol import NotifyError, Request
from reconciler.workflow.retrying import pause_before

LONGEST = timedelta(hours=24)
_RETRY = Retry(limit=-1, period=10.0, factor=2.0, cap=600.0)
_AT_ONCE, _EACH = 64, 4


class Refusal(NamedTuple):
    """Why a notice was not taken. `reason`: of the condition that says so."""

    reason: str
    message: str


class Callbacks:
    def __init__(self, context: Context) -> None:
        self._context, self._lanes = context, Lanes(_AT_ONCE, _EACH)

    def take(self, app: Application) -> None:
        """Brings what was noted into the runs in memory, so that the next write of each takes it along."""
        for name, marks in list(app.called.items()):
            run = app.find_run(name)
            if run is None:
                del app.called[name]
                continue
            notices = [marks.get(number, notice) for number, notice in enumerate(run.notices)]
            if notices != run.notices:
                app.put_run(msgspec.structs.replace(run, notices=notices))

    async def store(self, app: Application) -> None:
        """Writes what no other write will: of a run that has ended, once nothing is owed any more, or once it is plain that it will take longer."""
        self.take(app)
        for run in [run for run in app.runs if run.phase.final and run.name in app.called]:
            owed = next_owed(run)
            if owed is None or owed[1].attempts == 1:
                app.put_run(await self._context.store.save(app.mirror, run))
                left = {number: mark for number, mark in app.called.pop(run.name).items() if mark != run.notices[number]}
                app.called |= {run.name: left} if left else {}

    def start(self, app: Application) -> None:
        """Goes on with what runs of this application owe, each in a task of its own."""
        if self._context.sender is None:
            return
        for run in app.runs:
            if not run.notices or run.name in app.calls:
                continue
            owed = next_owed(run)
            if owed is None:
                continue
            pause = (owed[1].retry_at - self._context.clock.now()).total_seconds() if owed[1].retry_at is not None else 0.0
            if pause > 0:
                self._context.hint_after(app.key, pause)
            else:
                app.calls[run.name] = asyncio.create_task(self._deliver(app, run.name))

    async def _deliver(self, app: Application, name: str) -> None:
        """One after the other, until one is not taken. Others that come up meanwhile are told as well."""
        key, uid = app.key, app.mirror.uid
        again = False
        try:
            while (found := self._find(key, uid, name)) is not None:
                run, number, notice = found
                marked = await self._tell(key, run, number, notice)
                app.called.setdefault(name, {})[number] = marked
                again |= run.phase.final or marked.attempts > 1 or marked.state == "Owed"  # what is shown or stored is another one
                if marked.state == "Owed":
                    return
        finally:
            app.calls.pop(name, None)
            if again:
                self._context.hint_after(key, 0.0)

    def _find(self, key: AppKey, uid: str, name: str) -> tuple[Run, int, Notice] | None:
        """The next that is owed, of the run as it is stored now. State may have been read anew meanwhile."""
        app = self._context.apps.get(key)
        run = app.find_run(name) if app is not None and app.mirror.uid == uid else None
        if app is None or run is None:
            return None
        marks = app.called.get(name, {})
        owed = next(((number, notice) for number, notice in enumerate(run.notices) if marks.get(number, notice).state == "Owed"), None)
        return (run, owed[0], marks.get(*owed)) if owed is not None else None

    async def _tell(self, key: AppKey, run: Run, number: int, notice: Notice) -> Notice:
        """One try; answers the notice with what came of it."""
        await self._context.lead.hold()
        refusal = await self._send(key, run, number, notice)
        now, replace = self._context.clock.now(), msgspec.structs.replace
        attempts = notice.attempts + 1
        if refusal is None:
            marked = replace(notice, state="Delivered", attempts=attempts, retry_at=None, reason="", message="")
        elif now - notice.at >= LONGEST:
            marked = replace(notice, state="Dropped", attempts=attempts, retry_at=None, reason=refusal.reason, message="")
        else:
            pause = pause_before(_RETRY, attempts, key_of(run, number)) or 0.0
            retry_at = min(now + timedelta(seconds=pause), notice.at + LONGEST)
            marked = replace(notice, attempts=attempts, retry_at=retry_at, reason=refusal.reason, message=refusal.message)
        result = "Failed" if marked.state == "Owed" else marked.state
        fields = {"run": run.name, "step": notice.step, "phase": notice.phase.value, "result": result, "message": refusal.message if refusal else ""}
        self._context.sink.emit(Event("callback", key, fields))
        return marked

    async def _send(self, key: AppKey, run: Run, number: int, notice: Notice) -> Refusal | None:
        context = self._context
        assert context.sender is not None
        try:
            callback = (await context.contents.workflow(key, run.revision)).callback
            if callback is None:
                return Refusal("NotTaken", "the workflow has no callback any more")
            async with self._lanes.enter(receiver_of(callback.url)):
                answer = await context.sender.send(build_request(callback, run, number, notice), context.rpc_seconds)
        except NotifyError as error:
            return Refusal("EgressRefused" if error.reason == "EgressRefused" else "NotTaken", str(error))
        except (ContentError, ClusterError) as error:
            return Refusal("NotTaken", str(error))
        except Exception as error:  # noqa: BLE001  # 8b: whatever it is, it is this notice's alone; what it says may hold anything
            return Refusal("NotTaken", f"internal error: {type(error).__name__}")
        if 200 <= answer.status < 300 or (answer.status == 404 and callback.ignore_not_found):
            return None
        return Refusal("NotTaken", f"{receiver_of(callback.url)} answered {answer.status}")


def next_owed(run: Run) -> tuple[int, Notice] | None:
    """The number and the notice that is to be told next: in order (rule 9b)."""
    if not run.notices or run.notices[-1].state != "Owed":
        return None
    return next((number, notice) for number, notice in enumerate(run.notices) if notice.state == "Owed")


def key_of(run: Run, number: int) -> str:
    """One for each change, whatever happens between."""
    return f"{run.owner}/{run.name}/{number}"


def build_request(callback: Callback, run: Run, number: int, notice: Notice) -> Request:
    """
    The same to the byte, whenever it is built: the body of seed 004, `{name, phase, attributes, runError, rollbackError}`, in that family's words.

    `name` is the application's, or the step's where it is about a step. Headers say which application, run and step: names alone may be equal.
    """
    key = AppKey.parse(run.app)
    body = {
        "name": run.step(notice.step).name if notice.step else key.name,
        "phase": STEPFLOW_RUN[notice.phase],
        "attributes": merge_shared(run.shared[: notice.known]),
        "runError": notice.error,
        "rollbackError": notice.undo_error,
    }
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": key_of(run, number),
        "Reconciler-Application": str(key),
        "Reconciler-Run": run.name,
    }
    headers |= {"Reconciler-Step": notice.step} if notice.step else {}
    return Request("POST", callback.url, headers, msgspec.json.encode(body, order="sorted"))

"""Handing an application over to the daemon of another shard: by the one who acts for it, once nothing of it is under way (3d, 9a)."""

from __future__ import annotations

from typing import Final

from reconciler.engine.applications import Application
from reconciler.engine.context import Context
from reconciler.engine.index import Entry
from reconciler.model.event import Event
from reconciler.model.names import STATE_LOST_GATE

_AGAIN: Final = 30.0


class Mover:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def take(self, app: Application, entry: Entry | None) -> bool:
        """Whether it is another daemon's now. One that is to go stands still until what is under way has ended; where nobody would act for it,
        it goes on here. Raises ConflictError."""
        shards, target = self._context.shards, self._context.shards.target(entry)
        app.leaving = app.unled = ""
        if target is None or app.mirror.removal is not None:
            return False
        if not await shards.is_led(target):
            app.unled = shards.lease(target).name
            self._context.hint_after(app.key, _AGAIN)
            return False
        if app.lost and not _asked_for_state(app):  # what this daemon alone has seen is said first (3f)
            return False
        app.leaving = target or "without a name"
        if app.tasks or app.results or app.calls or app.called or app.write_backs:
            return False
        await self._context.store.assign_mirror(app.mirror, target)
        self._let_go(app)
        self._context.sink.emit(Event("application-moved", app.key, {"shard": target or "-"}))
        return True

    def _let_go(self, app: Application) -> None:
        """From now on it is shown as one that stands by shows it."""
        context, seen = self._context, Application(app.mirror)
        seen.records, seen.runs, seen.status = app.records, app.runs, app.status
        seen.fold_unsettled()
        context.apps[app.key] = seen
        context.admission.renew(app.key, [])
        context.throttle.withdraw(app.key)
        context.observations.follow(app.mirror.uid, ())
        context.verdicts.drop(app.mirror.uid)


def _asked_for_state(app: Application) -> bool:
    run = app.newest
    return run is not None and STATE_LOST_GATE in run.implicit

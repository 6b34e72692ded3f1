"""Applications that left git: surely, in doubt, or too many at once (rules 1a, 1b, 1d)."""

from __future__ import annotations

from datetime import timedelta

from reconciler.engine.applications import Application
from reconciler.engine.context import Context
from reconciler.engine.prune import Pruner, approval_code
from reconciler.engine.records import Removal, SourceRecord
from reconciler.model.event import Event
from reconciler.model.identity import AppKey

_SHARE, _FEWEST = 0.2, 5
_HOUR = timedelta(hours=1)


class Remover:
    def __init__(self, context: Context, pruner: Pruner) -> None:
        self._context, self._pruner = context, pruner

    def over_budget(self, record: SourceRecord, leaving: set[AppKey], known: int) -> bool:
        """Rule 1d for one look, with what left in the hour before it: more than a fifth of the known applications, and at least five."""
        now = self._context.clock.now()
        record.removals = [time for time in record.removals if now - time < _HOUR]
        count = len(record.removals) + len(leaving)
        return count >= _FEWEST and count > _SHARE * (known + len(record.removals))

    def judge(self, leaving: set[AppKey], *, over_budget: bool) -> set[AppKey]:
        """Which of the surely missing may go now: all within the budget, else those whose printed list is approved."""
        if not over_budget or approval_code([str(key) for key in leaving]) in self._context.approved:
            return leaving
        return set()

    async def take(self, app: Application, *, may_go: bool, everyone: set[AppKey]) -> None:
        """Notes on the mirror where a missing application stands. Once its deletion began it goes on (the state says so)."""
        mirror, entry = app.mirror, self._context.index.entries[app.key]
        if mirror.removal is not None and mirror.removal.state == "Deleting":
            return
        own = approval_code([str(app.key), *(item.ref for item in app.items.values())])
        if own in self._context.approved or (may_go and not entry.doubt):
            removal = Removal("Deleting", "removed from git")
        elif entry.doubt:
            removal = Removal("InDoubt", entry.doubt, own)
        else:
            removal = Removal("Budget", f"{len(everyone)} applications left git at once", approval_code([str(key) for key in everyone]))
        if removal != mirror.removal:
            mirror.removal = removal
            mirror.inventory = list(app.items.values())
            await self._context.store.save_mirror(mirror)

    async def clear(self, app: Application) -> None:
        """The identity is declared again: nothing is removed any more."""
        if app.mirror.removal is not None:
            app.mirror.removal = None
            app.mirror.dirty = True
            await self._context.store.save_mirror(app.mirror)

    async def delete(self, app: Application) -> bool:
        """Its inventory in reverse order of apply, then its state. Whether it is gone."""
        if not await self._pruner.delete(app, list(app.items.values())):
            return False
        context = self._context
        await context.store.delete_mirror(app.mirror)
        context.apps.pop(app.key, None)
        context.index.drop(app.key)
        context.sink.emit(Event("application-gone", app.key))
        return True

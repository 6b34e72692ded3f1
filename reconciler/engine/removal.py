"""Applications that left git: surely, in doubt, or too many at once (rules 1a, 1b, 1d)."""

from __future__ import annotations

from datetime import timedelta

from reconciler.engine.applications import Application
from reconciler.engine.approvals import approval_code
from reconciler.engine.callbacks import next_owed
from reconciler.engine.context import Context
from reconciler.engine.prune import Pruner, at_leaving, precious
from reconciler.model.event import Event
from reconciler.model.identity import AppKey
from reconciler.model.records import Removal, SourceRecord
from reconciler.model.run import Phase, Run

_SHARE, _FEWEST = 0.2, 5
_HOUR = timedelta(hours=1)
_LISTED = 20


def _code_of(apps: list[Application]) -> str:
    return approval_code([f"{app.key} {app.mirror.uid}" for app in apps])


class Remover:
    def __init__(self, context: Context, pruner: Pruner) -> None:
        self._context, self._pruner = context, pruner

    async def judge(self, record: SourceRecord, touched: set[AppKey]) -> None:
        """Which missing applications may go: all rules of 1a hold for each, and 1d for all together. Raises ConflictError."""
        context = self._context
        entries = context.index.entries
        for key in [key for key in context.index.missing if key not in context.apps]:
            context.index.drop(key)
        missing = [app for key in sorted(context.index.missing) if context.shards.keeps(app := context.apps[key])]
        leaving = [app for app in missing if self._surely_left(app)]
        known = sum(not context.shards.is_strange(context.apps.get(key), entry) for key, entry in entries.items()) if missing else len(entries)
        batch = leaving if self._over_budget(record, len(leaving), known, emptied=len(missing) == known) else []
        if batch and _code_of(batch) not in context.approved:
            may_go = set()
        else:
            may_go = {app.key for app in leaving if batch or not precious(at_leaving(app))}
        if may_go:  # counted before anything is deleted: a crash never forgets one
            record.removals += [context.clock.now()] * len(may_go)
            await context.store.save_source(record)
        for app in missing:
            await self._take(app, may_go=app.key in may_go, sure=app in leaving, batch=batch)
        for key in touched - {app.key for app in missing}:
            back = context.apps.get(key)
            if back is not None and back.mirror.removal is not None and context.shards.keeps(back):
                await self._clear(back)

    def _surely_left(self, app: Application) -> bool:
        """Surely gone and not being deleted yet. What waits for the budget left surely; later looks measure against later commits."""
        removal = app.mirror.removal
        if removal is not None and removal.state != "InDoubt":
            return removal.state == "Budget"
        return not self._context.index.entries[app.key].doubt

    def _over_budget(self, record: SourceRecord, leaving: int, known: int, *, emptied: bool) -> bool:
        """
        Rule 1d for one look, with what left in the hour before it: more than a fifth of the known applications, and at least
        five; or all that there are.
        """
        now = self._context.clock.now()
        record.removals = [time for time in record.removals if now - time < _HOUR]
        count = len(record.removals) + leaving
        return bool(leaving) and (emptied or (count >= _FEWEST and count > _SHARE * (known + len(record.removals))))

    async def _take(self, app: Application, *, may_go: bool, sure: bool, batch: list[Application]) -> None:
        """Notes on the mirror where a missing application stands. Once its deletion began it goes on (the state says so)."""
        mirror, items = app.mirror, app.items.values()
        if mirror.removal is not None and mirror.removal.state == "Deleting":
            return
        if mirror.removal is not None and mirror.removal.state == "RollbackFailed":
            if mirror.removal.approval in self._context.approved:
                await self._note(app, Removal("Deleting", "removed from git", forced=True))
            return
        own = approval_code([f"{app.key} {mirror.uid}", *(item.ref for item in items)])
        if may_go or own in self._context.approved:
            removal = Removal("Deleting", "removed from git")
        elif not sure:
            removal = Removal("InDoubt", self._context.index.entries[app.key].doubt, own)
        elif batch:
            names = ", ".join(str(other.key) for other in batch[:_LISTED])
            removal = Removal("Budget", f"{len(batch)} applications left git at once ({names})", _code_of(batch))
        else:
            removal = Removal("Budget", f"{precious(at_leaving(app))} holds what can't be made again", own)
        if removal != mirror.removal:
            await self._note(app, removal)

    async def _note(self, app: Application, removal: Removal) -> None:
        app.mirror.removal = removal
        await app.store_mirror(self._context.store)

    async def _clear(self, app: Application) -> None:
        """The identity is declared again: nothing is removed any more."""
        if app.mirror.removal is not None:
            app.mirror.dirty |= app.mirror.removal.state in ("Deleting", "RollbackFailed")  # only then may something of it be gone
            app.mirror.removal = None
            await app.store_mirror(self._context.store)

    async def delete(self, app: Application) -> bool:
        """Its inventory in reverse order of apply, then its state, once its callback knows all (or was told for a day). Whether it is gone.
        What could not be undone keeps it, unless its workflow says that it goes anyway."""
        run = app.newest
        if run is not None and run.phase is Phase.FAILED and run.undo_cause == "removed" and not await self._goes_anyway(app, run):
            await self._note(app, Removal("RollbackFailed", run.message, approval_code([f"{app.key} {app.mirror.uid}", run.name])))
            return False
        context = self._context
        if not await self._pruner.delete_all(app) or (context.sender is not None and any(next_owed(run) for run in app.runs)):
            return False
        await context.store.delete_mirror(app.mirror)
        context.apps.pop(app.key, None)
        context.observations.follow(app.mirror.uid, ())
        context.verdicts.drop(app.mirror.uid)
        context.index.drop(app.key)
        context.sink.emit(Event("application-gone", app.key))
        return True

    async def _goes_anyway(self, app: Application, run: Run) -> bool:
        if app.mirror.removal is not None and app.mirror.removal.forced:
            return True
        return (await self._context.contents.workflow(app.key, run.revision)).always_removed

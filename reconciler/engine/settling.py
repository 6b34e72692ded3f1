"""What a run that ended leaves behind, brought into the mirror in one write (rules 1b, 3d, 6b, 6c, 7b)."""

from __future__ import annotations

import msgspec

from reconciler.engine.applications import Application, applied_something
from reconciler.engine.context import Context
from reconciler.engine.observations import Identity
from reconciler.engine.ownership import managed, origin_of_item
from reconciler.engine.planning import KEPT_RUNS, Planner, holds
from reconciler.model.identity import ObjectRef
from reconciler.model.records import InventoryItem
from reconciler.model.rules import Rules, more_careful
from reconciler.model.run import UNDO, Phase, Run
from reconciler.model.status import RevisionView


class Settler:
    def __init__(self, context: Context, planner: Planner) -> None:
        self._context, self._planner = context, planner

    async def settle(self, app: Application, run: Run) -> None:
        """Exactly once for each run: the mirror names those that are in it. Written, by compare-and-swap, before anything acts on it."""
        mirror = app.mirror
        if run.phase is Phase.SUCCEEDED:
            await self._promote(app, run)
        elif run.phase is Phase.SUPERSEDED:
            mirror.superseded_row += 1
            app.pass_by(f"{run.name} ({run.commit.id[:12]})" if run.commit else run.name)
            mirror.dirty |= applied_something(run)
        else:
            mirror.superseded_row, mirror.superseded = 0, [name for name in mirror.superseded if name not in run.supersedes]
            restored = run.phase is Phase.ROLLED_BACK and not run.undo_cause
            mirror.dirty = mirror.dirty if restored else mirror.dirty or applied_something(run) or self._left_something(app, run)
            if holds(run) and mirror.restart != run.name:
                mirror.held = run.digest
            if run.write_back is not None:
                mirror.rejected = run.digest
        mirror.doomed = sorted({*mirror.doomed, *_kept(run)})
        mirror.settled = [*mirror.settled, run.name][-2 * KEPT_RUNS :]
        app.unsaved = True
        await self._planner.retain(app)

    @staticmethod
    def _left_something(app: Application, run: Run) -> bool:
        """Whether something stands that a run did which should have been undone."""
        record = app.record(run.revision)
        return record is not None and record.undone and any(step.touched and step.phase is not Phase.ROLLED_BACK for step in run.steps)

    async def _promote(self, app: Application, run: Run) -> None:
        mirror, record = app.mirror, app.record(run.revision)
        assert record is not None, "the revision of an open run is kept (3b)"
        mirror.doomed = sorted(await self._prunable(app, run))
        mirror.promoted = [number for number in mirror.promoted if number != record.number] + [record.number]
        mirror.running = RevisionView(record.name, record.digest, run.commit.id if run.commit and run.kind == "deploy" else record.commit)
        mirror.dirty, mirror.superseded_row = False, 0
        mirror.superseded = [name for name in mirror.superseded if run.kind == "deploy" and name not in run.supersedes]
        if app.lost:
            mirror.acknowledged = app.traces  # what it no longer declares of them stays as it is, and is lost no second time
            app.lost = False

    async def _prunable(self, app: Application, run: Run) -> list[str]:
        """Rule 1b: inventory less the objects of all components of that spec and those that this run applied. A restore run prunes
        only what the runs that it undoes created."""
        content = await self._context.contents.get(app.key, run.revision)
        own, read = managed(content)
        keep: set[Identity] = {ref.identity for ref in own}
        only_read = {ref.identity for ref in read}
        keep |= {ObjectRef.unpack(ref).identity for step in run.steps for intent in step.intents.values() for ref in intent.refs}
        undone, doomed = set(run.undoes), set(app.mirror.doomed)
        dropped = [
            item
            for identity, item in app.items.items()
            if identity not in keep and (run.kind == "deploy" or item.run in undone or item.ref in doomed)
        ]
        for item in dropped:
            judged = await self._judge(app, item, content.application.rules)
            let_be = item.object.identity in only_read  # what it had, and now only reads, goes on without it
            app.items[item.object.identity] = msgspec.structs.replace(judged, collect="never") if let_be else judged
        return [item.ref for item in dropped if app.items[item.object.identity].collect != "onAppDelete"]

    async def _judge(self, app: Application, item: InventoryItem, rules: Rules) -> InventoryItem:
        """A dropped object with what is to become of it, by the rules under which it was applied and by those of now: the more careful."""
        if not rules.collect and not rules.keep_legacy:
            return item
        rule = rules.collects(await origin_of_item(self._context.contents, app.key, item))
        collect = more_careful(item.collect, rule.strategy)
        if rules.keep_legacy and collect == "onAppUpdate":
            collect = "never"
        return msgspec.structs.replace(item, collect=collect, orphan=item.orphan or rule.orphan)


def _kept(run: Run) -> list[str]:
    """What undoing its steps did not delete, because it holds what can't be made again: that goes as anything is pruned, with approval (1d)."""
    return [ref for step in run.steps for path, result in step.results.items() if path.startswith(UNDO) for ref in result.value.get("kept") or ()]

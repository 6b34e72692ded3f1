"""Drift: each object back to what we last applied to it, by whichever run (rule 7g). Only a run moves it to another revision."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from reconciler.cluster.protocol import ClusterError
from reconciler.engine.applications import Application
from reconciler.engine.apply import content_digest, decorate
from reconciler.engine.content import ContentError
from reconciler.engine.context import Context
from reconciler.engine.records import InventoryItem
from reconciler.model.event import Event
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.render.protocol import RenderError

FOUGHT = 3
_FIRST, _LONGEST = 1.0, 300.0
_CALM = 600.0


class Healer:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def heal(self, app: Application) -> None:
        """Applies again what differs. Not while an effect is under way, nor while the application is suspended (6a)."""
        context = self._context
        app.heal_at, app.healed = None, []
        entry = context.index.entries.get(app.key)
        if (
            context.index.head is None
            or app.tasks
            or app.results
            or app.lost
            or (entry is not None and entry.declared.suspended)
            or app.mirror.removal is not None
        ):
            return
        doomed = set(app.mirror.doomed)
        drifted = [item for item in app.items.values() if item.fields and item.ref not in doomed and self._differs(item)]
        now = context.clock.monotonic()
        if app.heals and now >= app.heal_pause + _CALM:
            app.heals.clear()
        if not drifted:
            if app.heals:  # nobody fights any more, once it stays calm
                context.hint_after(app.key, app.heal_pause + _CALM - now)
            return
        if now < app.heal_pause:
            self._again(app, app.heal_pause - now)
            return
        healed = [await self._heal_one(app, item) for item in drifted]
        most = max(app.heals.values(), default=0)
        pause = min(_FIRST * 2 ** max(0, most - 1), _LONGEST)
        app.heal_pause = now + pause
        if not all(healed):
            self._again(app, pause)
        if any(healed):
            app.mirror.inventory = list(app.items.values())
            await context.store.save_mirror(app.mirror)

    def _again(self, app: Application, seconds: float) -> None:
        app.heal_at = self._context.clock.now() + timedelta(seconds=seconds)
        self._context.hint_after(app.key, seconds)

    def _differs(self, item: InventoryItem) -> bool:
        """Our own managedFields entry changed, or the object is gone (10a)."""
        seen = self._context.observations.get(item.object)
        return seen is None or seen.fields != item.fields

    async def _heal_one(self, app: Application, item: InventoryItem) -> bool:
        context, ref = self._context, item.object
        app.heals[ref.identity] = app.heals.get(ref.identity, 0) + 1
        objection = context.applier.objection(app, ref)
        if objection:
            app.prune_note = app.prune_note if app.prune_note[0] else ("HealFailed", f"{ref}: {objection}")
            return False
        try:
            obj = await self._stored(app, item)
            if obj is None:
                return False
            told = await context.applier.apply_one(app, ref, obj, always=True)
        except (ClusterError, ContentError, RenderError) as error:
            app.prune_note = app.prune_note if app.prune_note[0] else ("HealFailed", f"{ref}: {error}")
            return False
        app.items[ref.identity] = msgspec.structs.replace(item, uid=told["uid"], fields=told["fields"])
        app.healed.append(str(ref))
        context.sink.emit(Event("drift-healed", app.key, {"object": str(ref)}))
        return True

    async def _stored(self, app: Application, item: InventoryItem) -> JsonObject | None:
        """What was last applied to the object, checked by its digest; None where it can't be had: then nothing is touched."""
        objects = await self._context.contents.applied_objects(app.key, item.revision, item.component, item.content)
        for obj in decorate(objects, app.mirror.uid, app.key, item.revision, item.partition):
            if ObjectRef.of(obj).identity == item.object.identity:
                return obj if content_digest(obj) == item.digest else None
        return None

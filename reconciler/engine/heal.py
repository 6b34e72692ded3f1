"""Drift: each object back to what we last applied to it, by whichever run (rule 7g). Only a run moves it to another revision."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from reconciler.cluster.managers import who_changed
from reconciler.cluster.protocol import ClusterError, NotFoundError
from reconciler.engine.applications import Application, Heal
from reconciler.engine.content import ContentError
from reconciler.engine.context import Context
from reconciler.engine.ownership import origin_of_item
from reconciler.engine.writing import Manner, content_digest, decorate
from reconciler.model.event import Event
from reconciler.model.hooks import hook_of
from reconciler.model.identity import GVK, JsonObject, ObjectRef
from reconciler.model.names import FIELD_MANAGER
from reconciler.model.records import InventoryItem
from reconciler.model.treatment import Treatment, treatment_of
from reconciler.render.drift import with_live
from reconciler.render.protocol import RenderError

_FIRST, _LONGEST, _STEEP = 1.0, 300.0, 10
_GONE = "gone"
_BOOKKEEPING = frozenset({"managedFields", "resourceVersion", "generation"})
_CALM = 600.0


class Healer:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def heal(self, app: Application) -> None:
        """Applies again what differs. Not while an effect is under way, nor while the application is suspended (6a)."""
        context = self._context
        app.heal_at, app.healed = None, []
        entry = context.index.entries.get(app.key)
        if not context.informed or app.tasks or app.results or app.lost or app.suspended(entry) or app.mirror.removal is not None:
            return
        doomed = set(app.mirror.doomed)
        drifted = [item for item in app.items.values() if (item.fields or item.shared) and item.ref not in doomed and self._differs(app, item)]
        drifted = [item for item in drifted if not await self._tolerates(app, item)]
        now = context.clock.monotonic()
        app.heals = {identity: heal for identity, heal in app.heals.items() if now < heal.until + _CALM}
        if not drifted:
            if app.heals:  # nobody fights any more, once it stays calm
                context.hint_after(app.key, min(heal.until for heal in app.heals.values()) + _CALM - now)
            return
        due = [item for item in drifted if now >= app.heals.get(item.object.identity, Heal()).until]
        healed = [await self._heal_one(app, item) for item in due]
        left = [item for item in drifted if item not in due] + [item for item, done in zip(due, healed, strict=True) if not done]
        if left:
            self._again(app, max(0.0, min(app.heals[item.object.identity].until for item in left) - now))
        if any(healed):
            await app.store_mirror(context.store)

    def _again(self, app: Application, seconds: float) -> None:
        app.heal_at = self._context.clock.now() + timedelta(seconds=seconds)
        self._context.hint_after(app.key, seconds)

    def _differs(self, app: Application, item: InventoryItem) -> bool:
        """Our own managedFields entry changed, or the object is gone (10a), and it is not known yet that this may be."""
        seen, writer = self._context.observations.get(item.object), self._context.applier.writer
        if seen is not None and seen.owner != app.mirror.uid:
            if item.shared:
                return not writer.is_shared_by(seen.owner, item.object)  # who wrote it shares it no more: it is ours to write
            if writer.is_declared_by(seen.owner, item.object):
                return False
        now = seen.fields if seen is not None else _GONE
        return now not in (item.fields, app.tolerated.get(item.object.identity))

    async def _may_drift(self, app: Application, item: InventoryItem) -> list[str]:
        """Paths that are not healed, by the rules under which the object was applied."""
        contents = self._context.contents
        rules = (await contents.get(app.key, item.revision)).application.rules
        kept = rules.drifts(await origin_of_item(contents, app.key, item)).keep if rules.unhealed or rules.drift else []
        return [*kept, *await self._own_word(app, item)]

    async def _own_word(self, app: Application, item: InventoryItem) -> list[str]:
        """The same of what the object itself says. One that is only made where it is absent comes back, and is changed by nobody here."""
        obj = await self._stored(app, item)
        treatment = treatment_of(obj) if obj is not None else Treatment()
        if obj is not None and hook_of(obj) is not None:
            return ["*"]  # it has run: to put it back would be to run it again
        if treatment.if_absent:
            return ["*"] if self._context.observations.get(item.object) is not None else []
        return [*treatment.adopt]

    async def _tolerates(self, app: Application, item: InventoryItem) -> bool:
        """Whether all that differs may drift. Noted in memory, so that it is asked once for each change."""
        ref, seen = item.object, self._context.observations.get(item.object)
        try:
            paths = await self._may_drift(app, item)
            if "*" not in paths and (not paths or seen is None or await self._changes(app, item, paths)):
                return False
        except (ClusterError, ContentError, RenderError):
            return False
        app.tolerated[ref.identity] = seen.fields if seen is not None else _GONE
        return True

    async def _changes(self, app: Application, item: InventoryItem, paths: list[str]) -> bool:
        """Whether applying it again would change more than those paths: a dry run says so (10a)."""
        cluster, obj = self._context.reach.of(app), await self._stored(app, item)
        if obj is None:
            return True
        live = await cluster.get(item.object)
        wanted = with_live({**obj, "apiVersion": item.object.api_version}, live, paths)
        return _content(await cluster.apply(wanted, FIELD_MANAGER, force=True, dry_run=True)) != _content(live)

    async def _heal_one(self, app: Application, item: InventoryItem) -> bool:
        context, ref = self._context, item.object
        before = app.heals.get(ref.identity, Heal())
        pause = min(_FIRST * 2 ** min(before.times, _STEEP), _LONGEST)
        app.heals[ref.identity] = heal = before._replace(failed="", times=before.times + 1, until=context.clock.monotonic() + pause)
        objection = context.reach.objection(app, ref)
        if objection:
            app.heals[ref.identity] = heal._replace(failed=f"{ref}: {objection}")
            return False
        try:
            obj = await self._stored(app, item)
            if obj is None:
                return False
            if _goes_by_itself(obj) and await self._is_gone(app, ref):
                app.items.pop(ref.identity)
                context.claims.release(ref, app.key)
                return True
            manner, writer = Manner(always=True, kept=await self._may_drift(app, item), shared=item.shared), context.applier.writer
            found = await writer.read(app, ref) if before.times else None  # once is a person, more is somebody who comes again
            told = await writer.apply(app, ref, obj, manner)
            if before.times:
                app.heals[ref.identity] = heal._replace(who=await self._who(app, ref, found) or heal.who)
        except (ClusterError, ContentError, RenderError) as error:
            app.heals[ref.identity] = heal._replace(failed=f"{ref}: {error}")
            return False
        app.items[ref.identity] = msgspec.structs.replace(item, uid=told["uid"], fields=told["fields"])
        app.healed.append(str(ref))
        context.sink.emit(Event("drift-healed", app.key, {"object": str(ref), "by": app.heals[ref.identity].who}))
        return True

    async def _who(self, app: Application, ref: ObjectRef, found: JsonObject | None) -> str:
        """Who changed which field, by the managedFields of what was found and of what is there now."""
        live = await self._context.applier.writer.read(app, ref)
        return who_changed(found, live, FIELD_MANAGER) if found is not None and live is not None else "deleted"

    async def _is_gone(self, app: Application, ref: ObjectRef) -> bool:
        try:
            await self._context.reach.of(app).get(ref)
        except NotFoundError:
            return True
        return False

    async def _stored(self, app: Application, item: InventoryItem) -> JsonObject | None:
        """What was last applied to the object, checked by its digest; None where it can't be had: then nothing is touched."""
        objects = await self._context.contents.applied_objects(app.key, item.revision, item.component, item.content)
        for obj in decorate(objects, app.mirror.uid, app.key, item.revision, item.partition):
            if ObjectRef.of(obj).identity == item.object.identity:
                return obj if content_digest(obj) == item.digest else None
        return None


def _goes_by_itself(obj: JsonObject) -> bool:
    """A Job that asks to be taken away once it is over. Healing would run it again and again."""
    return GVK.of(obj)[::2] == ("batch", "Job") and "ttlSecondsAfterFinished" in (obj.get("spec") or {})


def _content(obj: JsonObject) -> JsonObject:
    """An object without what every write changes."""
    return {**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name not in _BOOKKEEPING}}

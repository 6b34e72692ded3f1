"""Deleting what is surely ours and surely gone, last and within a budget (rules 1b-1d)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import msgspec

from reconciler.cluster.protocol import ClusterError, NotFoundError
from reconciler.engine.applications import Application
from reconciler.engine.approvals import approval_code
from reconciler.engine.context import Context
from reconciler.engine.deletion import PRECIOUS, delete_ours
from reconciler.engine.ownership import ProtectedError, release
from reconciler.engine.stages import in_order_of_deletion
from reconciler.model.event import Event
from reconciler.model.identity import AppKey
from reconciler.model.records import InventoryItem

_SHARE, _FEWEST = 0.5, 10
_AGAIN = 30.0
_LOOK_AGAIN = 2.0
_SOON, _LONG = 0.2, 20.0


def precious(items: Iterable[InventoryItem]) -> str:
    """The first of the objects that never go without approval (rule 1d); empty where there is none. What rules keep does not go."""
    return next((str(item.object) for item in _to_delete(items) if item.object.kind in PRECIOUS), "")


def _to_delete(items: Iterable[InventoryItem]) -> list[InventoryItem]:
    """Less what is released instead."""
    return [item for item in items if item.collect != "never"]


def at_leaving(app: Application) -> list[InventoryItem]:
    """All that an application has, with what becomes of each when it leaves git: by the object's own word, else by the application's."""
    said = app.mirror.deletion
    items = [msgspec.structs.replace(item, deletion=item.deletion or said) if said else item for item in app.items.values()]
    return [msgspec.structs.replace(item, collect="never") if item.deletion == "orphan" else item for item in items]


class Pruner:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._waits: dict[AppKey, float] = {}

    async def prune(self, app: Application) -> None:
        """What runs doomed and nobody declares; a delete that fails stays doomed and is tried again."""
        mirror = app.mirror
        app.prune_note = ("", "", "")
        if not mirror.doomed:
            return
        if self._unsettled(app):
            return
        doomed = set(mirror.doomed)
        items = self._forget_adopted(app, [item for item in app.items.values() if item.ref in doomed])
        deleted = _to_delete(items)
        why = self._needs_approval(deleted, _to_delete(app.items.values()))
        listed = [f"{item.ref} {item.uid}" for item in deleted]
        code, begun = approval_code(listed), why and set(listed) <= set(mirror.approved)
        if why and not begun and code not in self._context.approved:
            names = ", ".join(str(item.object) for item in deleted[:20])
            app.prune_note = ("PruneBlocked", f"{why} (it would delete {names})", code)
            return
        if why and not begun:  # what is left of it has another code, and is approved all the same
            mirror.approved = sorted(listed)
            await app.store_mirror(self._context.store)
        if await self.delete(app, items):
            mirror.doomed, mirror.approved = [], []
            await app.store_mirror(self._context.store)

    async def delete_all(self, app: Application) -> bool:
        """All that a removed application has and no other one declares; whether it is gone."""
        return not self._unsettled(app) and await self.delete(app, self._forget_adopted(app, at_leaving(app)))

    def _unsettled(self, app: Application) -> bool:
        """Whether it is not known yet what other applications declare; then it is asked again soon."""
        others = self._context.unplanned - {app.key}
        if not others:
            self._waits.pop(app.key, None)
            return False
        now = self._context.clock.monotonic()
        long = now - self._waits.setdefault(app.key, now) > _LONG  # then it is another daemon that does not look
        if long:
            app.prune_note = ("OwnerUnsettled", str(min(others)), "")
        self._context.hint_after(app.key, _LOOK_AGAIN if long else _SOON)
        return True

    def _forget_adopted(self, app: Application, items: list[InventoryItem]) -> list[InventoryItem]:
        """What another application declares now is that one's, and only forgotten here (rules 1b, 1e); answers the others."""
        context = self._context
        adopted = set()
        for key, also in context.contents.declaring([item.object for item in items], context.apps.keys() - {app.key}):
            adopted |= also
            if any(app.items[identity].shared for identity in also):
                context.hint(key)  # who shares it writes it from now on
        for item in items:
            if item.object.identity in adopted:
                app.items.pop(item.object.identity, None)
                context.claims.release(item.object, app.key)
        return [item for item in items if item.object.identity not in adopted]

    def _needs_approval(self, items: list[InventoryItem], known: list[InventoryItem]) -> str:
        """Rule 1d for one application, of what it has."""
        if precious(items):
            return f"{precious(items)} holds what can't be made again"
        if items and len(items) == len(known):
            return "nothing would be left of this application"
        if len(items) >= _FEWEST and len(items) > _SHARE * len(known):
            return f"{len(items)} of {len(known)} objects would go"
        return ""

    async def delete(self, app: Application, items: list[InventoryItem]) -> bool:
        """Deletes in reverse order of apply, by stages, or releases what rules keep; whether all are gone or no longer ours. What failed stays in
        the inventory. Where one is waited for, those that were applied before it stay until it is gone; those of one kind go together."""
        done, waits_for = True, ""
        for item in in_order_of_deletion(items):
            ref, start = item.object, self._context.clock.monotonic()
            if waits_for not in ("", ref.kind):
                return False
            try:
                if await self._let_go(app, item):
                    self._tell(app, item, "ok", start)
                else:
                    done, waits_for = False, ref.kind
                    app.prune_note = ("Terminating", str(ref), "")
                    self._context.hint_after(app.key, _LOOK_AGAIN)
                    continue
            except ClusterError as error:
                self._tell(app, item, error.reason, start)
                done = False
                app.prune_note = ("PruneFailed", f"{ref}: {error}", "")
                self._context.hint_after(app.key, _AGAIN)
                continue
            app.items.pop(ref.identity, None)
            self._context.claims.release(ref, app.key)
        return done

    def _tell(self, app: Application, item: InventoryItem, result: str, start: float) -> None:
        kind, seconds = "release" if item.collect == "never" else "delete", self._context.clock.monotonic() - start
        fields = {"kind": kind, "result": result, "seconds": seconds, "object": str(item.object)}
        self._context.sink.emit(Event("effect", app.key, fields))

    async def _let_go(self, app: Application, item: InventoryItem) -> bool:
        """Whether that is all; false where the object goes and is to be waited for."""
        cluster, owner = self._context.reach.of(app), app.mirror.uid
        if item.collect != "never":
            with suppress(ProtectedError):  # by hand: who did that has it
                goes = await delete_ours(cluster, item.object, item.uid, owner, "Orphan" if item.orphan else "Background")
                return not goes or item.deletion != "wait" or await self._is_gone(app, item)
        if await release(cluster, item, owner, app.key):
            self._context.sink.emit(Event("object-released", app.key, {"object": str(item.object)}))
        return True

    async def _is_gone(self, app: Application, item: InventoryItem) -> bool:
        try:
            live = await self._context.reach.of(app).get(item.object)
        except NotFoundError:
            return True
        return bool(live["metadata"]["uid"] != item.uid)

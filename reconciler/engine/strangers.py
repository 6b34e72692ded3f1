"""Objects that bear the labels of an application for which another daemon acts: had only where it is sure, by a live read, that it dropped them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.engine.applications import Application
from reconciler.engine.contents import Contents
from reconciler.engine.ownership import NotOursError, OwnerUnsettledError
from reconciler.engine.shards import Shards
from reconciler.engine.store import Store
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from reconciler.model.names import LABEL_UID


class Strangers:
    """`owner_of`: an application by the uid of its mirror."""

    def __init__(
        self, shards: Shards, store: Store, contents: Contents, apps: Mapping[AppKey, Application], owner_of: Callable[[str], AppKey | None]
    ) -> None:
        self._shards, self._store, self._contents, self._apps, self._owner_of = shards, store, contents, apps, owner_of

    async def settle(self, live: JsonObject, ref: ObjectRef) -> None:
        """
        Its owner's revisions are made before anything of them is applied, so what it declares is in the cluster by now, whatever a watch has told.

        Raises NotOursError, OwnerUnsettledError.
        """
        uid = (live["metadata"].get("labels") or {}).get(LABEL_UID, "")
        key = self._owner_of(uid) if uid else None
        app = self._apps.get(key) if key is not None else None
        if key is None or app is None or self._shards.keeps(app):
            return
        app.records = sorted((record for _, record in await self._store.revisions(uid)), key=lambda record: record.number)
        declares = self._contents.declares_now(key, ref)
        where = f"{key}, for which another daemon acts (shard {app.mirror.shard or 'without a name'})"
        if declares is None:
            raise OwnerUnsettledError(f"it belongs to {where}, and what that declares now is not known yet")
        if declares:
            raise NotOursError(f"it is declared by {where}")

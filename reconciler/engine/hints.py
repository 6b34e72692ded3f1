"""What others write to state objects and is heeded: a request to look again, on a mirror, and the deletion of a run (rules 3a, 3g)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.cluster.protocol import WatchEvent
from reconciler.engine.context import Context
from reconciler.engine.store import owner_of, requested_at
from reconciler.model.identity import AppKey


class Hints:
    """`stale`: applications whose state is to be read anew; `turn` gives a key one, `ask` has git looked at first. `asked`: by application, what
    its mirror asks for."""

    def __init__(
        self,
        context: Context,
        by_uid: Mapping[str, AppKey],
        stale: set[AppKey],
        turn: Callable[[AppKey], None],
        ask: Callable[[AppKey], object],
    ) -> None:
        self._context, self._by_uid, self._stale, self._turn, self._ask = context, by_uid, stale, turn, ask
        self.asked: dict[AppKey, str] = {}

    def load(self) -> None:
        """Those that stand there when this daemon begins to act, or to show: the first look answers them."""
        apps, keeps = self._context.apps, self._context.shards.keeps
        self.asked = {key: app.mirror.requested for key, app in apps.items() if app.mirror.requested and keeps(app)}

    def take_run(self, event: WatchEvent) -> None:
        """A run that somebody deletes is terminated (3g): its finalizer keeps it until that is stored."""
        change, run = event[:2]
        key = self._by_uid.get(owner_of(run))
        if self._context.acting and change == "MODIFIED" and key is not None and run["metadata"].get("deletionTimestamp"):
            self._stale.add(key)
            self._turn(key)

    def take_mirror(self, event: WatchEvent) -> None:
        """The one thing that is read of a mirror that others write: a request to look again, by a value that is new (3a)."""
        change, mirror = event[:2]
        meta = mirror["metadata"]
        namespace, _, name = str(meta.get("name", "")).partition(".")
        key, told = AppKey(namespace, name), requested_at(mirror) if change != "DELETED" else ""
        app = self._context.apps.get(key)
        if not self._context.acting or (app is not None and not self._context.shards.keeps(app)):
            return
        if change == "MODIFIED" and app is not None and meta["uid"] == app.mirror.uid and int(meta.get("generation", 0)) > app.mirror.generation:
            self._stale.add(key)  # nothing follows from its spec, but that it was seen is said
            self._turn(key)
        if self.asked.get(key, "") == told:
            return
        self.asked.pop(key, None)
        if told:
            self.asked[key] = told
            self._stale.add(key)  # the annotation made another version of it
            self._ask(key)

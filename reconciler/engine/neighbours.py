"""
Applications for which daemons of other shards act: shown, as one that stands by shows all, and known with what they have and declare, so that
nothing of theirs is taken or pruned. What comes to this daemon from there is told to who acts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from reconciler.cluster.protocol import WatchEvent
from reconciler.engine.context import Context
from reconciler.engine.declared import Declared
from reconciler.engine.memory import Memory, follow
from reconciler.engine.shards import planned_elsewhere
from reconciler.engine.store import read_mirror
from reconciler.model.identity import GVK, AppKey, JsonObject
from reconciler.model.names import GROUP, SHARD, STATE_KINDS
from reconciler.model.problem import Problem

_MIRROR = "Application"
_SOON, _OFTEN = 2.0, 15.0


class Neighbours:
    """`problems`: shards for which nobody acts. `hint`: gives a key a turn. `arrive`: an application came to this daemon, or may have gone from
    it: it is read anew."""

    def __init__(self, context: Context, memory: Memory, hint: Callable[[AppKey], None], arrive: Callable[[AppKey], None]) -> None:
        self._context, self._memory, self._hint, self._arrive = context, memory, hint, arrive
        self.problems: list[Problem] = []
        self._met = asyncio.Event()

    async def run(self, acts: asyncio.Event) -> None:
        """From when this daemon acts (until then it shows theirs with all others) until cancelled. Whatever a watch loses is listed again: a move
        is never missed."""
        await acts.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(_MIRROR))
            group.create_task(self._see_shards())
            await self._met.wait()  # what there are no mirrors of has no runs: who is alone pays for one watch, not for all
            for kind in STATE_KINDS:
                if kind != _MIRROR:
                    group.create_task(self._follow(kind))

    async def _see_shards(self) -> None:
        """Which shards there are in git for which nobody acts, each with the first application that names it."""
        context = self._context
        while True:
            first: dict[str, Declared] = {}
            for _, entry in sorted(context.index.entries.items()):
                first.setdefault(entry.declared.shard, entry.declared)
            unled = [one for shard, one in first.items() if shard != context.shards.own and not await context.shards.is_led(shard)]
            self.problems[:] = [self._problem(one, context.index.by_shard[one.shard]) for one in unled]
            await context.clock.sleep(_OFTEN)

    def _problem(self, one: Declared, count: int) -> Problem:
        lease = self._context.shards.lease(one.shard).name
        whose, start = (f"shard {one.shard}", f"--shard {one.shard}") if one.shard else ("applications without this label", "no --shard")
        text = f"nobody acts for {whose} (Lease {lease}), of {count} in all: start a daemon with {start}, or mend the label"
        return Problem(one.path, one.line, text, f"Application {one.key.name}", f"metadata.labels.{SHARD}")

    async def show(self, key: AppKey) -> None:
        """The turn of one of theirs."""
        context = self._context
        app, entry = context.apps.get(key), context.index.entries.get(key)
        if app is not None:
            await self._memory.show(key)
        if key in context.unplanned and (entry is None or await self._is_planned(key)):
            context.unplanned.discard(key)
        context.dependencies.tell(key)

    async def _is_planned(self, key: AppKey) -> bool:
        """Whether it is known what it declares. One that nobody begins with declares nothing yet: it would hold up everybody's pruning."""
        context = self._context
        app, entry = context.apps.get(key), context.index.entries[key]
        if app is not None:
            return planned_elsewhere(app, entry)
        if await context.shards.is_led(entry.declared.shard):
            context.hint_after(key, _SOON)
            return False
        return True

    async def _follow(self, kind: str) -> None:
        await follow(self._context, kind, lambda event: self._take(kind, event), begin=lambda: self._list(kind))

    async def _list(self, kind: str) -> str:
        """All of them as they are now; answers from where to watch."""
        context, page, found = self._context, "", set[AppKey]()
        while True:
            part = await context.cluster.list(GVK(GROUP, "v1alpha1", kind), context.store.namespace, page=page)
            for obj in part.items:
                self._take(kind, WatchEvent("MODIFIED", obj))
                if kind == _MIRROR:
                    found.add(read_mirror(obj).key)
            page = part.next
            if not page:
                break
        if kind == _MIRROR:
            for key in [key for key, app in context.apps.items() if key not in found and not context.shards.keeps(app)]:
                self._memory.forget(key)
        return part.version

    def _take(self, kind: str, event: WatchEvent) -> None:
        """One that cannot be read is the concern of who acts for it."""
        try:
            key = self._take_mirror(event) if kind == _MIRROR else self._take_other(kind, event)
        except (msgspec.ValidationError, KeyError, TypeError):
            return
        if key is not None:
            self._hint(key)

    def _take_mirror(self, event: WatchEvent) -> AppKey | None:
        context, mirror = self._context, read_mirror(event.object)
        app, own = context.apps.get(mirror.key), context.shards.own == mirror.shard
        if not own:
            self._met.set()
        if own and app is None and mirror.key in context.making:
            return None  # this daemon's own doing, too, which is heard of before its turn has the answer
        if app is not None and context.shards.keeps(app):
            if own or event.type == "DELETED":
                return None  # this daemon's own doing, or of whoever deleted what it will make anew
            self._arrive(mirror.key)  # somebody else says that it is another one's: what is stored counts
            return mirror.key
        self._memory.take_mirror(event.type, event.object)
        if own and event.type != "DELETED":
            self._arrive(mirror.key)
        return mirror.key

    def _take_other(self, kind: str, event: WatchEvent) -> AppKey | None:
        app = self._memory.app_of(event.object)
        if app is None or self._context.shards.keeps(app):
            return None
        take: Callable[[str, JsonObject], AppKey | None] = self._memory.take_run if kind == "WorkflowRun" else self._memory.take_revision
        return take(event.type, event.object)

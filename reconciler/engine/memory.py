"""What is stored, brought into memory: at the start, when the daemon begins to lead, and while it stands by, as the leader writes it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from reconciler.cluster.protocol import ClusterError, WatchEvent
from reconciler.engine.applications import Application
from reconciler.engine.context import Context
from reconciler.engine.declared import declared_of
from reconciler.engine.publishing import fingerprint
from reconciler.engine.reconcile import Reconciler
from reconciler.engine.store import owner_of, read_mirror, read_record, shown_run
from reconciler.engine.watching import watch
from reconciler.model.event import Event
from reconciler.model.identity import GVK, AppKey, JsonObject
from reconciler.model.names import GROUP, STATE_KINDS
from reconciler.model.records import RevisionRecord, SourceRecord
from reconciler.model.run import Run

_SOON = 2.0
_DRAIN = 1.0


class Memory:
    """`by_uid`: keys by the uids of their mirrors, kept up here and wherever a mirror is made."""

    def __init__(self, context: Context, reconciler: Reconciler, by_uid: dict[str, AppKey]) -> None:
        self.context, self._reconciler, self._by_uid = context, reconciler, by_uid

    async def load(self, identity: str, *, acting: bool) -> SourceRecord:
        """All state as it is stored now, instead of whatever is in memory. `acting`: this daemon leads, and may mend what it finds."""
        context, store = self.context, self.context.store
        context.cluster_id = await store.cluster_id(make=acting)
        record = await store.source(identity)
        apps = {mirror.key: Application(mirror) for mirror in await store.mirrors()}
        by_uid = {app.mirror.uid: key for key, app in apps.items()}
        for owner, revision in await store.revisions():
            if owner in by_uid:
                apps[by_uid[owner]].records.append(revision)
        orphaned = set()
        async for run in store.runs():
            if run.owner in by_uid:
                apps[by_uid[run.owner]].runs.append(run)
            else:
                orphaned.add(run.owner)
        if orphaned and acting:
            orphaned -= {mirror.uid for mirror in await store.mirrors()}  # another daemon may have made one meanwhile
            for owner in orphaned:
                await store.release_runs(owner)
        traces = defaultdict(list)
        for trace in await context.observations.load():
            traces[trace.namespace, trace.application].append(trace)
        self._reconciler.traces = traces
        context.index.resume(record.accepted, record.ignore)
        if context.lead.alone:
            context.sink.emit(Event("lead", fields={"leads": True, "leader": "", "epoch": 0}))
        self._replace(apps, by_uid)
        return record

    def _replace(self, apps: dict[AppKey, Application], by_uid: dict[str, AppKey]) -> None:
        context = self.context
        shown = {key: app.status for key, app in context.apps.items()}
        for known in (context.apps, self._by_uid):
            known.clear()
        context.claims.clear()
        context.contents.clear()
        context.apps.update(apps)
        self._by_uid.update(by_uid)
        for key, app in apps.items():
            self._restore(app)
            app.status = shown.get(key)
            if app.status is not None and context.shards.keeps(app):
                context.sink.emit(Event("application", key, {"status": app.status}))  # nobody tells of what another one leads
        context.admission.load(run for app in apps.values() if context.shards.keeps(app) for run in app.runs)

    def _restore(self, app: Application) -> None:
        """An application as it was stored: open runs folded in, objects claimed, identity known to the index."""
        context, mirror = self.context, app.mirror
        app.records.sort(key=lambda record: record.number)
        app.runs.sort(key=lambda run: (str(run.created_at), run.name))
        app.fold_unsettled()
        for ref in app.refs():
            context.claims.claim(ref, app.key)
        app.lost = context.shards.keeps(app) and self._reconciler.lost(app)
        app.saved = fingerprint(mirror)
        context.index.seed(declared_of(mirror), mirror.removal.reason if mirror.removal is not None else "not looked at yet")

    # What the leader writes -----------------------------------------------------------------------------------------------

    def take_mirror(self, change: str, obj: JsonObject) -> AppKey | None:
        """Answers whose it is, where that is known. What comes late, or not at all, is read when this daemon begins to lead."""
        mirror = read_mirror(obj)
        before = self.context.apps.get(mirror.key)
        if change == "DELETED":
            if before is not None and before.mirror.uid == mirror.uid:
                self.forget(mirror.key)
            return None
        same = before is not None and before.mirror.uid == mirror.uid
        if not same:
            self.context.contents.clear()  # revisions of one of the same name that is gone
        fresh = Application(mirror)
        if before is not None and same:
            fresh.records, fresh.runs, fresh.status = before.records, before.runs, before.status
        self._by_uid[mirror.uid] = mirror.key
        self._put(fresh, before)
        return mirror.key

    def forget(self, key: AppKey) -> None:
        """Its mirror is gone."""
        app = self.context.apps.pop(key, None)
        if app is not None:
            self._by_uid.pop(app.mirror.uid, None)
            for ref in app.refs():
                self.context.claims.release(ref, key)

    def _put(self, fresh: Application, before: Application | None) -> None:
        """What another daemon acts for is known with what it has now."""
        self.context.apps[fresh.key] = fresh
        fresh.fold_unsettled()
        if not self.context.acting:
            return  # claims are made when this daemon begins to lead
        for ref in before.refs() if before is not None else ():
            if ref.identity not in fresh.items:
                self.context.claims.release(ref, fresh.key)
        for ref in fresh.refs():
            if self.context.claims.owner(ref) is None:
                self.context.claims.claim(ref, fresh.key)

    def take_run(self, change: str, obj: JsonObject) -> AppKey | None:
        run = shown_run(obj)
        app = self._app_of(run.owner)
        if app is None:
            return None
        others = [other for other in app.runs if other.name != run.name]
        self._renew(app, app.records, others if change == "DELETED" else [*others, run])
        return app.key

    def take_revision(self, change: str, obj: JsonObject) -> AppKey | None:
        owner, record = read_record(obj)
        app = self._app_of(owner)
        if app is None:
            return None
        others = [other for other in app.records if other.name != record.name]
        self._renew(app, others if change == "DELETED" else [*others, record], app.runs)
        return app.key

    def app_of(self, obj: JsonObject) -> Application | None:
        """To which a run or a revision belongs."""
        return self._app_of(owner_of(obj))

    def _app_of(self, uid: str) -> Application | None:
        key = self._by_uid.get(uid)
        return self.context.apps.get(key) if key is not None else None

    def _renew(self, app: Application, records: list[RevisionRecord], runs: list[Run]) -> None:
        fresh = Application(app.mirror)
        fresh.records = sorted(records, key=lambda record: record.number)
        fresh.runs = sorted(runs, key=lambda run: (str(run.created_at), run.name))
        fresh.status = app.status
        self._put(fresh, app)

    async def close(self) -> None:
        """Nothing is started any more. What is under way may end, so that the lead can be handed on at once; else its time runs out."""
        lead = self.context.lead
        self.context.charting.close()
        tasks = [task for app in self.context.apps.values() for task in [*app.tasks.values(), *app.calls.values()]]
        if tasks and lead.leads and not lead.alone:
            await asyncio.wait(tasks, timeout=_DRAIN)
        left = [task for task in tasks if not task.done()]
        for task in left:
            task.cancel()
        if not left:
            await lead.release()

    async def show(self, key: AppKey) -> None:
        """Its status as far as it is known here. Nothing follows from it."""
        context = self.context
        app = context.apps.get(key)
        if app is None:
            return
        if not context.cluster_id:
            context.cluster_id = await context.store.cluster_id(make=False)
        try:
            await self._reconciler.publisher.show(app)
        except (ClusterError, msgspec.ValidationError):
            context.hint_after(key, _SOON)
        if (now := context.apps.get(key)) is not None and now is not app:
            now.status = app.status


class Shadow:
    """What the leader writes of state, watched while this daemon stands by. What a watch loses is read when it begins to lead."""

    def __init__(self, memory: Memory, hint: Callable[[AppKey], None]) -> None:
        self._memory, self._hint = memory, hint
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """From now on nothing is taken in any more."""
        self._stopped.set()

    async def run(self) -> None:
        """Until `stop`."""
        context = self._memory.context
        watches = [asyncio.create_task(follow(context, kind, partial(self._take, kind))) for kind in STATE_KINDS]
        try:
            await self._stopped.wait()
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    def _take(self, kind: str, event: WatchEvent) -> None:
        """One that cannot be read is told of where it counts: when this daemon begins to lead."""
        if self._stopped.is_set():
            return
        try:
            match kind:
                case "Application":
                    key = self._memory.take_mirror(event.type, event.object)
                case "WorkflowRun":
                    key = self._memory.take_run(event.type, event.object)
                case _:
                    key = self._memory.take_revision(event.type, event.object)
        except (msgspec.ValidationError, KeyError, TypeError):
            return
        if key is not None:
            self._hint(key)


async def follow(
    context: Context, kind: str, take: Callable[[WatchEvent], None], *, begin: Callable[[], Awaitable[str]] | None = None, bare: bool = False
) -> None:
    """What becomes of the state objects of one kind, as `watch` tells it: those of other daemons are in other namespaces, and none of ours (1a)."""
    gvk = GVK(GROUP, "v1alpha1", kind)
    await watch(context.cluster, context.clock, gvk, context.store.namespace, take, begin=begin, bare=bare, pause=_SOON)

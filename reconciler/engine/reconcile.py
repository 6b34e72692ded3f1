"""One key's turn: from what git declares and what is stored to what is done next. Level-triggered: it may be called at any time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from reconciler.cluster.protocol import AlreadyExistsError, ClusterError, ConflictError, NotFoundError, UnavailableError
from reconciler.dialects.protocol import Dialect
from reconciler.engine.applications import Application
from reconciler.engine.callbacks import Callbacks
from reconciler.engine.commanding import Commander
from reconciler.engine.content import ContentError
from reconciler.engine.context import Context
from reconciler.engine.heal import Healer
from reconciler.engine.index import Entry
from reconciler.engine.moving import Mover
from reconciler.engine.observations import Trace, app_labels
from reconciler.engine.planning import Planner
from reconciler.engine.prune import Pruner
from reconciler.engine.publishing import Publisher
from reconciler.engine.removal import Remover
from reconciler.engine.runner import Runner
from reconciler.engine.settling import Settler
from reconciler.engine.store import StateError
from reconciler.engine.unsticking import unstick
from reconciler.engine.writeback import WriteBacker
from reconciler.model.account import picked
from reconciler.model.identity import AppKey
from reconciler.model.names import LABEL_APPLICATION, LABEL_NAMESPACE, STATE_LOST_GATE
from reconciler.model.records import Mirror
from reconciler.model.run import Phase
from reconciler.source.protocol import SourceError
from reconciler.workflow.commands import ended_by_order

_TURNS = 50


class Reconciler:
    """`traces`: what the cluster held of ours when the daemon started, by the namespace and application of its labels. `turn`: gives a key its
    turn at once."""

    def __init__(self, context: Context, dialects: list[Dialect], turn: Callable[[AppKey], None]) -> None:
        self._context = context
        self.commander = Commander(context, turn)
        self.planner = Planner(context)
        self.pruner = Pruner(context)
        self.remover = Remover(context, self.pruner)
        self._settler = Settler(context, self.planner)
        self._runner = Runner(context)
        self._healer = Healer(context)
        self._write_backer = WriteBacker(context)
        self._callbacks = Callbacks(context)
        self.publisher = Publisher(context, dialects)
        self.traces: dict[tuple[str, str], list[Trace]] = {}
        self.stale: set[AppKey] = set()
        self._mover = Mover(context)
        self._orphaned, self._arrived = set[AppKey](), set[AppKey]()

    async def reconcile(self, key: AppKey) -> None:
        """Raises what a key may be quarantined for; state is read anew when somebody else wrote it."""
        context = self._context
        app, entry, raced = context.apps.get(key), context.index.entries.get(key), key in self.stale
        if app is None:
            if entry is None or not entry.valid:
                context.unplanned.discard(key)
                return
            app = await self._adopt(entry)
        try:
            if key in self.stale:
                app = await self._reload(app) or await self._adopt_again(app, entry)
            if app is not None and context.shards.keeps(app):
                self._welcome(app)
                await self._turn(app, entry)
        except (AlreadyExistsError, ConflictError, NotFoundError) as error:
            self.stale.add(key)
            if raced:  # once is somebody who wrote meanwhile
                await self._show_stalled(key, error)
            raise
        except Exception as error:
            await self._show_stalled(key, error)
            raise
        finally:
            if context.shards.is_strange(context.apps.get(key), entry):
                context.hint(key)  # from now on another daemon's doing
            else:
                context.unplanned.discard(key)
            context.dependencies.tell(key)

    async def _show_stalled(self, key: AppKey, error: Exception) -> None:
        """Rule 8b: it says so as far as it can. What an unforeseen error says may hold anything and is not shown."""
        app = self._context.apps.get(key)
        if app is not None:
            known = isinstance(error, ClusterError | ContentError | SourceError | StateError)
            app.stalled = (str(error) if known else f"internal error: {type(error).__name__}; it is tried again")[:512]
            with suppress(Exception):
                await self.publisher.publish(app)

    async def _reload(self, app: Application) -> Application | None:
        """State as it is stored now: a stale reader loses before it acts (3d)."""
        self.stale.discard(app.key)
        try:
            fresh = await reload_application(self._context, app)
        except ClusterError:
            self.stale.add(app.key)  # nothing is done with what is in memory before it is read
            raise
        if fresh is None:
            self._orphaned.add(app.key)
        return fresh

    def arrive(self, key: AppKey) -> None:
        """Another daemon handed it over, or may have taken it: its next turn begins with what is stored."""
        self._arrived.add(key)
        self.stale.add(key)

    def _welcome(self, app: Application) -> None:
        """One that came from another daemon: what it has is ours to keep, and whether its state was lost that one has asked (3f)."""
        if app.key not in self._arrived:
            return
        self._arrived.discard(app.key)
        self._forget(app.key)
        app.lost = self.lost(app)
        for ref in app.refs():
            self._context.claims.claim(ref, app.key)

    async def _adopt_again(self, app: Application, entry: Entry | None) -> Application | None:
        """Somebody deleted the mirror: what it held is history lost (3f)."""
        if entry is None or not entry.valid or app.key in self._context.apps or not self._context.shards.takes(entry.declared):
            return None
        return await self._adopt(entry)

    async def _adopt(self, entry: Entry) -> Application:
        """A new application: its mirror is made. Objects with its labels and without its history make it lost (3f)."""
        declared = entry.declared
        mirror = Mirror(
            namespace=declared.key.namespace,
            name=declared.key.name,
            path=declared.path,
            line=declared.line,
            family=declared.family,
            environment=declared.environment,
            accounts=picked(declared.annotations),
            deletion=declared.deletion,
            shard=self._context.shards.own or "",
        )
        self._context.making.add(declared.key)
        try:
            await self._context.store.create_mirror(mirror)
        except AlreadyExistsError:
            return await self._rediscover(declared.key)
        finally:
            self._context.making.discard(declared.key)
        app = self._context.apps[declared.key] = Application(mirror)
        if mirror.accounts or mirror.deletion:  # before anything is applied: what is left of it goes by that, in that name
            await app.store_mirror(self._context.store)
        app.lost = self.lost(app) or declared.key in self._orphaned
        self._orphaned.discard(declared.key)
        return app

    async def _rediscover(self, key: AppKey) -> Application:
        """
        State that the lists at the start did not show, as a server may that answers an empty one where objects are: the 409 proves that it
        is there (3c). The lists are asked again; UnavailableError where they still don't show all of it, and nothing follows from them.
        """
        context = self._context
        mirror = next((one for one in await context.store.mirrors() if one.key == key), None)
        app = await reload_application(context, Application(mirror)) if mirror is not None else None
        if app is None or not set(app.mirror.promoted[-1:]) <= {record.number for record in app.records}:
            context.apps.pop(key, None)
            raise UnavailableError(f"the state of {key} is there, and the cluster's lists don't show it: nothing is concluded from them")
        for ref in app.refs():
            context.claims.claim(ref, key)
        app.lost = self.lost(app)
        return app

    def lost(self, app: Application) -> bool:
        """Whether the cluster holds objects of this application that its stored history does not know (3f)."""
        labels = app_labels(app.key, app.mirror.uid)
        newest = max((record.number for record in app.records), default=0)
        mine = self.traces.get((labels[LABEL_NAMESPACE], labels[LABEL_APPLICATION]), [])
        run = app.newest
        waits = run is not None and STATE_LOST_GATE in run.implicit and run.phase is not Phase.SUCCEEDED
        strange = [trace for trace in mine if trace.owner != app.mirror.uid or trace.revision > newest]
        app.traces = [f"{trace.owner}/{trace.revision}" for trace in strange]
        return waits or not set(app.traces) <= set(app.mirror.acknowledged)

    def _forget(self, key: AppKey) -> None:
        """It was removed with all that it had: one of the same name begins anew."""
        labels = app_labels(key, "")
        self.traces.pop((labels[LABEL_NAMESPACE], labels[LABEL_APPLICATION]), None)

    async def _turn(self, app: Application, entry: Entry | None) -> None:
        await self.commander.take(app, entry)
        if not self._context.informed:  # what git declares is not known yet: state is shown, nothing follows from it (2, 3h)
            run = app.open_run()
            if run is not None and ended_by_order(run):
                await self._runner.drive(app, run)  # but what a person ends needs no git
            await self._call_back(app)
            await self.publisher.publish(app)
            return
        if await self._mover.take(app, entry):
            return
        if entry is not None and entry.valid:
            self._lift(app, entry.declared.digest)
            if not entry.missing and app.mirror.deletion != entry.declared.deletion:
                app.mirror.deletion, app.unsaved = entry.declared.deletion, True
        await self._write_backer.take(app)
        self._callbacks.take(app)
        await self._play(app)
        if not app.tasks:
            app.forget_results(app.open_run())
        await self._call_back(app)
        await self.publisher.publish(app)
        shown = _told_of(app)
        removal = app.mirror.removal
        if removal is not None:
            if removal.state == "Deleting" and app.open_run() is None and not app.tasks and await self.remover.delete(app):
                self._forget(app.key)
                return
        elif app.open_run() is None and not app.suspended(entry):
            await self.pruner.prune(app)
        await self._healer.heal(app)
        self._write_backer.start(app)
        if _told_of(app) != shown:
            await self.publisher.publish(app)

    async def _call_back(self, app: Application) -> None:
        """What runs owe their callback goes on, whether or not git can be read."""
        await self._callbacks.store(app)
        self._callbacks.start(app)

    def _lift(self, app: Application, digest: str) -> None:
        """A rejection or hold lasts until the desired digest changes (6c, 7b)."""
        mirror = app.mirror
        if mirror.rejected and mirror.rejected != digest and app.open_run() is None:
            mirror.rejected, app.unsaved = "", True
        if mirror.held and mirror.held != digest and app.open_run() is None:
            mirror.held, app.unsaved = "", True

    async def _play(self, app: Application) -> None:
        """Runs, one after the other, until one waits or nothing is to be run."""
        for _ in range(_TURNS):
            for run in app.unsettled():
                await self._settler.settle(app, run)
            open_run = app.open_run()
            if open_run is None:
                open_run = await self.planner.open_next(app)
                if open_run is None:
                    return
            run = await self._runner.drive(app, open_run)
            if run.phase is Phase.ROLLING_BACK and run.restore_target and not any(other.restores == run.name for other in app.runs):
                run = await self._runner.drive(app, await self.planner.open_restore(app, run))
            if not run.phase.final:
                await unstick(self._context, app, run)
                return


def _told_of(app: Application) -> tuple[object, ...]:
    """What pruning, healing and a commit under way change of what people see."""
    return app.prune_note, sum(heal.times for heal in app.heals.values()), app.mirror.version, len(app.tasks), app.unsaved


async def reload_application(context: Context, app: Application) -> Application | None:
    """The application as it is stored now; None where its mirror is gone."""
    store = context.store
    mirror = await store.mirror(app.key)
    if mirror is None or mirror.uid != app.mirror.uid:
        await store.release_runs(app.mirror.uid)
    if mirror is None:
        context.apps.pop(app.key, None)
        context.observations.follow(app.mirror.uid, ())
        context.verdicts.drop(app.mirror.uid)
        context.admission.renew(app.key, [])
        context.throttle.withdraw(app.key)
        return None
    fresh = Application(mirror)
    fresh.records = sorted((record for _, record in await store.revisions(mirror.uid)), key=lambda record: record.number)
    fresh.runs = sorted([run async for run in store.runs(mirror.uid)], key=lambda run: str(run.created_at))
    fresh.fold_unsettled()
    fresh.tasks, fresh.results, fresh.lost, fresh.status = app.tasks, app.results, app.lost, app.status
    fresh.calls, fresh.called = app.calls, app.called
    context.apps[app.key] = fresh
    context.admission.renew(app.key, fresh.runs)
    return fresh

"""The loops: look at git, watch the cluster, give keys their turns."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

import msgspec
import structlog

from reconciler.cluster.protocol import Cluster, ClusterError, ConflictError, NotFoundError, UnavailableError
from reconciler.dialects.protocol import Dialect
from reconciler.engine.access import Claims
from reconciler.engine.admission import Admission
from reconciler.engine.applications import Application
from reconciler.engine.apply import Applier
from reconciler.engine.beating import beat
from reconciler.engine.charting import Charting
from reconciler.engine.commanding import Commander
from reconciler.engine.contents import Contents
from reconciler.engine.context import Context, SourceThread
from reconciler.engine.declared import Declared
from reconciler.engine.definitions import ClusterDefinitions
from reconciler.engine.execution import gather_executors
from reconciler.engine.executors import Executor
from reconciler.engine.fence import fenced
from reconciler.engine.files import Served
from reconciler.engine.hints import Hints
from reconciler.engine.index import Index
from reconciler.engine.leadership import Lead, Sole
from reconciler.engine.look import Look
from reconciler.engine.measuring import Measuring
from reconciler.engine.memory import Memory, Shadow, follow
from reconciler.engine.namespaces import Namespaces
from reconciler.engine.neighbours import Neighbours
from reconciler.engine.observations import Observations
from reconciler.engine.options import Options
from reconciler.engine.queue import KeyQueue
from reconciler.engine.reach import Reach
from reconciler.engine.reader import EngineReader
from reconciler.engine.recall import Recall
from reconciler.engine.reconcile import Reconciler
from reconciler.engine.requests import Requests
from reconciler.engine.shards import Shards
from reconciler.engine.store import Store
from reconciler.engine.strangers import Strangers
from reconciler.engine.throttle import Throttle, tell_by
from reconciler.engine.unapply import Unapplier
from reconciler.engine.unsealing import Unsealing
from reconciler.engine.writing import Writer
from reconciler.model.clock import Clock
from reconciler.model.event import Event, Sink
from reconciler.model.identity import AppKey
from reconciler.model.names import CREATE_NAMESPACE
from reconciler.model.outcome import StepType
from reconciler.model.records import SourceRecord
from reconciler.model.status import Fault
from reconciler.notify.protocol import Sender
from reconciler.render.protocol import Renderer
from reconciler.source.protocol import Source, SourceError
from reconciler.workflow.machine import Machine

_log = structlog.get_logger("reconciler.engine")
_AGAIN = 2.0


class Engine:
    """Everything that it needs is handed in; `wiring.py` does so, and tests do. `executors`: of the kinds of effects beside those on the cluster.
    `sender`: None where nothing leaves the machine: what callbacks are owed stays so. `lead`: None where nobody else can work on this cluster."""

    def __init__(
        self,
        cluster: Cluster,
        source: Source,
        dialects: list[Dialect],
        types: Mapping[str, StepType],
        renderer: Renderer,
        clock: Clock,
        sink: Sink,
        options: Options,
        executors: Mapping[str, Executor] | None = None,
        sender: Sender | None = None,
        lead: Lead | None = None,
    ) -> None:
        self._clock, self._sink, self._source, self._lead = clock, sink, source, lead or Sole()
        cluster = fenced(cluster, self._lead)
        self._queue, self._beat = KeyQueue(self._work, clock, self._quarantine, options.width, options.beat), options.beat
        self._look_wanted, self._acts, self._awaiting_look, self._by_uid = asyncio.Event(), asyncio.Event(), set[AppKey](), dict[str, AppKey]()
        apps, unplanned, shards = dict[AppKey, Application](), set[AppKey](), Shards(options.shard, cluster, options.namespace, clock)
        index, store = Index(dialects, Recall(options.recall, options.access.mark), options.access), Store(cluster, clock, options.namespace)
        observations, reach = Observations(cluster, clock, self._on_change), Reach(cluster, options.access, self._declared)
        contents, claims, charting = Contents(store, renderer, index, apps.get), Claims(), Charting(options.charts, cluster, reach, self._hint)
        unapplier = Unapplier(reach, contents, claims, clock, apps.keys(), unplanned)
        strangers = Strangers(shards, store, contents, apps, self._by_uid.get)
        creating = Namespaces(reach, options.create_namespaces, self._asks_for_namespace)
        writer = Writer(reach, contents, observations, creating, clock, sink, self._by_uid.get, strangers.settle, options.take_over_from)
        self._context = Context(
            cluster=cluster,
            store=store,
            clock=clock,
            sink=sink,
            index=index,
            thread=SourceThread(source),
            contents=contents,
            observations=observations,
            applier=(applier := Applier(cluster, contents, observations, reach, claims, clock, writer, charting)),
            executors=gather_executors(applier, unapplier, executors or {}, sender, reach, contents, claims, clock),
            claims=claims,
            reach=reach,
            machine=Machine(types, options.retry, options.health),
            throttle=Throttle(options.throttle_qps, options.kind_qps, clock, self._hint, tell_by(sink)),
            admission=Admission(options.strategy, options.most_running, self._hint),
            apps=apps,
            evaluate=options.evaluate,
            judge=options.judge,
            charting=charting,
            unsealer=options.unsealer or Unsealing(cluster),
            measuring=Measuring(options.meter, clock, self._hint),
            write_back=options.write_back,
            reruns=options.reruns,
            sender=sender,
            rpc_seconds=options.rpc_seconds,
            hint=self._hint,
            hint_after=self._queue.add_after,
            look=self.look,
            lead=self._lead,
            shards=shards,
            unplanned=unplanned,
        )
        self._attend(self._context, dialects, options)

    def _attend(self, context: Context, dialects: list[Dialect], options: Options) -> None:
        """Who does what the loops find to do."""
        self._definitions = ClusterDefinitions(context.cluster, context.clock, options.cluster_definitions, self._serve)
        self._reconciler = Reconciler(context, dialects, self._turn_now)
        self._requests = Requests(context.apps, context.index, context.clock, self.look, self._turn_now)
        self.reader = EngineReader(context, self._reconciler.planner, self._requests)
        self._memory = Memory(context, self._reconciler, self._by_uid)
        self._shadow, self._identity = Shadow(self._memory, self._queue.add), context.shards.source(self._source.identity)
        self._neighbours = Neighbours(context, self._memory, self._queue.add, self._reconciler.arrive)
        self._record, self.reader.unled = SourceRecord(identity=self._identity), self._neighbours.problems
        self._hints = Hints(context, self._by_uid, self._reconciler.stale, self._queue.add, self._requests.ask)
        self._approved = frozenset[str]()  # what those that wait for an approval have been told of

    @property
    def commands(self) -> Commander:
        """Who takes in what persons order."""
        return self._reconciler.commander

    def mirror_uid(self, key: AppKey) -> str:
        """Of the object that shows an application; empty where there is none."""
        return app.mirror.uid if (app := self._context.apps.get(key)) is not None else ""

    def tell_foreign(self, definitions: Mapping[str, str]) -> None:
        """Definitions that another controller brought, and whose they are: what is of them in the cluster is left alone, and said to be."""
        self._context.foreign.update(definitions)

    # Life ---------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Loads state, looks, and works until cancelled. Raises StateError where the state can't be worked with."""
        if self._lead.alone:
            await self._begin()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._lead.run())
                if not self._lead.alone:
                    await self._begin()
                if not self._context.acting:
                    group.create_task(self._shadow.run())
                    group.create_task(self._take_over())
                group.create_task(self._context.observations.watch())
                group.create_task(self._look_loop())
                group.create_task(self._queue.run())
                group.create_task(self._context.throttle.run())
                group.create_task(beat(self._context, self.reader, self._queue, self._beat))
                group.create_task(self._definitions.run())
                group.create_task(follow(self._context, "WorkflowRun", self._hints.take_run, bare=True))
                group.create_task(follow(self._context, "Application", self._hints.take_mirror, bare=True))
                if self._context.shards.shared:
                    group.create_task(self._neighbours.run(self._acts))
        finally:
            await self._memory.close()
            self._context.close()

    def look(self) -> None:
        """A hint: look at git. Many hints are one look."""
        self._look_wanted.set()

    def _serve(self, served: Served) -> None:
        """The definitions that the cluster has now."""
        self._context.index.served = served
        self.look()

    def delay(self) -> float | None:
        """Seconds until there is something to do; None when all is at rest: only git, the cluster or a person can change that."""
        if self._look_wanted.is_set() or any(app.tasks or app.calls for app in self._context.apps.values()):
            return 0.0
        return min((pause for pause in (self._queue.delay(), self._context.throttle.delay()) if pause is not None), default=None)

    async def _begin(self) -> None:
        """State into memory. Who leads by then goes on at once; who does not shows what there is."""
        await self._lead.decided()
        acting = self._lead.leads
        await self._load(acting=acting, passing=UnavailableError)
        for key in self._context.apps if not acting else ():
            self._queue.add(key)

    async def _load(self, *, acting: bool, passing: type[ClusterError]) -> None:
        """State into memory, as soon as the cluster answers. `passing`: which errors are waited for to pass."""
        context, record = self._context, None
        while record is None:
            try:
                record = await self._memory.load(self._identity, acting=acting)
            except passing as error:
                _log.warning("state cannot be read yet", error=str(error)[:300])
                await self._clock.sleep(_AGAIN)
        self._record = record
        self._hints.load()
        context.index.looked_at, context.acting = None, acting
        if acting:
            self._acts.set()

    async def _take_over(self) -> None:
        """What was shown so far is read anew, state first and then git: only then anything follows from it (3h)."""
        await self._lead.elected()
        self._shadow.stop()
        await self._load(acting=True, passing=ClusterError)
        self.look()

    # Loops --------------------------------------------------------------------------------------------------------------

    async def _look_loop(self) -> None:
        """A look whenever one is wanted. A failed one keeps everything as it was (rules 1a, 2)."""
        self._look_wanted.set()
        await self._definitions.asked()
        while True:
            await self._look_wanted.wait()
            self._look_wanted.clear()
            start, now, acting = self._clock.monotonic(), self._clock.now(), self._context.acting
            observed = self._record.observed if acting and not self._lead.alone else ""
            self._requests.begin_look()
            hints = dict(self._hints.asked)
            try:
                work = partial(self._context.index.look, now=now, seconds=self._clock.monotonic, observed=observed)
                look = await self._context.thread.call(work)
                if acting is not self._context.acting:  # it leads since: that look may have read what only the leader's may, so it is done again
                    self._look_wanted.set()
                    continue
                await (self._take(look, now, start) if acting else self._watch_git(look))
                self.reader.unread = None
                self._context.answered = hints
                self._requests.end_look()
                if (keep := self._context.index.keep()) is not None:
                    await self._context.thread.call(keep)
            except Exception as error:  # noqa: BLE001  # rule 2: whatever a look meets, the last good state stays and it looks again
                self._context.index.redo = True
                if isinstance(error, ConflictError | NotFoundError):
                    await self._read_again()
                if not isinstance(error, SourceError | ClusterError):
                    _log.error("a look failed", error=type(error).__name__, exc_info=error)
                self.reader.reason = str(error)
                if isinstance(error, SourceError):
                    since = self.reader.unread.since if self.reader.unread is not None else now
                    self.reader.unread = Fault(str(error)[:512], since)
                for key in self._context.apps if not self._context.informed else ():
                    self._queue.add(key)  # git can't be read at the start: what state knows is shown
                self._sink.emit(Event("look-failed", fields={"reason": getattr(error, "reason", "Internal"), "message": str(error)[:256]}))
                self._context.answered = hints
                self._requests.end_look(str(error)[:512] if isinstance(error, SourceError | ClusterError) else "internal error")
                await self._clock.sleep(_AGAIN)
                self._look_wanted.set()

    async def _read_again(self) -> None:
        """Somebody else wrote to what a look writes: the source's record, or the mirror of an application that is missing (3d)."""
        try:
            self._record = await self._context.store.source(self._identity)
        except ClusterError:
            return
        self._context.index.resume(self._record.accepted, self._record.ignore)
        for key in self._context.index.missing & self._context.apps.keys():
            self._reconciler.stale.add(key)
            self._queue.add(key)

    async def _take(self, look: Look | None, now: datetime, start: float) -> None:
        context, index = self._context, self._context.index
        awaiting, self._awaiting_look = self._awaiting_look, set()
        await context.observations.judge_by((look or index).book.rules)
        if look is None:
            index.looked_at = now
            for key in awaiting:
                self._queue.add(key)
            self._sink.emit(Event("look-same", fields={"seconds": self._clock.monotonic() - start}))
            return
        touched = index.take(look, self._record.identity == self._identity)
        touched |= index.entries.keys() if not context.informed else set()  # also what it has read while it stood by
        context.approved = look.approved
        await self._reconciler.remover.judge(self._record, touched)
        index.accept()
        record = msgspec.structs.replace(self._record, accepted=index.accepted, ignore=index.accepted_ignore, observed=look.head.id)
        if record != self._record:
            await context.store.save_source(record)
            self._record = record  # not before: what could not be stored is tried again
        for key in touched:
            entry, app = index.entries.get(key), context.apps.get(key)
            if entry is not None and entry.valid and (app is None or all(record.digest != entry.declared.digest for record in app.records)):
                context.unplanned.add(key)
        context.keep_compiled(look.compiled)
        context.informed, self.reader.started, self.reader.reason = True, True, ""
        for key in sorted({*touched, *awaiting, *self._waiting_for_approval()}):
            self._queue.add(key)
        self._approved = context.approved
        fields = {
            "commit": look.head.id,
            "seconds": self._clock.monotonic() - start,
            "fetch": look.fetch,
            "parse": look.parse,
            "applications": context.shards.count(index),
            "problems": len(self.reader.problems()) if not context.shards.own else 0,  # told once, not by each shard
        }
        self._sink.emit(Event("look", fields=fields))

    async def _watch_git(self, look: Look | None) -> None:
        """As one that stands by: what git declares is known, and nothing follows from it."""
        if look is not None:
            for key in self._context.index.take(look, self._record.identity == self._identity):
                self._queue.add(key)
        self.reader.started, self.reader.reason = True, ""

    def _waiting_for_approval(self) -> list[AppKey]:
        """Who may have waited for an approval that is new."""
        if self._context.approved <= self._approved:
            return []
        return [key for key, app in self._context.apps.items() if app.prune_note[0] == "PruneBlocked"]

    # Keys ---------------------------------------------------------------------------------------------------------------

    async def _work(self, key: AppKey) -> None:
        if not self._context.acting:
            await self._memory.show(key)
            return
        start = self._clock.monotonic()
        app = self._context.apps.get(key)
        known = app is None or key not in self._reconciler.stale
        if known and self._context.shards.is_strange(app, self._context.index.entries.get(key)):
            await self._neighbours.show(key)
            self.commands.turn_away(key)
            return
        if app is not None and self._requests.takes_turn(key):
            await self._context.observations.refresh(app.refs(), self._context.reach.of(app))
        await self._reconciler.reconcile(key)
        app = self._context.apps.get(key)
        self.commands.tell(key)
        if app is None:
            self.commands.drop(key)
        else:
            self._by_uid[app.mirror.uid] = key
            if app.look_again:
                self._awaiting_look.add(key)
                self.look()
        if app is not None and app.stalled:
            app.stalled = ""
            self._queue.add(key)
        else:
            self._requests.end_turn(key)
        self._sink.emit(Event("reconciled", key, {"result": "ok", "seconds": self._clock.monotonic() - start}))

    def _quarantine(self, key: AppKey, error: Exception, pause: float) -> None:
        """Rule 8b: the key alone is held back."""
        _log.error("a turn failed", application=str(key), error=type(error).__name__, exc_info=error)
        self._context.admission.withdraw(key)
        app = self._context.apps.get(key)
        self.commands.tell(key)
        if app is not None and app.status is not None:
            app.status = msgspec.structs.replace(app.status, retry_at=self._clock.now() + timedelta(seconds=pause))
        if app is None or app.stalled:  # a first conflict is none: it is tried again at once
            self._requests.end_turn(key)
        self._sink.emit(Event("reconciled", key, {"result": "error", "seconds": 0.0}))

    def _hint(self, key: AppKey) -> None:
        """Something came about that its run waits for: before all who are only to be looked at."""
        self._queue.add(key, urgent=True)

    def _turn_now(self, key: AppKey) -> None:
        """A person waits: whatever pause the key was held back for ends."""
        self._queue.forget(key)
        self._queue.add(key, urgent=True)

    def _on_change(self, uid: str) -> None:
        key = self._by_uid.get(uid)
        if key is not None and (self._context.informed or not self._context.acting):  # the first look gives every key a turn
            self._queue.add(key)

    def _declared(self, key: AppKey) -> Declared | None:
        return entry.declared if (entry := self._context.index.entries.get(key)) is not None else None

    def _asks_for_namespace(self, key: AppKey) -> bool:
        return (declared := self._declared(key)) is not None and declared.annotations.get(CREATE_NAMESPACE) == "true"

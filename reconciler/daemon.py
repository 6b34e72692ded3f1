"""Settings to a running daemon: the engine of `wiring.py`, what looks at git and who may ask."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
import time
from datetime import UTC, datetime

from reconciler.api.server import Server, create_app
from reconciler.clusters import make_cluster, make_lead, prepare_cluster, tell_transitions
from reconciler.engine.measuring import Meter
from reconciler.engine.plugins.executor import PluginExecutor
from reconciler.engine.plugins.loading import load_plugins
from reconciler.model.clock import Clock
from reconciler.model.event import Event, Sink
from reconciler.model.identity import AppKey
from reconciler.notify.client import GuardedClient
from reconciler.notify.egress import Egress, opening_of
from reconciler.notify.mail import Mailer
from reconciler.observe.logs import EventLog, configure_logs
from reconciler.observe.metrics import Fanout, Metrics
from reconciler.places import files_of
from reconciler.settings import Settings
from reconciler.source.git import GitSource
from reconciler.source.poll import Poll
from reconciler.source.watch import watch_refs
from reconciler.tokens import keep_token
from reconciler.wiring import RESERVED, build_charts, build_engine

# Objects made less those gone, and two counts of collections, until the next older ones are gone through (Python's: 700, 10, 10).
_COLLECT = (50_000, 10, 10)


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def serve(settings: Settings) -> int:
    """Runs the daemon until SIGTERM or Ctrl-C. Raises what a user can mend: SourceError, StateLockedError, ClusterError, OSError."""
    configure_logs(settings.log_format, settings.log_level)
    return asyncio.run(_serve(settings))


class Resident:
    """
    A `Sink` that keeps Python's garbage collector off what stays. For a process that is a daemon and nothing else.

    State and what git declares live as long as the daemon: to go through all of it for cycles took a quarter of a restart, and now
    and then a push. What is there after the first look is passed by from then on; what is not a cycle goes as ever.
    """

    def __init__(self) -> None:
        self._frozen = False
        gc.set_threshold(*_COLLECT)

    def emit(self, event: Event) -> None:
        if event.kind == "look" and not self._frozen:
            self._frozen = True
            gc.freeze()


class Daemon:
    """All parts of one daemon. `start`, then `work` until it is cancelled, then `stop`. `sinks`: who else is told of events."""

    def __init__(self, settings: Settings, *sinks: Sink) -> None:
        clock: Clock = SystemClock()
        self._settings = settings
        self.source = GitSource.open(settings.repo, settings.branch, settings.paths)
        self.files = files_of(settings, self.source.ref)
        self.cluster = make_cluster(settings, clock, self.files.state)
        metrics = Metrics(clock.now, settings.step_plugins)
        self._events = tell_transitions(settings, self.cluster, clock, self._mirror_uid, metrics)
        told = Fanout(metrics, EventLog(), *filter(None, [self._events]), *sinks)
        self.client = GuardedClient(Egress(settings.allow_egress), idle=settings.idle_timeout_mill_seconds / 1000)
        self.fetcher = GuardedClient(Egress(settings.allow_egress, settings.chart_hosts, "--chart-host"))
        self._metering = GuardedClient(Egress(map(opening_of, settings.metrics_endpoints)))
        plugins = load_plugins(settings.step_plugins, RESERVED)
        self.engine = build_engine(
            settings,
            self.cluster,
            self.source,
            clock,
            told,
            plugins={name: plugin.step for name, plugin in plugins.items()},
            executors={"plugin": PluginExecutor(plugins, clock.now)},
            sender=self.client,
            meter=Meter(self._metering, tuple(settings.metrics_endpoints)),
            post=Mailer(Egress(settings.allow_egress)),
            charts=build_charts(self.fetcher, self.files.charts),
            recall=self.files.looks,
            lead=make_lead(settings, self.cluster, clock, told, self.source.identity),
        )
        self._metrics, self._clock = metrics, clock
        self._server: Server | None = None
        self._poll = Poll(self._look, settings.poll_interval)
        self._ended = asyncio.Event()

    async def start(self) -> str:
        """Opens the state and binds the API; answers its URL."""
        for path in filter(None, self.files):
            path.parent.mkdir(parents=True, exist_ok=True)
        await self.cluster.start()
        self.engine.tell_foreign(await prepare_cluster(self._settings, self.cluster, self._metrics))
        app = create_app(self.engine.reader, self._metrics.render, self._clock.now, self.engine.commands, keep_token(self.files.token))
        self._server = Server(app)
        return await self._server.start(*self._settings.address)

    async def work(self) -> None:
        """Until cancelled; whatever fails for good ends it."""
        self._poll.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.engine.run())
            group.create_task(self._watch())
            if self._events is not None:
                group.create_task(self._events.run())

    async def stop(self) -> None:
        self._ended.set()
        self._poll.stop()
        if self._server is not None:
            await self._server.stop()
        await self.client.close()
        await self.fetcher.close()
        await self._metering.close()
        await self.cluster.close()

    def _mirror_uid(self, key: AppKey) -> str:
        return self.engine.mirror_uid(key)

    async def _look(self) -> None:
        self.engine.look()

    async def _watch(self) -> None:
        """Hints from the refs; the poll is the truth where they fail."""
        async for _ in watch_refs(self._settings.repo, self._ended):
            self.engine.look()


async def _serve(settings: Settings) -> int:
    daemon = Daemon(settings, Resident())
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        url = await daemon.start()
        _say(
            f"reconciler: watching {daemon.source.identity}",
            f"state: {daemon.files.state}" if daemon.files.state else f"cluster: {daemon.cluster.name}, state in namespace {settings.namespace}",
            f"token: {daemon.files.token}",
            f"read API and metrics: {url}  ({url}/metrics)",
        )
        await _until(daemon, stop)
    finally:
        await daemon.stop()
    return 0


async def _until(daemon: Daemon, stop: asyncio.Event) -> None:
    """Works until the signal comes, then ends within two seconds whatever is under way: all of it is done again from what is stored."""
    working, stopped = asyncio.create_task(daemon.work()), asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if working.done():
        await working
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError, TimeoutError):
        async with asyncio.timeout(2):
            await working


def _say(*lines: str) -> None:
    """What a person in a terminal needs to know at the start, whatever the log's format."""
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()

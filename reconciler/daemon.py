"""The only place that wires the rooms together: settings to a running daemon."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from datetime import UTC, datetime

from reconciler.api.server import Server, create_app
from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.dialects.registry import dialects as all_dialects
from reconciler.engine.access import Access
from reconciler.engine.engine import Engine, Options
from reconciler.model.clock import Clock
from reconciler.observe.logs import EventLog, configure_logs
from reconciler.observe.metrics import Fanout, Metrics
from reconciler.render.engine import PythonRenderer
from reconciler.settings import Settings, state_file
from reconciler.source.git import GitSource
from reconciler.source.poll import Poll
from reconciler.source.watch import watch_refs
from reconciler.steps.catalog import STEP_TYPES


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def serve(settings: Settings) -> int:
    """Runs the daemon until SIGTERM or Ctrl-C. Raises what a user can mend: SourceError, StateLockedError, OSError."""
    configure_logs(settings.log_format, settings.log_level)
    return asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    clock: Clock = SystemClock()
    source = GitSource.open(settings.repo, settings.branch, settings.paths)
    state = state_file(settings, source.ref)
    state.parent.mkdir(parents=True, exist_ok=True)
    cluster = EmbeddedCluster(str(state), clock, settings.speed)
    await cluster.start()
    metrics = Metrics(clock.now)
    families = all_dialects(STEP_TYPES)
    access = Access(settings.access, settings.allow_cluster_scoped, settings.namespace)
    creation = settings.create_namespaces or "none"
    options = Options(settings.namespace, access, creation, settings.write_back)
    engine = Engine(cluster, source, families, STEP_TYPES, PythonRenderer(), clock, Fanout(metrics, EventLog()), options)
    server = Server(create_app(engine.reader, metrics.render, clock.now))
    try:
        url = await server.start(*settings.address)
        _say(f"reconciler: watching {source.identity}", f"state: {state}", f"read API and metrics: {url}  ({url}/metrics)")
        await _run(engine, settings)
    finally:
        await server.stop()
        await cluster.close()
    return 0


async def _run(engine: Engine, settings: Settings) -> None:
    """Works until a signal comes; whatever fails for good ends it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    async def look() -> None:
        engine.look()

    poll = Poll(look, settings.poll_interval)
    poll.start()
    working = [asyncio.create_task(engine.run()), asyncio.create_task(_watch(engine, settings.repo, stop)), asyncio.create_task(stop.wait())]
    try:
        done, _ = await asyncio.wait({working[0], working[2]}, return_when=asyncio.FIRST_COMPLETED)
        if working[0] in done:
            await working[0]
    finally:
        stop.set()
        poll.stop()
        for task in working:
            task.cancel()
        for task in working:
            with contextlib.suppress(asyncio.CancelledError, TimeoutError):
                async with asyncio.timeout(2):
                    await task


async def _watch(engine: Engine, repo: str, stop: asyncio.Event) -> None:
    """Hints from the refs; the poll is the truth where they fail."""
    async for _ in watch_refs(repo, stop):
        engine.look()


def _say(*lines: str) -> None:
    """What a person in a terminal needs to know at the start, whatever the log's format."""
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()

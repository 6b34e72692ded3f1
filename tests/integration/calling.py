"""An engine that may call receivers on loopback, and a clock that a test sets forward."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.daemon import SystemClock
from reconciler.dialects.registry import dialects
from reconciler.model.application import Application, Callback
from reconciler.notify.client import GuardedClient
from reconciler.notify.egress import Egress
from reconciler.steps.catalog import STEP_TYPES
from tests.integration.harness import Clone, Daemon, running
from tests.integration.sequences import runs


class Clock(SystemClock):
    """The machine's clock, ahead by what a test skips."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Changed:
    """A family whose applications are changed as they are compiled."""

    def __init__(self, inner: Any, change: Callable[[Application], Application]) -> None:
        self._inner, self._change = inner, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def compile(self, document: Any, files: Any) -> Any:
        compiled = self._inner.compile(document, files)
        return compiled._replace(application=self._change(compiled.application)) if compiled.application else compiled


def with_callback(url: str, *, ignore: bool = True, **urls: str) -> Callable[[Application], Application]:
    """`urls`: of applications with a receiver of their own, by name."""

    def change(app: Application) -> Application:
        callback = Callback(urls.get(app.name, url), ignore)
        return msgspec.structs.replace(app, workflow=msgspec.structs.replace(app.workflow, callback=callback))

    return change


@asynccontextmanager
async def telling(
    clone: Clone, change: Callable[[Application], Application], *openings: str, cluster: EmbeddedCluster | None = None, **more: Any
) -> AsyncIterator[tuple[Daemon, Clock]]:
    """An engine that may call receivers on loopback, unless `openings` say otherwise."""
    client, clock = GuardedClient(Egress(openings or ("127.0.0.1",))), Clock()
    families = [Changed(dialect, change) for dialect in dialects(STEP_TYPES)]
    try:
        async with running(clone, cluster=cluster, families=families, sender=client, clock=clock, beat=0.02, **more) as daemon:
            yield daemon, clock
    finally:
        await client.close()


def notices(daemon: Daemon, name: str) -> list[tuple[str, int]]:
    return [(notice.state, notice.attempts) for run in runs(daemon, name) for notice in run.notices]


def settled(daemon: Daemon, name: str) -> bool:
    """All runs have ended, and nothing is owed."""
    found = runs(daemon, name)
    return bool(found) and all(run.phase.final and all(notice.state != "Owed" for notice in run.notices) for run in found)

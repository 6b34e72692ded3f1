"""What the parts of the engine share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reconciler.cluster.protocol import Cluster
from reconciler.engine.access import Claims
from reconciler.engine.admission import Admission
from reconciler.engine.applications import Application
from reconciler.engine.apply import Applier
from reconciler.engine.charting import Charting
from reconciler.engine.contents import Contents
from reconciler.engine.dependencies import Dependencies
from reconciler.engine.executors import Executors
from reconciler.engine.files import Trees
from reconciler.engine.index import Index
from reconciler.engine.leadership import Lead
from reconciler.engine.measuring import Measuring
from reconciler.engine.observations import Observations
from reconciler.engine.reach import Reach
from reconciler.engine.shards import Shards
from reconciler.engine.store import Store
from reconciler.engine.throttle import Throttle
from reconciler.engine.unsealing import Unsealer
from reconciler.engine.verdicts import Judge, Verdicts
from reconciler.model.application import Application as Compiled
from reconciler.model.clock import Clock
from reconciler.model.event import Sink
from reconciler.model.identity import AppKey
from reconciler.notify.protocol import Sender
from reconciler.source.protocol import Blob, Source
from reconciler.workflow.machine import Machine

T = TypeVar("T")


class _Lent:
    """`Trees`, each read on the thread of the source."""

    def __init__(self, source: Source, pool: ThreadPoolExecutor) -> None:
        self._source, self._pool = source, pool

    def blob(self, commit: str, path: str) -> Blob | None:
        return self._pool.submit(self._source.blob, commit, path).result()

    def tree(self, commit: str, path: str) -> dict[str, Blob]:
        return self._pool.submit(self._source.tree, commit, path).result()

    def read(self, oid: str, limit: int) -> bytes:
        return self._pool.submit(self._source.read, oid, limit).result()


class SourceThread:
    """The one thread on which a source is used: its methods block, and git objects are not shared between threads."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="source")

    async def call(self, work: Callable[[Source], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, self.source)

    async def lend(self, work: Callable[[Trees], T]) -> T:
        """For what takes long and reads now and then: on a thread of its own, which waits for this one at each read."""
        return await asyncio.to_thread(work, _Lent(self.source, self._pool))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True)
class Context:
    """`apps` by key. `compiled`: applications as looks found them, each with its digest, until their revisions are made. `hint` asks for
    another look at a key, `hint_at` later; `look` asks for a look at git. `evaluate`: how far a definition comes, `judge`: how health
    policies judge, both blocking. `sender`: None where nothing may leave the machine; `rpc_seconds`: how long an answer of who is asked
    over HTTP is waited for. `approved`: digests of the approvals in `.reconciler/prune.yaml`. `unplanned`: applications whose head has
    changed and that were not looked at since: until then nobody knows which objects they declare. `making`: those whose mirror this daemon
    asks the cluster to make at this moment. `answered`: of each mirror that asked for a look, the request after which the last one was
    begun. `lead`: whether this daemon may start anything; `acting`: it leads, with all state read since; `informed`: git was looked at
    since then, too. `shards`: which applications are this daemon's. `reruns`: as in `Options`. `foreign`: definitions of manifests' kinds
    that another controller brought, by name, and whose they are.
    """

    cluster: Cluster
    store: Store
    clock: Clock
    sink: Sink
    index: Index
    thread: SourceThread
    contents: Contents
    observations: Observations
    applier: Applier
    executors: Executors
    claims: Claims
    reach: Reach
    machine: Machine
    admission: Admission
    throttle: Throttle
    apps: dict[AppKey, Application]
    unsealer: Unsealer
    evaluate: Callable[[str], dict[str, Any]]
    judge: Judge
    charting: Charting
    measuring: Measuring
    write_back: bool
    reruns: bool
    sender: Sender | None
    rpc_seconds: float
    hint: Callable[[AppKey], None]
    hint_after: Callable[[AppKey, float], None]
    look: Callable[[], None]
    lead: Lead
    shards: Shards
    cluster_id: str = ""
    compiled: dict[AppKey, tuple[str, Compiled]] = field(default_factory=dict)
    approved: frozenset[str] = frozenset()
    unplanned: set[AppKey] = field(default_factory=set)
    making: set[AppKey] = field(default_factory=set)
    answered: dict[AppKey, str] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)
    acting: bool = False
    informed: bool = False
    dependencies: Dependencies = field(init=False)
    verdicts: Verdicts = field(init=False)

    def __post_init__(self) -> None:
        self.verdicts = Verdicts(self.contents, self.observations, self.reach, self.judge, self.hint_after)
        self.dependencies = Dependencies(self.index, self.apps, self.observations, self.hint)

    def keep_compiled(self, found: Mapping[AppKey, tuple[str, Compiled]]) -> None:
        """Of what a look has compiled, that of which this daemon is to make a revision; it is compiled again where another one comes to need it."""
        for key, compiled in found.items():
            app = self.apps.get(key)
            if app is not None:
                app.render_again = True  # what it did not render with may stand in the cluster, of which no digest tells
            if key in self.unplanned and not self.shards.is_strange(app, self.index.entries.get(key)):
                self.compiled[key] = compiled
            else:
                self.compiled.pop(key, None)

    def close(self) -> None:
        """Nobody is asked any more, and git is not read."""
        self.observations.close()
        self.measuring.close()
        self.thread.close()

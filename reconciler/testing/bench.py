"""A daemon, its repository and its cluster in the test's own process, on a clock that moves when the test says so."""

from __future__ import annotations

import asyncio
import tempfile
import textwrap
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar, cast

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.cluster.protocol import NotFoundError
from reconciler.engine.executors import Executor
from reconciler.engine.plugins.executor import PluginExecutor
from reconciler.engine.plugins.loading import Plugin, read_plugin
from reconciler.engine.store import Store
from reconciler.model.event import Event
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from reconciler.model.run import Run
from reconciler.model.status import ApplicationStatus
from reconciler.settings import Settings
from reconciler.simulation.clock import VirtualClock, VirtualLoop
from reconciler.simulation.world import annotate
from reconciler.source.protocol import Pushed
from reconciler.source.scratch import make_source
from reconciler.testing.calls import PATIENCE, Call, InTurn, Notes, noted
from reconciler.testing.crashing import Died, Lifeline
from reconciler.wiring import build_engine

T = TypeVar("T")
_NEVER: Final = 1e9
_MOMENT: Final = 0.001
_MOMENTS: Final = 1000
_TURNS: Final = 200_000


class _Silent:
    def emit(self, event: Event) -> None:
        """Nobody listens."""


class Bench:
    """
    Runs manifests with plug-ins. `plugins`: classes by the name of their step type. `patience`: real seconds after which a call that hangs is
    given up. `settings`: what an operator would set; `executors`: of further kinds of effects. To be used with `with`, in a test that is not async.

    Commits are taken in, and all that can be done is done, before a method returns; time stands still in between. It passes in `pass_time` and
    `finish` alone, and where nothing happens it jumps.
    """

    def __init__(
        self,
        plugins: Mapping[str, type],
        *,
        patience: float = PATIENCE,
        settings: Settings | None = None,
        executors: Mapping[str, Executor] | None = None,
    ) -> None:
        """Raises PluginError for a class that is no plug-in."""
        self._notes = Notes()
        self._plugins: dict[str, Plugin] = {name: noted(read_plugin(name, found), self._notes) for name, found in plugins.items()}
        self._patience, self._executors = patience, dict(executors or {})
        self._settings = settings or Settings(write_back=False, create_namespaces="all")
        self._dies: Died | None = None
        self._died = False

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="reconciler-bench-")
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self._loop = cast("VirtualLoop", self._runner.get_loop())
        self.clock = VirtualClock(self._loop)
        self._source = make_source(Path(self._folder.name))
        self.cluster = EmbeddedCluster(":memory:", self.clock, 1.0, _NEVER)
        self._news = asyncio.Event()
        self._do(self.cluster.start())
        self._do(self._start())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._do(self._end())
        self._do(self.cluster.close())
        self._runner.close()
        self._folder.cleanup()

    # What a person does --------------------------------------------------------------------------------------------------

    def commit(self, files: Mapping[str, str | None]) -> str:
        """Path to text, None to delete; the id of the commit."""
        head = self._source.head().id
        edit = {path: textwrap.dedent(text).encode() if text is not None else None for path, text in files.items()}
        made = self._source.build(head, edit, "Change", self.clock.now())
        if made is None:
            return head
        assert isinstance(self._source.push(made, head), Pushed)
        self._engine.look()
        self.settle()
        return made

    def decide(self, name: str, verb: Literal["continue", "rollback", "end"], namespace: str = "default") -> str:
        """Answers the gate at which the application waits, by a commit; the id of that."""
        status = self.status(name, namespace)
        gate = status.gate if status is not None else None
        assert status is not None, f"there is no application {namespace}/{name}"
        assert gate is not None, f"{name} waits at no gate"
        value = {"continue": gate.continue_, "rollback": gate.rollback, "end": gate.end}[verb]
        return self.commit({status.path: annotate(self._source, status, None, gate.key, value)})

    # Time -----------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self.clock.now()

    def settle(self) -> None:
        """Does all that can be done now. Raises AssertionError where that never ends."""
        self._do(self._settle())

    def pass_time(self, seconds: float) -> None:
        self._do(self._pass(seconds))

    def finish(self, name: str, namespace: str = "default", seconds: float = 86400.0) -> Run:
        """Lets time pass until the newest run of the application is over. Raises AssertionError where it is not within so many seconds."""
        end = self.clock.monotonic() + seconds
        self.settle()
        while not (run := self.run(name, namespace)).phase.final:
            waits = [delay for delay in (self._engine.delay(), self.cluster.delay()) if delay is not None]
            left = end - self.clock.monotonic()
            steps = "".join(f"\n  {step.name}: {step.phase} {step.reason} {step.message}" for step in run.steps)
            assert waits, f"run {run.name} waits for a person: {run.phase} {run.message}{steps}"
            assert left > 0, f"run {run.name} is not over after {seconds:g} s: {run.phase} {run.message}{steps}"
            self.pass_time(min(max(min(waits) or 10.0, _MOMENT), left))  # 0: a call is under way that takes its time
        return run

    # What there is --------------------------------------------------------------------------------------------------------

    @property
    def calls(self) -> list[Call]:
        """All calls of plug-ins, in their order."""
        return list(self._notes.calls)

    @property
    def lives(self) -> int:
        """How many daemons there were."""
        return self._notes.life + 1

    @property
    def writes(self) -> int:
        """How often this life of the daemon has written to the cluster: where `die_at` can have it die."""
        return self._line.writes

    def status(self, name: str, namespace: str = "default") -> ApplicationStatus | None:
        """As `reconciler status` shows it."""
        return self._engine.reader.application(AppKey(namespace, name))

    def run(self, name: str, namespace: str = "default") -> Run:
        """The newest run of the application, as it is stored. Raises AssertionError where there is none."""
        found = self.runs(name, namespace)
        assert found, f"{namespace}/{name} has no run; problems: {self.problems()}"
        return found[-1]

    def runs(self, name: str, namespace: str = "default") -> list[Run]:
        """All kept runs of the application, the newest last."""
        return [run for run in self._do(self._runs()) if run.app == f"{namespace}/{name}"]

    def problems(self) -> list[str]:
        """What is wrong with the manifests."""
        return [f"{problem['path']}:{problem['line']}: {problem['field']}: {problem['message']}" for problem in self._engine.reader.problems()]

    def object(self, kind: str, name: str, namespace: str = "default", api_version: str = "v1") -> JsonObject | None:
        """What is in the cluster, None where it is not."""
        with suppress(NotFoundError):
            return self._do(self.cluster.get(ObjectRef(api_version, kind, namespace, name)))
        return None

    # What goes wrong ------------------------------------------------------------------------------------------------------

    def fail(self, plugin: str, error: BaseException, method: str = "run", times: int = 1) -> None:
        """The next calls of that method raise this instead of being made."""
        self._notes.failures += [(plugin, method, error)] * times

    def crash(self) -> None:
        """The daemon dies now, as by kill -9, and another one starts."""
        self._do(self._restart())

    def die_at(self, write: int, *, landed: bool = True) -> None:
        """
        From now on: at its write of that number (from 1; those of `writes` count) the daemon dies, right after the write or right before it, and
        another one starts. A test that goes through all of them has seen every crash that a workflow can meet.
        """
        self._dies = Died(self._line.writes + write, landed)
        self._line.dies = self._dies

    def check_keys(self) -> None:
        """Raises AssertionError where a call was made twice without need, or under one key with other parameters (rule 9)."""
        self._notes.check_keys()

    # Inside ---------------------------------------------------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    async def _start(self) -> None:
        self._died = False
        self._line = Lifeline(self.cluster, self._on_death)
        executors = {"plugin": PluginExecutor(self._plugins, self.clock.now, lambda _: InTurn(self.clock, self._patience)), **self._executors}
        steps = {name: plugin.step for name, plugin in self._plugins.items()}
        cluster = cast("EmbeddedCluster", self._line)
        self._engine = build_engine(self._settings, cluster, self._source, self.clock, _Silent(), _NEVER, steps, executors)
        self._task = asyncio.create_task(self._engine.run())
        await self._settle()

    async def _end(self) -> None:
        self._line.dead = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _restart(self) -> None:
        await self._end()
        self._notes.life += 1
        await self._start()

    def _on_death(self) -> None:
        self._died = True
        self._news.set()

    async def _runs(self) -> list[Run]:
        store = Store(self.cluster, self.clock, self._settings.namespace)
        return sorted([run async for run in store.runs()], key=lambda run: (str(run.created_at), run.name))

    async def _settle(self) -> None:
        """Moments go by until all that is left waits for longer than that, or only for calls that take their time."""
        quiet = 0
        for _ in range(_MOMENTS):
            before = (self._line.writes, len(self._notes.calls))
            await self._pass(_MOMENT)
            delay = self._engine.delay()
            quiet = quiet + 1 if before == (self._line.writes, len(self._notes.calls)) else 0
            if delay is None or delay > _MOMENT or quiet > 2:
                return
        raise AssertionError("it never comes to rest")

    async def _pass(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while True:
            self._news.clear()
            self._loop.call_at_turn(self._loop.turns + _TURNS, self._news.set)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(end - self.clock.monotonic(), 0)):
                    await self._news.wait()
            if self._task.done():
                self._task.result()
            if self._died:
                await self._restart()
            elif self.clock.monotonic() >= end:
                return
            else:
                raise AssertionError(f"after {_TURNS} turns no time has passed: something is done again and again")

"""A world of its own: a scratch repository, an embedded cluster and an engine on virtual time, and what moves them on."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.dialects.registry import compile_file, dialects
from reconciler.engine.files import TreeFiles
from reconciler.engine.unsealing import Pretending
from reconciler.model.identity import AppKey, JsonObject
from reconciler.model.names import GATE_PREFIX
from reconciler.model.status import ApplicationStatus, GateView
from reconciler.render.definitions import shared
from reconciler.settings import Settings
from reconciler.simulation.answers import Answers
from reconciler.simulation.clock import VirtualClock, VirtualLoop
from reconciler.simulation.report import Limit, ObjectChange, Rollback, Stop
from reconciler.simulation.timeline import Timeline, show
from reconciler.source.edit import EditError, set_annotation
from reconciler.source.protocol import Pushed, Source, SourceError
from reconciler.source.scratch import Scratch
from reconciler.steps.catalog import STEP_TYPES
from reconciler.steps.plugin import AnyPlugin, UncheckedStep
from reconciler.wiring import build_engine

_NEVER = 1e9  # seconds: signs of life are for those who watch a daemon
_MOMENT = 0.001
_TURNS, _TURNS_EACH = 100_000, 5_000
_CALM = 600.0  # how long the cluster may still move when every run is at rest: as long as a run would wait for health


class SimulationError(Exception):
    """The commit can't be simulated; the message says why."""


class World:
    """`stops`: the gates that waited, by application, then run and key of the gate. `warnings`: what could not be done as asked."""

    def __init__(self, scratch: Scratch, settings: Settings, loop: VirtualLoop) -> None:
        self._scratch, self._loop = scratch, loop
        self.clock = VirtualClock(loop)
        self.timeline = Timeline(self.clock.now)
        self.cluster = EmbeddedCluster(":memory:", self.clock, settings.speed, _NEVER)
        plugins = {name: UncheckedStep(name) for name in settings.step_plugins}
        self.engine = build_engine(
            settings, self.cluster, scratch.source, self.clock, self.timeline, _NEVER, plugins, unsealer=Pretending(), reruns=False
        )
        self.stops: defaultdict[AppKey, dict[tuple[str, str], Stop]] = defaultdict(dict)
        self.warnings: list[str] = []
        self._decided: set[str] = set()
        self._news, self._halt = asyncio.Event(), asyncio.Event()
        self._begun, self._spent = 0, False
        self.timeline.on_gate, self.timeline.on_failure = self._news.set, self._halt.set

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.cluster.start()
        task = asyncio.create_task(self.engine.run())
        task.add_done_callback(lambda _: self._halt.set())
        self._task = task
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.cluster.close()

    async def play(self, commit: str, answers: Answers, seconds: float) -> Limit:
        """
        Puts the branch on the commit and lets time pass until nothing moves any more, or so many seconds have passed. Gates get
        the answers by commits, as they would by a person's. Raises SimulationError, SourceError.
        """
        self._scratch.move(commit)
        self.engine.look()
        end, self._begun, self._spent = self.clock.monotonic() + seconds, self._loop.turns, False
        self._halt.clear()
        calm: float | None = None
        while True:
            self._news.clear()
            await self._pass(_MOMENT, self._halt)  # all that can be done now is done, whatever comes up meanwhile
            if self._spent:
                return "turns"
            if await self._answer(answers):
                continue
            delay = self.engine.delay()
            if delay is None:
                calm = self.clock.monotonic() + _CALM if calm is None else calm
                delay = self.cluster.delay()
                if delay is None or self.clock.monotonic() + delay > calm:
                    return ""
            else:
                calm = None
            left = end - self.clock.monotonic()
            if left <= 0:
                return "until"
            await self._pass(min(delay, left), self._news)

    async def _pass(self, seconds: float, until: asyncio.Event) -> None:
        """So many seconds, or less where that event comes. Raises SimulationError where git could not be read."""
        self._loop.call_at_turn(self._begun + _TURNS + _TURNS_EACH * len(self.engine.reader.applications()), self._spend)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await until.wait()
        if self._task.done():
            self._task.result()
        if self.timeline.failure:
            raise SimulationError(self.timeline.failure)

    def _spend(self) -> None:
        self._spent = True
        self._halt.set()
        self._news.set()

    # Gates --------------------------------------------------------------------------------------------------------------

    async def _answer(self, answers: Answers) -> bool:
        """Notes the gates that wait, and commits the answers to those that were not answered yet; whether there were any."""
        wanted = []
        for status in self.engine.reader.applications():
            for gate in status.gates:
                await self._note(status, gate)
                verb = answers.find(status.key, gate)
                if verb is not None and gate.continue_ not in self._decided:
                    self._decided.add(gate.continue_)
                    wanted.append((status, gate, {"continue": gate.continue_, "rollback": gate.rollback, "end": gate.end}[verb]))
        if not wanted:
            return False
        texts: dict[str, str] = {}
        for status, gate, value in wanted:
            try:
                texts[status.path] = annotate(self._scratch.source, status, texts.get(status.path), gate.key, value)
            except (EditError, SourceError, OSError, ValueError) as error:
                self.warnings.append(show(f"{status.key} at gate {gate.step}: its manifest {status.path} cannot be edited: {error}"))
        self._commit({path: text.encode() for path, text in texts.items()})
        self.engine.look()
        return True

    def _commit(self, edit: dict[str, bytes]) -> None:
        source = self._scratch.source
        head = source.head().id
        made = source.build(head, edit, "Decide", self.clock.now())
        if made is not None and not isinstance(source.push(made, head), Pushed):
            raise SimulationError("the decisions could not be committed")

    async def _note(self, status: ApplicationStatus, gate: GateView) -> None:
        run = status.run
        assert run is not None, "a gate is a run's"
        stops, place = self.stops[status.key], (run.id, gate.key.removeprefix(GATE_PREFIX))
        if place in stops:
            return
        reader = self.engine.reader
        target = reader.rollback_target(status.key)
        back = [_back(change) for change in await reader.compare(status.key, target, gate.revision) if change["applied"]] if target else []
        at = self.timeline.seconds(gate.since)
        message = next((step.message for step in run.steps if step.name == gate.step), "")  # a gate's own message names codes
        stops[place] = Stop(at, gate.step, gate.revision, show(message), Rollback(target, back))


def annotate(source: Source, status: ApplicationStatus, text: str | None, key: str, value: str) -> str:
    """
    The application's manifest with that annotation; `text`: the file as it is to be edited, None as the head has it. Raises EditError,
    SourceError, OSError, ValueError.
    """
    files = TreeFiles(source, source.head().id)
    text = files.read(status.path).decode() if text is None else text
    for app in compile_file(status.path, text, files, dialects(STEP_TYPES, AnyPlugin(), shared())).applications:
        if app.key == status.key:
            return set_annotation(text, app.index, key, value)
    raise EditError(f"it does not declare {status.key} any more")


def _back(change: JsonObject) -> ObjectChange:
    """What a rollback makes of an object that a run changed."""
    fields = [{**field, "from": field["to"], "to": field["from"]} for field in change["fields"]]
    return ObjectChange(change["object"], "removed" if change["change"] == "added" else "changed", applied=False, fields=fields)

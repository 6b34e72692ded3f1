"""From a request to a report: two worlds in one, that of the commit before and that of the commit."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any, cast

import msgspec

from reconciler.model.condition import causes
from reconciler.model.identity import AppKey
from reconciler.model.run import Phase
from reconciler.model.status import ApplicationStatus, RunHistory
from reconciler.settings import Settings
from reconciler.simulation.answers import Answer, Answers
from reconciler.simulation.clock import VirtualLoop
from reconciler.simulation.report import HELD, IN_DOUBT, INVALID, REMOVED, STALLED, SUSPENDED, Application, ObjectChange, Report
from reconciler.simulation.timeline import show
from reconciler.simulation.world import SimulationError, World
from reconciler.source.scratch import Scratch

__all__ = ["Request", "SimulationError", "simulate"]

WEEK = 7 * 86400.0
# Conditions that say where an application is that has no run, the first that applies; and those that are told beside a run.
_STANDS = {"Stalled": STALLED, "ManifestInvalid": INVALID, "RemovalInDoubt": IN_DOUBT, "Suspended": SUSPENDED, "DependencyNotReady": HELD}
_NOTED = (*_STANDS, "PruneBlocked", "PruneFailed", "NamespaceMissing", "DriftFought")


class Request(msgspec.Struct, frozen=True):
    """
    `start`: the commit that runs before, with all gates passed; empty: nothing does. `seconds`: of virtual time, at most. `plugins`: names
    of step types that are plug-ins: none is loaded, each is taken as done.
    """

    repo: str
    commit: str = "HEAD"
    start: str = ""
    answers: tuple[Answer, ...] = ()
    seconds: float = WEEK
    paths: tuple[str, ...] = ()
    cluster_scoped: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()


class _Before(msgspec.Struct):
    """What ran before the commit: the promoted revisions, and the objects of each."""

    revisions: dict[AppKey, str] = {}
    objects: dict[AppKey, list[ObjectChange]] = {}


def simulate(request: Request) -> Report:
    """Raises SimulationError, SourceError, and ValueError for a path that leads out of the repository."""
    with tempfile.TemporaryDirectory(prefix="reconciler-simulation-") as folder:
        scratch = Scratch(request.repo, Path(folder), request.paths)
        commit = scratch.resolve(request.commit)
        start = scratch.resolve(request.start) if request.start else ""
        settings = Settings(
            write_back=False,
            create_namespaces="all",
            allow_cluster_scoped=list(request.cluster_scoped),
            step_plugins=list(request.plugins),
        )
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            loop = cast("VirtualLoop", runner.get_loop())
            return runner.run(_simulate(World(scratch, settings, loop), request, commit, start))


async def _simulate(world: World, request: Request, commit: str, start: str) -> Report:
    async with world.running():
        before = await _run_before(world, start, request.seconds) if start else _Before()
        answers = Answers(request.answers)
        world.timeline.begin()
        world.stops.clear()
        limit = await world.play(commit, answers, request.seconds)
        found = [await _describe(world, status, before) for status in world.engine.reader.applications()]
        listed = {status.key for status in world.engine.reader.applications()}
        gone = [_removed(key, before) for key in before.revisions if key not in listed]
        applications = sorted((app for app in (*found, *gone) if app), key=lambda app: (app.namespace, app.application))
        return Report(
            commit=commit,
            start=start,
            seconds=world.timeline.seconds(world.clock.now()) if limit else max((row.at for row in world.timeline.rows), default=0),
            limit=limit,
            applications=applications,
            unchanged=sum(app is None for app in found),
            timeline=sorted(world.timeline.rows, key=lambda row: (row.at, row.namespace, row.application)),
            problems=[{**problem, "message": show(problem["message"])} for problem in world.engine.reader.problems()],
            warnings=world.warnings + [f"{answer} named no gate that waited" for answer in answers.unused],
        )


async def _run_before(world: World, start: str, seconds: float) -> _Before:
    """Brings the world to the commit before, every gate answered with continue. Only what fails there is told."""
    limit = await world.play(start, Answers((), default="continue"), seconds)
    reader, before = world.engine.reader, _Before()
    if limit:
        world.warnings.append(f"at {start[:12]}: not at rest when the limit ({limit}) was reached")
    for problem in reader.problems():
        if problem["severity"] == "error":
            world.warnings.append(f"at {start[:12]}: {show(problem['path'])}:{problem['line']}: {show(problem['message'])}")
    for status in reader.applications():
        if status.running is not None:
            name = before.revisions[status.key] = status.running.revision
            before.objects[status.key] = [_change({**item, "applied": True}) for item in await reader.compare(status.key, name, "")]
        if status.run is not None and status.run.phase != Phase.SUCCEEDED:
            world.warnings.append(f"at {start[:12]}: {status.key}: {status.run.phase}: {show(status.run.message)}")
    await world.play(start, Answers(()), seconds)  # without the decisions: the commit to come is not built on those
    return before


async def _describe(world: World, status: ApplicationStatus, before: _Before) -> Application | None:
    """What became of one application; None where the commit does nothing to it."""
    key, reader = status.key, world.engine.reader
    run = await _newest_run(world, key)
    noted = [condition for condition in causes(status.conditions) if condition.type in _NOTED]
    stands = next((condition for name in _STANDS for condition in noted if condition.type == name), None)
    running = before.revisions.get(key, "")
    app = Application(key.name, key.namespace, status.path, status.line, "", health=status.health, before=running)
    # What follows a semicolon is what to commit, with codes that hold in here only.
    app.notes = [
        f"{condition.type}: {show(condition.message.partition('; ')[0])}" for condition in noted if run is not None or condition is not stands
    ]
    if run is None:
        if stands is None or (stands.type == "Suspended" and status.sync == "Synced"):
            return None
        app.phase, app.reason, app.message = _STANDS[stands.type], stands.reason, show(stands.message.partition("; ")[0])
        if app.phase == HELD and status.desired is not None and status.desired.revision:
            app.after = status.desired.revision
            app.changes = [_change(item) for item in await reader.compare(key, running, app.after)]
        return app
    app.after = run.run.rpartition("-")[0]
    app.phase, app.reason, app.message = run.phase, run.reason, show(run.message)
    app.changes = [_change(item) for item in await reader.compare(key, running, app.after)]
    for (name, gate), stop in world.stops[key].items():
        if name == run.run:
            app.gates.append(stop)
            made = next((decision for decision in run.decisions if decision.step == gate), None)
            if made is not None:
                stop.decision, stop.by = made.verb, "timer" if made.by == "timer" else "decide"
    return app


async def _newest_run(world: World, key: AppKey) -> RunHistory | None:
    """The newest run that the commit brought about, not the one of a rollback of it."""
    history = await world.engine.reader.history(key)
    runs = [run for revision in history.revisions for run in revision.runs] if history is not None else []
    fresh = [run for run in runs if not run.restores and run.created_at is not None and run.created_at >= world.timeline.start]
    return max(fresh, key=lambda run: str(run.created_at), default=None)


def _removed(key: AppKey, before: _Before) -> Application:
    message = "git declares it no more: its objects are removed"
    return Application(key.name, key.namespace, "", 0, REMOVED, message=message, before=before.revisions[key], changes=before.objects[key])


def _change(item: dict[str, Any]) -> ObjectChange:
    return msgspec.convert(item, ObjectChange)

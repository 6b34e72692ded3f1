"""What one sees of an application: status in memory at once, the mirror on transitions (rule 3d)."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

import msgspec

from reconciler.dialects.protocol import Dialect
from reconciler.engine.access import NotAllowedError
from reconciler.engine.applications import Application
from reconciler.engine.conditions import gather_conditions
from reconciler.engine.content import ContentError
from reconciler.engine.context import Context
from reconciler.engine.gatekeeping import find_late, gate_views, read_declared, stop_view, waiting_gates
from reconciler.engine.graph import view_commands
from reconciler.engine.index import Entry
from reconciler.model.account import picked
from reconciler.model.condition import merge
from reconciler.model.event import Event
from reconciler.model.records import Mirror
from reconciler.model.run import Phase, Run, StepState
from reconciler.model.status import (
    ApplicationStatus,
    DecisionView,
    GateView,
    HealthStatus,
    MessageView,
    RevisionView,
    RunView,
    StepView,
    Sync,
    WriteBackView,
)
from reconciler.model.text import one_line

MOST_MESSAGES = 50
_HEALTH: tuple[HealthStatus, ...] = ("Degraded", "Missing", "Progressing", "Unknown", "Suspended", "Healthy")


class Publisher:
    def __init__(self, context: Context, dialects: list[Dialect]) -> None:
        self._context = context
        self._dialects = {dialect.family: dialect for dialect in dialects}

    async def publish(self, app: Application) -> None:
        """Makes the status anew; writes the mirror where a run was settled into it, or where something that people see changed and
        no effect is under way."""
        await self._context.verdicts.ask(app)
        status = await self._status(app)
        self._ask_why(app)
        if status != app.status:
            self._tell_gates(app, status.gates)
            app.status, app.gates = status, status.gates
            self._context.sink.emit(Event("application", app.key, {"status": status}))
        mirror = app.mirror
        mirror.conditions, mirror.sync, mirror.health, mirror.since = status.conditions, status.sync, status.health, status.since
        mirror.desired, mirror.phase = status.desired, status.run.phase if status.run else ""
        mirror.path, mirror.line, mirror.family, mirror.environment = status.path, status.line, status.family, status.environment
        entry = self._context.index.entries.get(app.key)
        mirror.accounts = picked(entry.declared.annotations) if entry is not None else mirror.accounts
        mirror.observed_generation = mirror.generation
        mirror.last_handled_reconcile_at = self._context.answered.get(app.key, mirror.last_handled_reconcile_at)
        seen = fingerprint(mirror)
        busy = app.tasks or app.results
        if app.unsaved or (seen != app.saved and not busy):
            await app.store_mirror(self._context.store)
            app.saved = seen

    async def show(self, app: Application) -> None:
        """Makes the status anew, and neither stores nor tells it: another daemon leads."""
        await self._context.verdicts.ask(app)
        app.status = await self._status(app)

    def _ask_why(self, app: Application) -> None:
        """What is not healthy is asked why, in the application's name, whatever kinds its manifests may have: Pods are made of what it has."""
        observations = self._context.observations
        unwell = observations.unwell(item.object for item in app.items.values() if item.ref not in app.mirror.doomed)
        cluster = None
        if unwell:
            with suppress(NotAllowedError):
                cluster = self._context.reach.unchecked(app)
        observations.follow(app.mirror.uid, unwell, cluster)

    async def _status(self, app: Application) -> ApplicationStatus:
        context, mirror = self._context, app.mirror
        entry = context.index.entries.get(app.key)
        run = app.newest
        gates = await self._gates(app)
        self._note_remarks(app, entry)
        desired = self._desired(app, entry)
        sync = self._sync(app, entry)
        health, trouble = self._health(app, entry, gates)
        shown = self._run_view(app, run) if run else None
        now = context.clock.now()
        since = None if sync == "Synced" else mirror.since if mirror.sync == sync and mirror.since and mirror.desired == desired else now
        status = ApplicationStatus(
            application=mirror.name,
            namespace=mirror.namespace,
            environment=entry.declared.environment if entry else mirror.environment,
            desired=desired,
            running=mirror.running,
            sync=sync,
            health=health,
            run=shown,
            gates=gates,
            gate=gates[0] if gates else None,
            conditions=[],
            path=entry.declared.path if entry else mirror.path,
            line=entry.declared.line if entry else mirror.line,
            family=entry.declared.family if entry else mirror.family,
            suspended=app.suspended(entry),
            since=since,
            superseded=mirror.superseded,
            trouble=trouble,
            shard=mirror.shard,
            messages=self._messages(app),
        )
        definition = self._dialects[status.family].definition if status.family in self._dialects else ""
        app.foreign = f"{definition} is another controller's ({whose})" if (whose := context.foreign.get(definition)) is not None else ""
        unwatched = context.cluster.unwatched()
        app.unwatched = ", ".join(sorted({ref.kind for ref in app.living() if (ref.gvk.group, ref.kind) in unwatched}) if unwatched else ())
        status.conditions = merge(mirror.conditions, gather_conditions(app, entry, status), now)
        return status

    async def _gates(self, app: Application) -> list[GateView]:
        run = app.open_run()
        if run is None or run.phase is Phase.ROLLING_BACK or not any(step.phase is Phase.WAITING for step in run.steps):
            return []
        try:
            workflow = await self._context.contents.workflow(app.key, run.revision)
        except ContentError:  # somebody deleted the revision: its run is stalled, and that is what can be shown of it
            return []
        return gate_views(waiting_gates(self._context.cluster_id, app, run, workflow), run)

    def _note_remarks(self, app: Application, entry: Entry | None) -> None:
        """What stands in git and does not count is said whether or not a gate waits (4f)."""
        if entry is None or not entry.declared.annotations:
            app.remarks = []
            return
        run = app.open_run()
        items, remarks = read_declared(entry.declared, run or app.newest)
        late = find_late(self._context.cluster_id, app, items) if entry.valid else []
        app.remarks = [*remarks, *(app.judged if run is not None else []), *late]

    def _desired(self, app: Application, entry: Entry | None) -> RevisionView | None:
        if entry is None:
            return app.mirror.desired
        declared, running = entry.declared, app.mirror.running
        if running is not None and running.digest == declared.digest:
            return RevisionView(running.revision, declared.digest, declared.commit)
        name = next((record.name for record in reversed(app.records) if record.digest == declared.digest), "")
        return RevisionView(name, declared.digest, declared.commit)

    def _sync(self, app: Application, entry: Entry | None) -> Sync:
        if entry is None or not entry.valid or app.mirror.removal is not None:
            return "Unknown"
        running = app.mirror.running
        same = running is not None and running.digest == entry.declared.digest
        return "Synced" if same and not app.mirror.dirty and app.open_run() is None else "OutOfSync"

    def _health(self, app: Application, entry: Entry | None, gates: list[GateView]) -> tuple[HealthStatus, str]:
        """The worst of: the objects' health, a run that failed, a run that goes on, a gate that waits or a suspended
        application; and what is with the objects."""
        found: list[HealthStatus] = []
        trouble = ""
        run = app.newest
        if app.items:
            status, trouble = self._context.observations.health(app.living())
            found.append(msgspec.convert(status, HealthStatus))
        elif app.mirror.running is None and not gates:
            record = app.record(run.revision) if run is not None else None
            without: HealthStatus = "Degraded" if record is not None and not record.objects else "Missing"  # what has no objects can't miss any
            found.append("Progressing" if run is not None and not run.phase.final else without)
        if run is not None and run.phase is Phase.FAILED and app.mirror.dirty:
            found.append("Degraded")
        open_run = app.open_run()
        if open_run is not None and not gates:
            found.append("Progressing")
        if gates or (entry is not None and entry.valid and app.suspended(entry)):
            found.append("Suspended")
        return min(found, key=_HEALTH.index, default="Healthy"), trouble

    def _messages(self, app: Application) -> list[MessageView]:
        """Of the components in the order in which they were applied. One that tells of several objects tells it once."""
        told, doomed = self._context.observations.overruled(app.mirror.uid), set(app.mirror.doomed)
        said = ((app.items[identity], words) for identity, (_, words) in told.items() if words and identity in app.items) if told else ()
        found = dict.fromkeys((item.component.partition("@")[0], one_line(words, 600)) for item, words in said if item.ref not in doomed)
        return [MessageView(component, words) for component, words in islice(found, MOST_MESSAGES)]

    def _run_view(self, app: Application, run: Run) -> RunView:
        undone = next((other for other in app.runs if run.restores and other.name == run.restores), None)
        decisions = [*(undone.decisions if undone else []), *run.decisions]
        owed = (undone or run).write_back
        dialect = self._dialects.get(app.mirror.family)
        return RunView(
            id=run.name,
            revision=run.revision,
            phase=run.phase.value,
            steps=[_step_view(step) for step in run.steps],
            kind=run.kind,
            reason=run.reason,
            message=run.message,
            decisions=[DecisionView(item.gate, item.verb, item.commit, item.author, item.message, item.at, item.by) for item in decisions],
            started_at=run.started_at,
            finished_at=run.finished_at,
            supersedes=run.supersedes,
            stop=stop_view(self._context.cluster_id, app, run),
            write_back=WriteBackView(owed.state, owed.commit, owed.reason) if owed else None,
            family=dialect.words(run) if dialect else {},
            queue=run.queue,
            commands=view_commands([*(undone.commands if undone else []), *run.commands]),
        )

    def _tell_gates(self, app: Application, gates: list[GateView]) -> None:
        emit = self._context.sink.emit
        before, after = {gate.step: gate for gate in app.gates}, {gate.step: gate for gate in gates}
        run = app.newest.name if app.newest else ""
        for step in after.keys() - before.keys():
            emit(Event("gate", app.key, {"run": run, "step": step, "waiting": True, "since": after[step].since}))
        for step in before.keys() - after.keys():
            emit(Event("gate", app.key, {"run": run, "step": step, "waiting": False, "since": before[step].since}))


def _step_view(step: StepState) -> StepView:
    until = step.until if step.phase in (Phase.RUNNING, Phase.WAITING, Phase.ROLLING_BACK) and step.retry_at is None else None
    retry_at, deadline = (None, None) if step.phase.final else (step.retry_at, step.deadline)
    times = (step.started_at, step.finished_at, until, retry_at, deadline)
    return StepView(step.name, step.type, step.phase.value, step.message, step.key, *times, step.group)


def fingerprint(mirror: Mirror) -> bytes:
    """What people see of a mirror: it is written again only where this differs from what is stored."""
    answers = (mirror.observed_generation, mirror.last_handled_reconcile_at)
    shown = (mirror.sync, mirror.health, mirror.desired, mirror.phase, mirror.path, mirror.removal, mirror.accounts)
    return msgspec.json.encode([mirror.conditions, *shown, *answers])

"""What to run next: desired against promoted (rules 5b, 6a, 6c), and making revisions and runs."""

from __future__ import annotations

import secrets

import msgspec

from reconciler.charts.archive import pack_archive, unpack_charts
from reconciler.charts.protocol import ChartError
from reconciler.dialects.protocol import Dialect
from reconciler.dialects.registry import compile_file
from reconciler.engine.applications import Application, ended_badly
from reconciler.engine.callbacks import next_owed
from reconciler.engine.charting import CHART, Supply, takes_secrets
from reconciler.engine.content import pack
from reconciler.engine.contents import take_inputs
from reconciler.engine.context import Context
from reconciler.engine.declared import Declared
from reconciler.engine.files import TreeFiles, Trees
from reconciler.engine.gatekeeping import read_declared
from reconciler.engine.ownership import managed, shared
from reconciler.engine.rerunning import find_scheduled, seconds_to
from reconciler.engine.unsealing import AGAIN, check_encrypted, files_of, is_sealed, opened, read_texts
from reconciler.gates.weakening import weakening
from reconciler.model.application import Application as Compiled
from reconciler.model.identity import JsonObject
from reconciler.model.names import STATE_LOST_GATE, WORKFLOW_CHANGED_GATE
from reconciler.model.problem import Problem
from reconciler.model.records import Content, RevisionRecord
from reconciler.model.run import Commit, Phase, Run, StepState, is_aside
from reconciler.render.protocol import RenderError
from reconciler.revisions.digest import DIGEST_VERSION, git_digest, revision_digest
from reconciler.revisions.plan import New, Restore, SameAs, decide
from reconciler.sealing.protocol import SealError
from reconciler.source.protocol import Source, SourceError
from reconciler.workflow.machine import open_steps

KEPT_REVISIONS = 5
KEPT_RUNS = 10


class Planner:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def open_next(self, app: Application) -> Run | None:
        """A new run for what the head wants, not stored yet; None where nothing is to be done or may be done."""
        mirror, entry = app.mirror, self._context.index.entries.get(app.key)
        app.unmet = []
        if mirror.removal is not None and mirror.removal.state == "Deleting":
            return None if mirror.removal.forced else self._open_undo(app)
        if entry is None or not entry.valid or app.suspended(entry) or mirror.removal is not None:
            return None
        declared = entry.declared
        if declared.digest in (mirror.rejected, mirror.held):
            return None
        if app.lost:  # whatever is stored, what runs may be something else: not without the gate of 3f
            record = next((record for record in reversed(app.records) if record.digest == declared.digest), None)
            record = record or await self._make_revision(app, declared)
            return await self._new_run(app, record, declared) if record is not None else None
        again = self._restarted(app, declared) or self._scheduled(app, declared)
        if again is not None:
            record = app.record(again.revision) or await self._make_revision(app, declared)
            return await self._new_run(app, record, declared, restore=again.kind == "restore") if record is not None else None
        records = {record.number: record for record in app.records}
        running = app.running_record()
        promoted = next((short for short in app.short_records() if running is not None and short.number == running.number), None)
        plan = decide({DIGEST_VERSION: declared.digest}, promoted, app.short_records(), newer_applied=mirror.dirty)
        match plan:
            case SameAs():
                return None
            case Restore(revision):
                record = records[revision.number]
                return None if self._is_held(app, declared) else await self._new_run(app, record, declared, restore=not record.undone)
            case New(kept):
                record = records[kept.number] if kept is not None else await self._make_revision(app, declared)
                return await self._new_run(app, record, declared) if record is not None and not self._is_held(app, declared) else None

    def _is_held(self, app: Application, declared: Declared) -> bool:
        """Whether it waits for applications that it depends on. Its revision is made before that, so that what is wrong with it shows."""
        app.unmet = self._context.dependencies.ask(app.key, declared.needs)
        return bool(app.unmet)

    def _open_undo(self, app: Application) -> Run | None:
        """Before a removed application is deleted: a run that undoes what the run did that was promoted last, and whatever later ones left."""
        base = _to_undo(app)
        record = app.record(base.revision) if base is not None else None
        if base is None or record is None or not record.undone:
            return None
        return Run(
            name=_run_name(app, record),
            app=str(app.key),
            revision=record.name,
            digest=record.digest,
            owner=app.mirror.uid,
            kind="undo",
            implicit=list(base.implicit),
            steps=[_as_done(step) for step in base.steps],
            shared=list(base.shared),
            undoes=[base.name],
            queue=base.queue,
            created_at=self._context.clock.now(),
        )

    @staticmethod
    def _restarted(app: Application, declared: Declared) -> Run | None:
        """The run that a person has begin anew, as long as none came after it and git declares the same (6c)."""
        run, mirror = app.newest_own, app.mirror
        if not mirror.restart:
            return None
        if run is not None and run.name == mirror.restart and run.digest == declared.digest:
            return run
        mirror.restart, app.unsaved = "", True
        return None

    def _scheduled(self, app: Application, declared: Declared) -> Run | None:
        """The run whose own steps want it to be run once more, when that is due; until then it is looked at again at that moment."""
        found, context = find_scheduled(app, declared.digest), self._context
        if found is None or not context.reruns:
            return None
        pause = seconds_to(found[1], context.clock.now())
        if pause:
            context.hint_after(app.key, pause)
            return None
        return None if self._is_held(app, declared) else found[0]

    async def open_restore(self, app: Application, undone: Run) -> Run:
        """The restore run that a rollback asks for (rule 7a): of a stored revision, whatever git says now."""
        record = app.record(undone.restore_target)
        if record is None:
            raise LookupError(f"rollback target {undone.restore_target} is not kept")  # kept by 3b: never by design
        entry = self._context.index.entries.get(app.key)
        run = await self._new_run(app, record, entry.declared if entry else None, restore=True)
        run.restores, run.queue = undone.name, ""  # a rollback waits for nobody
        run.commit = undone.commit
        return run

    async def _new_run(self, app: Application, record: RevisionRecord, declared: Declared | None, *, restore: bool = False) -> Run:
        content = await self._context.contents.get(app.key, record.name)
        workflow = content.application.workflow
        implicit = [] if restore else await self._implicit_gates(app, content.application)
        run = Run(
            name=_run_name(app, record),
            app=str(app.key),
            revision=record.name,
            digest=record.digest,
            owner=app.mirror.uid,
            kind="restore" if restore else "deploy",
            implicit=implicit,
            steps=open_steps(workflow, implicit),
            queue=workflow.queue,
            mode=workflow.mode,
            group_mode=workflow.group_mode,
        )
        if declared is not None:
            run.standing = [item.text for item in read_declared(declared, run).items]
            run.commit = await self._commit(declared.commit)
        if restore:
            run.undoes = _undone(app, record.name)
        else:
            run.supersedes = app.take_turn()
        run.created_at = self._context.clock.now()  # nothing is awaited from here until it stands in its queue: who is first here is first there
        return run

    async def _implicit_gates(self, app: Application, new: Compiled) -> list[str]:
        """Rules 3f and 4g."""
        if app.lost:
            return [STATE_LOST_GATE]
        running = app.running_record()
        if running is None:
            return []
        promoted = (await self._context.contents.get(app.key, running.name)).application
        return [WORKFLOW_CHANGED_GATE] if weakening(promoted, new) else []

    async def _commit(self, commit: str) -> Commit:
        head = self._context.index.head
        if head is not None and head.id == commit:
            return head.commit
        try:
            return await self._context.thread.call(lambda source: source.commit(commit))
        except SourceError:
            return Commit(id=commit)

    async def _make_revision(self, app: Application, declared: Declared) -> RevisionRecord | None:
        """Renders and stores a new revision. A render that fails is a problem of that manifest and makes none."""
        context = self._context
        digest, compiled = context.compiled.get(app.key, ("", None))
        if app.render_problem[0] == declared.digest and not app.render_again:
            return None
        app.render_again = False
        try:
            content, pins = await self._render(app, declared, compiled if digest == declared.digest else None)
        except (RenderError, SealError, ChartError) as error:
            app.render_problem = declared.digest, _problem(app, declared, error)
            if isinstance(error, SealError | ChartError) and error.retry:
                app.render_again = True
                context.hint_after(app.key, AGAIN)
            return None
        if content is None:  # its charts are being fetched; it gets another turn when they are there
            app.render_again = app.render_problem[0] == declared.digest
            return None
        app.render_problem, pins = ("", None), {**pins, **content.application.served}
        number = _next_number(app)
        record = RevisionRecord(
            number=number,
            name=_revision_name(app, number),
            digest=declared.digest,
            commit=declared.commit,
            revision_digest=revision_digest(declared.digest, pins),
            digest_version=DIGEST_VERSION,
            created_at=context.clock.now(),
            objects=[ref.pack() for ref in managed(content)[0]],
            undone=content.application.workflow.on_failure == "undo",
            judged=any(definition.health for definition in content.application.definitions),
            shared=[ref.pack() for ref in shared(content)],
            pins=pins,
        )
        record = await context.store.create_revision(app.mirror, record, pack(content))
        app.records.append(record)
        context.contents.put(app.key, record.name, content)
        context.compiled.pop(app.key, None)
        return record

    async def _render(
        self, app: Application, declared: Declared, compiled: Compiled | None, *, wait: bool = False
    ) -> tuple[Content | None, dict[str, str]]:
        """What the manifest renders to, decrypted, and what was pinned for it; None where charts are under way, unless it is to `wait`. Raises
        RenderError, SealError, ChartError, SourceError."""
        context = self._context
        compiled = await context.thread.call(lambda source: self._compile(source, declared, compiled))
        salt = (await self._salt(app) or secrets.token_hex(16)) if takes_secrets(compiled) else ""
        supply = await context.charting.supply(app, declared.digest, compiled, salt, wait=wait)
        if supply is None:
            return None, {}
        known = next((record.name for record in app.records if record.digest == declared.digest), "")
        revision = known or _revision_name(app, _next_number(app))
        content = await context.thread.lend(lambda trees: self._content(trees, declared, supply, revision))
        if not is_sealed(content):
            return content, supply.pins
        paths = files_of(content.application)
        texts = await context.thread.call(lambda source: read_texts(TreeFiles(source, declared.commit), paths))
        values = await context.unsealer.unseal(declared.path, texts)
        return opened(content, {**values, **supply.sealed}, salt or await self._salt(app)), supply.pins

    async def _salt(self, app: Application) -> str:
        """That of the newest revision that has one, so that what stays the same is not applied again."""
        for record in reversed(app.records):
            salt = (await self._context.contents.get(app.key, record.name)).salt
            if salt:
                return salt
        return ""

    def _compile(self, source: Source, declared: Declared, compiled: Compiled | None) -> Compiled:
        if compiled is not None and compiled.key == declared.key and compiled.path == declared.path and compiled.index == declared.position:
            return compiled
        return _compile_declared(self._context.index.dialects, self._context.index.tree(source, declared.commit), declared)

    def _content(self, trees: Trees, declared: Declared, supply: Supply, revision: str) -> Content:
        compiled, files = supply.application, TreeFiles(trees, declared.commit, supply.archives)
        rendered = self._context.contents.render_all(compiled, files, supply.capabilities, revision)
        content = Content(compiled, rendered, charts=supply.charts, folders=_folders(compiled, files))
        if compiled.definitions or any(compiled.component(name).is_built_in(CHART) for name in take_inputs(compiled)):
            content.capabilities = supply.capabilities
        check_encrypted(content, files)
        return content

    async def render_desired(self, app: Application) -> list[JsonObject]:
        """What the head's manifest renders to, for a diff; nothing is stored. Empty where it does not render."""
        entry = self._context.index.entries[app.key]
        try:
            content, _ = await self._render(app, entry.declared, None, wait=True)
        except (RenderError, SealError, ChartError, SourceError):
            return []
        if content is None:
            return []
        return [obj for objects in content.rendered.values() for obj in objects]

    @staticmethod
    def _is_undone(app: Application) -> bool:
        return any(record.undone for record in app.records)

    async def retain(self, app: Application) -> None:
        """Rule 3b: five revisions and those that are promoted or of open runs; ten runs, and those that owe a commit or a callback."""
        context = self._context
        needed = {run.revision for run in app.runs if not run.phase.final} | {item.revision for item in app.items.values()}
        needed |= {run.restore_target for run in app.runs if not run.phase.final}
        owing = {run.name: run.revision for run in app.runs if context.sender is not None and next_owed(run) is not None}
        needed |= set(owing.values())
        last = {record.number for record in app.records if record.number in set(app.mirror.promoted[-KEPT_REVISIONS:])}
        for record in app.records[:-KEPT_REVISIONS]:
            running = app.mirror.running is not None and app.mirror.running.revision == record.name
            if record.name not in needed and not running and record.number not in last:
                await context.store.delete_revision(app.key, record)
                app.records.remove(record)
        kept = {name.partition("/")[0] for name, owed in app.debts().items() if owed.state in ("Owed", "Built")}
        if self._is_undone(app) and (base := _to_undo(app)) is not None:
            kept.add(base.name)  # should the application be removed, that run is to be undone
        for run in app.runs[:-KEPT_RUNS]:
            if run.phase.final and run.name in app.mirror.settled and run.name not in kept | owing.keys():
                await context.store.delete_run(app.key, run.name)
                app.runs.remove(run)


def _next_number(app: Application) -> int:
    return max((record.number for record in app.records), default=0) + 1


def _revision_name(app: Application, number: int) -> str:
    return f"{app.key.name}-v{number}"


def _run_name(app: Application, record: RevisionRecord) -> str:
    """Counts settled runs too, that are not kept any more: the name of a run, and so the key of an effect, never comes back."""
    names = {*(run.name for run in app.runs), *app.mirror.settled}
    attempts = [int(name.rpartition("-")[2]) for name in names if name.rpartition("-")[0] == record.name]
    return f"{record.name}-{max(attempts, default=0) + 1}"


def _to_undo(app: Application) -> Run | None:
    """The newest run whose steps stand, as far back as the one that was promoted last; None once undoing them was tried and failed or was ended."""
    newest = app.newest
    if newest is not None and newest.undo_cause == "removed" and newest.reason in ("RollbackFailed", "Ended"):
        return None
    taken = {name for run in app.runs if run.kind == "undo" for name in run.undoes}
    for run in reversed(app.runs):
        if run.name not in taken and any(step.touched and step.phase is not Phase.ROLLED_BACK for step in run.steps):
            return run
        if run.phase is Phase.SUCCEEDED:
            break
    return None


def _as_done(step: StepState) -> StepState:
    """As it was when it had been run, whatever became of an attempt to undo it."""
    copy = msgspec.convert(msgspec.to_builtins(step), StepState)
    copy.left |= any(intent.refs for path, intent in step.intents.items() if path not in step.results and not is_aside(path))
    copy.intents = {path: intent for path, intent in copy.intents.items() if path in copy.results and not is_aside(path)}
    copy.results = {path: result for path, result in copy.results.items() if path in copy.intents}
    copy.undo_attempt, copy.undo_error, copy.retry_at, copy.until = 0, "", None, None
    return copy


def _undone(app: Application, target: str) -> list[str]:
    """Names of the runs since the target revision was last promoted: what a restore run of it undoes (rule 1b)."""
    undone: list[str] = []
    for run in reversed(app.runs):
        if run.revision == target and run.phase is Phase.SUCCEEDED:
            break
        undone.append(run.name)
    return undone


def holds(run: Run) -> bool:
    """Whether the outcome of a run holds its digest back (6c). A rollback's restore run leaves that to the run that it undoes, and what
    is removed is tried again when it comes back."""
    return not run.restores and run.kind != "undo" and ended_badly(run)


def _problem(app: Application, declared: Declared, error: RenderError | SealError | ChartError) -> Problem:
    """Where it is wrong: the file and field that could not be decrypted, else the components or policies of the manifest."""
    if isinstance(error, SealError) and error.path:
        return Problem(error.path, error.line, str(error), f"Application {app.key.name}", error.field)
    field = error.field if isinstance(error, RenderError) else RenderError.field
    return Problem(declared.path, declared.line, str(error), f"Application {app.key.name}", field)


def _compile_declared(dialects: list[Dialect], files: TreeFiles, declared: Declared) -> Compiled:
    """The application of an entry, compiled again at the commit at which its digest was first seen. Raises SourceError."""
    try:
        result = compile_file(declared.path, files.read(declared.path), files, dialects)
    except (FileNotFoundError, ValueError) as error:
        raise SourceError(f"{declared.path} at {files.commit[:12]}: {error}") from error
    for app in result.applications:
        if app.key == declared.key and git_digest(app) == declared.digest:
            return app
    raise SourceError(f"{declared.path} at {files.commit[:12]} does not declare {declared.key} any more")


def _folders(compiled: Compiled, files: TreeFiles) -> dict[str, bytes]:
    """The charts that lie in the repository, of components that are rendered again when their inputs are there: then it is not at hand. Raises
    RenderError."""
    found: dict[str, bytes] = {}
    for name in sorted(take_inputs(compiled)):
        component = compiled.component(name)
        path = str(component.properties.get("path") or "")
        if component.is_built_in(CHART) and path:
            try:
                found[name] = pack_archive("chart", unpack_charts({at.removeprefix(f"{path}/"): data for at, data in files.tree(path).items()}))
            except (ValueError, FileNotFoundError, ChartError) as error:
                raise RenderError(f"component {component.name}: path: {error}") from error
    return found

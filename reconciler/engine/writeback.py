"""The commits that a rollback, or another command of a person, owes (rules 7c-7f): decided anew on every attempt, exact or not at all, pushed
by compare-and-swap."""

from __future__ import annotations

import asyncio
import difflib
from datetime import datetime
from typing import NamedTuple

import msgspec

from reconciler.dialects.documents import parse
from reconciler.dialects.registry import compile_file
from reconciler.engine.applications import Application, debt_name
from reconciler.engine.content import holds_secret
from reconciler.engine.context import Context
from reconciler.engine.declared import Declared
from reconciler.engine.files import TreeFiles
from reconciler.model.application import Application as Compiled
from reconciler.model.event import Event
from reconciler.model.identity import AppKey
from reconciler.model.names import SHARD, SUSPEND
from reconciler.model.run import Command, WriteBack, copy_run
from reconciler.model.text import one_line
from reconciler.revisions.digest import git_digest
from reconciler.source.edit import EditError, set_annotation, set_value
from reconciler.source.protocol import Edit, Lost, Source, SourceError

_FIRST, _LONGEST = 0.2, 60.0
_ATTEMPTS = 8
_PATCH = 4000


class Built(NamedTuple):
    """`commit` None: it can't be made; `reason` and `patch` say why and what a person would commit."""

    commit: str | None
    expected: str
    reason: str = ""
    patch: str = ""


class WriteBacker:
    def __init__(self, context: Context) -> None:
        self._context = context

    def start(self, app: Application) -> None:
        """Goes on with what this application owes to git, as a task: git never holds a worker (8a)."""
        for name, owed in app.debts().items():
            if name in app.tasks or name in app.write_backs:
                continue
            if owed.state in ("Owed", "Built") or (owed.state == "Differs" and self._digest_now(app.key) not in ("", owed.rejected)):
                app.tasks[name] = asyncio.create_task(self._advance(app, name, owed))

    async def take(self, app: Application) -> None:
        """Stores how far it came, in the key's own turn: intent, id and proof each before the next act (7d)."""
        debts = app.debts()
        for name, owed in list(app.write_backs.items()):
            before = debts.get(name)
            if before is not None and before.state != "Dropped" and before != owed:
                await settle_debt(self._context, app, name, owed)
                self._tell(app, name, owed)
            app.write_backs.pop(name, None)

    def _tell(self, app: Application, run: str, owed: WriteBack) -> None:
        """What became of it, as soon as something did."""
        if owed.state not in ("Owed", "Built"):
            differs = owed.state == "Differs"
            self._context.sink.emit(Event("write-back", app.key, {"run": run.partition("/")[0], "result": owed.reason if differs else owed.state}))
            self._context.sink.emit(Event("effect", app.key, {"kind": "write-back", "result": owed.reason if differs else "ok"}))

    async def _advance(self, app: Application, name: str, owed: WriteBack) -> None:
        context = self._context
        pause = 0.0
        try:
            if owed.attempts:
                await context.clock.sleep(min(_FIRST * 2 ** min(owed.attempts, 10), _LONGEST))
            app.write_backs[name] = await self._decide(app, owed)
        except SourceError:
            pause = _LONGEST
        finally:
            app.tasks.pop(name, None)
            context.hint_after(app.key, pause)

    def _digest_now(self, key: AppKey) -> str:
        entry = self._context.index.entries.get(key)
        return entry.declared.digest if entry is not None and entry.valid else ""

    async def _decide(self, app: Application, owed: WriteBack) -> WriteBack:
        context = self._context
        replace = msgspec.structs.replace
        if owed.state == "Built":
            return await self._push(owed)
        entry = context.index.entries.get(app.key)
        if entry is None or (entry.missing and not entry.doubt):
            return replace(owed, state="Dropped", reason="", message="")
        if not entry.valid:
            return replace(owed, attempts=owed.attempts + 1)
        declared = entry.declared
        if owed.annotation == SUSPEND:  # it is of the application, whatever it declares meanwhile
            owed = replace(owed, rejected=declared.digest)
        if declared.digest != owed.rejected or (owed.annotation and _says(declared, owed)):
            return replace(owed, state="Dropped", reason="", message="")
        target = (await context.contents.get(app.key, owed.target)).application if owed.target else None
        built = await context.thread.call(lambda source: self._build(source, declared, target, owed))
        if built.commit is None and built.reason == "Moved":
            context.look()
            return replace(owed, attempts=owed.attempts + 1)
        if built.commit is None:
            return replace(owed, state="Differs", reason=built.reason, message=built.patch)
        return replace(owed, state="Built", commit=built.commit, expected=built.expected, message=built.patch)

    async def _push(self, owed: WriteBack) -> WriteBack:
        """`contains` is the only proof (7d). Before the push the decision is still the one that was made for that very head."""
        context, replace = self._context, msgspec.structs.replace

        def work(source: Source) -> Lost | None:
            if source.contains(owed.commit):
                return None
            if source.head().id != owed.expected or not source.has(owed.commit):
                return Lost("Moved", "the branch moved meanwhile")
            answer = source.push(owed.commit, owed.expected)
            return answer if isinstance(answer, Lost) else None

        await context.lead.hold()
        lost = await context.thread.call(work)
        if lost is None:
            if owed.annotation:
                context.look()  # from now on git says it
            return replace(owed, state="Landed", reason="", message="")
        if lost.reason == "Moved" or (lost.reason == "PushRefused" and owed.attempts < _ATTEMPTS):  # a lock may be somebody's push under way
            context.look()
            return replace(owed, state="Owed", commit="", expected="", attempts=owed.attempts + 1)
        return replace(owed, state="Differs", reason=lost.reason, message=f"{one_line(lost.message)}\n{owed.message}")

    def _build(self, source: Source, declared: Declared, target: Compiled | None, owed: WriteBack) -> Built:
        """On the source's thread: the edit, the commit, and the proof that it gives the target digest and changes nobody else. `target`: what a
        rollback goes back to; None where an annotation alone is set, which leaves the digest as it is."""
        head = source.head()
        if self._context.index.head is None or head.id != self._context.index.head.id:
            return Built(None, head.id, "Moved")
        files = self._context.index.tree(source, head.id)
        text = files.read(declared.path).decode("utf-8", "surrogateescape")
        now = self._compiled_at(files, declared.path, declared.key)
        if now is None:
            return Built(None, head.id, "NotExact", "the manifest at the head can't be read as what it was owed for")
        try:
            if target is None:
                edited = set_annotation(text, declared.position, owed.annotation, owed.value)
            else:
                edited = _edit_manifest(text, declared.position, now, target)
        except EditError as error:
            return Built(None, head.id, "NotExact", f"the manifest can't be edited exactly: {one_line(error)}")
        edit: dict[str, bytes | str | None] = {}
        if edited != text:
            edit[declared.path] = edited.encode("utf-8", "surrogateescape")
        if target is not None:
            edit |= {path: oid for path, oid in _restored_files(now, target).items() if oid is None or source.has(oid)}
        patch = _patch(declared.path, text, edited, now, edit)
        if not self._context.write_back:
            return Built(None, head.id, "WriteBackOff", patch)
        commit = source.build(head.id, edit, _message(declared.key, owed), owed.at or datetime.fromtimestamp(0).astimezone(), _sign(owed.author))
        if commit is None:
            return Built(
                None, head.id, "NotExact", patch or "nothing in the manifest's own files differs; what differs is shared (environment.yaml?)"
            )
        objection = self._objection(source, commit, edit, declared.key, declared.digest if target is None else git_digest(target))
        return Built(None, head.id, "NotExact", f"{objection}\n{patch}") if objection else Built(commit, head.id, patch=patch)

    def _objection(self, source: Source, commit: str, edit: Edit, key: AppKey, wanted: str) -> str:
        """Why the new tree is not exactly the wanted digest for this application and the same for all others; empty when it is."""
        index = self._context.index
        new = index.digests_at(source, commit, list(edit))
        for other, digest in new.items():
            entry = index.entries.get(other)
            if other == key:
                if digest != wanted:
                    return "the edit would not give exactly the target revision"
            elif entry is None or not entry.valid or (digest != entry.declared.digest and not self._is_owed(other, digest)):
                return f"the commit that takes it back would change {other} too: what environments share can't be written back for one alone"
        return "" if key in new else "the edit would not give exactly the target revision"

    def _is_owed(self, key: AppKey, digest: str) -> bool:
        app = self._context.apps.get(key)
        if app is None:
            return False
        targets = {run.write_back.target for run in app.runs if run.write_back is not None and run.write_back.state in ("Owed", "Built")}
        return any(record.name in targets and record.digest == digest for record in app.records)

    def _compiled_at(self, files: TreeFiles, path: str, key: AppKey) -> Compiled | None:
        result = compile_file(path, files.read(path), files, self._context.index.dialects)
        return next((app for app in result.applications if app.key == key), None)


async def settle_debt(context: Context, app: Application, name: str, owed: WriteBack) -> None:
    """Stores what became of a commit that is owed, where the debt stands: in its run, or in the mirror."""

    def settled(run: str, commands: list[Command]) -> list[Command]:
        return [msgspec.structs.replace(command, owed=owed) if debt_name(run, command) == name else command for command in commands]

    run = app.find_run(name.partition("/")[0])
    if run is None:
        app.mirror.commands = settled("", app.mirror.commands)
        await app.store_mirror(context.store)
        return
    new = copy_run(run)
    if name == run.name:
        new.write_back = owed
    new.commands = settled(run.name, new.commands)
    app.put_run(await context.store.save(app.mirror, new))


def _sign(author: str) -> str:
    """The author of a commit, by the name that a person gave. Empty: the daemon itself."""
    name, _, mail = "".join(char if char.isprintable() else " " for char in author).partition("<")
    name, mail = name.replace(">", " ").strip(), mail.partition(">")[0].strip()
    return f"{name or mail} <{mail or 'unknown@localhost'}>" if name or mail else ""


def _says(declared: Declared, owed: WriteBack) -> bool:
    """Whether git says it already. A suspension is one whatever its reason."""
    return owed.annotation in declared.annotations and (owed.annotation == SUSPEND or declared.annotations[owed.annotation] == owed.value)


def _edit_manifest(text: str, position: int, now: Compiled, target: Compiled) -> str:
    """The text of what must change and nothing else: spec, labels, the annotations that the family reads. Raises EditError."""
    documents, _ = parse(now.path, text)
    content = next((document.content for document in documents if document.position == position), {})
    bare = "spec" not in content
    edited = set_value(text, position, now.spec, target.spec, path=() if bare else ("spec",))
    if bare:
        return edited
    labels = {name: value for name, value in target.labels.items() if name != SHARD} | ({SHARD: now.shard} if now.shard else {})
    edited = set_value(edited, position, now.labels, labels, path=("metadata", "labels")) if now.labels != labels else edited
    for name in {*now.read_annotations, *target.read_annotations}:
        old, new = now.annotations.get(name), target.annotations.get(name)
        if old != new:
            edited = set_value(edited, position, old, new, path=("metadata", "annotations", name))
    return edited


def _restored_files(now: Compiled, target: Compiled) -> dict[str, str | None]:
    """Referred files whose blob differs, back to the target's."""
    have = {reference.path: reference.oid for reference in now.references}
    want = {reference.path: reference.oid for reference in target.references}
    return {path: want.get(path) for path in have.keys() | want.keys() if have.get(path) != want.get(path)}


def _message(key: AppKey, owed: WriteBack) -> str:
    if owed.title:
        return f"{one_line(owed.title, 200)}\n\nIt was ordered at the daemon and holds already.\n"
    where = f"{one_line(key.name)} in {one_line(key.namespace)}"
    return f"Roll back {where} to {owed.target}\n\nThe revision that it replaces was rolled back and is not applied again.\n"


def _patch(path: str, old: str, new: str, now: Compiled, edit: Edit) -> str:
    """What a person would commit. A manifest that holds a Secret is not shown."""
    if holds_secret(now.spec):
        return f"{path}: not shown, it holds a Secret"
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), f"a/{path}", f"b/{path}", lineterm="", n=1))
    lines += [f"restore {name}" for name in sorted(edit) if name != path]
    return "\n".join(one_line(line, 400) for line in lines)[:_PATCH]

"""What git declares, file by file and identity by identity, kept up by the difference of two trees (rules 1a, 2, 10).

The index is changed by one look at a time. A look works on a thread and only reads; `Index.take` brings what it found in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from types import MappingProxyType

import msgspec

from reconciler.dialects.protocol import Dialect
from reconciler.dialects.registry import compile_file
from reconciler.dialects.scope import in_scope
from reconciler.engine.access import Access
from reconciler.engine.approvals import read_approvals
from reconciler.engine.declared import Declared, File
from reconciler.engine.files import FILE_LIMIT, NOTHING, ORDINARY, TreeFiles, Trees, read_ignore
from reconciler.engine.heads import Heads
from reconciler.engine.judging import judge
from reconciler.engine.look import Look
from reconciler.engine.recall import Recall
from reconciler.engine.rulebook import Rulebook
from reconciler.gates.weakening import is_gate
from reconciler.model.account import picked
from reconciler.model.application import Application
from reconciler.model.identity import AppKey
from reconciler.model.names import IGNORE_FILE, is_ours
from reconciler.model.problem import Problem
from reconciler.revisions.digest import git_digest
from reconciler.source.ignore import Ignore
from reconciler.source.protocol import Blob, Head, Source, SourceError


class Entry(msgspec.Struct):
    """One identity. `declared`: of the head, or the last good one. `valid`: the head declares it, once and without errors.
    `missing`: the head does not declare it at all; `doubt`: why that is not yet a removal, empty when it surely is one."""

    declared: Declared
    valid: bool = True
    missing: bool = False
    doubt: str = ""
    problems: tuple[Problem, ...] = ()


class Index:
    """
    `accepted` is the last commit in which everything was recognised: what removals are measured against. `redo`: what the last
    look found was not brought in to the end, so that the next one reads everything. `again`: the next one judges what is missing, though the
    head may be the same. `by_shard`: how many entries each shard has. `recall`: what the daemon before this one read. `access`: what manifests
    may pick; None: all of it. `served`: definitions of the cluster, set whenever they change, for the next look to take in.
    """

    def __init__(self, dialects: list[Dialect], recall: Recall | None = None, access: Access | None = None) -> None:
        self.dialects, self._recall, self._access = dialects, recall, access
        self.head: Head | None = None
        self.looked_at: datetime | None = None
        self.accepted = ""
        self.accepted_ignore = ""
        self._accepted_keys: frozenset[AppKey] | None = None
        self.ignore_oid = ""
        self._ignore = Ignore.parse("")
        self.files: dict[str, File] = {}
        self.entries: dict[AppKey, Entry] = {}
        self.by_shard = Counter[str]()
        self._places: dict[AppKey, set[str]] = {}
        self._watchers: dict[str, set[str]] = {}
        self._unrecognised: set[str] = set()
        self._troubled: set[str] = set()
        self._invalid: set[AppKey] = set()
        self._keys_at: dict[str, set[AppKey]] = {}
        self.missing: set[AppKey] = set()
        self.redo, self.again, self.book = False, False, Rulebook({})
        self.served = self._taken = NOTHING
        self._heads = Heads()

    def tree(self, source: Trees, commit: str, archives: Mapping[str, bytes] = MappingProxyType({})) -> TreeFiles:
        """What manifests may refer to at a commit, with the definitions that the cluster has now."""
        return TreeFiles(source, commit, archives, self.served)

    def resume(self, accepted: str, ignore: str) -> None:
        """The accepted commit and its ignore file as they are stored; which identities it declared is asked of git when needed."""
        self.accepted, self.accepted_ignore, self._accepted_keys, self.again = accepted, ignore, None, True

    def seed(self, declared: Declared, doubt: str) -> None:
        """An application known from state. Where a look has found its manifest, that counts; its digest was first seen when state says."""
        entry = self.entries.get(declared.key)
        if entry is not None and self.head is not None:
            if entry.declared.digest == declared.digest:
                entry.declared = entry.declared._replace(commit=declared.commit)
            return
        self._put(declared.key, Entry(declared, valid=False, missing=True, doubt=doubt))

    def _put(self, key: AppKey, entry: Entry) -> None:
        """Keeps the entry, and what is asked of all of them: which are missing, and whose last file is which."""
        old = self.entries.get(key)
        if old is not None and old.declared.path != entry.declared.path:
            self._keys_at.get(old.declared.path, set()).discard(key)
        self.by_shard[entry.declared.shard] += 1
        if old is not None:
            self.by_shard[old.declared.shard] -= 1
        self.entries[key] = entry
        self._keys_at.setdefault(entry.declared.path, set()).add(key)
        (self.missing.add if entry.missing else self.missing.discard)(key)
        (self._invalid.discard if entry.valid or entry.missing else self._invalid.add)(key)

    # The look: on the source's thread, reads only ---------------------------------------------------------------------

    def look(self, source: Source, now: datetime, seconds: Callable[[], float], observed: str = "") -> Look | None:
        """
        Reads the ref and what changed since the last look; None where nothing did. `seconds` is a monotonic clock. `observed`: what must not be
        gone back behind unseen, empty where this repository is all there is. Raises SourceError.
        """
        start, head = seconds(), source.head()
        self._heads.check(source, head, observed)
        before = self.head.id if self.head and not self.redo else ""
        served = self.served
        if head.id == before and not self.again and served is self._taken:
            return None
        files = TreeFiles(source, head.id, served=served)
        ignore_oid = files.oid(IGNORE_FILE) or ""
        full = not before or ignore_oid != self.ignore_oid or not source.has(before)
        ignore = read_ignore(files) if full else self._ignore
        changed = {change.path: change.new for change in source.changes("" if full else before, head.id)}
        known = seconds()
        paths: dict[str, Blob | None] = dict(changed)
        for path in self._dependents([*changed, *served.differing(self._taken)]):
            paths.setdefault(path, files.blob(path))
        if full:
            paths |= {path: None for path in self.files if path not in changed}
        found, compiled = self._read_all(source, files, paths, ignore)
        declared = {each.key: each for file in found.values() if file is not None for each in file.declared}
        folders = {path for each in declared.values() for path in each.watched if path.endswith("/")}
        for path, file in found.items():
            if file is not None and not file.declared and not self._keys_at.get(path) and self._is_referred(path, folders):
                found[path] = None  # a plain manifest in a folder that a component refers to is that application's, not in scope (1a)
        descends = not self.accepted or source.descends(head.id, self.accepted)
        existed = self._existed(source, found, declared.keys())
        above = {folder for key in existed if (entry := self.entries.get(key)) for folder in _folders(entry.declared.path)}
        blocked = frozenset(folder for folder in above if files.blob(folder) is not None)
        approved, book, times = read_approvals(files), self.book.read(files), (known - start, seconds() - known)
        return Look(head, now, full, descends, ignore_oid, ignore, found, compiled, existed, blocked, approved, book, served, *times)

    def _read_all(
        self, source: Source, files: TreeFiles, paths: dict[str, Blob | None], ignore: Ignore
    ) -> tuple[dict[str, File | None], dict[AppKey, tuple[str, Application]]]:
        """The files in scope, and the applications of those that were not recalled."""
        found: dict[str, File | None] = {}
        compiled: dict[AppKey, tuple[str, Application]] = {}
        recalled, count = self._recall.read(files) if self._recall is not None and self.head is None else {}, 0
        for path, blob in paths.items():
            if path not in self.files and (not in_scope(path) or ignore.matches(path)):
                continue
            kept = recalled.get(path)
            if blob is None or ignore.matches(path):
                found[path] = None
            elif kept is not None and blob.mode in ORDINARY and blob.oid == kept.oid:
                found[path] = kept._replace(declared=tuple(self._first_seen(declared, files.commit) for declared in kept.declared))
                count += 1
            else:
                found[path] = self._read(source, files, path, blob, compiled)
        if self._recall is not None:
            self._recall.note(len(found) - count)
        return found, compiled

    def _existed(self, source: Source, found: dict[str, File | None], declared: AbstractSet[AppKey]) -> frozenset[AppKey]:
        """Which of the identities that this look does not find did the accepted commit declare? After a restart it is asked again."""
        changed = {key for path in found for key in tuple(self._keys_at.get(path, ()))}  # the loop may drop one meanwhile
        missing = [key for key in self.missing | changed if key not in declared]
        if self._accepted_keys is not None:
            return self._accepted_keys.intersection(missing)
        files = self.tree(source, self.accepted) if self.accepted and source.has(self.accepted) else None
        if files is None:
            return frozenset()
        ignore = read_ignore(files)
        return frozenset(key for key in missing if (entry := self.entries.get(key)) and self._declares(files, ignore, entry.declared))

    def _declares(self, files: TreeFiles, ignore: Ignore, declared: Declared) -> bool:
        if not in_scope(declared.path) or ignore.matches(declared.path):
            return False
        try:
            result = compile_file(declared.path, files.read(declared.path), files, self.dialects)
        except (FileNotFoundError, ValueError):
            return False
        return any(app.key == declared.key for app in result.applications)

    def _is_referred(self, path: str, folders: set[str]) -> bool:
        above = [path[: end + 1] for end, char in enumerate(path) if char == "/"]
        return any(folder in folders or self._watchers.get(folder) for folder in above)

    def _dependents(self, changed: Iterable[str]) -> set[str]:
        """Files whose applications watch one of the changed paths, itself or a folder above it, and all with errors: what mends those
        may stand elsewhere."""
        found = set(self._unrecognised)
        for path in changed if self._watchers else ():
            found |= self._watchers.get(path, frozenset())
            slash = path.rfind("/")
            while slash >= 0:
                found |= self._watchers.get(path[: slash + 1], frozenset())
                slash = path.rfind("/", 0, slash)
        return found

    def _read(self, source: Source, files: TreeFiles, path: str, blob: Blob, compiled: dict[AppKey, tuple[str, Application]]) -> File:
        if blob.mode not in ORDINARY:
            what = "a symbolic link" if blob.mode == 0o120000 else "no ordinary file"
            return File(blob.oid, (), (Problem(path, 0, f"{what}: it is not read"),), recognised=False, foreign=frozenset())
        try:
            data = source.read(blob.oid, FILE_LIMIT)
            result = compile_file(path, data, files, self.dialects)
            denied = {app.key: found for app in result.applications if self._access and (found := judge(self._access, app, data))}
        except SourceError as error:
            return File(blob.oid, (), (Problem(path, 0, str(error)),), recognised=False, foreign=frozenset())
        except Exception as error:  # noqa: BLE001  # rule 8: one file that breaks a dialect is not read, the others are
            problem = Problem(path, 0, f"it could not be read: internal error {type(error).__name__}")
            return File(blob.oid, (), (problem,), recognised=False, foreign=frozenset())
        declared = []
        for app in result.applications:
            if app.key in denied:
                continue
            declared.append(self._declare(app, blob.oid, files.commit))
            compiled[app.key] = declared[-1].digest, app
        problems = (*result.problems, *(problem for found in denied.values() for problem in found))
        return File(blob.oid, tuple(declared), problems, result.recognised and not denied, frozenset(result.foreign))

    def _declare(self, app: Application, oid: str, commit: str) -> Declared:
        declared = Declared(
            key=app.key,
            digest=git_digest(app),
            path=app.path,
            position=app.index,
            line=app.line,
            oid=oid,
            family=app.family,
            environment=app.environment.name,
            commit=commit,
            annotations={key: value for key, value in app.annotations.items() if is_ours(key)} | picked(app.annotations),
            gates=tuple(step.key for step in app.workflow.steps if is_gate(step)),
            watched=tuple(app.watched),
            awaited=tuple(app.awaited),
            shard=app.shard,
        )
        return self._first_seen(declared, commit)

    def _first_seen(self, declared: Declared, commit: str) -> Declared:
        """With the commit in which that digest was first seen, `commit` where it is new."""
        before = self.entries.get(declared.key)
        known = before is not None and before.declared.digest == declared.digest
        return declared._replace(commit=before.declared.commit if before is not None and known else commit)

    # Bringing a look in: on the event loop ----------------------------------------------------------------------------

    def take(self, look: Look, source_clean: bool) -> set[AppKey]:
        """Answers the keys that may have changed. `source_clean`: identity of the source and its paths are those of `accepted`."""
        touched: set[AppKey] = set()
        for path, file in look.files.items():
            touched |= self._replace(path, file)
        if look.full:
            self._ignore, self.ignore_oid = look.patterns, look.ignore
        self.head, self.looked_at, self.redo, self.again, self.book, self._taken = look.head, look.at, False, False, look.book, look.served
        self._heads.note(look.head)
        touched |= self.missing
        for key in touched:
            self._settle(key, look, source_clean)
        return touched

    def accept(self) -> None:
        """The head becomes the accepted commit where everything in scope is recognised."""
        if self._unrecognised or self.head is None or self.head.id == self.accepted:
            return
        self.accepted, self.accepted_ignore = self.head.id, self.ignore_oid
        self._accepted_keys = frozenset(self.entries.keys() - self.missing)

    def keep(self) -> Callable[[Source], None] | None:
        """Writes down what is known, for the next start, where enough of it is new; to be called on the source's thread."""
        recall, head, known = self._recall, self.head, dict(self.files) if self._recall and self._recall.due(len(self.files)) else {}
        if recall is None or head is None or not known:
            return None
        served = self._taken
        return lambda source: recall.write(known, TreeFiles(source, head.id, served=served))

    def _replace(self, path: str, file: File | None) -> set[AppKey]:
        old = self.files.pop(path, None)
        touched: set[AppKey] = set()
        for declared in old.declared if old else ():
            touched.add(declared.key)
            self._places.get(declared.key, set()).discard(path)
            for watched in declared.watched:
                self._watchers.get(watched, set()).discard(path)
        self._unrecognised.discard(path)
        self._troubled.discard(path)
        if file is None:
            return touched | self._keys_at.get(path, set())
        self.files[path] = file
        if not file.recognised:
            self._unrecognised.add(path)
        if file.problems:
            self._troubled.add(path)
        for declared in file.declared:
            touched.add(declared.key)
            self._places.setdefault(declared.key, set()).add(path)
            for watched in declared.watched:
                self._watchers.setdefault(watched, set()).add(path)
        if file.problems or not file.recognised or (old is not None and (old.problems or not old.recognised)):
            touched |= self._keys_at.get(path, set())
        return touched

    def _settle(self, key: AppKey, look: Look, source_clean: bool) -> None:
        """Rule 1a for one identity."""
        places = sorted(self._places.get(key, set()))
        found = [declared for path in places for declared in self.files[path].declared if declared.key == key]
        old = self.entries.get(key)
        if len(found) == 1:
            problems = tuple(problem for problem in self.files[places[0]].problems if problem.severity == "warning")
            self._put(key, Entry(found[0], problems=problems))
        elif found:
            where = " and ".join(f"{declared.path}:{declared.line}" for declared in found[:4])
            problem = Problem(found[0].path, found[0].line, f"{key} is declared more than once: {where}", f"Application {key.name}", "metadata.name")
            self._put(key, Entry(old.declared if old else found[0], valid=False, problems=(problem,)))
        elif old is not None:
            file = self.files.get(old.declared.path)
            if file is not None and (not file.recognised or any(problem.severity == "error" for problem in file.problems)):
                self._put(key, Entry(old.declared, valid=False, problems=file.problems))
            else:
                doubt = self._doubt(old.declared, look, source_clean)
                self._put(key, Entry(old.declared, valid=False, missing=True, doubt=doubt))

    def _doubt(self, declared: Declared, look: Look, source_clean: bool) -> str:
        """Why a missing identity is not surely removed; empty when it is."""
        if declared.key not in look.existed:
            return "it was not declared in the last accepted commit"
        if not self.accepted or not source_clean:
            return "the source, its branch or its paths are not those in which it was last seen"
        if not look.descends:
            return "the head does not descend from the last accepted commit (force-push?)"
        if look.ignore != self.accepted_ignore:
            return f"{IGNORE_FILE} changed"
        if self._unrecognised:
            return f"{min(self._unrecognised)} could not be read or recognised"
        blocked = next((folder for folder in _folders(declared.path) if folder in look.blocked), "")
        if blocked:
            return f"{blocked} is no folder any more"
        last = self.files.get(declared.path)
        if last is not None and last.foreign:
            return f"another document stands in its last file {declared.path}"
        if any(declared.key.name in file.foreign for file in self.files.values() if file.foreign):
            return "a document of another kind has its name"
        return ""

    def digests_at(self, source: Source, commit: str, paths: list[str]) -> dict[AppKey, str]:
        """What another commit, differing from the head in those paths alone, gives for every application that they touch.

        On the source's thread. An application with errors there has an empty digest.
        """
        files = self.tree(source, commit)
        found: dict[AppKey, str] = {}
        for path in sorted({*paths, *self._dependents(paths)}):
            old = self.files.get(path)
            if old is None:
                continue
            found |= {declared.key: "" for declared in old.declared}
            try:
                result = compile_file(path, files.read(path), files, self.dialects)
            except (FileNotFoundError, ValueError):
                continue
            found |= {app.key: git_digest(app) for app in result.applications}
        return found

    def drop(self, key: AppKey) -> None:
        """The removal is done: the identity is forgotten."""
        entry = self.entries.pop(key, None)
        if entry is not None:
            self._keys_at.get(entry.declared.path, set()).discard(key)
            self.by_shard[entry.declared.shard] -= 1
        self.missing.discard(key)
        self._invalid.discard(key)

    @property
    def unrecognised(self) -> frozenset[str]:
        return frozenset(self._unrecognised)

    def problems(self) -> list[Problem]:
        """All findings of the head, by path and line, duplicates of identity too."""
        found = {problem for path in self._troubled for problem in self.files[path].problems}
        found |= {problem for key in self._invalid for problem in self.entries[key].problems} | {*self.book.problems, *self._taken.problems()}
        return sorted(found, key=lambda problem: (problem.path, problem.line, problem.field, problem.message))


def _folders(path: str) -> list[str]:
    """All folders that the path is in, from the top."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]

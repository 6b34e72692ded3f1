"""A local git repository, opened in place: no clone, no checkout, and only objects of the object database are read."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType, SortMode

from reconciler.model.run import Commit
from reconciler.model.text import one_line
from reconciler.source import refs, trees
from reconciler.source.objects import ID, Objects, readable, shown
from reconciler.source.protocol import (
    Blob,
    Change,
    Edit,
    EmptyRepositoryError,
    Head,
    Lost,
    Pushed,
    RefMissingError,
    UnreadableError,
)

OWN_NAME = "Reconciler"
OWN_MAIL = "reconciler@localhost"

_AUTHOR = re.compile(r"([^<>\x00-\x1f]*)<([^<>\x00-\x1f]*)>")


class GitSource:
    """Implements `reconciler.source.protocol.Source` for a work tree's or a bare repository on this machine."""

    def __init__(self, path: Path, repository: pygit2.Repository, ref: str, paths: tuple[str, ...]) -> None:
        """Use `open`. `ref`: a full name, or 40 hex digits for a pinned commit."""
        self._path = path
        self._objects = Objects(path, repository)
        self._ref = ref
        self.paths = paths

    @classmethod
    def open(cls, path: str | Path, ref: str = "", paths: Iterable[str] = ()) -> GitSource:
        """
        `path`: the top of a work tree, or a bare repository. `ref`: branch, tag, commit id or full ref name; empty: the branch
        that HEAD names now. `paths`: files and folders below the top; none: everything.

        Raises NotARepositoryError, UnreadableError, and ValueError for a path that leads out of the repository.
        """
        scope = trees.normalise(paths)
        place = Path(path).absolute()
        pygit2.settings.enable_fsync_gitdir(True)  # as git itself does: a commit that was pushed outlives a power cut
        repository = refs.open_in_place(place)
        with readable(f"{place} cannot be read"):
            name = refs.full_name(repository, ref)
        return cls(place, repository, name, scope)

    @property
    def identity(self) -> str:
        return one_line(f"{self._path.resolve()} {self._ref} {','.join(self.paths) or '.'}", 4096)

    @property
    def ref(self) -> str:
        """The full name of the ref that is followed; empty for a pinned commit."""
        return "" if ID.fullmatch(self._ref) else self._ref

    @property
    def git_folder(self) -> Path:
        """Where refs and objects are."""
        return refs.common_folder(self._objects.repository())

    def head(self) -> Head:
        tip = self._tip()
        return Head(tip, self.ref, self.commit(tip))

    def descends(self, new: str, old: str) -> bool:
        if new == old:
            return self.has(old)
        if not self.has(old):
            return False
        with readable(f"the history of {new} cannot be read"):
            return bool(self._objects.repository().descendant_of(new, old))

    def changes(self, old: str, new: str) -> list[Change]:
        before = self._objects.root(old) if old else None
        after = self._objects.root(new)
        found: list[Change] = []
        for path in self.paths:
            was = trees.find(before, path, self._objects.folder) if before else None
            found.extend(trees.walk(was, trees.find(after, path, self._objects.folder), path, self._objects.folder))
        return found

    def tree(self, commit: str, path: str = "") -> dict[str, Blob]:
        path = path.strip("/")
        entry = trees.find(self._objects.root(commit), path, self._objects.folder)
        if entry is None or entry.mode != trees.TREE:
            return {}
        return {change.path: change.new for change in trees.walk(None, entry, path, self._objects.folder) if change.new}

    def blob(self, commit: str, path: str) -> Blob | None:
        entry = trees.find(self._objects.root(commit), path, self._objects.folder)
        return entry.blob if entry is not None and entry.mode != trees.TREE else None

    def read(self, oid: str, limit: int) -> bytes:
        return self._objects.read(oid, ObjectType.BLOB, limit)

    def log(self, path: str, since: str, until: str, limit: int = 1000) -> list[Commit]:
        """
        As `git log`: a merge that took the path from one parent unchanged is passed by, and so is the other parent's history.
        A `since` that is not in the repository (it was forced away) bounds nothing.
        """
        found: list[Commit] = []
        known: dict[str, str | None] = {}
        wanted = {until}
        with readable(f"the history of {until} cannot be read"):
            for commit in self._history(since, until):
                name = str(commit.id)
                if len(found) >= limit or not wanted:
                    break
                if name not in wanted:
                    continue
                wanted.discard(name)
                parents = [str(parent) for parent in commit.parent_ids]
                same = self._unchanged(name, parents, path, known) if path else None
                if same is not None:
                    wanted.update(same)
                    continue
                wanted.update(parents)
                found.append(shown(commit))
        return found

    def _history(self, since: str, until: str) -> Iterator[pygit2.Commit]:
        walker = self._objects.repository().walk(until, SortMode.TOPOLOGICAL)
        if since and self.has(since):
            walker.hide(since)
        return iter(walker)

    def _unchanged(self, commit: str, parents: list[str], path: str, known: dict[str, str | None]) -> list[str] | None:
        """The parents to go on with where `commit` did not change `path`, or None where it did."""
        here = self._state(commit, path, known)
        if not parents:
            return [] if here is None else None
        for parent in parents:
            if self._state(parent, path, known) == here:
                return [parent]
        return None

    def _state(self, commit: str, path: str, known: dict[str, str | None]) -> str | None:
        if not self.has(commit):
            return None  # behind the edge of a shallow clone
        root = self._objects.root(commit)
        if root not in known:
            entry = trees.find(root, path.strip("/"), self._objects.folder)
            known[root] = f"{entry.mode:o} {entry.oid}" if entry else None
        return known[root]

    def commit(self, commit: str) -> Commit:
        with readable(f"commit {commit} cannot be read"):
            return shown(self._objects.commit(commit))

    def build(self, head: str, edit: Edit, message: str, date: datetime, author: str = "") -> str | None:
        """
        As the protocol says. Raises ValueError for a path that no commit may write, a date without zone or an author that is
        not `Name <mail>`; UnreadableError where what stands at a path is not an ordinary file.
        """
        if date.tzinfo is None:
            raise ValueError("the date of a commit needs a time zone")
        for path in edit:
            trees.checked(path)
        name, mail = _author(author)
        seconds = int(date.timestamp())
        repository = self._objects.repository()
        with readable(f"a commit on {head} cannot be built"):
            stored = {path: self._stored(content) for path, content in edit.items()}
            root = self._objects.root(head)
            tree = trees.rewrite(root, stored, self._objects.folder, lambda data: str(repository.write(ObjectType.TREE, data)))
            if tree == root:
                return None
            signed = pygit2.Signature(name, mail, seconds, 0, "utf-8")
            own = pygit2.Signature(OWN_NAME, OWN_MAIL, seconds, 0, "utf-8")
            return str(repository.create_commit(None, signed, own, message, tree, [head]))

    def _stored(self, content: bytes | str | None) -> str | None:
        if isinstance(content, bytes):
            return str(self._objects.repository().create_blob(content))
        if content is not None and (not self.has(content) or self._objects.kind(content)[0] != ObjectType.BLOB):
            raise UnreadableError(f"{one_line(content)} is no blob of this repository")
        return content

    def push(self, commit: str, expected: str) -> Pushed | Lost:
        if not self.ref.startswith("refs/heads/"):
            return Lost("PushRefused", f"{self._ref} is not a branch; only a branch is pushed to")
        if self.contains(commit):
            return Pushed(commit)
        if not self.descends(commit, expected):
            return Lost("PushRefused", f"{commit} is not built on {expected}")
        held = refs.holder(self._objects.repository(), self.ref)
        if held is not None:
            return Lost("BranchCheckedOut", f"{self.ref} is checked out in the work tree of {held}; it is never moved under it")
        return self._swap(commit, expected)

    def _swap(self, commit: str, expected: str) -> Pushed | Lost:
        """libgit2 compares the ref with what was read while it holds the ref's lock file, the lock that git itself takes."""
        try:
            reference = self._objects.repository().references[self.ref]
            if isinstance(reference.target, str):
                return Lost("PushRefused", f"{self.ref} is a symbolic ref to {reference.target}; name that branch")
            if str(reference.target) != expected:
                return Lost("Moved", f"{self.ref} is at {reference.target}, not at {expected}")
            self._drop_own_lock(commit)
            reference.set_target(commit, "reconciler: write-back")
            return Pushed(commit)
        except (pygit2.GitError, OSError, KeyError, ValueError) as error:
            return self._lost(expected, error)

    def _drop_own_lock(self, commit: str) -> None:
        """A daemon that was killed while it moved the ref left a lock with the commit that it built: nobody else writes that one."""
        lock = self._lock
        with contextlib.suppress(FileNotFoundError):
            if lock.stat().st_size == len(commit) + 1 and lock.read_bytes() == f"{commit}\n".encode():
                lock.unlink()

    @property
    def _lock(self) -> Path:
        return self.git_folder / f"{self.ref}.lock"

    def _lost(self, expected: str, error: Exception) -> Lost:
        tip = self._tip()
        if tip != expected:
            return Lost("Moved", f"{self.ref} is at {tip}, not at {expected}")
        if self._lock.exists():
            why = f"{self._lock} exists: another git process holds the branch, or one that was killed left it; remove it if none runs"
            return Lost("PushRefused", why)
        return Lost("PushRefused", f"{self.ref} cannot be moved: {one_line(error)}")

    def contains(self, commit: str) -> bool:
        return self.descends(self._tip(), commit)

    def has(self, oid: str) -> bool:
        return self._objects.has(oid)

    def _tip(self) -> str:
        repository = self._objects.repository()
        with readable(f"{self._ref} cannot be read"):
            if not self.ref:
                return str(self._objects.commit(self._ref).id)
            try:
                return str(repository.lookup_reference(self.ref).peel(pygit2.Commit).id)
            except pygit2.NotFoundError as error:
                if self.ref in repository.references:
                    raise
                if next(iter(repository.references.iterator()), None) is None:
                    raise EmptyRepositoryError(f"{self._path} has no commit yet") from error
                raise RefMissingError(f"{self.ref} is not in {self._path}") from error


def _author(text: str) -> tuple[str, str]:
    if not text:
        return OWN_NAME, OWN_MAIL
    match = _AUTHOR.fullmatch(text.strip())
    if match is None or not match[1].strip() or not match[2].strip():
        raise ValueError(f"not an author, `Name <mail>`: {one_line(text)}")
    return match[1].strip(), match[2].strip()

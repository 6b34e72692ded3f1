"""Objects of a repository by id, each checked by its header before it is read."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from reconciler.model.run import Commit
from reconciler.model.text import one_line
from reconciler.source import trees
from reconciler.source.protocol import NotARepositoryError, TooLargeError, UnreadableError
from reconciler.source.refs import open_in_place

ID = re.compile(r"[0-9a-f]{40}")
# A tree of a million entries; a commit whose message is larger says nothing to anybody.
MAX_TREE = 64 * 2**20
MAX_COMMIT = 2**20
# Whoever looks up many files asks for the same few folders each time. Together these take 16 MB at most.
KEPT_FOLDERS, LARGEST_KEPT = 16, 128 * 2**10


class Objects:
    """One repository's object database. Not safe for several threads at once."""

    def __init__(self, path: Path, repository: pygit2.Repository) -> None:
        self._path = path
        self._repository = repository
        self._inode = _inode(repository)
        self._folders: OrderedDict[str, trees.Folder] = OrderedDict()
        self._root = ("", "")  # of the commit that was asked for last: most look-ups are in one

    def repository(self) -> pygit2.Repository:
        """The repository, opened anew where another one was put in its place. Raises UnreadableError where it is gone."""
        inode = _inode(self._repository)
        if inode is None or inode != self._inode:
            try:
                self._repository = open_in_place(self._path)
            except NotARepositoryError as error:  # it was one when it was opened: not the user's mistake, it may come back
                raise UnreadableError(str(error)) from error
            self._inode = _inode(self._repository)
        return self._repository

    def has(self, oid: str) -> bool:
        return bool(ID.fullmatch(oid)) and oid in self.repository().odb

    def kind(self, oid: str) -> tuple[int, int]:
        """Type and size of an object, from its header alone. Raises UnreadableError."""
        if not ID.fullmatch(oid):
            raise UnreadableError(f"not an object id: {one_line(oid)}")
        with readable(f"object {oid} cannot be read"):
            kind, size = self.repository().odb.read_header(oid)
            return int(kind), int(size)

    def read(self, oid: str, wanted: ObjectType, limit: int) -> bytes:
        """The bytes of an object of that type. Raises TooLargeError over `limit` bytes (decided before reading), UnreadableError."""
        kind, size = self.kind(oid)
        if kind != wanted:
            raise UnreadableError(f"object {oid} is not a {wanted.name.lower()}")
        if size > limit:
            raise TooLargeError(f"{size} bytes, at most {limit} are read")
        with readable(f"object {oid} cannot be read"):
            return bytes(self._repository.odb.read(oid)[1])

    def folder(self, oid: str) -> trees.Folder:
        """The entries of a tree. Raises UnreadableError, also for one over `MAX_TREE` bytes."""
        if oid in self._folders:
            self._folders.move_to_end(oid)
            return self._folders[oid]
        try:
            data = self.read(oid, ObjectType.TREE, MAX_TREE)
        except TooLargeError as error:
            raise UnreadableError(f"tree {oid}: {error}") from error
        folder = trees.parse(data, oid)
        if len(data) <= LARGEST_KEPT:
            self._folders[oid] = folder
            if len(self._folders) > KEPT_FOLDERS:
                self._folders.popitem(last=False)
        return folder

    def commit(self, oid: str) -> pygit2.Commit:
        kind, size = self.kind(oid)
        if kind != ObjectType.COMMIT:
            raise UnreadableError(f"object {oid} is not a commit")
        if size > MAX_COMMIT:
            raise UnreadableError(f"commit {oid} is {size} bytes large, at most {MAX_COMMIT} are read")
        with readable(f"commit {oid} cannot be read"):
            return self.repository()[oid].peel(pygit2.Commit)

    def root(self, commit: str) -> str:
        """The id of a commit's tree."""
        if self._root[0] != commit:
            self._root = commit, str(self.commit(commit).tree_id)
        return self._root[1]


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Whatever libgit2 answers to something missing or corrupt becomes an UnreadableError that begins with `what`."""
    try:
        yield
    except (pygit2.GitError, OSError, KeyError, ValueError) as error:
        raise UnreadableError(f"{what}: {one_line(error)}") from error


def shown(commit: pygit2.Commit) -> Commit:
    """A commit for people: author and first line of the message on one line each, whatever bytes they are made of (rule 13e)."""
    author = commit.author
    name, mail = (raw.decode("utf-8", "replace") for raw in (author.raw_name, author.raw_email))
    first = commit.raw_message.lstrip().split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    try:
        time = datetime.fromtimestamp(commit.commit_time, UTC)
    except (ValueError, OverflowError, OSError):
        time = None
    return Commit(id=str(commit.id), author=one_line(f"{name} <{mail}>"), time=time, message=one_line(first))


def _inode(repository: pygit2.Repository) -> tuple[int, int] | None:
    try:
        stat = os.stat(repository.path)  # noqa: PTH116  # asked before each object: a Path costs ten times as much
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino)

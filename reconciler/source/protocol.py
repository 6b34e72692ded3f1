"""What the engine needs of a source (repository, ref, paths). Methods block; the engine calls them on one thread of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Literal, NamedTuple, Protocol

from reconciler.model.outcome import Retry
from reconciler.model.run import Commit


class SourceError(Exception):
    """Root of what a source can answer. Nothing is ever concluded from one about what git declares (rules 1a, 2)."""

    retry: ClassVar[Retry] = "backoff"
    reason: ClassVar[str] = "SourceError"


class RefMissingError(SourceError):
    """The branch, tag or commit is not there: deleted, or not yet made. The last good state stays."""

    reason: ClassVar[str] = "RefMissing"


class EmptyRepositoryError(SourceError):
    """A repository without commits."""

    reason: ClassVar[str] = "EmptyRepository"


class UnreadableError(SourceError):
    """The repository, or an object in it, cannot be read."""

    reason: ClassVar[str] = "Unreadable"


class BehindError(SourceError):
    """The ref stands at an ancestor of what was observed before, and nobody saw it move there: a copy that is not up to date, most likely (3h)."""

    reason: ClassVar[str] = "Behind"


class NotARepositoryError(SourceError):
    """The path is not the top of a git repository. Final: the user named the wrong folder."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "NotARepository"


class TooLargeError(SourceError):
    """A blob over the limit."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "TooLarge"


class Head(NamedTuple):
    """What the ref holds. `id`: 40 hex digits; `ref`: its full name (`refs/heads/main`), empty for a pinned commit."""

    id: str
    ref: str
    commit: Commit


class Blob(NamedTuple):
    """An entry of a tree. `mode` as git writes it; only 0o100644 and 0o100755 are ordinary files."""

    oid: str
    mode: int


class Change(NamedTuple):
    """One path that differs between two trees. `old` or `new` None: not there on that side."""

    path: str
    old: Blob | None
    new: Blob | None


class Pushed(NamedTuple):
    """`id` is reachable from the ref now."""

    id: str


class Lost(NamedTuple):
    """
    The ref was not what was expected (or the push was refused): decide everything anew.

    `reason`: `Moved` (somebody pushed), `BranchCheckedOut`, `PushRefused`.
    """

    reason: Literal["Moved", "BranchCheckedOut", "PushRefused"]
    message: str


Edit = Mapping[str, bytes | str | None]
"""Path to new content (bytes), to an existing blob (its id, str), or to None (remove). A path keeps its mode."""


class Source(Protocol):
    """One repository, one ref, one or more paths. Not safe for several threads at once."""

    @property
    def identity(self) -> str:
        """URL or absolute path, ref and paths as one line: what rule 1a compares."""
        ...

    def head(self) -> Head:
        """Resolves the ref now. Raises RefMissingError, EmptyRepositoryError, UnreadableError."""
        ...

    def descends(self, new: str, old: str) -> bool:
        """Whether `old` is `new` or one of its ancestors. False where `old` is not in the repository."""
        ...

    def changes(self, old: str, new: str) -> list[Change]:
        """Differences of two commits' trees below the paths of the source. `old` empty: everything in `new`."""
        ...

    def tree(self, commit: str, path: str = "") -> dict[str, Blob]:
        """All entries below `path` (a folder, whole repository when empty), by full path. Empty where there is none."""
        ...

    def blob(self, commit: str, path: str) -> Blob | None:
        """The entry at exactly that path, or None; a folder is None."""
        ...

    def read(self, oid: str, limit: int) -> bytes:
        """Raises TooLargeError over `limit` bytes (decided before reading), UnreadableError where it is missing or no blob."""
        ...

    def log(self, path: str, since: str, until: str, limit: int = 1000) -> list[Commit]:
        """Commits reachable from `until` but not from `since` (empty: no bound) that changed `path` (empty: any), newest first."""
        ...

    def commit(self, commit: str) -> Commit: ...

    def build(self, head: str, edit: Edit, message: str, date: datetime, author: str = "") -> str | None:
        """
        Makes a commit object on top of `head` and answers its id; no ref moves. The same arguments give the same id.
        None where the tree would not change. Committer, and author unless `author` (`Name <mail>`) is given, is the
        daemon's own `Reconciler <reconciler@localhost>`.
        """
        ...

    def push(self, commit: str, expected: str) -> Pushed | Lost:
        """Moves the ref from `expected` to `commit` by compare-and-swap. A branch that a work tree has checked out is never moved (7e)."""
        ...

    def contains(self, commit: str) -> bool:
        """Whether the commit is reachable from the ref now: the only proof that a push landed (7d)."""
        ...

    def has(self, oid: str) -> bool:
        """Whether the object is in the repository."""
        ...

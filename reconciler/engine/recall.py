"""What earlier looks made of files, kept on disk so that a restart reads only what changed. A cache: lost, stale or broken, it costs
time and changes nothing (rule 3).

A file is recalled only where all that decides what is made of it is the same: its path and blob, every file and folder that its
applications watch, and this program, byte for byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
import yaml

import reconciler
from reconciler.engine.declared import File
from reconciler.engine.files import TreeFiles

_log = structlog.get_logger("reconciler.engine")
_MAGIC = b"reconciler looks 1\n"
_LIMIT = 1 << 30
_WORTH = 0.1  # the share of files that changed at which they are written again: so a change costs the writing of ten files


class _Kept(NamedTuple):
    """`grounds`: marks of what files rest on, by path; each file names its own by position."""

    grounds: list[dict[str, str]]
    files: dict[str, tuple[int, File]]


class Recall:
    """`path` None: nothing is kept. `ground`: a digest of what else must be the same. `read` and `write` belong on the source's thread."""

    def __init__(self, path: Path | None, ground: str = "") -> None:
        self._path, self._ground = path, ground
        self._new = 0

    def read(self, files: TreeFiles) -> dict[str, File]:
        """The files, by path, of which all but their own blobs is known to be as it was; the caller compares `File.oid`."""
        kept = self._load()
        if kept is None:
            return {}
        sound = {number for number, ground in enumerate(kept.grounds) if all(_mark(files, path) == mark for path, mark in ground.items())}
        return {path: file for path, (number, file) in kept.files.items() if number in sound}

    def note(self, count: int) -> None:
        """So many files are not, or no more, as they were written."""
        self._new += count

    def due(self, known: int) -> bool:
        """Whether enough of all that is known is not written yet."""
        return self._path is not None and self._new > _WORTH * known

    def write(self, known: Mapping[str, File], files: TreeFiles) -> None:
        """`files`: the repository at the head of which this is known. A disk that refuses costs the next start its time, nothing else."""
        if self._path is None:
            return
        self._new = 0
        grounds: dict[tuple[str, ...], int] = {}
        kept = {}
        for path, file in known.items():
            if file.recognised:  # whatever mends an unrecognised one may stand anywhere
                watched = tuple(sorted({name for declared in file.declared for name in declared.watched}))
                kept[path] = grounds.setdefault(watched, len(grounds)), file
        marks = [{path: _mark(files, path) for path in watched} for watched in grounds]
        data = msgspec.msgpack.encode(_Kept(marks, kept))
        head = _MAGIC + self._program() + b"\n" + hashlib.sha256(data).hexdigest().encode() + b"\n"
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "wb") as out:
                out.write(head + data)
            fresh.replace(self._path)
        except OSError as error:
            _log.warning("what was read cannot be kept for the next start", file=str(self._path), error=error.strerror)
            with contextlib.suppress(OSError):
                fresh.unlink()

    def _program(self) -> bytes:
        return f"{program()}.{self._ground[:16]}".encode()

    def _load(self) -> _Kept | None:
        if self._path is None:
            return None
        try:
            with self._path.open("rb") as stored:
                magic, mark, digest, data = stored.readline(64), stored.readline(96), stored.readline(96), stored.read(_LIMIT)
        except OSError:
            return None
        if magic != _MAGIC or mark.strip() != self._program():
            return None
        if digest.decode("ascii", "replace").strip() != hashlib.sha256(data).hexdigest():
            return None
        try:
            return msgspec.msgpack.decode(data, type=_Kept)
        except (msgspec.DecodeError, RecursionError):
            return None


def _mark(files: TreeFiles, path: str) -> str:
    """What stands at a path, or below it where it ends in `/`: the same mark is the same content."""
    if not path.endswith("/"):
        blob = files.blob(path)
        return f"{blob.mode:o} {blob.oid}" if blob is not None else ""
    try:
        listed = files.folder(path)
    except ValueError as error:
        return f"refused: {error}"
    return hashlib.sha256("\0".join(f"{name}\0{oid}" for name, oid in sorted(listed.items())).encode("utf-8", "surrogatepass")).hexdigest()


@cache
def program() -> str:
    """The digest of this program's code and of what else decides how a manifest is read: no other one may trust what was kept."""
    found = hashlib.sha256()
    parser: Callable[[], tuple[int, ...]] | None = getattr(getattr(yaml, "_yaml", None), "get_version", None)
    words = [sys.version, yaml.__version__, str(parser() if parser is not None else ""), msgspec.__version__]
    found.update("\0".join(words).encode())
    folder = Path(reconciler.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        data = path.read_bytes()
        found.update(f"\0{path.relative_to(folder)}\0{len(data)}\0".encode() + data)
    return found.hexdigest()

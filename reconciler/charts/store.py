"""Archives by digest: a few in memory, more in a folder of the user's cache, which may be deleted at any time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Final

_MEMORY: Final = 32 << 20
_DISK: Final = 512 << 20
_NAME: Final = re.compile(r"[0-9a-f]{64}\.tgz", re.ASCII)


class ArchiveStore:
    """
    Blocking; to be used from threads, and by several processes at once. `folder`: None where nothing is kept on disk. What was changed on disk
    is not answered: each read is held against its digest. A disk that is full or not ours costs the cache and nothing else.
    """

    def __init__(self, folder: Path | None, memory: int = _MEMORY, disk: int = _DISK) -> None:
        self._folder, self._memory, self._disk = folder, memory, disk
        self._recent: OrderedDict[str, bytes] = OrderedDict()

    def read(self, digest: str) -> bytes | None:
        """`digest`: hex. None where it is not kept."""
        data = self._recent.get(digest)
        if data is None and self._folder is not None:
            data = self._load(self._folder / f"{digest}.tgz", digest)
        if data is not None:
            self._remember(digest, data)
        return data

    def write(self, digest: str, data: bytes) -> None:
        """`digest`: hex, of those bytes."""
        self._remember(digest, data)
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(self._folder):
                return
            self._make_room(len(data))
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=".")
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(data)
                Path(name).replace(self._folder / f"{digest}.tgz")
            except OSError:
                Path(name).unlink()
                raise

    def _remember(self, digest: str, data: bytes) -> None:
        if len(data) > self._memory:
            return
        self._recent[digest] = data
        self._recent.move_to_end(digest)
        with contextlib.suppress(KeyError):  # another thread has made room as well
            while sum(map(len, list(self._recent.values()))) > self._memory:
                self._recent.popitem(last=False)

    def _load(self, path: Path, digest: str) -> bytes | None:
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == digest else None

    def _make_room(self, size: int) -> None:
        """The archives that were used longest ago go."""
        assert self._folder is not None
        files = []
        for entry in os.scandir(self._folder):
            with contextlib.suppress(OSError):
                if _NAME.fullmatch(entry.name):
                    told = entry.stat(follow_symlinks=False)
                    files.append((told.st_mtime, told.st_size, entry.path))
        used = size + sum(length for _, length, _ in files)
        for _, length, path in sorted(files):
            if used <= self._disk:
                return
            with contextlib.suppress(OSError):
                Path(path).unlink()
            used -= length


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can put files there."""
    told = folder.lstat()
    return stat.S_ISDIR(told.st_mode) and told.st_uid == os.getuid() and not told.st_mode & 0o022

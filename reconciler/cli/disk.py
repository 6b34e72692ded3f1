"""A folder on disk as `lint` reads it: ordinary files below it and nothing else, whatever links it holds (rule 13f)."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

LARGEST_FILE: Final = 16 << 20


class DiskFiles:
    """
    Implements the dialects' `Files` over the ordinary files below `top`, as they were when it was made. Links are not followed.

    `odd`: what else stands below it, links first of all.
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        self.odd: list[str] = []
        self.paths: list[str] = sorted(self._walk())
        self._known = frozenset(self.paths)

    def oid(self, path: str) -> str | None:
        """The id that git would give the file, or None where there is none or it cannot be read."""
        if path not in self._known:
            return None
        try:
            data = self.read(path)
        except (OSError, ValueError):
            return None
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    def folder(self, path: str) -> dict[str, str]:
        prefix = path.rstrip("/") + "/" if path else ""
        odd = next((name for name in self.odd if name.startswith(prefix)), None)
        if odd is not None:
            raise ValueError(f"{odd} is a link or no ordinary file; neither is read")
        return {name: oid for name in self.paths if name.startswith(prefix) and (oid := self.oid(name)) is not None}

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError, OSError, and ValueError where the file is too large."""
        if path not in self._known:
            raise FileNotFoundError(path)
        # Opened so that what became a link or a pipe since the walk is neither followed nor waited for.
        handle = os.open(self.top / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise FileNotFoundError(path)
            data = stream.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise ValueError(f"larger than {LARGEST_FILE} bytes")
        return data

    def _walk(self) -> list[str]:
        found: list[str] = []
        for folder, folders, names in os.walk(self.top, followlinks=False):
            folders[:] = sorted(name for name in folders if name != ".git")
            inside = Path(folder).relative_to(self.top).as_posix()
            for name in [*names, *(name for name in folders if (Path(folder) / name).is_symlink())]:
                path = name if inside == "." else f"{inside}/{name}"
                if _is_text(path):
                    (found if stat.S_ISREG((self.top / path).lstat().st_mode) else self.odd).append(path)
        return found


def _is_text(path: str) -> bool:
    """Whether the name is UTF-8: others come as surrogates, and no manifest can name them."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True

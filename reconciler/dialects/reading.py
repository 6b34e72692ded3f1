"""The repository's files while one manifest file is compiled: each is parsed once, and what its documents may ask for is bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from reconciler.dialects.documents import MAX_BYTES, parse
from reconciler.dialects.protocol import Document, Files
from reconciler.model.problem import Problem
from reconciler.model.text import one_line

T = TypeVar("T")
Read = Callable[[str, bytes | str, int], tuple[list[Document], list[Problem]]]

# A thousand documents may refer to the same large file a thousand times, and each works on its own copy.
MAX_REFERRED = 64 << 20
_OVERHEAD = 1024  # of any file, however small


class Reading:
    """`Files`, and what was made of them. `beside`: the documents of the file that is compiled."""

    def __init__(self, files: Files, beside: Sequence[Document] = ()) -> None:
        self.beside = beside
        self._files = files
        self._parsed: dict[str, tuple[list[Document], list[Problem], int]] = {}
        self._made: dict[str, Any] = {}
        self._left = MAX_REFERRED

    @classmethod
    def of(cls, files: Files) -> Reading:
        return files if isinstance(files, Reading) else cls(files)

    def oid(self, path: str) -> str | None:
        return self._files.oid(path)

    def folder(self, path: str) -> dict[str, str]:
        return self._files.folder(path)

    def read(self, path: str) -> bytes:
        return self._files.read(path)

    def parsed(self, path: str, limit: int = MAX_BYTES, read: Read | None = None) -> tuple[list[Document], list[Problem]]:
        """The documents of a file and what is wrong with it; a file that can't be read is a problem too. Nobody may change them.

        `read`: how, if it is not YAML or JSON; always the same for one path.
        """
        if path not in self._parsed:
            try:
                data = self._files.read(path)
            except (FileNotFoundError, ValueError) as error:
                self._parsed[path] = [], [Problem(path, 0, f"can't be read: {one_line(error)}")], 0
            else:
                self._parsed[path] = *(read or parse)(path, data, limit), len(data)
        documents, problems, size = self._parsed[path]
        self._left -= size + _OVERHEAD
        if self._left < 0:
            return [], [Problem(path, 0, f"the documents of one file refer to more than {MAX_REFERRED >> 20} MiB of other files")]
        return documents, problems

    def once(self, key: str, make: Callable[[], T]) -> T:
        """What `make` makes, made once for each key."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

"""A repository in memory, and the way from a file's text to what the dialects make of it."""

from collections.abc import Callable, Mapping

import pytest

from reconciler.dialects.registry import FileResult, compile_file, dialects
from reconciler.steps.catalog import STEP_TYPES

Compile = Callable[..., FileResult]


class MemoryFiles:
    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def oid(self, path: str) -> str | None:
        return f"{len(self._files[path]):040x}" if path in self._files else None

    def folder(self, path: str) -> dict[str, str]:
        return {name: f"{len(text):040x}" for name, text in self._files.items() if name.startswith(f"{path}/")}

    def read(self, path: str) -> bytes:
        if path not in self._files:
            raise FileNotFoundError(path)
        return self._files[path].encode()


@pytest.fixture
def compile_text() -> Compile:
    def compile_text(text: str, files: Mapping[str, str] | None = None, path: str = "apps/shop.yaml") -> FileResult:
        return compile_file(path, text, MemoryFiles(files or {}), dialects(STEP_TYPES))

    return compile_text

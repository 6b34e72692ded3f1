"""What plug-ins say, as it may be shown: on one line, cut, without the secrets that are known (rules 12, 13e)."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TextIO

import structlog

from reconciler.model.text import one_line

_log = structlog.get_logger("reconciler.plugin")
_SECRET: Final = re.compile(r"passw|secret|token|credential|api_?key|private_?key|authorization", re.IGNORECASE)
_USERINFO: Final = re.compile(r"://[^/?#\s]*@")
_MASK: Final = "***"
_SHORTEST: Final = 4  # masking what is shorter would tear ordinary words
_DEEPEST: Final = 32
_PRINTED: Final = 4096
_writing: ContextVar[io.StringIO | None] = ContextVar("writing", default=None)


class Cloak:
    """Knows the values that the given data holds under names like `password`, and takes them out of texts."""

    def __init__(self, *data: Any) -> None:
        self._secrets = sorted({text for value in data for text in _find(value, hidden=False)}, key=len, reverse=True)

    def hide(self, text: object, limit: int = 512) -> str:
        plain = str(text)
        for secret in self._secrets:
            plain = plain.replace(secret, _MASK)
        return one_line(_USERINFO.sub(f"://{_MASK}@", plain[: 16 * limit]), limit)


def _find(value: Any, *, hidden: bool, depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _find(item, hidden=hidden or bool(_SECRET.search(str(name))), depth=depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _find(item, hidden=hidden, depth=depth + 1)
    elif hidden and isinstance(value, str) and len(value) >= _SHORTEST:
        yield value


class CloakedLog:
    """`reconciler.plugin.Log` over the daemon's."""

    def __init__(self, cloak: Cloak, **fields: str) -> None:
        self._cloak, self._log = cloak, _log.bind(**fields)

    def debug(self, message: str, **fields: Any) -> None:
        self._say("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        self._say("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._say("warning", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        self._say("error", message, fields)

    def _say(self, level: str, message: str, fields: dict[str, Any]) -> None:
        said = {one_line(name, 40): self._cloak.hide(value) for name, value in list(fields.items())[:20] if name not in ("event", "level")}
        getattr(self._log, level)(self._cloak.hide(message), said=said) if said else getattr(self._log, level)(self._cloak.hide(message))


class _Divided(io.TextIOBase):
    """Standard output or error: what a call of a plug-in prints is kept apart, everything else goes where it went."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str, /) -> int:
        kept = _writing.get()
        if kept is None:
            return self.stream.write(text)
        kept.write(str(text)[: max(_PRINTED - kept.tell(), 0)])
        return len(text)

    def flush(self) -> None:
        if _writing.get() is None:
            self.stream.flush()

    def isatty(self) -> bool:
        return _writing.get() is None and self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute of the class it comes from
        return self.stream.encoding


@contextmanager
def overheard(log: CloakedLog) -> Iterator[None]:
    """What is printed in this context goes to the log, at most 4,096 characters of it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _Divided):
            setattr(sys, name, _Divided(stream))
    kept = io.StringIO()
    mark = _writing.set(kept)
    try:
        yield
    finally:
        _writing.reset(mark)
        for line in kept.getvalue().splitlines():
            if line.strip():
                log.info("printed", line=line)

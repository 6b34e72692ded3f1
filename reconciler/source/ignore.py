"""`.reconcilerignore`: which paths are out of scope, by the rules of gitignore(5). Part of what rule 1a compares."""

from __future__ import annotations

import fnmatch
import re
from typing import NamedTuple, Self

MAX_CHARACTERS = 64 * 1024
MAX_PATTERNS = 1000
MAX_PATTERN = 512

_ANY_FOLDERS = None
Segment = re.Pattern[str] | None


class Pattern(NamedTuple):
    """`segments`: one for each part of the path, None for `**`. `negated`: `!`. `folders`: only folders match (`/` at the end)."""

    segments: tuple[Segment, ...]
    negated: bool
    folders: bool


class Ignore:
    """The patterns of one file. The last one that matches decides; nothing below an ignored folder can be taken back."""

    def __init__(self, patterns: tuple[Pattern, ...] = ()) -> None:
        self._patterns = patterns
        self._folders: dict[str, bool] = {"": False}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError, with the line, where the file is over a limit. Every other text is a list of patterns."""
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"{len(text)} characters, at most {MAX_CHARACTERS} are read")
        patterns = []
        for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
            pattern = _pattern(line)
            if pattern is None:
                continue
            if len(line) > MAX_PATTERN:
                raise ValueError(f"line {number}: a pattern of {len(line)} characters, at most {MAX_PATTERN} are allowed")
            patterns.append(pattern)
            if len(patterns) > MAX_PATTERNS:
                raise ValueError(f"line {number}: more than {MAX_PATTERNS} patterns")
        return cls(tuple(patterns))

    def matches(self, path: str) -> bool:
        """Whether the file at `path` (from the repository's top, `/`-separated) is ignored."""
        parts = path.split("/")
        return self._ignores_folder(parts[:-1]) or self._decides(parts, folder=False)

    def _ignores_folder(self, parts: list[str]) -> bool:
        for length in range(1, len(parts) + 1):
            name = "/".join(parts[:length])
            if name not in self._folders:
                self._folders[name] = self._decides(parts[:length], folder=True)
            if self._folders[name]:
                return True
        return False

    def _decides(self, parts: list[str], *, folder: bool) -> bool:
        for pattern in reversed(self._patterns):
            if (folder or not pattern.folders) and _fits(pattern.segments, parts):
                return not pattern.negated
        return False


def _pattern(line: str) -> Pattern | None:
    text = _strip(line)
    negated = text.startswith("!")
    if negated:
        text = text[1:]
    folders = text.endswith("/")
    text = text.rstrip("/") if folders else text
    if not text or text.startswith("#") or (negated and not text):
        return None
    anchored = "/" in text
    parts = [part for part in text.split("/") if part]
    if not anchored:
        parts = ["**", *parts]
    segments: list[Segment] = []
    for index, part in enumerate(parts):
        if part != "**":
            segments.append(_glob(part))
        elif index == len(parts) - 1 and len(parts) > 1:
            segments.extend([_ANY_FOLDERS, _glob("*")])  # `a/**`: all that is in `a`, not `a` itself
        elif not segments or segments[-1] is not _ANY_FOLDERS:
            segments.append(_ANY_FOLDERS)
    if segments == [_ANY_FOLDERS]:
        segments.append(_glob("*"))
    return Pattern(tuple(segments), negated, folders)


def _strip(line: str) -> str:
    """Without trailing spaces, except one that a backslash keeps."""
    text = line.rstrip(" \t\r")
    kept = len(text) - len(text.rstrip("\\"))
    return text + " " if kept % 2 and len(text) < len(line) else text


def _glob(part: str) -> re.Pattern[str]:
    """One part of a path. A backslash makes the next character plain. The standard library's translation does not backtrack."""
    out, chars = [], iter(part)
    for char in chars:
        if char != "\\":
            out.append(char)
            continue
        plain = next(chars, "\\")
        out.append(f"[{plain}]" if plain in "*?[" else plain)
    return re.compile(fnmatch.translate("".join(out)))


def _fits(segments: tuple[Segment, ...], parts: list[str]) -> bool:
    """Wildcard matching with one point to return to, so at worst segments times parts."""
    at = part = 0
    star = resume = -1
    while part < len(parts):
        segment = segments[at] if at < len(segments) else False
        if segment is _ANY_FOLDERS:
            star, resume = at, part
            at += 1
        elif isinstance(segment, re.Pattern) and segment.match(parts[part]):
            at += 1
            part += 1
        elif star >= 0:
            resume += 1
            at, part = star + 1, resume
        else:
            return False
    return all(segment is _ANY_FOLDERS for segment in segments[at:])

"""Dotted paths with list indexes (`a[0].b`) into plain data."""

from __future__ import annotations

import copy
import re
from typing import Any

_PART = re.compile(r"(?:^|(?!^)\.)([^.\[\]]+)|\[(\d{1,4})\](?=[.\[]|$)", re.ASCII)
_DEEPEST = 32


def parse_path(text: str) -> list[str | int]:
    """Raises ValueError for what is no path, or one deeper than 32 parts."""
    parts: list[str | int] = []
    end = 0
    for match in _PART.finditer(text):
        if match.start() != end:
            break
        parts.append(match[1] if match[1] is not None else int(match[2]))
        end = match.end()
    if not parts or end != len(text) or len(parts) > _DEEPEST:
        raise ValueError(f"not a path: {text!r:.80}")
    return parts


def read_path(value: Any, text: str) -> Any:
    """The value at `text` below `value`. Raises LookupError where there is none."""
    for part in parse_path(text):
        fits = part < len(value) if isinstance(part, int) and isinstance(value, list) else isinstance(value, dict) and part in value
        if not fits:
            raise LookupError(text)
        value = value[part]
    return value


def with_path(value: Any, text: str, new: Any) -> Any:
    """A copy of `value` with `new` at `text`. Missing mappings are made; a list takes a new item only at its end.

    Raises ValueError where the path leads through something that is neither.
    """
    parts = parse_path(text)
    root = copy.deepcopy(value) if value is not None else {}
    here = root
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        _make_room(here, part, text)
        if following is None:
            here[part] = new
        elif here[part] is None:
            here[part] = [] if isinstance(following, int) else {}
        here = here[part]
    return root


def _make_room(here: Any, part: str | int, text: str) -> None:
    """Sees to it that `here[part]` exists, None where it was not there."""
    if isinstance(part, int):
        if not isinstance(here, list) or part > len(here):
            raise ValueError(f"{text}: no list item {part} there")
        if part == len(here):
            here.append(None)
    elif not isinstance(here, dict):
        raise ValueError(f"{text}: {part} is looked for in what is no mapping")  # noqa: TRY004  # a value's fault, not a type's
    else:
        here.setdefault(part, None)

"""Paths of fields, as people write them (`spec.values.image.tag`, `traits[0].properties`) and as tuples of keys and indexes."""

from __future__ import annotations

import re
from typing import Any

FieldPath = tuple[str | int, ...]

MAX_LENGTH = 512
MAX_PARTS = 32
MAX_INDEX = 999

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*", re.ASCII)
_PART = re.compile(r"([^.\[\]]+)((?:\[[0-9]{1,3}\])*)", re.ASCII)
_INDEX = re.compile(r"[0-9]+", re.ASCII)


def parse_path(text: object) -> FieldPath:
    """Reads a dotted path with `[i]` for list items. Raises ValueError with the reason; long and deep ones are refused."""
    if not isinstance(text, str) or not text:
        raise ValueError("must be a path such as spec.values or ports[0].port")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"the path is longer than {MAX_LENGTH} characters")
    path: list[str | int] = []
    for part in text.split("."):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError("must be a path such as spec.values or ports[0].port")
        path.append(match[1])
        path.extend(int(index) for index in _INDEX.findall(match[2]))
    if len(path) > MAX_PARTS:
        raise ValueError(f"the path has more than {MAX_PARTS} parts")
    return tuple(path)


def format_path(path: FieldPath) -> str:
    """The path as people write it; keys that are no plain words stand in brackets and quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def with_value(target: Any, path: FieldPath, value: Any) -> Any:
    """
    `target` with `value` at `path`; nothing given is changed, only containers along the path are copied.

    A mapping is merged into the mapping that stands there, anything else takes its place. Missing mappings and lists come to
    be; a list grows by one item at most. Raises ValueError where a part of the path is something else already.
    """
    if not path:
        return merged(target, value)
    key, rest = path[0], path[1:]
    if isinstance(key, int):
        items = list(target) if isinstance(target, list) else []
        if target is not None and not isinstance(target, list):
            raise ValueError(f"[{key}] needs a list, but there is something else")
        if key > len(items):
            raise ValueError(f"[{key}] is beyond the end of the list, which has {len(items)} items")
        old = items[key] if key < len(items) else None
        items[key : key + 1] = [with_value(old, rest, value)]
        return items
    if target is not None and not isinstance(target, dict):
        raise ValueError(f"{key} needs a mapping, but there is something else")
    copy = dict(target or {})
    copy[key] = with_value(copy.get(key), rest, value)
    return copy


def merged(old: Any, new: Any) -> Any:
    """`new` over `old`: mappings key by key and level by level, everything else as `new` has it."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return old | {key: merged(old.get(key), value) for key, value in new.items()}

"""Where in the file of the settings something is wrong, and what would be right there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from reconciler.model.text import nearest, one_line
from reconciler.settings_parts import KindLimit

Place = tuple[str | int, ...]


class PlaceError(Exception):
    """What is wrong, and where in the file: keys and indexes from its top."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


def check_keys(value: Any, kind: Any, place: Place) -> None:
    """Unknown keys below a setting, with the nearest known one: what is not read must not look as if it were."""
    if get_origin(kind) is list:
        for index, item in enumerate(value if isinstance(value, list) else []):
            check_keys(item, get_args(kind)[0], (*place, index))
            name = item.get("kind") if isinstance(item, dict) and get_args(kind)[0] is KindLimit else None
            if name is not None and any(isinstance(other, dict) and other.get("kind") == name for other in value[:index]):
                raise PlaceError((*place, index), f"{_written((*place, index))}: {one_line(name, 80)} is there already")
    elif get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise PlaceError(place, f"{_written(place)}: {not_one_of(value, get_args(kind))}")
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        fields = {field.encode_name: get_type_hints(kind)[field.name] for field in msgspec.structs.fields(kind)}
        for key, inner in value.items():
            if key not in fields:
                raise PlaceError((*place, key), f"{_written(place)}: {unknown('key', key, fields)}")
            check_keys(inner, fields[key], (*place, key))


def _written(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def named_place(message: str) -> Place:
    """The place that a message about a value names at its end, empty where it names none."""
    named = re.search(r" - at `([^`]*)`$", message)
    return tuple(int(index) if index else word for word, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", named[1])) if named else ()


def find_slashes(data: bytes) -> str:
    """Step flow's own example has comments that YAML takes for text."""
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if re.search(r"\s//(?:\s|$)", line.partition(" #")[0]):
            return f" (line {number}: // begins no comment in YAML; write #)"
    return ""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    close = nearest(name, known)
    return f"unknown {what} {one_line(name, 80)}" + (f"; did you mean {close}?" if close else "")


def not_one_of(value: Any, choices: tuple[str, ...]) -> str:
    close = nearest(str(value), choices)
    return f"{one_line(value, 80)!r} is not one of {', '.join(choices)}" + (f"; did you mean {close}?" if close else "")

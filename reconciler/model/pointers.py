"""JSON pointers (RFC 6901) into plain data."""

from __future__ import annotations

import re
from typing import Any, Final

from reconciler.model.text import one_line

DEEPEST: Final = 100
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,5}", re.ASCII)

Pointer = list[str]


def parse_pointer(text: str) -> Pointer:
    """Raises ValueError for what is no pointer, or one deeper than 100 parts."""
    if len(text) > 1024 or text.count("/") > DEEPEST or not _POINTER.fullmatch(text):
        raise ValueError("must be a JSON pointer such as /spec/replicas, where ~1 stands for / and ~0 for ~")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def read_pointer(document: Any, path: Pointer) -> Any:
    """Raises LookupError, saying how far it leads, where there is nothing."""
    for depth, part in enumerate(path, 1):
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and is_index(part) and int(part) < len(document):
            document = document[int(part)]
        else:
            raise LookupError(f"there is nothing at {shown(path[:depth])}")
    return document


def with_pointer(document: Any, path: Pointer, value: Any) -> Any:
    """A copy with `value` where something is already; what is beside the path is shared. Raises LookupError where there is nothing."""
    if not path:
        return value
    read_pointer(document, path[:1])
    if isinstance(document, dict):
        return {**document, path[0]: with_pointer(document[path[0]], path[1:], value)}
    at = int(path[0])
    return [*document[:at], with_pointer(document[at], path[1:], value), *document[at + 1 :]]


def without_pointer(document: Any, path: Pointer) -> Any:
    """A copy without what is there; the same where there is nothing."""
    try:
        holder = read_pointer(document, path[:-1])
        read_pointer(holder, path[-1:])
    except LookupError:
        return document
    if isinstance(holder, dict):
        left: Any = {name: value for name, value in holder.items() if name != path[-1]}
    else:
        left = [item for position, item in enumerate(holder) if position != int(path[-1])]
    return with_pointer(document, path[:-1], left)


def is_index(part: str) -> bool:
    return _INDEX.fullmatch(part) is not None


def shown(path: Pointer) -> str:
    return one_line("/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path), 120)

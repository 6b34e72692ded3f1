"""Fields that somebody else may change: what lives there goes into what is applied (KubeVela's apply-once)."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.identity import JsonObject
from reconciler.model.pointers import parse_pointer, read_pointer, with_pointer
from reconciler.workflow.paths import read_path, with_path


def with_live(obj: JsonObject, live: JsonObject, paths: Iterable[str]) -> JsonObject:
    """The object with the live value at each path (dotted, or a JSON pointer) that both have; a field that it does not declare is not claimed."""
    for path in paths:
        try:
            if path.startswith("/"):
                pointer = parse_pointer(path)
                read_pointer(obj, pointer)
                obj = with_pointer(obj, pointer, read_pointer(live, pointer))
                continue
            read_path(obj, path)
            obj = with_path(obj, path, read_path(live, path))
        except LookupError:
            continue
    return obj

"""Traits `json-patch` (RFC 6902) and `json-merge-patch` (RFC 7396): the last word on what a component rendered, within limits."""

from __future__ import annotations

from typing import Any, Final

from reconciler.model.identity import JsonObject
from reconciler.model.pointers import DEEPEST, Pointer, is_index, parse_pointer, read_pointer, shown
from reconciler.render.fields import Fields
from reconciler.render.workloads import LASTING, Target, dig

MOST_OPERATIONS: Final = 100
MOST_COPIED: Final = 10_000  # values, by all operations together: copies of copies double each time
_OPERATIONS: Final = ("add", "remove", "replace", "move", "copy", "test")
_WORKLOADS: Final = LASTING | {"Job", "CronJob", "Pod"}
_IDENTITY: Final = (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"))


def apply_json_patch(fields: Fields, target: Target) -> None:
    """All operations in order, or none: an error names the operation and its path."""
    operations = list(fields.items("operations"))
    if not 1 <= len(operations) <= MOST_OPERATIONS:
        raise fields.error("operations", f"must be from 1 to {MOST_OPERATIONS}")
    workload = _workload(target)
    document, copied = _unshared(workload), 0
    for operation in operations:
        try:
            document, cost = _operate(operation, document)
        except LookupError as error:
            raise operation.error("", str(error.args[0])) from None
        copied += cost
        if copied > MOST_COPIED:
            raise fields.error("operations", f"copy more than {MOST_COPIED} values")
    _put(fields, workload, document)


def apply_merge_patch(fields: Fields, target: Target) -> None:
    """Mappings are merged level by level, null takes a field away, everything else (lists too) takes the place of what was there."""
    workload = _workload(target)
    _put(fields, workload, _merged(_unshared(workload), _unshared(target.given)))


def _workload(target: Target) -> JsonObject:
    """The first workload, else the first object."""
    return next((obj for obj in target.objects if obj.get("kind") in _WORKLOADS), target.objects[0])


def _put(fields: Fields, workload: JsonObject, patched: Any) -> None:
    """In place of what was there. What makes an object this one stays: rules 1e and 13a judge by it."""
    for path in _IDENTITY:
        if dig(patched, *path) != dig(workload, *path):
            raise fields.error("", f"must not change {'.'.join(path)} of the component's {workload.get('kind')}")
    workload.clear()
    workload.update(patched)


def _merged(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = old if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged


def _operate(item: Fields, document: Any) -> tuple[Any, int]:
    """The document after one operation, and how many values it copied. Raises LookupError with what is wrong, never a value."""
    name, path = item.choice("op", _OPERATIONS), _pointer(item, "path")
    if name in ("add", "replace", "test") and not item.given("value"):
        raise LookupError("value is required")
    value: Any = None
    cost = 0
    match name:
        case "add" | "replace":
            value = _unshared(item.raw("value"))
        case "move" | "copy":
            source = _pointer(item, "from")
            if name == "move" and path[: len(source)] == source and path != source:
                raise LookupError("can't be moved into itself")
            value = _unshared(read_pointer(document, source))
            if name == "move":
                document = _removed(document, source)
            else:
                cost = _measure(value)[0]
        case "remove":
            return _removed(document, path), 0
        case "test":
            if not _same(read_pointer(document, path), item.raw("value")):
                raise LookupError(f"test: there is another value at {shown(path)}")
            return document, 0
        case _:
            raise LookupError("op is required")
    if len(path) + _measure(value)[1] > DEEPEST:
        raise LookupError(f"nests more than {DEEPEST} levels")
    if name == "replace":
        read_pointer(document, path)
        return _set(document, path, value, insert=False), 0
    return _set(document, path, value, insert=True), cost


def _pointer(item: Fields, field: str) -> Pointer:
    if not item.given(field):
        raise LookupError(f"{field} is required")
    try:
        return parse_pointer(item.text(field))
    except ValueError as error:
        raise LookupError(f"{field} {error}") from None


def _set(document: Any, path: Pointer, value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    holder, part = read_pointer(document, path[:-1]), path[-1]
    if isinstance(holder, dict):
        holder[part] = value
        return document
    size = len(holder) if isinstance(holder, list) else -1
    last = size if insert else size - 1
    index = last if part == "-" and insert else int(part) if is_index(part) else -1
    if not 0 <= index <= last:
        what = f"the list there has {size} items" if size >= 0 else "there is neither a mapping nor a list"
        raise LookupError(f"nothing can be put at {shown(path)}: {what}")
    holder[index : index + (not insert)] = [value]
    return document


def _removed(document: Any, path: Pointer) -> Any:
    if not path:
        raise LookupError("the whole object can't be removed")
    read_pointer(document, path)
    holder = read_pointer(document, path[:-1])
    del holder[path[-1] if isinstance(holder, dict) else int(path[-1])]
    return document


def _same(one: Any, other: Any) -> bool:
    """Equal JSON: true is not 1, while 1.0 is."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _unshared(value: Any) -> Any:
    """A copy without parts that stand in two places, as aliases of YAML make them: a change is to be in one place."""
    if isinstance(value, list):
        return [_unshared(item) for item in value]
    return {key: _unshared(item) for key, item in value.items()} if hasattr(value, "items") else value


def _measure(value: Any) -> tuple[int, int]:
    """(values, levels)."""
    count, deepest, left = 0, 0, [(value, 0)]
    while left:
        item, depth = left.pop()
        count, deepest = count + 1, max(deepest, depth)
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        left.extend((child, depth + 1) for child in inner)
    return count, deepest

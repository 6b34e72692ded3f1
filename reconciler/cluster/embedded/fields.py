"""
Sets of fields as Kubernetes writes them (`fieldsV1`), and the merge that they drive. Pure.

A set is a tree of dicts: `f:<name>` a field, `k:{...}` the item of a keyed list, `v:<value>` the item of a set. An empty
node, or one with `.`, is itself in the set. None is the empty set. The rules are those of structured-merge-diff.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from reconciler.cluster.embedded.shapes import Shape
from reconciler.cluster.fieldsets import Fields, difference, is_member

_MISSING: Any = object()
_sorted = msgspec.json.Encoder(order="sorted").encode


class MergeError(ValueError):
    """A list cannot be merged by its keys. The message names the field."""


def of(value: Any, shape: Shape) -> Fields:
    """The fields of a value. Raises MergeError, naming the field, on a keyed list with missing or repeated keys."""
    out: Fields = {}
    if isinstance(value, dict) and not shape.atomic:
        for key, item in value.items():
            if not isinstance(item, (dict, list)):
                out[f"f:{key}"] = {}
                continue
            try:
                out[f"f:{key}"] = of(item, shape.field(key))
            except MergeError as error:
                raise MergeError(f".{key}{error}") from None
    elif isinstance(value, list) and (shape.keys or shape.is_set):
        for position, (key, item) in enumerate(_items(value, shape).items()):
            try:
                out[key] = _of_item(item, shape)
            except MergeError as error:
                raise MergeError(f"[{position}]{error}") from None
    return out


def _of_item(item: Any, shape: Shape) -> Fields:
    return {} if shape.is_set else {".": {}, **of(item, shape.item)}


def _items(values: list[Any], shape: Shape, *, strict: bool = True) -> dict[str, Any]:
    """Items by their key. Not strict: items without a key are left out and the first of a repeated key counts (live objects)."""
    found: dict[str, Any] = {}
    for position, item in enumerate(values):
        key = _key(item, shape)
        if key is None or key in found:
            if strict:
                wrong = (
                    "repeats the key of an earlier item" if key is not None else f"needs {', '.join(name for name, _ in shape.keys) or 'a scalar'}"
                )
                raise MergeError(f"[{position}]: {wrong}")
            continue
        found[key] = item
    return found


def _key(item: Any, shape: Shape) -> str | None:
    if shape.is_set:
        return None if isinstance(item, (dict, list)) else f"v:{json.dumps(item, ensure_ascii=False)}"
    if not isinstance(item, dict):
        return None
    key = {}
    for name, default in sorted(shape.keys):
        value = item.get(name, default)
        if value is None or isinstance(value, (dict, list)):
            return None
        key[name] = value
    return "k:" + json.dumps(key, separators=(",", ":"), ensure_ascii=False)


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values: unlike Python's, true is not 1. The order of a map's keys does not count."""
    if not isinstance(one, (dict, list)):
        return type(one) is type(other) and bool(one == other)
    return bool(one == other) and _sorted(one) == _sorted(other)


def compare(old: Any, new: Any, shape: Shape) -> tuple[Fields | None, Fields | None]:
    """(fields that were added or changed, fields that were removed)."""
    if isinstance(old, dict) and isinstance(new, dict) and not shape.atomic:
        before = {f"f:{key}": (item, shape.field(key)) for key, item in old.items()}
        after = {f"f:{key}": (item, shape.field(key)) for key, item in new.items()}
    elif isinstance(old, list) and isinstance(new, list) and (shape.keys or shape.is_set):
        before = {key: (item, shape.item) for key, item in _items(old, shape, strict=False).items()}
        after = {key: (item, shape.item) for key, item in _items(new, shape, strict=False).items()}
    elif same(old, new):
        return None, None
    else:
        return _lenient(new, shape), difference(_lenient(old, shape), _lenient(new, shape))
    written: Fields = {}
    removed: Fields = {}
    for key, (item, below) in after.items():
        if key not in before:
            written[key] = _whole(key, item, below)
            continue
        changed, gone = compare(before[key][0], item, below)
        if changed is not None:
            written[key] = changed
        if gone is not None:
            removed[key] = gone
    for key, (item, below) in before.items():
        if key not in after:
            removed[key] = _whole(key, item, below)
    return _emptied(old, new, written or None), removed or None


def _emptied(old: Any, new: Any, written: Fields | None) -> Fields | None:
    # A map that became empty is a member itself; one that was filled no longer is, and whoever filled it owns what is in it.
    return {} if old and not new else written


def _whole(key: str, item: Any, shape: Shape) -> Fields:
    fields = _lenient(item, shape)
    return {".": {}, **fields} if key.startswith("k:") else fields


def _lenient(value: Any, shape: Shape) -> Fields:
    if isinstance(value, dict) and not shape.atomic:
        return {f"f:{key}": _lenient(item, shape.field(key)) for key, item in value.items()}
    if isinstance(value, list) and (shape.keys or shape.is_set):
        return {key: _whole(key, item, shape.item) for key, item in _items(value, shape, strict=False).items()}
    return {}


def merge(live: Any, applied: Any, shape: Shape) -> Any:
    """`applied` laid over `live`; what it does not name stays. Neither argument is changed."""
    if isinstance(live, dict) and isinstance(applied, dict) and not shape.atomic:
        out = dict(live)
        for key, item in applied.items():
            out[key] = merge(live[key], item, shape.field(key)) if key in live else item
        return out
    if isinstance(live, list) and isinstance(applied, list) and (shape.keys or shape.is_set):
        return _merge_list(live, applied, shape)
    return live if same(live, applied) else applied


def _merge_list(live: list[Any], applied: list[Any], shape: Shape) -> list[Any]:
    before, after = _items(live, shape, strict=False), _items(applied, shape)
    merged = {key: merge(before[key], item, shape.item) if key in before else item for key, item in after.items()}
    order = [*before, *(key for key in after if key not in before)]
    if [key for key in order if key in after] != list(after):  # the applied order holds, whatever the live one is
        order = [*after, *(key for key in before if key not in after)]
    return [merged[key] if key in merged else before[key] for key in order]


def remove(value: Any, gone: Fields, kept: Fields | None, shape: Shape) -> Any:
    """
    `value` without the fields of `gone`; what `kept` holds stays, and with it the items that it lies in. Maps and lists
    that are emptied by it go too (then the answer is empty).
    """
    if isinstance(value, dict):
        out: dict[str, Any] = {}
        for key, item in value.items():
            left = _remove_one(f"f:{key}", item, gone, kept, shape.field(key))
            if left is not _MISSING:
                out[key] = left
        return out
    if isinstance(value, list):
        left_items = [_remove_one(_key(item, shape) or "", item, gone, kept, shape.item) for item in value]
        return [item for item in left_items if item is not _MISSING]
    return value


def _remove_one(key: str, item: Any, gone: Fields, kept: Fields | None, shape: Shape) -> Any:
    node = gone.get(key)
    if node is None:
        return item
    held = (kept or {}).get(key)
    if is_member(node) and held is None:
        return _MISSING
    left = remove(item, node, held, shape)
    return _MISSING if isinstance(left, (dict, list)) and not left and item and held is None else left

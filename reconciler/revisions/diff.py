"""What changes between two lists of objects: a cheap answer that decides, and a detailed view for people, with secrets masked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from reconciler.model.canonical import canonical
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.model.text import one_line
from reconciler.revisions.masking import mask_at
from reconciler.revisions.pairing import Item, Missing, TooLargeError, flatten, pair, read

LONGEST_VALUE: Final = 2000
MOST_FIELDS: Final = 500
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_ABSENT: Final = "(none)"


def differs(old: Iterable[JsonObject], new: Iterable[JsonObject]) -> bool:
    """Whether the two lists declare anything else, in whatever order. Cost: one pass over both."""
    return _digested(old) != _digested(new)


def diff_objects(old: Iterable[JsonObject], new: Iterable[JsonObject]) -> list[dict[str, Any]]:
    """
    `[{object, change: added|removed|changed, fields: [{path, from, to}]}]`, by kind, namespace and name; empty: no difference.

    List items are matched by name (or port, mountPath, key) where that is unambiguous. A side that lacks the field is null.
    Objects too large for the detailed view are shown as changed with a `note` instead of fields.
    """
    before, after = _indexed(old), _indexed(new)
    changes: list[dict[str, Any]] = []
    for identity in sorted(before.keys() | after.keys(), key=lambda identity: identity[1:] + identity[:1]):
        one, other = before.get(identity), after.get(identity)
        if one is None or other is None:
            shown = other if one is None else one
            changes.append({"object": _name(shown or {}), "change": "added" if one is None else "removed", "fields": []})
        elif canonical(one) != canonical(other):
            changes.append({"object": _name(other), "change": "changed", **_compare(one, other)})
    return changes


def render_text(changes: Sequence[dict[str, Any]]) -> str:
    """The same for people: a line an object (`~ Deployment default/web`), below it a line a field; empty: no difference."""
    lines = []
    for change in changes:
        lines.append(f"{_SIGNS[change['change']]} {change['object']}")
        lines += [f"    {field['path']}: {_text(field['from'])} → {_text(field['to'])}" for field in change["fields"]]
        if change.get("note"):
            lines.append(f"    ({change['note']})")
    return "\n".join(lines)


def _indexed(objects: Iterable[JsonObject]) -> dict[tuple[str, str, str, str], JsonObject]:
    return {ObjectRef.of(obj).identity: obj for obj in objects}


def _digested(objects: Iterable[JsonObject]) -> dict[tuple[str, str, str, str], bytes]:
    return {identity: canonical(obj) for identity, obj in _indexed(objects).items()}


def _name(obj: JsonObject) -> str:
    return one_line(ObjectRef.of(obj))


def _compare(old: JsonObject, new: JsonObject) -> dict[str, Any]:
    try:
        one, other = pair(old, new)
    except TooLargeError as error:
        return {"fields": [], "note": str(error)}
    fields = [
        {"path": _path(path), "from": _shown(old, path, read(one, path)), "to": _shown(new, path, read(other, path))}
        for path in _changed_paths(flatten(one), flatten(other))
    ]
    fields.sort(key=lambda field: str(field["path"]))
    note = {"note": f"{len(fields) - MOST_FIELDS} more fields"} if len(fields) > MOST_FIELDS else {}
    return {"fields": fields[:MOST_FIELDS], **note}


def _changed_paths(one: Any, other: Any) -> list[tuple[Any, ...]]:
    """Paths of the smallest parts that differ, on either side."""
    from deepdiff import DeepDiff  # heavy, and only a detailed view needs it

    # Never give up on a mapping most of whose keys changed: each field is to be seen.
    found = DeepDiff(one, other, view="tree", threshold_to_diff_deeper=0, ignore_encoding_errors=True)
    return [tuple(level.path(output_format="list")) for levels in found.values() for level in levels] or _first_difference(one, other)


def _first_difference(one: Any, other: Any) -> list[tuple[Any, ...]]:
    """For what deepdiff takes for equal and JSON does not: false and 0, 1 and 1.0."""
    path: tuple[Any, ...] = ()
    while isinstance(one, (dict, list)) and type(one) is type(other):
        keys = [key for key in one if key in other] if isinstance(one, dict) else range(min(len(one), len(other)))
        key = next((key for key in keys if canonical(_plain(one[key])) != canonical(_plain(other[key]))), None)
        if key is None:
            break
        path, one, other = (*path, key), one[key], other[key]
    return [path] if canonical(_plain(one)) != canonical(_plain(other)) else []


def _shown(obj: JsonObject, path: tuple[Any, ...], value: Any) -> Any:
    if isinstance(value, Missing):
        return None
    masked = mask_at(obj, path, _plain(value))
    if isinstance(masked, str):
        return masked if len(masked) <= LONGEST_VALUE else masked[:LONGEST_VALUE] + "…"
    return masked if len(canonical(masked)) <= LONGEST_VALUE else f"({'mapping' if isinstance(masked, dict) else 'list'}, too large to show)"


def _plain(value: Any) -> Any:
    """Lists that were paired by name, as lists again."""
    if isinstance(value, dict):
        plain = {key: _plain(item) for key, item in value.items()}
        return list(plain.values()) if plain and all(isinstance(key, Item) for key in plain) else plain
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _path(path: tuple[Any, ...]) -> str:
    """`spec.template.spec.containers[web].image`; keys that are no plain words stand quoted in brackets."""
    text = ""
    for part in path:
        if isinstance(part, (Item, int)):
            text += f"[{one_line(part, 80)}]"
        elif all(char.isalnum() or char in "-_" for char in part) and part:
            text += f".{part}" if text else part
        else:
            text += f'["{one_line(part, 120)}"]'
    return text


def _text(value: Any) -> str:
    if value is None:
        return _ABSENT
    return one_line(value if isinstance(value, str) and value else canonical(value).decode("utf-8", "replace"), 160)

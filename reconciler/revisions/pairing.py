"""Two objects made comparable: list items that have a name are matched by it, so that an insertion is not a change of all that follows."""

from __future__ import annotations

from typing import Any, Final

LONGEST_LIST: Final = 500
MOST_VALUES: Final = 5000
LONGEST_TEXT: Final = 256 * 1024
_DEEPEST: Final = 64
_NAMES: Final = ("name", "mountPath", "containerPort", "port", "key", "ip", "topologyKey")  # Kubernetes' patch merge keys


class TooLargeError(Exception):
    """The detailed comparison of these would cost too much; the message says what is too large."""


class Item(str):
    """The name of a list item, as a key of the mapping that stands for the list."""

    __slots__ = ()


class Missing:
    """What `read` answers where nothing is."""


def pair(old: Any, new: Any) -> tuple[Any, Any]:
    """
    Copies of both in which lists of named items are mappings by `Item`. Raises TooLargeError.

    A list stays one where names are missing, double or in another order on the two sides: the order may be the change.
    """
    for value in (old, new):
        _measure(value)
    return _pair(old, new)


def read(value: Any, path: tuple[Any, ...]) -> Any:
    """The value at a path of keys and indexes, or a `Missing`."""
    for part in path:
        inside = isinstance(part, int) and part < len(value) if isinstance(value, list) else isinstance(value, dict) and part in value
        if not inside:
            return Missing()
        value = value[part]
    return value


def flatten(value: Any) -> Any:
    """A copy without line breaks in texts, for a comparison that would else diff long texts line by line, at quadratic cost."""
    if isinstance(value, dict):
        return {key: flatten(item) for key, item in value.items()}
    if isinstance(value, list):
        return [flatten(item) for item in value]
    return value.replace("\n", "\0") if isinstance(value, str) else value


def _measure(value: Any) -> None:
    values, text, todo = 0, 0, [(value, 0)]
    while todo:
        here, depth = todo.pop()
        values += 1
        text += len(here) if isinstance(here, str) else 0
        if values > MOST_VALUES or text > LONGEST_TEXT or depth > _DEEPEST:
            raise TooLargeError("too large for a detailed comparison")
        if isinstance(here, list) and len(here) > LONGEST_LIST:
            raise TooLargeError(f"a list of more than {LONGEST_LIST} items is too large for a detailed comparison")
        if isinstance(here, (dict, list)):
            todo += [(item, depth + 1) for item in (here.values() if isinstance(here, dict) else here)]


def _pair(old: Any, new: Any) -> tuple[Any, Any]:
    if isinstance(old, dict) and isinstance(new, dict):
        return _pair_mappings(old, new)
    if isinstance(old, list) and isinstance(new, list):
        for field in _NAMES:
            one, other = _by_name(old, field), _by_name(new, field)
            if one is not None and other is not None and _same_order(one, other):
                return _pair_mappings(one, other)
        if len(old) == len(new):
            pairs = [_pair(*both) for both in zip(old, new, strict=True)]
            return [one for one, _ in pairs], [other for _, other in pairs]
    return old, new


def _pair_mappings(old: dict[Any, Any], new: dict[Any, Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    one, other = dict(old), dict(new)
    for key in old.keys() & new.keys():
        one[key], other[key] = _pair(old[key], new[key])
    return one, other


def _by_name(items: list[Any], field: str) -> dict[Any, Any] | None:
    """The items by that field, or None where one lacks it or two share it."""
    named: dict[Any, Any] = {}
    for item in items:
        name = item.get(field) if isinstance(item, dict) else None
        if not isinstance(name, (str, int)) or isinstance(name, bool):
            return None
        named[Item(name)] = item
    return named if len(named) == len(items) else None


def _same_order(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    return [key for key in one if key in other] == [key for key in other if key in one]

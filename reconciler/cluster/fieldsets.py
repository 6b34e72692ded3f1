"""
Sets of fields as Kubernetes writes them (`fieldsV1`), of whatever object: unions, differences, and how people read them. Pure.

A set is a tree of dicts: `f:<name>` a field, `k:{...}` the item of a keyed list, `v:<value>` the item of a set. An empty
node, or one with `.`, is itself in the set. None is the empty set. The rules are those of structured-merge-diff.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Fields = dict[str, Any]


def is_member(node: Fields | None) -> bool:
    """Whether the node itself is in the set, not only what is below it."""
    return node is not None and (not node or "." in node)


def _node(member: bool, children: Fields) -> Fields | None:
    if member:
        return {".": {}, **children} if children else {}
    return children or None


def union(one: Fields | None, other: Fields | None) -> Fields | None:
    if one is None or other is None:
        return other if one is None else one
    children = {key: node for key, node in one.items() if key != "."}
    for key, node in other.items():
        if key != ".":
            children[key] = union(children.get(key), node)
    return _node(is_member(one) or is_member(other), children)


def intersection(one: Fields | None, other: Fields | None) -> Fields | None:
    if one is None or other is None:
        return None
    children = {}
    for key, node in one.items():
        if key != "." and key in other and (both := intersection(node, other[key])) is not None:
            children[key] = both
    return _node(is_member(one) and is_member(other), children)


def difference(one: Fields | None, other: Fields | None) -> Fields | None:
    if one is None or other is None:
        return one
    children = {}
    for key, node in one.items():
        if key != "." and (left := difference(node, other.get(key))) is not None:
            children[key] = left
    return _node(is_member(one) and not is_member(other), children)


def paths(node: Fields | None, prefix: str = "") -> Iterator[str]:
    """The members, as people read them: `.spec.replicas`, `.spec.containers[name="web"].image`."""
    if node is None:
        return
    if prefix and is_member(node):
        yield prefix
    for key, sub in node.items():
        if key != ".":
            yield from paths(sub, prefix + _readable(key))


def _readable(key: str) -> str:
    if key.startswith("f:"):
        return f".{key[2:]}"
    if key.startswith("k:"):
        names = json.loads(key[2:])
        return "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in names.items()) + "]"
    return f"[{key[2:]}]"

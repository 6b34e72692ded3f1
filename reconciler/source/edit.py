"""
Edits of manifests that replace the text of what must change and nothing else (rule 7c).

Values are compared, the places where they differ are found in the text, and only those are written anew. Whatever comes out is
read back: unless it holds exactly the wanted value there and the same as before everywhere else, the edit is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from reconciler.dialects.documents import parse
from reconciler.model.canonical import canonical
from reconciler.source.nodes import Node, compose, count
from reconciler.source.splice import Splices, Unsplittable

_BOM = "\ufeff"


class EditError(Exception):
    """The text can't be edited exactly; the message says why, on one line and without any value of it."""


def set_annotation(text: str, position: int, key: str, value: str) -> str:
    """`text` with that annotation in the document at `position`. Raises EditError."""
    document = _document(text, position)
    metadata = _mapping(document, "metadata")
    annotations = _mapping(metadata, "annotations")
    wanted = {**document, "metadata": {**metadata, "annotations": {**annotations, key: value}}}
    return set_value(text, position, document, wanted, ())


def remove_annotation(text: str, position: int, key: str) -> str:
    """`text` without that annotation, unchanged where it has none; an `annotations` that becomes empty goes. Raises EditError."""
    document = _document(text, position)
    metadata = _mapping(document, "metadata")
    annotations = _mapping(metadata, "annotations")
    if key not in annotations:
        return text
    left = {name: value for name, value in annotations.items() if name != key}
    kept = {name: value for name, value in metadata.items() if name != "annotations"}
    wanted = {**document, "metadata": {**kept, "annotations": left} if left else kept}
    return set_value(text, position, document, wanted, ())


def set_value(text: str, position: int, old: Any, new: Any, path: Sequence[str] = ("spec",)) -> str:
    """
    `text` with `new` in place of `old` at `path` of the document at `position` (documents counted from 0, empty ones too).

    `old` and `new` are plain JSON values. Raises EditError where `old` is not what stands there, where the place is shared by an
    anchor, and where the result would not read back exactly.
    """
    document = _document(text, position)
    if not path and not isinstance(new, dict):
        raise EditError("a document must stay a mapping")
    if not _same(_at(document, path), old):
        raise EditError(f"{'.'.join(path) or 'the document'} is not what was expected")
    wanted = _with(document, path, new)
    body = text.removeprefix(_BOM)
    root = compose(body, position)
    assert root is not None  # it was read as a mapping
    try:
        edited = text[: len(text) - len(body)] + Splices(body, root).change(document, wanted)
    except Unsplittable as error:
        raise EditError(f"the text can't be edited in place: {error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise EditError("the new value can't be written as YAML") from error
    _verify(text, edited, position, wanted)
    return edited


def _document(text: str, position: int) -> dict[str, Any]:
    documents, problems = parse("", text)
    for document in documents:
        if document.position == position:
            return document.content
    reason = next((f" ({problem.message})" for problem in problems if problem.severity == "error"), "")
    raise EditError(f"document {position} can't be read as a mapping{reason}")


def _mapping(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise EditError(f"{key} is not a mapping")
    return value


def _at(document: Any, path: Sequence[str]) -> Any:
    value = document
    for name in path:
        if not isinstance(value, dict) or name not in value:
            raise EditError(f"{'.'.join(path)} is not there")
        value = value[name]
    return value


def _with(value: Any, path: Sequence[str], new: Any) -> Any:
    return {**value, path[0]: _with(value[path[0]], path[1:], new)} if path else new


def _same(one: Any, other: Any) -> bool:
    try:
        return canonical(one) == canonical(other)
    except (ValueError, TypeError, RecursionError) as error:
        raise EditError("not a plain JSON value") from error


def _verify(before: str, after: str, position: int, wanted: dict[str, Any]) -> None:
    was, was_problems = parse("", before)
    now, now_problems = parse("", after)
    expected = {document.position: document.content for document in was} | {position: wanted}
    found = {document.position: document.content for document in now}
    same = _same([*expected.items()], [*found.items()]) and _messages(was_problems) == _messages(now_problems)
    if not same or _count(before) != _count(after):
        why = " (it uses anchors, and what they share can't be changed in one place)" if _shares(before, position) else ""
        raise EditError(f"the edited text would not read back exactly{why}")


def _messages(problems: Sequence[Any]) -> list[tuple[str, str]]:
    """What is wrong with a file, whatever lines it stands in."""
    return [(problem.severity, re.sub(r"\d+", "", problem.message)) for problem in problems]


def _count(text: str) -> int:
    try:
        return count(text.removeprefix(_BOM))
    except yaml.YAMLError:
        return -1


def _shares(text: str, position: int) -> bool:
    stack: list[Node | None] = [compose(text.removeprefix(_BOM), position)]
    while stack:
        node = stack.pop()
        if node is None:
            continue
        if node.kind == "alias":
            return True
        stack += [*node.keys, *node.items]
    return False

"""A YAML document as nodes with their places in the text. Aliases stay aliases: what is shared can be told from what is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

Kind = Literal["scalar", "mapping", "list", "alias"]


@dataclass
class Node:
    """
    `start` and `end` are indexes of code points in the text; `end` of a block collection is where its last node really ends.

    `inside`: just after the opening of a flow collection. `style`: of a scalar, as YAML writes it (empty: plain). `items`: of
    a list; `keys` and `items` in step: of a mapping. `column`: of `start` in its line.
    """

    kind: Kind
    start: int
    end: int
    column: int
    inside: int = 0
    flow: bool = False
    style: str = ""
    text: str = ""
    keys: list[Node] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)

    def places(self) -> dict[str, int]:
        """Index of each entry of a mapping, by key."""
        return {key.text: index for index, key in enumerate(self.keys) if key.kind == "scalar"}


def compose(text: str, position: int) -> Node | None:
    """
    The root of the document at `position`, empty documents counted; None where there is no such document or it has no content.

    Raises yaml.YAMLError for text that is not YAML up to there. Nesting costs no recursion.
    """
    stack: list[Node] = []
    root: Node | None = None
    current = -1
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, DocumentStartEvent):
            current += 1
            if current > position:
                break
        if current != position:
            continue
        if isinstance(event, NodeEvent):
            node = _node(event)
            if stack:
                _add(stack[-1], node)
            else:
                root = node
            if isinstance(event, MappingStartEvent | SequenceStartEvent):
                stack.append(node)
        elif stack and isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            _close(stack.pop(), event)
    return root


def count(text: str) -> int:
    """How many documents `text` holds. Raises yaml.YAMLError."""
    return sum(isinstance(event, DocumentStartEvent) for event in yaml.parse(text, Loader=yaml.CSafeLoader))


def _node(event: NodeEvent) -> Node:
    assert event.start_mark is not None
    assert event.end_mark is not None
    start, end, column = event.start_mark.index, event.end_mark.index, event.start_mark.column
    if isinstance(event, ScalarEvent):
        return Node("scalar", start, end, column, style=event.style or "", text=event.value)
    if isinstance(event, AliasEvent):
        return Node("alias", start, end, column)
    assert isinstance(event, MappingStartEvent | SequenceStartEvent)
    kind: Kind = "mapping" if isinstance(event, MappingStartEvent) else "list"
    return Node(kind, start, end, column, inside=end, flow=bool(event.flow_style))


def _add(parent: Node, node: Node) -> None:
    if parent.kind == "mapping" and len(parent.keys) == len(parent.items):
        parent.keys.append(node)
    else:
        parent.items.append(node)


def _close(node: Node, event: Event) -> None:
    """A block collection's own mark stands before the next token, behind comments that are not its own."""
    assert event.end_mark is not None
    if node.flow or not node.items:
        node.end = event.end_mark.index
    else:
        node.end = node.items[-1].end

"""From a difference of two values to the pieces of text that must be replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from functools import partial
from typing import Any

from reconciler.model.canonical import canonical
from reconciler.source import emit
from reconciler.source.nodes import Node

# What differs between the common beginning and end of two lists is matched item by item up to here: matching is cubic at worst.
_LONGEST_MATCH = 400


class Unsplittable(Exception):  # noqa: N818 - a signal within this room
    """A piece of the text has no place of its own."""


class Splices:
    """Collects replacements in `text`, whose document has the root `root`. Text that is not replaced stays as it is."""

    def __init__(self, text: str, root: Node) -> None:
        self._text = text
        self._strict = text.lstrip().startswith(("{", "["))  # a JSON file stays one
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._hang = _hangs(root)
        self._root = root
        self._found: list[tuple[int, int, str]] = []

    def change(self, old: dict[str, Any], new: dict[str, Any]) -> str:
        """The text in which the root's value `old` became `new`. Raises Unsplittable."""
        self._mapping(self._root, old, new)
        pieces, at = [], 0
        for start, end, piece in sorted(dict.fromkeys(self._found), key=lambda splice: splice[:2]):
            if start < at:
                raise Unsplittable("two changes overlap")
            pieces += [self._text[at:start], piece]
            at = end
        return "".join([*pieces, self._text[at:]])

    # ---- values

    def _value(self, node: Node, old: Any, new: Any, replace: Callable[[], None]) -> None:
        """Changes a value in its parts where its shape allows, else as a whole by `replace`."""
        if _equal(old, new):
            return
        if not new or type(old) is not type(new) or not isinstance(new, dict | list) or not old or node.kind == "alias":
            replace()
            return
        before = len(self._found)
        try:
            if isinstance(new, dict):
                self._mapping(node, old, new)
            else:
                self._list(node, old, new)
        except Unsplittable:
            del self._found[before:]
            replace()

    def _mapping(self, node: Node, old: dict[str, Any], new: dict[str, Any]) -> None:
        if node.kind != "mapping":
            raise Unsplittable("a mapping is shared by an alias")
        places = node.places()
        gone = [index for index, key in enumerate(node.keys) if key.text in old and key.text not in new]
        if len(gone) == len(node.keys):
            raise Unsplittable("no key of a mapping stays")
        added: dict[str, Any] = {}
        for key, value in new.items():
            index = places.get(key)
            if index is not None:
                self._value(node.items[index], old.get(key), value, partial(self._put, node, index, value))
            elif key not in old or not _equal(old[key], value):
                added[key] = value
        self._drop_keys(node, gone)
        if added:
            self._add_keys(node, added)

    def _list(self, node: Node, old: list[Any], new: list[Any]) -> None:
        if node.kind != "list" or len(node.items) != len(old):
            raise Unsplittable("a list is shared by an alias")
        for tag, i, j, k, m in _matches(old, new):
            both = min(j - i, m - k) if tag in {"equal", "replace"} else 0
            for step in range(both):
                item, value = node.items[i + step], new[k + step]
                self._value(item, old[i + step], value, partial(self._put_item, node, item, value))
            for index in range(i + both, j):
                self._drop(node, index, node.items, last=j == len(old))
            if k + both < m:
                self._add_items(node, j, new[k + both : m])

    # ---- replacing

    def _put(self, node: Node, index: int, value: Any) -> None:
        """A new value for an entry of a mapping."""
        key, item = node.keys[index], node.items[index]
        if self._put_inline(node, item, value):
            return None
        head, *rest = emit.entry(key.text, value, hang=self._hang)
        tail = head[len(emit.scalar(key.text)) + 1 :]
        if item.start == item.end and not tail:  # below the key's line, whatever comment that ends in
            return self._insert(self._after(item.end), _indented(rest, node.column))
        gap = self._text[key.end : item.start]
        if gap.strip() == ":":
            colon = key.end + gap.index(":") + 1
            return self._splice(colon, self._trimmed(item), self._newline.join([tail, *_indented(rest, node.column)]))
        return self._splice(item.start, self._trimmed(item), self._hanging(value, item.column))

    def _put_item(self, node: Node, item: Node, value: Any) -> None:
        """A new value for an item of a list."""
        if not self._put_inline(node, item, value):
            column = item.column if item.start < item.end else node.column + 2
            self._splice(item.start, self._trimmed(item), _pad(item) + self._hanging(value, column))

    def _put_inline(self, node: Node, item: Node, value: Any) -> bool:
        """Where the new value has its place within one line and the old one is in flow style or a scalar; whether it was so."""
        if node.flow:
            self._splice(item.start, item.end, _pad(item) + emit.flow(value, strict=self._strict))
            return True
        if item.kind != "scalar" or item.style in {"|", ">"} or _is_block(value):
            return False
        text = emit.flow(value, strict=self._strict) if isinstance(value, dict | list) else emit.scalar(value, item.style)
        self._splice(item.start, item.end, _pad(item) + text)
        return True

    def _hanging(self, value: Any, column: int) -> str:
        """A value that begins in the middle of a line at `column`, and goes on below."""
        head, *rest = emit.block([value], hang=self._hang)
        return self._newline.join([head.removeprefix("- "), *_indented([line.removeprefix("  ") for line in rest], column)])

    # ---- removing

    def _drop_keys(self, node: Node, gone: list[int]) -> None:
        left = set(gone)
        kept = next((index for index in range(len(node.keys)) if index not in left), 0)
        begin = node.keys[0].start
        lead = self._text[self._line(begin) : begin]
        if not node.flow and kept and "-" in lead and not lead.strip(" -"):
            # The first entry shares its line with a dash: the first that stays takes its place.
            self._splice(begin, node.keys[kept].start, "")
            gone = [index for index in gone if index > kept]
        behind = len(node.keys)
        while behind - 1 in left:
            behind -= 1
        for index in gone:
            self._drop(node, index, node.keys, last=index >= behind)

    def _drop(self, node: Node, index: int, begins: list[Node], *, last: bool) -> None:
        """An entry or item goes: its lines in block style, with one comma in flow style. `last`: nothing behind it stays."""
        begin, end = begins[index].start, node.items[index].end
        if node.flow and not last:
            return self._splice(begin, begins[index + 1].start, "")
        if node.flow:
            return self._splice(node.items[index - 1].end if index else begin, end, "")
        line = self._line(begin)
        if self._text[line:begin].strip(" ") == ("" if node.kind == "mapping" else "-"):
            return self._splice(line, self._after(end), "")
        raise Unsplittable("an entry has no line of its own")

    # ---- adding

    def _add_keys(self, node: Node, added: dict[str, Any]) -> None:
        if node.flow:
            style = '"' if self._strict else ""
            pieces = [f"{emit.scalar(key, style)}: {emit.flow(value, strict=self._strict)}" for key, value in added.items()]
            return self._add_flow(node, len(node.items), node.keys, pieces)
        lines = [line for key, value in added.items() for line in emit.entry(key, value, hang=self._hang)]
        return self._insert(self._after(node.items[-1].end), _indented(lines, node.column))

    def _add_items(self, node: Node, index: int, values: list[Any]) -> None:
        if node.flow:
            return self._add_flow(node, index, node.items, [emit.flow(value, strict=self._strict) for value in values])
        lines = _indented(emit.block(values, hang=self._hang), node.column)
        if index == len(node.items):
            return self._insert(self._after(node.items[-1].end), lines)
        begin = node.items[index].start
        line = self._line(begin)
        if self._text[line:begin].strip(" ") != "-":
            raise Unsplittable("an item has no line of its own")
        return self._insert(line, lines)

    def _add_flow(self, node: Node, index: int, begins: list[Node], pieces: list[str]) -> None:
        if not node.items:
            return self._splice(node.inside, node.inside, ", ".join(pieces))
        first = begins[0].start
        line = self._line(first)
        alone = line > node.start and not self._text[line:first].strip()
        comma = "," + self._newline + self._text[line:first] if alone else ", "
        if index == len(node.items):
            end = node.items[-1].end
            return self._splice(end, end, "".join(comma + piece for piece in pieces))
        begin = begins[index].start
        return self._splice(begin, begin, "".join(piece + comma for piece in pieces))

    # ---- text

    def _splice(self, start: int, end: int, piece: str) -> None:
        self._found.append((start, end, piece))

    def _insert(self, at: int, lines: list[str]) -> None:
        """Whole lines before the line that begins at `at`, or behind a last line that has no end."""
        piece = self._newline.join(lines)
        open_end = at > 0 and self._text[at - 1] != "\n"
        self._splice(at, at, self._newline + piece if open_end else piece + self._newline)

    def _line(self, at: int) -> int:
        """Where the line that holds `at` begins."""
        return self._text.rfind("\n", 0, at) + 1

    def _after(self, end: int) -> int:
        """Where the line after the one that holds the end of a node begins."""
        if end and self._text[end - 1] == "\n":
            return end
        found = self._text.find("\n", end)
        return found + 1 if found >= 0 else len(self._text)

    def _trimmed(self, item: Node) -> int:
        """The end of a node without the line break that ends a block scalar."""
        end = item.end
        while end > item.start and self._text[end - 1] in "\r\n":
            end -= 1
        return end


def _indented(lines: list[str], columns: int) -> list[str]:
    return [" " * columns + line if line else "" for line in lines]


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and canonical(one) == canonical(other)


def _is_block(value: Any) -> bool:
    return (isinstance(value, dict | list) and bool(value)) or (isinstance(value, str) and "\n" in value)


def _pad(item: Node) -> str:
    """A value needs a space behind `:` and `-`; an empty one stands right at them."""
    return " " if item.start == item.end else ""


def _matches(old: list[Any], new: list[Any]) -> Iterator[tuple[str, int, int, int, int]]:
    """How one list becomes the other, as difflib's opcodes; items of one name are one item."""
    before, after = [_name(item) for item in old], [_name(item) for item in new]
    shorter = min(len(before), len(after))
    head = next((index for index in range(shorter) if before[index] != after[index]), shorter)
    tail = next((index for index in range(shorter - head) if before[-1 - index] != after[-1 - index]), shorter - head)
    i, j, k, m = head, len(before) - tail, head, len(after) - tail
    yield "equal", 0, head, 0, head
    if j - i + m - k > _LONGEST_MATCH:
        yield "replace", i, j, k, m
    else:
        for tag, *ends in SequenceMatcher(None, before[i:j], after[k:m], autojunk=False).get_opcodes():
            yield tag, ends[0] + i, ends[1] + i, ends[2] + k, ends[3] + k
    yield "equal", j, len(before), m, len(after)


def _name(item: Any) -> bytes:
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        return b"name " + canonical(item["name"])
    return b"value " + canonical(item)


def _hangs(root: Node) -> bool:
    """Whether the document's block lists stand right of their keys. The first one decides; without any they do."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.kind == "mapping" and not node.flow:
            for item in node.items:
                if item.kind == "list" and not item.flow:
                    return item.column > node.column
        stack += reversed(node.items)
    return True

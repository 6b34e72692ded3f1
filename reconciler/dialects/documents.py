"""
YAML and JSON files as Kubernetes reads them, from untrusted bytes.

Values are built from parser events with a stack of our own: nesting costs no recursion, aliases share their value and are
counted as if they were written out, and nothing but plain data can come out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn

import yaml
from yaml._yaml import CParser  # libyaml's parser; the public loaders are built on it
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.file_text import UnreadableError, decode
from reconciler.dialects.protocol import Document
from reconciler.dialects.scalars import SCALAR_TAGS, construct, resolve
from reconciler.model.problem import Problem
from reconciler.model.text import one_line

MAX_BYTES = 1 << 20
MAX_DOCUMENTS = 1000
MAX_DEPTH = 100
MAX_NODES = 100_000  # of a file, aliases counted as if written out

# A scalar counts as one node for each 100 characters begun, so that aliases can't multiply long text either.
_CHARS_PER_NODE = 100
_MAP = "tag:yaml.org,2002:map"
_SEQ = "tag:yaml.org,2002:seq"
_MERGE = object()


def parse(path: str, data: bytes | str, limit: int = MAX_BYTES) -> tuple[list[Document], list[Problem]]:
    """
    The mappings among the documents of a file, in order, and what is wrong with the file.

    Documents that are empty or no mappings are left out but counted in `position`. Never raises for what `data` holds. An
    error among the problems says that the file was not read in full; documents before it (and after it, where the syntax
    allows to go on) are still there. `Document.text` is that document's own part of the file and begins at `Document.line`.
    """
    reader = _Reader(path)
    try:
        reader.read(decode(data, limit))
    except UnreadableError as stop:
        reader.error(stop.line, stop.message)
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        what = ", ".join(part for part in (broken.context, broken.problem) if part)
        reader.error(mark.line + 1 if mark else 0, f"not valid YAML: {one_line(what)}")
    except yaml.reader.ReaderError as broken:
        reader.error(0, f"not valid YAML: the character U+{broken.character:04X} is not allowed")
    except yaml.YAMLError as broken:
        reader.error(0, f"not valid YAML: {one_line(broken)}")
    return reader.documents, reader.problems


def line_of(text: str, position: int, field_path: FieldPath) -> int:
    """The line, from 1, of a field in the document at `position` of `text`; of its nearest parent where it is not there; else 0."""
    return _find(text, position, {field_path})[field_path]


def lines_of(document: Document, field_paths: Iterable[FieldPath]) -> dict[FieldPath, int]:
    """`line_of` for many fields of one document, in lines of the file, in one pass."""
    if document.lines is not None:
        return _nearest(document.lines, set(field_paths))
    found = _find(document.text, 0, set(field_paths))
    return {path: document.line + max(line, 1) - 1 for path, line in found.items()}


class _Anchored(NamedTuple):
    """A value that aliases refer to. `weight` in nodes, `height`: levels of nesting in it."""

    value: Any
    weight: int
    height: int


_OPEN = _Anchored(None, 0, -1)


class _Frame:
    """An open mapping or sequence. `key` None: the next node is a key."""

    __slots__ = ("anchor", "height", "key", "keys", "line", "merged", "value", "weight")

    def __init__(self, value: dict[str, Any] | list[Any], anchor: str | None, line: int) -> None:
        self.value = value
        self.anchor = anchor
        self.line = line
        self.key: Any = None
        self.keys: dict[str, int] = {}
        self.merged: list[dict[str, Any]] = []
        self.weight = 1
        self.height = 1


class _Reader:
    """Reads one file. `documents` and `problems` are filled as it goes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.documents: list[Document] = []
        self.problems: list[Problem] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchored] = {}
        self._root: Any = None
        self._root_mark: tuple[int, int] = (0, 1)
        self._position = -1
        self._weight = 0
        self._failed = False

    def error(self, line: int, message: str) -> None:
        self._failed = True
        self.problems.append(Problem(self.path, line, message))

    def read(self, text: str) -> None:
        handlers: dict[type[Event], Any] = {
            ScalarEvent: self._scalar,
            MappingStartEvent: self._start,
            SequenceStartEvent: self._start,
            MappingEndEvent: self._end,
            SequenceEndEvent: self._end,
            AliasEvent: self._alias,
            DocumentStartEvent: self._start_document,
        }
        for event in _events(text):
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)
            elif type(event) is DocumentEndEvent:
                self._end_document(text, event)

    def _start_document(self, event: Event) -> None:
        self._position += 1
        if self._position >= MAX_DOCUMENTS:
            _stop(event, f"more than {MAX_DOCUMENTS} documents in one file")
        self._anchors.clear()
        self._root = None
        self._failed = False

    def _end_document(self, text: str, event: Event) -> None:
        if self._failed or not isinstance(self._root, dict):
            return
        begin, line = self._root_mark
        assert event.end_mark is not None
        part = text[begin : event.end_mark.index]
        self.documents.append(Document(self.path, self._position, line, self._root, part))

    def _scalar(self, event: ScalarEvent) -> None:
        frame = self._stack[-1] if self._stack else None
        plain = event.implicit[0]
        if plain and event.value == "<<" and frame is not None and frame.key is None and type(frame.value) is dict:
            self._set_key(frame, event, _MERGE)
            return
        value = resolve(event.value) if plain else self._tagged(event)
        if isinstance(value, float) and not math.isfinite(value):
            self.error(_line(event), "infinity and NaN have no place in JSON and so in a manifest; quote it if text is meant")
            value = 0.0
        self._add(event, value, 1 + len(event.value) // _CHARS_PER_NODE, 0)
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(value, 1 + len(event.value) // _CHARS_PER_NODE, 0)

    def _tagged(self, event: ScalarEvent) -> Any:
        if event.tag is None:
            return event.value
        if event.tag not in SCALAR_TAGS:
            self.error(_line(event), f"the tag {one_line(event.tag, 80)} is not allowed")
            return None
        try:
            return construct(event.tag, event.value)
        except ValueError as wrong:
            self.error(_line(event), str(wrong))
            return None

    def _start(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        mapping = type(event) is MappingStartEvent
        if event.tag is not None and event.tag not in (_MAP if mapping else _SEQ, "!"):
            self.error(_line(event), f"the tag {one_line(event.tag, 80)} is not allowed")
        if len(self._stack) >= MAX_DEPTH:
            _stop(event, f"nested deeper than {MAX_DEPTH} levels")
        if self._stack and type(self._stack[-1].value) is dict and self._stack[-1].key is None:
            _stop(event, "a key must be a scalar, not a mapping or a list")
        if not self._stack:
            mark = event.start_mark
            assert mark is not None
            self._root_mark = (mark.index - mark.column, mark.line + 1)
        if event.anchor:
            self._anchors[event.anchor] = _OPEN
        self._stack.append(_Frame({} if mapping else [], event.anchor, _line(event)))

    def _end(self, event: Event) -> None:
        frame = self._stack.pop()
        if frame.merged:
            assert type(frame.value) is dict
            # Own keys win over merged ones, earlier merges over later ones (yaml.org/type/merge.html).
            for source in frame.merged:
                for key, value in source.items():
                    frame.value.setdefault(key, value)
        if frame.anchor:
            self._anchors[frame.anchor] = _Anchored(frame.value, frame.weight, frame.height)
        # What it holds was counted when it was added.
        self._add(event, frame.value, frame.weight, frame.height, counted=frame.weight - 1)

    def _alias(self, event: AliasEvent) -> None:
        name = event.anchor or ""
        anchored = self._anchors.get(name)
        if anchored is None:
            _stop(event, f"no anchor &{one_line(name, 80)} before this alias")
        if anchored is _OPEN:
            _stop(event, f"the anchor &{one_line(name, 80)} contains itself")
        if len(self._stack) + anchored.height > MAX_DEPTH:
            _stop(event, f"nested deeper than {MAX_DEPTH} levels")
        self._add(event, anchored.value, anchored.weight, anchored.height)

    def _add(self, event: Event, value: Any, weight: int, height: int, counted: int = 0) -> None:
        """Puts a finished node where it belongs: into the open sequence, as key or value of the open mapping, or as the root."""
        self._weight += weight - counted
        if self._weight > MAX_NODES:
            _stop(event, f"more than {MAX_NODES} values in one file (aliases count as if written out)")
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        frame.weight += weight
        if height >= frame.height:
            frame.height = height + 1
        if type(frame.value) is list:
            frame.value.append(value)
        elif frame.key is None:
            self._set_key(frame, event, self._key(event, value))
        elif frame.key is _MERGE:
            self._merge(frame, event, value)
            frame.key = None
        else:
            frame.value[frame.key] = value
            frame.key = None

    def _set_key(self, frame: _Frame, event: Event, key: Any) -> None:
        name = "<<" if key is _MERGE else key
        line = _line(event)
        if name in frame.keys:
            self.error(line, f"duplicate key {one_line(name, 80)} (first in line {frame.keys[name]})")
        else:
            frame.keys[name] = line
        frame.key = key

    def _key(self, event: Event, value: Any) -> str:
        """Keys are strings in JSON: integers and booleans become what Kubernetes makes of them."""
        line = _line(event)
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            word = "true" if value else "false"
            written = event.value if isinstance(event, ScalarEvent) else word
            if written != word:
                message = f"the key {written} is read as {word}, as Kubernetes does; quote it if the text is meant"
                self.problems.append(Problem(self.path, line, message, severity="warning"))
            return word
        if isinstance(value, int):
            return str(value)
        if isinstance(value, dict | list):
            _stop(event, "a key must be a scalar, not a mapping or a list")
        self.error(line, "a key must be text; quote it")
        return str(value)

    def _merge(self, frame: _Frame, event: Event, value: Any) -> None:
        sources = value if isinstance(value, list) else [value]
        if all(isinstance(source, dict) for source in sources):
            frame.merged.extend(sources)
        else:
            self.error(_line(event), "<< takes a mapping or a list of mappings")


def _line(event: Event) -> int:
    assert event.start_mark is not None  # the parser always marks
    return event.start_mark.line + 1


def _stop(event: Event, message: str) -> NoReturn:
    raise UnreadableError(_line(event), message)


def _events(text: str) -> Iterator[Event]:
    parser = CParser(text)
    try:
        while (event := parser.get_event()) is not None:
            yield event
    finally:
        parser.dispose()


def _find(text: str, position: int, wanted: set[FieldPath]) -> dict[FieldPath, int]:
    """Line of each wanted path (or of its nearest parent) in one document, 0 where there is no such document."""
    known: dict[FieldPath, int] = {}
    prefixes = {path[:length] for path in wanted for length in range(len(path) + 1)}
    try:
        for path, line in _walk(text, position):
            if path in prefixes:
                known.setdefault(path, line)
    except (yaml.YAMLError, UnicodeEncodeError):
        pass  # what was found before it still helps
    return _nearest(known, wanted)


def _nearest(known: Mapping[FieldPath, int], wanted: set[FieldPath]) -> dict[FieldPath, int]:
    nearest: dict[FieldPath, int] = {}
    for path in wanted:
        length = next((length for length in range(len(path), -1, -1) if path[:length] in known), -1)
        nearest[path] = known[path[:length]] if length >= 0 else 0
    return nearest


def _walk(text: str, position: int) -> Iterator[tuple[FieldPath, int]]:
    """Paths and lines of the nodes of one document; a mapping's entry has its key's line."""
    path: list[str | int] = []
    keys: list[bool] = []  # for each open mapping whether a key comes next; sequences are False
    current = -1
    for event in _events(text):
        kind = type(event)
        if kind is DocumentStartEvent:
            current += 1
            if current > position:
                return
        if current != position or kind in (DocumentStartEvent, DocumentEndEvent):
            continue
        if kind in (MappingEndEvent, SequenceEndEvent):
            keys.pop()
            path.pop()
            _advance(path, keys)
            continue
        line = _line(event)
        if keys and keys[-1] and isinstance(event, ScalarEvent | AliasEvent):
            path[-1] = event.value if isinstance(event, ScalarEvent) else ""
            keys[-1] = False
            yield tuple(path), line
            continue
        if not path or isinstance(path[-1], int):
            yield tuple(path), line
        if kind is MappingStartEvent or kind is SequenceStartEvent:
            if len(path) > MAX_DEPTH:
                return
            path.append("" if kind is MappingStartEvent else 0)
            keys.append(kind is MappingStartEvent)
        else:
            _advance(path, keys)


def _advance(path: list[str | int], keys: list[bool]) -> None:
    """A node is finished: on to the next item of the list, or to the next key of the mapping."""
    if not path:
        return
    last = path[-1]
    if isinstance(last, int):
        path[-1] = last + 1
    else:
        keys[-1] = True

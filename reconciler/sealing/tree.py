"""
YAML and JSON as SOPS reads them, which is neither how Kubernetes does nor what YAML says: its checksum is over values so read.

Scalars are those of go-yaml v3: `yes` is text, `0777` octal, `2024-01-01` a time. What SOPS never writes into an encrypted file
(aliases, tags, keys that are no scalars) is refused.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

import yaml
from yaml import AliasEvent, DocumentStartEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent
from yaml._yaml import CParser  # libyaml's parser; the public loaders are built on it

MAX_DEPTH: Final = 100
MAX_NODES: Final = 100_000

_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_NULL = ("", "~", "null", "Null", "NULL")
_WORDS: Final = {
    **dict.fromkeys(_TRUE, "True"),
    **dict.fromkeys(_FALSE, "False"),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), "NaN"),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), "+Inf"),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), "-Inf"),
}
_INT: Final = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_TIME: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:(?:[Tt]|[ ])(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d{1,9})?(?: ?(Z|[-+]\d\d:\d\d))?)?", re.ASCII)
_NOT_PLAIN: Final = re.compile(r"[^\x20-\x7e]|[\"\\]")


class Plain(str):
    """A scalar that is no text: as SOPS writes it out for its checksum; `written`: as it stands in the file."""

    __slots__ = ("written",)
    written: str


Node = dict[str, Any] | list[Any] | str | None


class TreeError(ValueError):
    """What SOPS never writes. `line` from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def read_trees(text: str) -> list[Node]:
    """The documents, in order. Raises TreeError."""
    try:
        return _Reader().read(text)
    except yaml.MarkedYAMLError as error:
        raise TreeError("not valid YAML", error.problem_mark.line + 1 if error.problem_mark else 0) from None
    except yaml.YAMLError:
        raise TreeError("not valid YAML", 0) from None


def write_trees(trees: list[Node]) -> str:
    """The same as YAML that is read to the same trees."""
    return "\n---\n".join(_write(tree) for tree in trees) + "\n"


class _Reader:
    """Builds the nodes of one file. `_stack`: open mappings and lists; `_keys`: of each, the key that waits for its value."""

    def __init__(self) -> None:
        self._trees: list[Node] = []
        self._stack: list[dict[str, Any] | list[Any]] = []
        self._keys: list[str | None] = []
        self._nodes = 0

    def read(self, text: str) -> list[Node]:
        parser = CParser(text)
        try:
            while (event := parser.get_event()) is not None:
                self._take(event)
        finally:
            parser.dispose()
        return self._trees

    def _take(self, event: Any) -> None:
        match event:
            case ScalarEvent():
                self._add(event, self._scalar(event))
            case MappingStartEvent() | SequenceStartEvent():
                if event.tag not in (None, "!") or len(self._stack) >= MAX_DEPTH:
                    raise _refuse(event, "tags and this depth of nesting are never in what SOPS writes")
                made: dict[str, Any] | list[Any] = {} if isinstance(event, MappingStartEvent) else []
                self._add(event, made)
                self._stack.append(made)
                self._keys.append(None)
            case MappingEndEvent() | SequenceEndEvent():
                self._stack.pop()
                self._keys.pop()
            case AliasEvent():
                raise _refuse(event, "an alias, which SOPS never writes")
            case DocumentStartEvent():
                self._stack.clear()
                self._keys.clear()

    def _add(self, event: Any, node: Node) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _refuse(event, f"more than {MAX_NODES} values")
        if not self._stack:
            self._trees.append(node)
            return
        top, key = self._stack[-1], self._keys[-1]
        if isinstance(top, list):
            top.append(node)
        elif key is None:
            name = event.value if isinstance(event, ScalarEvent) else None
            if name is None or name in top:
                raise _refuse(event, "a key that is no text, or is there twice")
            self._keys[-1] = name
        else:
            top[key] = node
            self._keys[-1] = None

    @staticmethod
    def _scalar(event: ScalarEvent) -> Node:
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            raise _refuse(event, "a tag, which SOPS never writes")
        return resolve(event.value) if event.tag is None and event.implicit[0] else event.value


def resolve(text: str) -> Plain | str | None:
    """A plain scalar: None for null, the same text where it is one."""
    if text in _NULL:
        return None
    told = _WORDS.get(text)
    if told is None and text[0] in "+-.0123456789":
        told = _number(text)
    if told is None:
        return text
    plain = Plain(told)
    plain.written = text
    return plain


def _number(text: str) -> str | None:
    if time := _TIME.fullmatch(text):
        return _moment(time)
    number = text.replace("_", "")
    if _INT.fullmatch(number):
        value = _integer(number)
        if -(1 << 63) <= value < 1 << 63:
            return str(value)
    if _FLOAT.fullmatch(number):
        plain = format(Decimal(repr(float(number))), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    return None


def _integer(number: str) -> int:
    sign, digits = (-1 if number.startswith("-") else 1), number.lstrip("+-").lower()
    if digits.startswith("0") and digits != "0" and digits[1] in "01234567":
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _moment(match: re.Match[str]) -> str:
    """As Go writes a time: RFC 3339, fractions without trailing zeros."""
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    part = (fraction or "").rstrip("0").rstrip(".")
    return f"{year}-{int(month):02}-{int(day):02}T{int(hour or 0):02}:{int(minute or 0):02}:{int(second or 0):02}{part}{zone or 'Z'}"


def _write(node: Node) -> str:
    if isinstance(node, dict):
        return "{" + ", ".join(f"{_quoted(key)}: {_write(value)}" for key, value in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(_write(item) for item in node) + "]"
    if node is None:
        return "null"
    return node.written if isinstance(node, Plain) else _quoted(node)


def _quoted(text: str) -> str:
    return '"' + _NOT_PLAIN.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\{match[0]}" if match[0] in '"\\' else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _refuse(event: Any, message: str) -> TreeError:
    return TreeError(message, event.start_mark.line + 1)

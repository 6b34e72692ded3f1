"""The parts of an expression's text, each of bounded size."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from reconciler.model.text import one_line

MAX_DEPTH: Final = 32

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<quote>")|(?P<bottom>_\|_)|(?P<name>[A-Za-z_$][A-Za-z0-9_$]*)"""
    r"""|(?P<sign>==|!=|<=|>=|=~|!~|&&|\|\||[<>!+\-*/(),.\[\]])|(?P<other>\S)|$)""",
    re.ASCII,
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "/": "/"}


class ExpressionError(ValueError):
    """It can't be read, or has no answer; the message says why, on one line."""


class Token(NamedTuple):
    kind: str
    text: str


def split_tokens(text: str) -> list[Token]:
    found_tokens: list[Token] = []
    at = 0
    while (match := _TOKEN.match(text, at)) is not None and match.lastgroup is not None:
        kind, at = match.lastgroup, match.end()
        part = match[kind]
        if kind == "quote":
            start, at = at - 1, end_of_text(text, at)
            kind, part = "text", text[start:at]
        elif kind == "other":
            hint = "; a text stands in double quotes" if part in "'`" else f"; write {part * 2}" if part in "=&|" else ""
            raise ExpressionError(f"{one_line(part, 40)} means nothing here{hint}")
        found_tokens.append(Token(kind, part))
    return [*found_tokens, Token("end", "")]


def end_of_text(text: str, at: int, depth: int = 0) -> int:
    """Behind the quote that ends the text that began before `at`; what is inserted may hold texts of its own."""
    while at < len(text) and text[at] not in '"\n':
        if text[at] != "\\":
            at += 1
        elif text[at + 1 : at + 2] != "(":
            at += 2
        elif depth > MAX_DEPTH:
            raise ExpressionError(f"it is nested deeper than {MAX_DEPTH}")
        else:
            at = end_of_insert(text, at, depth) + 1
    if text[at : at + 1] != '"':
        raise ExpressionError('the " that ends a text is missing')
    return at + 1


def find_insert(quoted: str) -> int | None:
    r"""Where the first `\(` of a text is that is no escaped backslash before a parenthesis."""
    match = re.match(r"(?:[^\\]|\\[^(])*\\(?=\()", quoted, re.DOTALL)
    return match.end() - 1 if match else None


def end_of_insert(text: str, start: int, depth: int = 0) -> int:
    r"""The parenthesis that closes the `\(` at `start`."""
    at, opened = start + 2, 1
    while at < len(text):
        if text[at] == '"':
            at = end_of_text(text, at + 1, depth + 1)
            continue
        opened += {"(": 1, ")": -1}.get(text[at], 0)
        if not opened:
            return at
        at += 1
    raise ExpressionError("a ) is missing")


def unquote(quoted: str) -> str:
    def unescape(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            raise ExpressionError(f"\\{match[1]} means nothing in a text; write \\\\ for a backslash")
        return _ESCAPES[match[1]]

    return re.sub(r"\\(.)", unescape, quoted[1:-1])


def read_index(text: str) -> int:
    if not text.isdigit() or len(text) > 4:
        raise ExpressionError(f"[{text}] is no place in a list")
    return int(text)

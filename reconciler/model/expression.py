"""
The condition of a step (`if`): a boolean expression as CUE has them, read and answered without running anything.

    always
    status.deploy.failed || status["smoke-test"].reason == "Timeout"
    inputs["db-conn.host"] != "" && context.appName =~ "^shop-"

Read are text, numbers, true, false and null; paths that begin with a name; `! - + - == != < <= > >= =~ !~ && ||` and parentheses, which bind as
in CUE. Only like is compared with like, but everything with null. There are no calls, no loops and no assignments, and text, depth and patterns
are bounded, so that every answer comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from reconciler.model.pattern import found, is_readable
from reconciler.model.text import one_line

ALWAYS: Final = "always"
MAX_LENGTH: Final = 1024
MAX_DEPTH: Final = 32
MAX_TEXT: Final = 4096

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<name>[A-Za-z_$][A-Za-z0-9_$]*)"""
    r"""|(?P<sign>==|!=|<=|>=|=~|!~|&&|\|\||[<>!+\-().\[\]])|(?P<other>\S))""",
    re.ASCII,
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "/": "/"}
_BINDING: Final = {"||": 1, "&&": 2, **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "=~", "!~"), 3), "+": 4, "-": 4}
_CONSTANTS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None}
_ORDERED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


class ExpressionError(ValueError):
    """It can't be read, or has no answer; the message says why, on one line."""


class Path(NamedTuple):
    """A value that is looked up: `status["a"].failed` is `("status", "a", "failed")`."""

    parts: tuple[str | int, ...]

    def __str__(self) -> str:
        return _show(self.parts)


class _Constant(NamedTuple):
    value: Any


class _Unary(NamedTuple):
    sign: str
    operand: _Node


class _Binary(NamedTuple):
    sign: str
    left: _Node
    right: _Node


_Node = Path | _Constant | _Unary | _Binary


class Expression(NamedTuple):
    """`paths`: all that it looks up, in the order written. `always`: it is true whatever happened."""

    root: _Node
    paths: tuple[Path, ...]
    always: bool = False

    def read(self, names: Mapping[str, Any]) -> bool:
        """Whether it is true, of the values by first name. Raises ExpressionError where there is no answer."""
        answer = _evaluate(self.root, names)
        if not isinstance(answer, bool):
            raise ExpressionError(f"it is {_kind(answer)}, not true or false")
        return answer

    def ask(self, names: Mapping[str, Any]) -> Any:
        """What it is, be it no truth: a path to what is not there is null. Raises ExpressionError where there is no answer all the same."""
        return _evaluate(self.root, names, absent=True)

    def subjects(self, name: str) -> list[str]:
        """The second names of the paths below `name`: of `status` the steps, of `inputs` the inputs."""
        return list(dict.fromkeys(str(path.parts[1]) for path in self.paths if path.parts[0] == name and len(path.parts) > 1))


@lru_cache(maxsize=1024)
def parse_expression(text: str) -> Expression:
    """Raises ExpressionError."""
    if text.strip() == ALWAYS:
        return Expression(_Constant(value=True), (), always=True)
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"it is longer than {MAX_LENGTH} characters")
    return _Reader(text).read()


class _Token(NamedTuple):
    kind: str
    text: str


class _Reader:
    """Operator precedence, with a depth that is counted."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0
        self._paths: list[Path] = []

    def read(self) -> Expression:
        root = self._binary(0)
        if self._peek().kind != "end":
            raise ExpressionError(f"{self._place()} is not expected there")
        return Expression(root, tuple(self._paths))

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _place(self) -> str:
        token = self._peek()
        return one_line(token.text, 40) if token.kind != "end" else "the end"

    def _binary(self, least: int) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"it is nested deeper than {MAX_DEPTH}")
        left = self._unary()
        while (token := self._peek()).kind == "sign" and _BINDING.get(token.text, 0) > least:
            self._take()
            left = _Binary(token.text, left, self._binary(_BINDING[token.text]))
            if token.text in ("=~", "!~") and isinstance(left.right, _Constant):
                _check_pattern(left.right.value)
            if _count(left) > MAX_DEPTH * 4:
                raise ExpressionError("it has too many parts")
        self._depth -= 1
        return left

    def _unary(self) -> _Node:
        signs = []
        while self._peek().kind == "sign" and self._peek().text in ("!", "-"):
            signs.append(self._take().text)
            if len(signs) > MAX_DEPTH:
                raise ExpressionError(f"it is nested deeper than {MAX_DEPTH}")
        node = self._operand()
        for sign in reversed(signs):
            node = _Unary(sign, node)
        return node

    def _operand(self) -> _Node:
        token = self._peek()
        if token.kind == "number":
            self._take()
            return _Constant(float(token.text) if not token.text.isdigit() else int(token.text))
        if token.kind == "text":
            self._take()
            return _Constant(_unquote(token.text))
        if token.kind == "name":
            return self._path()
        if token == _Token("sign", "("):
            self._take()
            node = self._binary(0)
            if self._take_sign() != ")":
                raise ExpressionError("a ) is missing")
            return node
        raise ExpressionError(f"{self._place()} is not expected there: a name, a text in double quotes, a number or ( is")

    def _take_sign(self) -> str:
        return self._take().text if self._peek().kind == "sign" else ""

    def _path(self) -> _Node:
        first = self._take().text
        if first in _CONSTANTS:
            return _Constant(_CONSTANTS[first])
        parts: list[str | int] = [first]
        while self._peek().kind == "sign" and self._peek().text in (".", "["):
            sign, token = self._take().text, self._peek()
            if sign == "." and token.kind in ("name", "text"):
                self._take()
                parts.append(token.text if token.kind == "name" else _unquote(token.text))
            elif sign == "[" and token.kind in ("text", "number"):
                self._take()
                parts.append(_unquote(token.text) if token.kind == "text" else _index(token.text))
                if self._take_sign() != "]":
                    raise ExpressionError("a ] is missing")
            else:
                raise ExpressionError(f"after {_show(tuple(parts))}{sign} comes {self._place()}, which is no name")
            if len(parts) > MAX_DEPTH:
                raise ExpressionError(f"it is nested deeper than {MAX_DEPTH}")
        path = Path(tuple(parts))
        self._paths.append(path)
        return path


def _tokens(text: str) -> list[_Token]:
    found_tokens: list[_Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        part = match[kind]
        if kind == "other":
            hint = "; a text stands in double quotes" if part in "'\"`" else f"; write {part * 2}" if part in "=&|" else ""
            raise ExpressionError(f"{one_line(part, 40)} means nothing here{hint}")
        found_tokens.append(_Token(kind, part))
    return [*found_tokens, _Token("end", "")]


def _unquote(quoted: str) -> str:
    def unescape(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            raise ExpressionError(f"\\{match[1]} means nothing in a text; write \\\\ for a backslash")
        return _ESCAPES[match[1]]

    return re.sub(r"\\(.)", unescape, quoted[1:-1])


def _index(text: str) -> int:
    if not text.isdigit() or len(text) > 4:
        raise ExpressionError(f"[{text}] is no place in a list")
    return int(text)


def _count(node: _Node) -> int:
    if isinstance(node, _Unary):
        return 1 + _count(node.operand)
    return 1 + _count(node.left) + _count(node.right) if isinstance(node, _Binary) else 1


def _check_pattern(pattern: object) -> None:
    if not isinstance(pattern, str) or not is_readable(pattern):
        raise ExpressionError(f"{one_line(repr(pattern), 80)} is no pattern that is read here")


# Answers ----------------------------------------------------------------------------------------------------------


def _evaluate(node: _Node, names: Mapping[str, Any], *, absent: bool = False) -> Any:
    """`absent`: whether what is not there is null."""

    def of(part: _Node) -> Any:
        return _evaluate(part, names, absent=absent)

    match node:
        case _Constant(value):
            return value
        case Path(parts):
            return _look_up(parts, names, absent=absent)
        case _Unary("!", operand):
            return not _truth(of(operand), "!")
        case _Unary(sign, operand):
            return -_number(of(operand), sign)
        case _Binary("&&" | "||" as sign, left, right):
            first = _truth(of(left), sign)
            return first if first is (sign == "||") else _truth(of(right), sign)
        case _Binary(sign, left, right):
            return _apply(sign, of(left), of(right))


def _look_up(parts: tuple[str | int, ...], names: Mapping[str, Any], *, absent: bool = False) -> Any:
    value: Any = names
    for position, part in enumerate(parts):
        items = isinstance(value, list) if isinstance(part, int) else isinstance(value, Mapping)
        if not items or (part >= len(value) if isinstance(part, int) else part not in value):
            if absent:
                return None
            raise ExpressionError(f"there is no {_show(parts[: position + 1])}")
        value = value[part]
    return value


def _apply(sign: str, left: Any, right: Any) -> Any:
    if sign in ("==", "!="):
        if left is not None and right is not None and _kind(left) != _kind(right):
            raise ExpressionError(f"{_kind(left)} can't be compared with {_kind(right)}")
        return (left == right) is (sign == "==")
    if sign in ("=~", "!~"):
        if not isinstance(left, str) or not isinstance(right, str) or len(left) > MAX_TEXT:
            raise ExpressionError(f"{sign} needs a text on its left and a pattern on its right")
        if not is_readable(right):  # it may come from an input: it is not told
            raise ExpressionError(f"what stands right of {sign} is no pattern that is read here")
        return found(right, left) is (sign == "=~")
    if sign == "+" and isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > MAX_TEXT:
            raise ExpressionError(f"a text is longer than {MAX_TEXT} characters")
        return left + right
    if sign in _ORDERED and isinstance(left, str) and isinstance(right, str):
        return _ORDERED[sign](left, right)
    one, other = _number(left, sign), _number(right, sign)
    if sign in _ORDERED:
        return _ORDERED[sign](one, other)
    try:
        return one + other if sign == "+" else one - other
    except OverflowError as error:
        raise ExpressionError("a number is too large") from error


def _truth(value: Any, sign: str) -> bool:
    if not isinstance(value, bool):
        raise ExpressionError(f"{sign} needs true or false, not {_kind(value)}")
    return value


def _number(value: Any, sign: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ExpressionError(f"{sign} needs numbers or texts on both sides, not {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "a text"),
        (list, "a list"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "a mapping")


def _show(parts: tuple[str | int, ...]) -> str:
    plain = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*", re.ASCII)
    shown = str(parts[0])
    for part in parts[1:]:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += f".{part}" if plain.fullmatch(part) else f'["{part}"]'
    return one_line(shown, 120)

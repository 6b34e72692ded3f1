r"""
The condition of a step (`if`): a boolean expression as CUE has them, read and answered without running anything.

    always
    status.deploy.failed || status["smoke-test"].reason == "Timeout"
    inputs["db-conn.host"] != _|_ && context.appName =~ "^shop-" && len(inputs.hosts) > 0
    "http://\(output.status.host):\(inputs.port)"

Read are text, also with expressions `\(…)` in it, numbers, true, false and null; paths that begin with a name; `len()`; `! - * / + - == != < <= >
>= =~ !~ && ||` and parentheses, which bind as in CUE. Only like is compared with like, but everything with null; what is compared with `_|_` is
there, or is not. There are no other calls, no loops and no assignments, and text, depth and patterns are bounded, so that every answer comes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from reconciler.model.expression_nodes import LENGTH, Binary, Constant, Joined, Node, Path, There, Unary, evaluate, kind_of, show
from reconciler.model.expression_tokens import MAX_DEPTH, ExpressionError, Token, end_of_insert, find_insert, read_index, split_tokens, unquote
from reconciler.model.pattern import is_readable
from reconciler.model.text import one_line

__all__ = ("ALWAYS", "MAX_DEPTH", "MAX_LENGTH", "Expression", "ExpressionError", "Path", "is_path", "parse_expression")

ALWAYS: Final = "always"
_PATH: Final = re.compile(r"[A-Za-z0-9_$.\[\]-]+", re.ASCII)
MAX_LENGTH: Final = 1024

_BINDING: Final = {"||": 1, "&&": 2, **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "=~", "!~"), 3), "+": 4, "-": 4, "*": 5, "/": 5}
_CONSTANTS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None}


class Expression(NamedTuple):
    """`paths`: all that it looks up, in the order written. `always`: it is true whatever happened."""

    root: Node
    paths: tuple[Path, ...]
    always: bool = False

    def read(self, names: Mapping[str, Any]) -> bool:
        """Whether it is true, of the values by first name. Raises ExpressionError where there is no answer."""
        answer = evaluate(self.root, names)
        if not isinstance(answer, bool):
            raise ExpressionError(f"it is {kind_of(answer)}, not true or false")
        return answer

    def ask(self, names: Mapping[str, Any]) -> Any:
        """What it is, be it no truth: a path to what is not there is null. Raises ExpressionError where there is no answer all the same."""
        return evaluate(self.root, names, absent=True)

    def subjects(self, name: str) -> list[str]:
        """The second names of the paths below `name`: of `status` the steps, of `inputs` the inputs."""
        return list(dict.fromkeys(str(path.parts[1]) for path in self.paths if path.parts[0] == name and len(path.parts) > 1))


def is_path(text: str) -> bool:
    """Whether a `valueFrom` is a dotted path, where a dash belongs to a name; else it is an expression."""
    return _PATH.fullmatch(text) is not None


@lru_cache(maxsize=1024)
def parse_expression(text: str) -> Expression:
    """Raises ExpressionError."""
    if text.strip() == ALWAYS:
        return Expression(Constant(value=True), (), always=True)
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"it is longer than {MAX_LENGTH} characters")
    return _Reader(text).read()


class _Reader:
    """Operator precedence, with a depth that is counted."""

    def __init__(self, text: str, depth: int = 0) -> None:
        self.split_tokens = split_tokens(text)
        self._at = 0
        self._depth = depth
        self._paths: list[Path] = []

    def read(self) -> Expression:
        root = self._binary(0)
        if self._peek().kind != "end":
            raise ExpressionError(f"{self._place()} is not expected there")
        return Expression(root, tuple(self._paths))

    def _peek(self) -> Token:
        return self.split_tokens[self._at]

    def _take(self) -> Token:
        token = self.split_tokens[self._at]
        self._at += 1
        return token

    def _place(self) -> str:
        token = self._peek()
        return one_line(token.text, 40) if token.kind != "end" else "the end"

    def _binary(self, least: int) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"it is nested deeper than {MAX_DEPTH}")
        left = self._unary()
        while (token := self._peek()).kind == "sign" and _BINDING.get(token.text, 0) > least:
            self._take()
            if self._peek().kind == "bottom" and token.text in ("==", "!="):
                self._take()
                left = There(left, token.text == "!=")
                continue
            left = Binary(token.text, left, self._binary(_BINDING[token.text]))
            if token.text in ("=~", "!~") and isinstance(left.right, Constant):
                _check_pattern(left.right.value)
            if _count(left) > MAX_DEPTH * 4:
                raise ExpressionError("it has too many parts")
        self._depth -= 1
        return left

    def _unary(self) -> Node:
        signs = []
        while self._peek().kind == "sign" and self._peek().text in ("!", "-"):
            signs.append(self._take().text)
            if len(signs) > MAX_DEPTH:
                raise ExpressionError(f"it is nested deeper than {MAX_DEPTH}")
        node = self._operand()
        for sign in reversed(signs):
            node = Unary(sign, node)
        return node

    def _operand(self) -> Node:
        token = self._peek()
        if token.kind == "number":
            self._take()
            return Constant(float(token.text) if not token.text.isdigit() else int(token.text))
        if token.kind == "text":
            self._take()
            return self._text(token.text)
        if token.kind == "bottom":
            raise ExpressionError("_|_ stands only behind == or !=")
        if token.kind == "name":
            return self._path()
        if token == Token("sign", "("):
            self._take()
            node = self._binary(0)
            if self._take_sign() != ")":
                raise ExpressionError("a ) is missing")
            return node
        raise ExpressionError(f"{self._place()} is not expected there: a name, a text in double quotes, a number or ( is")

    def _text(self, quoted: str) -> Node:
        r"""A constant, or what stands in `\(…)` among the rest."""
        parts: list[Node] = []
        rest = quoted
        while (start := find_insert(rest)) is not None:
            end = end_of_insert(rest, start)
            inner = _Reader(rest[start + 2 : end], self._depth + 1)
            parts += [Constant(unquote(rest[:start] + '"')), inner.read().root]
            self._paths += inner._paths
            rest = '"' + rest[end + 1 :]
        last = Constant(unquote(rest))
        return Joined((*parts, last)) if parts else last

    def _take_sign(self) -> str:
        return self._take().text if self._peek().kind == "sign" else ""

    def _path(self) -> Node:
        first = self._take().text
        if first in _CONSTANTS:
            return Constant(_CONSTANTS[first])
        if first == LENGTH and self._peek() == Token("sign", "("):
            return Unary(LENGTH, self._operand())
        parts: list[str | int] = [first]
        while self._peek().kind == "sign" and self._peek().text in (".", "["):
            sign, token = self._take().text, self._peek()
            if sign == "." and token.kind in ("name", "text"):
                self._take()
                parts.append(token.text if token.kind == "name" else unquote(token.text))
            elif sign == "[" and token.kind in ("text", "number"):
                self._take()
                parts.append(unquote(token.text) if token.kind == "text" else read_index(token.text))
                if self._take_sign() != "]":
                    raise ExpressionError("a ] is missing")
            else:
                raise ExpressionError(f"after {show(tuple(parts))}{sign} comes {self._place()}, which is no name")
            if len(parts) > MAX_DEPTH:
                raise ExpressionError(f"it is nested deeper than {MAX_DEPTH}")
        path = Path(tuple(parts))
        if self._peek() == Token("sign", "("):
            raise ExpressionError(f"{path}() can't be called here: the only function is len()")
        self._paths.append(path)
        return path


def _count(node: Node) -> int:
    if isinstance(node, Unary | There):
        return 1 + _count(node.operand)
    if isinstance(node, Joined):
        return 1 + sum(map(_count, node.parts))
    return 1 + _count(node.left) + _count(node.right) if isinstance(node, Binary) else 1


def _check_pattern(pattern: object) -> None:
    if not isinstance(pattern, str) or not is_readable(pattern):
        raise ExpressionError(f"{one_line(repr(pattern), 80)} is no pattern that is read here")

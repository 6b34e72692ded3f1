"""What an expression is read to, and what it comes to of the values behind its names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from reconciler.model.expression_tokens import ExpressionError
from reconciler.model.pattern import found, is_readable
from reconciler.model.text import one_line

MAX_TEXT: Final = 4096
LENGTH: Final = "len"
_ORDERED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
_COUNTED: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
}


class Path(NamedTuple):
    """A value that is looked up: `status["a"].failed` is `("status", "a", "failed")`."""

    parts: tuple[str | int, ...]

    def __str__(self) -> str:
        return show(self.parts)


class Constant(NamedTuple):
    value: Any


class Unary(NamedTuple):
    sign: str
    operand: Node


class Binary(NamedTuple):
    sign: str
    left: Node
    right: Node


class There(NamedTuple):
    """Whether something is there and is not null (`x != _|_`)."""

    operand: Node
    wanted: bool


class Joined(NamedTuple):
    """A text with values in it."""

    parts: tuple[Node, ...]


Node = Path | Constant | Unary | Binary | There | Joined


def evaluate(node: Node, names: Mapping[str, Any], *, absent: bool = False) -> Any:
    """`absent`: whether what is not there is null."""

    def of(part: Node) -> Any:
        return evaluate(part, names, absent=absent)

    match node:
        case Constant(value):
            return value
        case Path(parts):
            return _look_up(parts, names, absent=absent)
        case Unary("!", operand):
            return not _truth(of(operand), "!")
        case Unary("len", operand):
            return _measure(of(operand))
        case There(operand, wanted):
            return _is_there(operand, names) is wanted
        case Joined(inserts):
            return _join([of(part) for part in inserts])
        case Unary(sign, operand):
            return -_number(of(operand), sign)
        case Binary("&&" | "||" as sign, left, right):
            first = _truth(of(left), sign)
            return first if first is (sign == "||") else _truth(of(right), sign)
        case Binary(sign, left, right):
            return _apply(sign, of(left), of(right))


def _look_up(parts: tuple[str | int, ...], names: Mapping[str, Any], *, absent: bool = False) -> Any:
    value: Any = names
    for position, part in enumerate(parts):
        items = isinstance(value, list) if isinstance(part, int) else isinstance(value, Mapping)
        if not items or (part >= len(value) if isinstance(part, int) else part not in value):
            if absent:
                return None
            raise ExpressionError(f"there is no {show(parts[: position + 1])}")
        value = value[part]
    return value


def _apply(sign: str, left: Any, right: Any) -> Any:
    if sign in ("==", "!="):
        if left is not None and right is not None and kind_of(left) != kind_of(right):
            raise ExpressionError(f"{kind_of(left)} can't be compared with {kind_of(right)}")
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
        return _COUNTED[sign](one, other)
    except OverflowError as error:
        raise ExpressionError("a number is too large") from error
    except ZeroDivisionError as error:
        raise ExpressionError("nothing is divided by 0") from error


def _is_there(node: Node, names: Mapping[str, Any]) -> bool:
    """What has no answer is not there, as in CUE; nor is what is null, as the inputs of a step that gave nothing are."""
    try:
        return evaluate(node, names) is not None
    except ExpressionError:
        return False


def _join(values: list[Any]) -> str:
    for value in values:
        if not isinstance(value, str | int | float):
            raise ExpressionError(f"{kind_of(value)} can't be part of a text")
    text = "".join(value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value) for value in values)
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"a text is longer than {MAX_TEXT} characters")
    return text


def _measure(value: Any) -> int:
    """As CUE counts: of a text its bytes."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if not isinstance(value, list | Mapping):
        raise ExpressionError(f"len() needs a text, a list or a mapping, not {kind_of(value)}")
    return len(value)


def _truth(value: Any, sign: str) -> bool:
    if not isinstance(value, bool):
        raise ExpressionError(f"{sign} needs true or false, not {kind_of(value)}")
    return value


def _number(value: Any, sign: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ExpressionError(f"{sign} needs numbers or texts on both sides, not {kind_of(value)}")
    return value


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "a text"),
        (list, "a list"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "a mapping")


def show(parts: tuple[str | int, ...]) -> str:
    plain = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*", re.ASCII)
    shown = str(parts[0])
    for part in parts[1:]:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += f".{part}" if plain.fullmatch(part) else f'["{part}"]'
    return one_line(shown, 120)

"""
Regular expressions in time linear in the text, as the API server's are (RE2): a pattern from a manifest must not hang the daemon.

Read is what CRDs and the conditions of steps use: literals, escapes, classes, groups, alternatives, anchors and quantifiers. A pattern
with anything else (flags, Unicode classes, word boundaries) is not enforced.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

_MOST_STATES = 10_000
_MOST_STEPS = 2_000_000
_MOST_REPEATS = 1000
_DEEPEST = 50

Test = Callable[[str], bool]


class _UnsupportedError(ValueError):
    pass


class _State:
    """`test` None: `next` is entered without taking a character. `anchor`: only at the start (`^`) or the end (`$`)."""

    __slots__ = ("anchor", "next", "test")

    def __init__(self, test: Test | None = None, anchor: str = "") -> None:
        self.test = test
        self.anchor = anchor
        self.next: list[_State] = []


class _Part(NamedTuple):
    start: _State
    end: _State


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> _Part | None:
    try:
        return _Reader(pattern).read()
    except (_UnsupportedError, IndexError, OverflowError):
        return None


def is_readable(pattern: str) -> bool:
    """Whether `found` says of that pattern what is so, and not just true."""
    return _compiled(pattern) is not None


def found(pattern: str, text: str) -> bool:
    """Whether `pattern` matches somewhere in `text`; true where pattern or text are beyond what is read here."""
    part = _compiled(pattern)
    if part is None:
        return True
    current: dict[_State, None] = {}
    steps = 0
    for position in range(len(text) + 1):
        _enter(part.start, current, position, len(text))
        steps += len(current)
        if part.end in current or steps > _MOST_STEPS:
            return True
        if position < len(text):
            following: dict[_State, None] = {}
            for state in current:
                if state.test is not None and state.test(text[position]):
                    for after in state.next:
                        _enter(after, following, position + 1, len(text))
            current = following
    return False


def _enter(state: _State, states: dict[_State, None], position: int, length: int) -> None:
    pending = [state]
    while pending:
        one = pending.pop()
        if one in states or (one.anchor == "^" and position) or (one.anchor == "$" and position != length):
            continue
        states[one] = None
        if one.test is None:
            pending.extend(one.next)


_CLASSES: dict[str, Test] = {
    "d": lambda char: "0" <= char <= "9",
    "w": lambda char: char == "_" or (char.isascii() and char.isalnum()),
    "s": lambda char: char in "\t\n\f\r ",
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}


def _not(test: Test) -> Test:
    return lambda char: not test(char)


def _is(wanted: str) -> Test:
    return lambda char: char == wanted


def _between(low: str, high: str) -> Test:
    return lambda char: low <= char <= high


def _any(tests: list[Test]) -> Test:
    return lambda char: any(test(char) for test in tests)


class _Reader:
    """Recursive descent; each construct becomes states of an automaton without memory."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._states = 0
        self._depth = 0

    def read(self) -> _Part:
        part = self._alternatives()
        if self._at != len(self._text):
            raise _UnsupportedError
        return part

    def _state(self, test: Test | None = None, anchor: str = "") -> _State:
        self._states += 1
        if self._states > _MOST_STATES:
            raise _UnsupportedError
        return _State(test, anchor)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._text[self._at]
        self._at += 1
        return char

    def _alternatives(self) -> _Part:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _UnsupportedError
        start, end = self._state(), self._state()
        while True:
            part = self._sequence()
            start.next.append(part.start)
            part.end.next.append(end)
            if self._peek() != "|":
                self._depth -= 1
                return _Part(start, end)
            self._take()

    def _sequence(self) -> _Part:
        start = self._state()
        end = start
        while self._peek() not in ("", "|", ")"):
            part = self._repeated()
            end.next.append(part.start)
            end = part.end
        if end is start:
            return _Part(start, start)
        last = self._state()
        end.next.append(last)
        return _Part(start, last)

    def _repeated(self) -> _Part:
        begin = self._at
        part = self._atom()
        finish = self._at
        least, most = self._quantifier()
        if (least, most) == (1, 1):
            return part
        start, end = self._state(), self._state()
        last = start
        for _ in range(least):
            last = self._link(last, self._again(begin, finish))
        if most is None:
            loop = self._again(begin, finish)
            last.next += [loop.start, end]
            loop.end.next += [loop.start, end]
        else:
            for _ in range(most - least):
                last.next.append(end)
                last = self._link(last, self._again(begin, finish))
            last.next.append(end)
        return _Part(start, end)

    def _link(self, last: _State, part: _Part) -> _State:
        last.next.append(part.start)
        after = self._state()
        part.end.next.append(after)
        return after

    def _again(self, begin: int, finish: int) -> _Part:
        """Reads the repeated part once more: each repetition needs states of its own."""
        where, self._at = self._at, begin
        part = self._atom()
        assert self._at == finish
        self._at = where
        return part

    def _quantifier(self) -> tuple[int, int | None]:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        char = self._peek()
        if char in simple and char:
            self._take()
            limits = simple[char]
        elif char == "{":
            limits = self._counts()
        else:
            return (1, 1)
        if self._peek() == "?":  # lazy: the same texts match
            self._take()
        if self._peek() in ("*", "+", "?", "{") and self._peek():
            raise _UnsupportedError
        return limits

    def _counts(self) -> tuple[int, int | None]:
        close = self._text.find("}", self._at)
        least, comma, most = self._text[self._at + 1 : close].partition(",")
        if close < 0 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in (least, most or "0")):
            raise _UnsupportedError
        limits = int(least), (int(most) if most else None) if comma else int(least)
        if max(limits[0], limits[1] or 0) > _MOST_REPEATS or (limits[1] is not None and limits[1] < limits[0]):
            raise _UnsupportedError
        self._at = close + 1
        return limits

    def _atom(self) -> _Part:
        char = self._take()
        if char == "(":
            return self._group()
        if char in "^$":
            state = self._state(anchor=char)
            return _Part(state, state)
        if char in "*+?{":
            raise _UnsupportedError
        test = self._class() if char == "[" else self._escape() if char == "\\" else (_not(_is("\n")) if char == "." else _is(char))
        state, end = self._state(test), self._state()
        state.next.append(end)
        return _Part(state, end)

    def _group(self) -> _Part:
        if self._peek() == "?":
            if self._text[self._at : self._at + 2] != "?:":
                raise _UnsupportedError
            self._at += 2
        part = self._alternatives()
        if self._take() != ")":
            raise _UnsupportedError
        return part

    def _escape(self) -> Test:
        char = self._take()
        if char.lower() in _CLASSES:
            return _CLASSES[char] if char.islower() else _not(_CLASSES[char.lower()])
        return _is(self._literal(char))

    def _literal(self, char: str) -> str:
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char.isascii() and char.isalnum():
            raise _UnsupportedError
        return char

    def _class(self) -> Test:
        negated = self._peek() == "^"
        self._at += negated
        tests: list[Test] = []
        while self._peek() != "]" or not tests:
            char = self._take()
            if char == "[" and self._peek() == ":":
                raise _UnsupportedError
            if char == "\\":
                if self._peek().lower() in _CLASSES and self._peek():
                    tests.append(self._escape())
                    continue
                char = self._literal(self._take())
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._take()
                high = self._take()
                tests.append(_between(char, self._literal(self._take()) if high == "\\" else high))
            else:
                tests.append(_is(char))
        self._take()
        return _not(_any(tests)) if negated else _any(tests)

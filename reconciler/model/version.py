"""Versions and version ranges of charts, by the rules of Masterminds' semver 3, which Helm and Flux read them by."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import total_ordering
from typing import Final, NamedTuple

from reconciler.model.text import one_line

_LONGEST: Final = 512
_MOST_GROUPS: Final = 32
_EXTRA: Final = r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
_VERSION: Final = re.compile(rf"v?([0-9]{{1,19}})(?:\.([0-9]{{1,19}}))?(?:\.([0-9]{{1,19}}))?{_EXTRA}", re.ASCII)
_NUMBER: Final = r"([0-9]{1,19}|[xX*])"
_WRITTEN: Final = rf"v?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?{_EXTRA}"
_SPAN: Final = re.compile(rf"\s*({_WRITTEN})\s+-\s+({_WRITTEN})\s*", re.ASCII)
_PART: Final = re.compile(rf"(!=|>=|=>|<=|=<|~>|[=><~^]?)\s*{_WRITTEN}", re.ASCII)
_BETWEEN: Final = re.compile(r"\s*,\s*|\s+", re.ASCII)


@total_ordering
class Version:
    """`text`: as it was written. Build metadata counts for nothing when versions are compared."""

    __slots__ = ("_key", "major", "minor", "patch", "pre", "text")

    def __init__(self, text: str, numbers: tuple[int, int, int], pre: str) -> None:
        self.text, (self.major, self.minor, self.patch), self.pre = text, numbers, pre
        self._key = (numbers, _order(pre))

    @classmethod
    def parse(cls, text: str) -> Version:
        """Also `v1`, and 1.2 for 1.2.0. Raises ValueError."""
        match = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
        if match is None or not _is_pre(match[4]):
            raise ValueError(f"{one_line(text, 80)} is no version such as 1.2.3")
        return cls(text, (int(match[1]), int(match[2] or 0), int(match[3] or 0)), match[4] or "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"Version({self.text})"


def _is_pre(text: str | None) -> bool:
    """Numbers in a pre-release begin with no 0 (semver 2.0, rule 9)."""
    return not any(part.isdigit() and len(part) > 1 and part[0] == "0" for part in (text or "").split("."))


def _order(pre: str) -> tuple[tuple[int, int, str], ...]:
    """Semver 2.0, rule 11: numbers before words, fewer parts before more, and no pre-release after all of them."""
    if not pre:
        return ((2, 0, ""),)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split("."))


class _Bound(NamedTuple):
    """One comparison. `exact`: how many of the three numbers are written."""

    compare: Callable[[Version, Version, int], bool]
    version: Version
    exact: int


class Range:
    """What versions fit: `1.2.3`, `~1.2`, `^1`, `1.x`, `>=1 <2`, `1.2 - 2`, `1 || 2`, `*`. A pre-release fits only where one is written."""

    def __init__(self, text: str, groups: list[list[_Bound]]) -> None:
        self.text, self._groups = text, groups

    @classmethod
    def parse(cls, text: str) -> Range:
        """Empty text is `*`. Raises ValueError."""
        if len(text) > _LONGEST:
            raise ValueError(f"a version range of more than {_LONGEST} characters")
        spread = _SPAN.sub(lambda match: f">= {match[1]}, <= {match[7]} ", text) if " - " in text else text
        groups = (spread.strip() or "*").split("||")
        if len(groups) > _MOST_GROUPS:
            raise ValueError(f"a version range of more than {_MOST_GROUPS} alternatives")
        return cls(text, [_read_group(group.strip(), text) for group in groups])

    def fits(self, version: Version) -> bool:
        for bounds in self._groups:
            early = any(bound.version.pre for bound in bounds)
            if (not version.pre or early) and all(bound.compare(version, bound.version, bound.exact) for bound in bounds):
                return True
        return False

    @property
    def is_exact(self) -> bool:
        """Whether one version alone fits."""
        bounds = self._groups[0]
        return len(self._groups) == len(bounds) == 1 and bounds[0].exact == 3 and bounds[0].compare is _equals


def _read_group(group: str, text: str) -> list[_Bound]:
    """Comparisons that all hold, with spaces or commas between them."""
    found, at = [], 0
    while True:
        match = _PART.match(group, at)
        if match is None or not _is_pre(match[5]):
            raise ValueError(f"{one_line(text, 80)} is no version range such as 1.2.3, ~1.2 or >=1.0.0 <2.0.0")
        found.append(_read_bound(match))
        if match.end() == len(group):
            return found
        between = _BETWEEN.match(group, match.end())
        if between is None:
            raise ValueError(f"{one_line(text, 80)} is no version range: {one_line(group[match.end() :], 40)} is not understood")
        at = between.end()


def _read_bound(match: re.Match[str]) -> _Bound:
    numbers: list[int] = []
    for part in match.group(2, 3, 4):
        if part is None or not part.isdigit():
            break
        numbers.append(int(part))
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    return _Bound(_COMPARISONS[match[1]], Version(match[0], (major, minor, patch), match[5] or ""), len(numbers))


def _equals(version: Version, bound: Version, exact: int) -> bool:
    return version == bound if exact == 3 else _near(version, bound, exact)


def _differs(version: Version, bound: Version, exact: int) -> bool:
    if exact in (0, 3):
        return version != bound
    if (version.major, version.minor)[:exact] != (bound.major, bound.minor)[:exact]:
        return True
    return exact == 2 and version.pre != bound.pre


def _after(version: Version, bound: Version, exact: int) -> bool:
    """`>1` begins with 2, and `>1.1` with 1.2."""
    if exact in (1, 2):
        return (version.major, version.minor)[:exact] > (bound.major, bound.minor)[:exact]
    return version > bound


def _up_to(version: Version, bound: Version, exact: int) -> bool:
    """`<=1` is all of 1, and `<=1.1` all of 1.1."""
    if exact == 3:
        return version <= bound
    return (version.major, version.minor)[: 1 if exact == 1 else 2] <= (bound.major, bound.minor)[: 1 if exact == 1 else 2]


def _near(version: Version, bound: Version, exact: int) -> bool:
    """`~1.2.3`: from there on within 1.2; `~1`: within 1. All zeros fit everything."""
    if version < bound:
        return False
    if (bound.major, bound.minor, bound.patch) == (0, 0, 0) and exact not in (1, 2):
        return True
    return version.major == bound.major and (exact == 1 or version.minor == bound.minor)


def _compatible(version: Version, bound: Version, exact: int) -> bool:
    """`^1.2.3`: from there on, as long as the first number that is not 0 stays."""
    if version < bound:
        return False
    if bound.major > 0 or exact == 1:
        return version.major == bound.major
    if version.major > 0:
        return False
    if bound.minor > 0 or exact == 2:
        return version.minor == bound.minor
    return version.minor == 0 and version.patch == bound.patch


_COMPARISONS: Final[dict[str, Callable[[Version, Version, int], bool]]] = {
    **dict.fromkeys(("", "="), _equals),
    "!=": _differs,
    ">": _after,
    "<": lambda version, bound, _: operator.lt(version, bound),
    **dict.fromkeys((">=", "=>"), lambda version, bound, _: operator.ge(version, bound)),
    **dict.fromkeys(("<=", "=<"), _up_to),
    **dict.fromkeys(("~", "~>"), _near),
    "^": _compatible,
}

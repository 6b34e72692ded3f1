"""What is wrong with one document, collected while it is compiled, so that all of it is found in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from reconciler.dialects.documents import lines_of
from reconciler.dialects.fieldpath import FieldPath, format_path
from reconciler.dialects.protocol import Document
from reconciler.model.problem import Problem, Severity
from reconciler.model.text import nearest, one_line

MAX_FINDINGS = 100
_LONGEST_WORD = 64
_MOST_WORDS = 300


class _Finding(NamedTuple):
    at: FieldPath
    message: str
    severity: Severity


class Findings:
    """
    `subject` is the object in `Kind name` form. `supplied`: fields that an input fills when the run is under way, so that
    they may be missing now. `codes`: the number that a family gives errors below those fields, told before their message.
    Lines are found at the end, in one pass over the text.
    """

    def __init__(self, document: Document, subject: str) -> None:
        self.subject = subject
        self.supplied: set[FieldPath] = set()
        self.codes: dict[FieldPath, str] = {}
        self.errors = 0
        self._document = document
        self._found: list[_Finding] = []
        self._others: list[Problem] = []
        self._dropped = 0

    @property
    def failed(self) -> bool:
        return self.errors > 0

    @property
    def full(self) -> bool:
        """No more findings are kept; what is costly to say need not be worked out."""
        return len(self._found) >= MAX_FINDINGS

    def error(self, at: FieldPath, message: str) -> None:
        self.errors += 1
        code = next((f"{code}: " for top, code in self.codes.items() if at[: len(top)] == top), "")
        self._add(_Finding(at, f"{code}{message}", "error"))

    def warn(self, at: FieldPath, message: str) -> None:
        self._add(_Finding(at, message, "warning"))

    def unknown(self, at: FieldPath, what: str, word: object, known: Iterable[str], more: str = "") -> None:
        """An error that names the nearest known word: `unknown field imgae (did you mean image?)`, and says more behind that."""
        self.error(at, "" if self.full else f"unknown {what} {one_line(word, 80)}{suggest(word, known)}{more}")

    def include(self, problems: Iterable[Problem]) -> None:
        """Problems of other files that this document needs."""
        for problem in problems:
            self.errors += problem.severity == "error"
            if len(self._others) < MAX_FINDINGS:
                self._others.append(problem)

    def problems(self) -> list[Problem]:
        """By line; those of other files last."""
        lines = lines_of(self._document, {finding.at for finding in self._found}) if self._found else {}
        found = [
            Problem(self._document.path, lines[at], one_line(message, 1000), one_line(self.subject, 200), one_line(format_path(at), 200), severity)
            for at, message, severity in self._found
        ]
        found.sort(key=lambda problem: problem.line)
        if self._dropped:
            found.append(Problem(self._document.path, self._document.line, f"and {self._dropped} more problems", one_line(self.subject, 200)))
        return found + self._others

    def _add(self, finding: _Finding) -> None:
        if self.full:
            self._dropped += 1
        elif finding not in self._found:
            self._found.append(finding)


def suggest(word: object, known: Iterable[str]) -> str:
    """` (did you mean X?)`, else ` (known: …)` for short lists, else nothing. Bounded, whatever the words."""
    names = list(islice(known, _MOST_WORDS))
    close = nearest(word, names) if isinstance(word, str) and len(word) <= _LONGEST_WORD else None
    if close is not None:
        return f" (did you mean {one_line(close, 80)}?)"
    return f" (known: {', '.join(one_line(name, 80) for name in names)})" if 0 < len(names) <= 12 else ""

"""`Global.x` and `{{ Global.x }}`: values of the environment in a SREWorks document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings, suggest
from reconciler.dialects.shapes import kind_of
from reconciler.model.text import one_line

# A few bytes in a manifest can ask for a large value many times over; what one document may make of it is bounded.
MAX_WEIGHT = 4_000_000

_PLACEHOLDER = re.compile(r"\{\{[ \t]{0,8}Global\.([A-Za-z0-9_.-]{1,200})[ \t]{0,8}\}\}", re.ASCII)


class Globals:
    """`values` by name; `KUBECONFIG` is always known and empty (this cluster) unless given."""

    def __init__(self, values: Mapping[str, Any], findings: Findings) -> None:
        self._values = {"KUBECONFIG": "", **values}
        self._findings = findings
        self._weights: dict[str, int] = {}
        self._left = MAX_WEIGHT

    def look_up(self, name: str, at: FieldPath) -> Any:
        """The value of `x` or `x.y`; an unknown one is an error, and None."""
        value: Any = self._values
        for part in [name] if name in self._values else name.split("."):
            if not isinstance(value, dict) or part not in value:
                if not self._findings.full:
                    self._findings.error(at, f"the environment has no Global.{one_line(name, 80)}{suggest(name, self._values)}")
                return None
            value = value[part]
        if name not in self._weights:
            self._weights[name] = _weigh(value)
        return value if self._spend(self._weights[name], at) else None

    def substitute(self, value: Any, at: FieldPath) -> Any:
        """
        A copy of `value` with its placeholders replaced; `at` is where it stands.

        A text that is one placeholder and nothing else takes the value as it is, of any type; within longer text only
        scalars can stand. Only texts are looked into, no keys.
        """
        if isinstance(value, dict):
            return {key: self.substitute(item, (*at, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.substitute(item, (*at, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or "{{" not in value:
            return value
        whole = _PLACEHOLDER.fullmatch(value.strip(" \t"))
        if whole:
            return self.look_up(whole[1], at)
        return _PLACEHOLDER.sub(lambda match: self._text(match[1], at), value)

    def _text(self, name: str, at: FieldPath) -> str:
        found = self.look_up(name, at)
        if isinstance(found, dict | list):
            self._findings.error(at, f"Global.{one_line(name, 80)} is {kind_of(found)} and can't stand within a text")
            return ""
        if isinstance(found, bool):
            return "true" if found else "false"
        return "" if found is None else str(found)

    def _spend(self, weight: int, at: FieldPath) -> bool:
        if self._left < 0:
            return False
        self._left -= weight
        if self._left < 0:
            self._findings.error(at, "the globals make this document too large")
            return False
        return True


def _weigh(value: Any) -> int:
    """About the bytes of a value as JSON."""
    if isinstance(value, dict):
        return 2 + sum(len(key) + 4 + _weigh(item) for key, item in value.items())
    if isinstance(value, list):
        return 2 + sum(1 + _weigh(item) for item in value)
    return len(value) + 2 if isinstance(value, str) else 8

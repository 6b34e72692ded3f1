"""
A rule of the repository's own for when objects of one kind are healthy. Pure, bounded and total: any object has an answer.

It says nothing about what is applied, so it is in no revision's digest (rule 5a): a rule that changes judges anew and applies nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from reconciler.model.expression import Expression, ExpressionError
from reconciler.model.identity import JsonObject

NAMES: Final = ("apiVersion", "kind", "metadata", "spec", "status", "conditions")
"""What an expression may ask for. `conditions`: those of the status, by type."""


class HealthRule(NamedTuple):
    """`degraded` is asked first, then `progressing`, then `healthy`; what is none of them progresses. `place`: PATH:LINE of the rule."""

    group: str
    kind: str
    healthy: Expression
    progressing: Expression | None
    degraded: Expression | None
    message: Expression | None
    place: str

    @property
    def subject(self) -> tuple[str, str]:
        return self.group, self.kind

    def judges_as(self, other: HealthRule | None) -> bool:
        """Whether it is the same rule, wherever it stands."""
        return other is not None and self._replace(place="") == other._replace(place="")

    def judge(self, obj: JsonObject) -> tuple[Literal["Healthy", "Progressing", "Degraded"], str]:
        """How the object is, and the rule's own words for it: empty where it has none."""
        names = _names(obj)
        message = _ask(self.message, names)
        text = message if isinstance(message, str) else str(message) if isinstance(message, int) and not isinstance(message, bool) else ""
        if _ask(self.degraded, names) is True:
            return "Degraded", text
        if _ask(self.progressing, names) is True or _ask(self.healthy, names) is not True:
            return "Progressing", text
        return "Healthy", text


def _names(obj: JsonObject) -> Mapping[str, Any]:
    names = {name: obj.get(name) for name in NAMES}
    status = obj.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    found = [one for one in conditions if isinstance(one, dict)] if isinstance(conditions, list) else []
    return {**names, "conditions": {str(one.get("type")): one for one in found}}


def _ask(expression: Expression | None, names: Mapping[str, Any]) -> Any:
    """An expression without an answer, as one that compares a number with a text, is not true."""
    try:
        return None if expression is None else expression.ask(names)
    except ExpressionError:
        return None

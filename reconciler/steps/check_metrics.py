"""`check-metrics`: waits until a metric has been as it should for a while. KubeVela's built-in of that name."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from reconciler.model.duration import parse_duration
from reconciler.model.outcome import Call, Done, Failed, Measured, Outcome, Query, Result, Wait
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.validation import Finding, check_duration, check_text, refuse

_CONDITION: Final = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(-?\d{1,30}(?:\.\d{1,30})?(?:e-?\d{1,3})?)\s*", re.ASCII)
_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_GAP: Final = 2.5  # steps without a value


class CheckMetrics(NothingToUndo):
    """
    Of the time since the step began, alone: what was before says nothing of what was deployed. Prometheus knows what was, so that nothing has to be
    remembered here. Fails once the metric was otherwise, or had no value, for `failDuration`; upstream's never does. A restore run asks nobody.
    """

    name = "check-metrics"
    params: Mapping[str, str] = MappingProxyType(
        {
            "query": "PromQL, with one value as its answer",
            "metricEndpoint": "URL of the Prometheus, one of those that the operator names; the first of them unless given",
            "condition": "what the value is to be: >=, <=, >, <, == or != and a number",
            "duration": "how long it has to be so, as a Go duration; 5m unless given",
            "failDuration": "how long it may be otherwise; 2m unless given",
        }
    )
    required: tuple[str, ...] = ("query", "condition")

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found = check_text(properties, "query", "metricEndpoint", "condition")
        found += check_duration(properties, "duration") + check_duration(properties, "failDuration")
        condition = properties.get("condition")
        if isinstance(condition, str) and condition and not _CONDITION.fullmatch(condition):
            found.append(("condition", "must be one of >=, <=, >, <, ==, != and a number, such as >=0.99"))
        return found

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties, *self.required)
        if wrong is not None:
            return wrong
        if call.restore:
            return Done()
        given = call.properties
        enough, most = (parse_duration(given.get(field) or usual).total_seconds() for field, usual in (("duration", "5m"), ("failDuration", "2m")))
        query = Measured(given.get("metricEndpoint") or "", given["query"], call.since, max(enough, most))
        answer = seen.get(query)
        if answer is None:
            return Wait(None, f"waiting to hear whether {given['query']} is {given['condition']}"[:512], (query,))
        if answer.get("refused"):
            return Failed("MetricRefused", answer["refused"])
        if answer.get("pretended"):
            return Done(message="not asked here, and taken as it should be")
        if answer.get("error"):
            return Wait(None, f"the metric is not known: {answer['error']}", (query,))
        return _judge(answer, given["condition"], enough, most, query)


def _judge(answer: Mapping[str, Any], condition: str, enough: float, most: float, query: Query) -> Outcome:
    """`answer`: `points` (time, value) in order, `step` between them, and `start` and `end` of the time that was asked about."""
    sign, number = _CONDITION.fullmatch(condition).groups()  # type: ignore[union-attr]  # checked before
    points = [(at, _OPERATORS[sign](value, float(number))) for at, value in answer["points"]]
    gap, end = answer["step"] * _GAP, answer["end"]
    last = points[-1] if points and end - points[-1][0] <= gap else None
    holds, since = (False, points[-1][0] if points else answer["start"]) if last is None else (last[1], _since(points, gap))
    told = f"{answer['points'][-1][1]:g}" if last is not None else "nothing"
    if holds and end - since >= enough:
        return Done(message=f"{told}, {condition} for {end - since:.0f} s")
    if not holds and end - since >= most:
        return Failed("MetricFailed", f"it was not {condition} for {end - since:.0f} s; now it is {told}")
    return Wait(None, f"{told}, {'' if holds else 'not '}{condition} for {end - since:.0f} s", (query,))


def _since(points: list[tuple[float, bool]], gap: float) -> float:
    """Since when it is as it is now, without a gap."""
    since, now = points[-1]
    for at, holds in reversed(points[:-1]):
        if holds is not now or since - at > gap:
            break
        since = at
    return since

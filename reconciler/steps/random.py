"""`random`: takes its time, and then goes well or not. The demonstration of the step flow (seed 004)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Effect, Outcome, Query, Result
from reconciler.steps.pretence import check_seconds, pretend, seconds_of
from reconciler.steps.validation import Finding, check_choice, refuse

RESULTS = ("success", "failure", "fatal")


class Random:
    """Nothing is left to real chance: what comes of a try follows from its key, so that it comes out the same when it is asked again."""

    name = "random"
    params: Mapping[str, str] = MappingProxyType(
        {
            "sleepSeconds": 'how long running it and rolling it back take, as text ("20"); 0 unless given',
            "result": "what comes of it: success, failure (which is tried again) or fatal; success or failure by chance unless given",
            "rollbackResult": "the same of rolling it back; what result says unless given",
            "syncResult": "the same of looking at it again; what result says unless given",
        }
    )
    required: tuple[str, ...] = ()

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found = check_seconds(properties, "sleepSeconds")
        for field in ("result", "rollbackResult", "syncResult"):
            found += check_choice(properties, field, RESULTS)
        return found

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        return self._play(call, results, now, "result", seconds_of)

    def undo(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002
        return self._play(call, results, now, "rollbackResult", seconds_of)

    def sync(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002
        return self._play(call, results, now, "syncResult", lambda *_: 0)

    def _play(self, call: Call, results: Mapping[str, Result], now: datetime, field: str, seconds: Any) -> Outcome:
        wrong = refuse(self.check, call.properties)
        if wrong is not None:
            return wrong
        wanted = call.properties.get(field) or call.properties.get("result") or ""
        return pretend(call, results, now, Effect("random", {"result": wanted}), seconds(call.properties, "sleepSeconds"))

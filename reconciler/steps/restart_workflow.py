"""`restart-workflow`: the revision is run once more at a moment, after a while, or again and again. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from reconciler.model.duration import parse_duration
from reconciler.model.outcome import Call, Done, Outcome, Query, Result
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.validation import Finding, check_duration, check_type, refuse

SCHEDULED: Final = "Scheduled"
_WHEN: Final = ("at", "after", "every")
_LEAST: Final = timedelta(minutes=1)


class RestartWorkflow(NothingToUndo):
    """It only says when: `resource` is `{status: Scheduled, id: the moment, name: at | after | every}`. The engine heeds it once the run has
    succeeded (`engine/rerunning.py`)."""

    name = "restart-workflow"
    params: Mapping[str, str] = MappingProxyType(
        {
            "at": "a moment in RFC 3339, with its offset (2030-01-31T04:00:00Z); one that is past restarts nothing",
            "after": "once, so long after the step, as a Go duration of at least 1m",
            "every": "each time so long after the step, as a Go duration of at least 1m",
        }
    )
    required: tuple[str, ...] = ()

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        given = [name for name in _WHEN if properties.get(name) is not None]
        found = [] if len(given) == 1 else [("", f"exactly one of {', '.join(_WHEN)} is required")]
        found += check_type(properties, "at", str)
        if isinstance(properties.get("at"), str) and _moment(properties["at"]) is None:
            found.append(("at", "must be a moment in RFC 3339 with its offset, as 2030-01-31T04:00:00Z"))
        for name in ("after", "every"):
            wrong = check_duration(properties, name)
            if not wrong and properties.get(name) is not None and parse_duration(properties[name]) < _LEAST:
                wrong = [(name, "must be at least 1m")]
            found += wrong
        return found

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties)
        if wrong is not None:
            return wrong
        kind = next(name for name in _WHEN if call.properties.get(name) is not None)
        said = call.properties[kind]
        when = _moment(said) if kind == "at" else now + parse_duration(said)
        if when is None or when <= now:
            return Done(message=f"{said} is past: nothing is restarted")
        text = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return Done(message=f"restarts at {text[:19]}Z, if it succeeds", resource={"status": SCHEDULED, "id": text, "name": kind})


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None

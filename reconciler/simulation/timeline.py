"""Events to a timeline. Nothing is read from the engine but what it tells everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from reconciler.model.event import Event
from reconciler.model.identity import AppKey
from reconciler.model.run import Phase
from reconciler.model.text import one_line
from reconciler.revisions.masking import mask_manifests
from reconciler.simulation.report import REMOVED, Row

_LONGEST = 1024
_WORDS = {"deploy": "run of ", "restore": "going back to ", "undo": "undoing "}


def show(text: str) -> str:
    """On one line and without the user parts of URLs (rules 12, 13e)."""
    return one_line(mask_manifests(text), _LONGEST)


class Timeline:
    """A sink. `start`: what came before is not kept. `failure`: why git could not be read. `on_gate`, `on_failure`: called when there is one."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.start = now()
        self.rows: list[Row] = []
        self.failure = ""
        self.on_gate: Callable[[], None] = lambda: None
        self.on_failure: Callable[[], None] = lambda: None

    def begin(self) -> None:
        self.start, self.rows = self._now(), []

    def seconds(self, when: datetime) -> int:
        return round((when - self.start).total_seconds())

    def emit(self, event: Event) -> None:
        fields, app = event.fields, event.app
        if event.kind == "look-failed":
            self.failure = show(str(fields["message"]))
            self.on_failure()
        elif event.kind == "gate" and fields["waiting"]:
            self.on_gate()
        elif app is None:
            return
        elif event.kind == "run" and _counts(fields["from"], fields["to"]):
            self._add(app, fields["run"], "", fields["to"], _words(fields))
        elif event.kind == "step" and fields["to"] != Phase.PENDING:
            self._add(app, fields["run"], fields["step"], fields["to"], fields["message"])
        elif event.kind == "decision":
            self._add(app, fields["run"], fields["step"], Phase.WAITING, f"decided: {fields['verb']}")
        elif event.kind == "application-gone":
            self._add(app, "", "", REMOVED, "git declares it no more: its objects are removed")

    def _add(self, app: AppKey, run: str, step: str, phase: str, message: str) -> None:
        self.rows.append(Row(self.seconds(self._now()), app.name, app.namespace, run, step, phase, show(message)))


def _words(fields: Mapping[str, str]) -> str:
    """What the run says; where it only begins, what it is a run of."""
    begins = not fields["from"] and not Phase(fields["to"]).final
    return _WORDS[fields["kind"]] + fields["revision"] if begins else fields["message"]


def _counts(before: str, after: str) -> bool:
    """Of a run its beginning, its turning back and its end; that it waits or goes on is told of its steps."""
    return not before or after == Phase.ROLLING_BACK or Phase(after).final

"""
The series of applications, as exposition text that is made when an application changes and joined when it is scraped.

A scrape of many applications so costs a join: text is formatted for those alone whose seconds grow by themselves.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from reconciler.model.condition import causes
from reconciler.model.identity import AppKey
from reconciler.model.run import Phase
from reconciler.model.status import ApplicationStatus
from reconciler.model.text import one_line

MOST_GATES: Final = 3
MOST_CONDITIONS: Final = 3
MOST_SERIES: Final = 12  # of an application, all families together

# Conditions that somebody should look at, the most urgent first.
ATTENTION: Final = (
    "StateLost",
    "RemovalInDoubt",
    "Stalled",
    "ManifestInvalid",
    "Rejected",
    "GitDiffers",
    "CommandNotInGit",
    "DecisionIgnored",
    "NamespaceMissing",
    "PruneBlocked",
    "PruneFailed",
    "DriftFought",
    "ShardUnled",
    "CallbackOwed",
)
_DONE: Final = frozenset({Phase.SUCCEEDED, Phase.SKIPPED})


class Family(NamedTuple):
    """A metric: every series of it carries `namespace` and `name`, and then `labels`."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


INFO: Final = Family("reconciler_application_info", "Where an application stands; always 1.", ("environment", "revision", "sync", "health"))
PHASE: Final = Family("reconciler_application_run_phase", "The phase of the newest run; always 1.", ("kind", "phase"))
GATE: Final = Family("reconciler_gate_waiting_seconds", "How long a gate has been waiting for a decision.", ("step",))
PROGRESS: Final = Family("reconciler_application_rollout_progress_ratio", "Finished steps of the newest run, of all its steps.")
LAG: Final = Family("reconciler_revision_lag_seconds", "How long the desired revision has been waiting to be the running one.")
SUSPENDED: Final = Family("reconciler_application_suspended", "1 while the application is suspended.")
RESTORED: Final = Family(
    "reconciler_application_restored_timestamp_seconds", "When it went back to an earlier revision, while nothing newer has run since."
)
CONDITION: Final = Family("reconciler_application_condition", "A condition that needs a look; always 1.", ("type",))

FAMILIES: Final = (INFO, PHASE, GATE, PROGRESS, LAG, SUSPENDED, RESTORED, CONDITION)


class Growing(NamedTuple):
    """A series whose value is the seconds since a moment: its text up to the value, and the moment as a Unix time."""

    text: bytes
    since: float


class ApplicationSeries:
    """The text of every application's series, by family, as the format demands it: all lines of a metric together."""

    def __init__(self) -> None:
        self._fixed: dict[Family, dict[AppKey, bytes]] = {family: {} for family in FAMILIES}
        self._growing: dict[Family, dict[AppKey, tuple[Growing, ...]]] = {GATE: {}, LAG: {}}

    def update(self, status: ApplicationStatus) -> None:
        """Takes the place of what was there for that application."""
        key = status.key
        labels = _labels(("namespace", key.namespace), ("name", key.name))
        run = status.run
        gates = {gate.step: gate.since for gate in status.gates[:MOST_GATES]}
        waiting = tuple(Growing(_series(GATE, labels, step), since.timestamp()) for step, since in gates.items())
        behind = status.since if status.sync != "Synced" else None
        restored = run.started_at if run and run.kind == "restore" else None
        active = {condition.type for condition in causes(status.conditions)}
        shown = [kind for kind in ATTENTION if kind in active][:MOST_CONDITIONS]
        self._fixed[INFO][key] = _line(_series(INFO, labels, status.environment, _revision(status), status.sync, status.health), 1)
        _put(self._fixed[PHASE], key, _line(_series(PHASE, labels, run.kind, run.phase), 1) if run else b"")
        _put(self._fixed[PROGRESS], key, _line(_series(PROGRESS, labels), _progress(status)) if run else b"")
        _put(self._fixed[LAG], key, b"" if behind else _line(_series(LAG, labels), 0))
        self._fixed[SUSPENDED][key] = _line(_series(SUSPENDED, labels), 1 if status.suspended else 0)
        _put(self._fixed[RESTORED], key, _line(_series(RESTORED, labels), restored.timestamp()) if restored else b"")
        _put(self._fixed[CONDITION], key, b"".join(_line(_series(CONDITION, labels, kind), 1) for kind in shown))
        _put(self._growing[GATE], key, waiting)
        _put(self._growing[LAG], key, (Growing(_series(LAG, labels), behind.timestamp()),) if behind else ())

    def remove(self, key: AppKey) -> None:
        for lines in self._fixed.values():
            lines.pop(key, None)
        for series in self._growing.values():
            series.pop(key, None)

    def render(self, now: datetime) -> bytes:
        """All series, in the text format 0.0.4."""
        stamp = now.timestamp()
        parts: list[bytes] = []
        for family in FAMILIES:
            parts.append(f"# HELP {family.name} {family.help}\n# TYPE {family.name} gauge\n".encode())
            parts.extend(self._fixed[family].values())
            for growing in self._growing.get(family, {}).values():
                # A clock that was set back makes no negative wait.
                parts.extend(b"%s%.3f\n" % (series.text, max(0.0, stamp - series.since)) for series in growing)
        return b"".join(parts)


def _put(column: dict[AppKey, bytes] | dict[AppKey, tuple[Growing, ...]], key: AppKey, value: bytes | tuple[Growing, ...]) -> None:
    """Keeps a value, or, where it is empty, nothing."""
    if value:
        column[key] = value  # type: ignore[assignment]  # each column is called with its own kind of value
    else:
        column.pop(key, None)


def _series(family: Family, labels: str, *values: str) -> bytes:
    own = _labels(*zip(family.labels, values, strict=True))
    return f"{family.name}{{{labels}{',' if own else ''}{own}}} ".encode()


def _line(series: bytes, value: float) -> bytes:
    return series + f"{value:.12g}\n".encode()


def _labels(*pairs: tuple[str, str]) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in pairs)


def _escape(value: str) -> str:
    """A label value of the text format; first made one line, so that no manifest writes series of its own."""
    return one_line(value, 128).replace("\\", "\\\\").replace('"', '\\"')


def _revision(status: ApplicationStatus) -> str:
    return status.running.revision if status.running is not None else ""


def _progress(status: ApplicationStatus) -> float:
    steps = status.run.steps if status.run is not None else []
    if not steps:
        return 1.0 if status.run is not None and status.run.phase == Phase.SUCCEEDED else 0.0
    return sum(step.phase in _DONE for step in steps) / len(steps)

"""Metrics of the daemon, in a registry of their own, and of its applications. docs/metrics.md says what question each answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics, generate_latest

from reconciler import __version__
from reconciler.model.event import Event
from reconciler.model.run import FINAL, Phase
from reconciler.model.status import ApplicationStatus
from reconciler.observe.series import ApplicationSeries

# From the few milliseconds of a small reconcile to the hours of a rollout with gates.
SHORT: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LONG: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
# Words of one label: beyond, `other`. Labels come from the engine's own words, and must stay few even where one is wrong.
MOST_WORDS: Final = 50


class Metrics:
    """
    A `Sink` that counts. Not for several threads: events come, and scrapes are answered, on the event loop.

    `now`: aware UTC. A failure in here is counted and never reaches the engine.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._applications = ApplicationSeries()
        self._words: dict[str, set[str]] = {}
        self.registry = CollectorRegistry()
        # `_created` would be one more series for each that counts, and nobody asks for it.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in the library
        self._declare()
        ProcessCollector(registry=self.registry)
        self._handlers: dict[str, Callable[[Event], None]] = {
            "reconciled": self._count_reconcile,
            "look": self._count_look,
            "look-failed": self._count_failed_look,
            "application": self._show_application,
            "application-gone": self._drop_application,
            "run": self._count_run,
            "step": self._count_step,
            "decision": self._count_decision,
            "effect": self._count_effect,
            "drift-healed": lambda _: self._drift.inc(),
            "queue": lambda event: self._queue.set(event.fields["depth"]),
            "heartbeat": lambda event: self._beat.labels(self._word("loop", event)).set(self._now().timestamp()),
        }

    def emit(self, event: Event) -> None:
        handler = self._handlers.get(event.kind)
        if handler is None:
            return
        try:
            handler(event)
        except Exception:  # noqa: BLE001  # the promise of a Sink: it never raises into the engine
            self._dropped.inc()

    def render(self) -> bytes:
        """The exposition text of everything, format 0.0.4."""
        return generate_latest(self.registry) + self._applications.render(self._now())

    def _declare(self) -> None:
        own: dict[str, Any] = {"registry": self.registry}
        Gauge("reconciler_build_info", "The version that runs; always 1.", ["version"], **own).labels(__version__).set(1)
        self._reconciles = Counter("reconciler_reconciles", "Looks at one application, by result.", ["result"], **own)
        self._reconcile_seconds = Histogram("reconciler_reconcile_seconds", "Duration of a look at one application.", buckets=SHORT, **own)
        self._looks = Counter("reconciler_looks", "Looks at the repository, by result.", ["result"], **own)
        self._look_seconds = Histogram("reconciler_look_seconds", "Duration of a look at the repository.", buckets=SHORT, **own)
        self._last_look = Gauge("reconciler_last_look_timestamp_seconds", "When the repository was last looked at with success.", **own)
        self._declared = Gauge("reconciler_applications", "Applications that the head declares.", **own)
        self._problems = Gauge("reconciler_problems", "Problems of the head's documents.", **own)
        self._runs = Counter("reconciler_runs", "Runs that ended, by phase.", ["phase"], **own)
        self._run_seconds = Histogram("reconciler_run_seconds", "Duration of runs that ended, by phase.", ["phase"], buckets=LONG, **own)
        self._steps = Counter("reconciler_steps", "Steps that ended, by type and phase.", ["type", "phase"], **own)
        self._step_seconds = Histogram("reconciler_step_seconds", "Duration of steps that ended, by type.", ["type"], buckets=LONG, **own)
        self._decisions = Counter("reconciler_decisions", "Decisions that were used, by verb.", ["verb"], **own)
        self._effects = Counter("reconciler_effects", "Effects carried out, by kind and result.", ["kind", "result"], **own)
        self._effect_seconds = Histogram("reconciler_effect_seconds", "Duration of effects, by kind.", ["kind"], buckets=SHORT, **own)
        self._drift = Counter("reconciler_drift_healed", "Objects returned to what was last applied to them.", **own)
        self._queue = Gauge("reconciler_queue_depth", "Applications that wait for a worker.", **own)
        self._beat = Gauge("reconciler_loop_heartbeat_timestamp_seconds", "When a loop last showed that it moves.", ["loop"], **own)
        self._dropped = Counter("reconciler_events_dropped", "Events that could not be counted.", **own)

    def _count_reconcile(self, event: Event) -> None:
        self._reconciles.labels(self._word("result", event)).inc()
        self._reconcile_seconds.observe(event.fields["seconds"])

    def _count_look(self, event: Event) -> None:
        self._looks.labels("ok").inc()
        self._look_seconds.observe(event.fields["seconds"])
        self._last_look.set(self._now().timestamp())
        self._declared.set(event.fields["applications"])
        problems = event.fields["problems"]
        self._problems.set(problems if isinstance(problems, int) else len(problems))

    def _count_failed_look(self, event: Event) -> None:
        self._looks.labels(self._word("reason", event)).inc()

    def _show_application(self, event: Event) -> None:
        status = event.fields["status"]
        assert isinstance(status, ApplicationStatus)
        self._applications.update(status)

    def _drop_application(self, event: Event) -> None:
        if event.app is not None:
            self._applications.remove(event.app)

    def _count_run(self, event: Event) -> None:
        phase = Phase(event.fields["to"])
        if phase in FINAL:
            self._runs.labels(phase.value).inc()
            self._run_seconds.labels(phase.value).observe(event.fields["seconds"])

    def _count_step(self, event: Event) -> None:
        phase = Phase(event.fields["to"])
        if phase in FINAL:
            kind = self._word("type", event)
            self._steps.labels(kind, phase.value).inc()
            self._step_seconds.labels(kind).observe(event.fields["seconds"])

    def _count_decision(self, event: Event) -> None:
        self._decisions.labels(self._word("verb", event)).inc()

    def _count_effect(self, event: Event) -> None:
        kind = self._word("kind", event)
        self._effects.labels(kind, self._word("result", event)).inc()
        self._effect_seconds.labels(kind).observe(event.fields["seconds"])

    def _word(self, label: str, event: Event) -> str:
        """The label's value in the event, out of at most `MOST_WORDS` for that label."""
        known = self._words.setdefault(label, set())
        word = str(event.fields[label])[:64]
        if word not in known and len(known) >= MOST_WORDS:
            return "other"
        known.add(word)
        return word


class Fanout:
    """A `Sink` that hands each event on to several."""

    def __init__(self, *sinks: Any) -> None:
        self._sinks = sinks

    def emit(self, event: Event) -> None:
        for sink in self._sinks:
            sink.emit(event)

"""Metrics of the daemon, in a registry of their own, and of its applications. docs/metrics.md says what question each answers."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics, generate_latest

from reconciler import __version__
from reconciler.cluster.crds.families import OAM, STEPFLOW
from reconciler.model.event import Event
from reconciler.model.identity import AppKey
from reconciler.model.run import FINAL, Phase
from reconciler.model.status import ApplicationStatus, RunView
from reconciler.observe.series import ApplicationSeries
from reconciler.observe.words import KNOWN, OTHER
from reconciler.steps.catalog import STEP_TYPES

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

    def __init__(self, now: Callable[[], datetime], plugins: Iterable[str] = ()) -> None:
        """`plugins`: names of step types beside those that are built in."""
        self._now, self._step_types = now, frozenset({*STEP_TYPES, *plugins})
        self._applications = ApplicationSeries()
        self._words: dict[str, set[str]] = {}
        self._places: dict[AppKey, tuple[str, str]] = {}  # queue and phase of each open run, and how many stand where
        self._standing: Counts[tuple[str, str]] = Counts()
        self.registry = CollectorRegistry()
        # `_created` would be one more series for each that counts, and nobody asks for it.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in the library
        self._declare()
        ProcessCollector(registry=self.registry)
        self._handlers: dict[str, Callable[[Event], None]] = {
            "reconciled": self._count_reconcile,
            "look": self._count_look,
            "look-same": self._count_same_look,
            "look-failed": self._count_failed_look,
            "application": self._show_application,
            "application-gone": self._drop_application,
            "application-moved": self._drop_application,
            "run": self._count_run,
            "step": self._count_step,
            "admitted": lambda event: self._queue_wait.labels(self._word("queue", event)).observe(event.fields["seconds"]),
            "throttled": self._count_throttled,
            "attempt": lambda event: self._attempts.labels(self._step_type(event), self._word("result", event)).inc(),
            "rollback": lambda event: self._rollbacks.labels(self._word("reason", event)).inc(),
            "decision": self._count_decision,
            "command": lambda event: self._commands.labels(self._word("verb", event), self._word("result", event)).inc(),
            "rejected": lambda _: self._rejected.inc(),
            "effect": self._count_effect,
            "apply": lambda event: self._applies.labels(self._word("result", event)).inc(),
            "foreign": lambda event: self._foreign.labels(self._word("group", event)).set(event.fields["count"]),
            "announced": lambda event: self._announced.labels(self._word("result", event)).inc(),
            "callback": lambda event: self._callbacks.labels(self._word("result", event)).inc(),
            "write-back": lambda event: self._write_backs.labels(self._word("result", event)).inc(),
            "drift-healed": lambda _: self._drift.inc(),
            "lead": self._show_lead,
            "lease": lambda event: self._renewals.labels(self._word("result", event)).inc(),
            "cache": self._count_lookups,
            "queue": lambda event: self._queue.set(event.fields["depth"]),
            "heartbeat": lambda event: self._beat.labels(self._word("loop", event)).set(self._now().timestamp() - event.fields["age"]),
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
        self._gauge("build_info", "The version that runs; always 1.", "version").labels(__version__).set(1)
        self._reconciles = self._counter("reconciles", "Looks at one application, by result.", "result")
        self._reconcile_seconds = self._histogram("reconcile_seconds", "Duration of a look at one application.", SHORT)
        self._looks = self._counter("looks", "Looks at the repository, by result.", "result")
        self._look_seconds = self._histogram("look_seconds", "Duration of looks that found a new head, until all of it was taken in.", SHORT)
        self._fetch_seconds = self._histogram("git_fetch_seconds", "Duration of asking the repository for its head and for what changed.", SHORT)
        self._parse_seconds = self._histogram("parse_seconds", "Duration of reading the manifests that changed.", SHORT)
        self._last_look = self._gauge("last_look_timestamp_seconds", "When the repository was last looked at with success.")
        self._declared = self._gauge("applications", "Applications that the head declares.")
        self._problems = self._gauge("problems", "Problems of the head's documents.")
        self._runs = self._counter("runs", "Runs that ended, by kind and phase.", "kind", "phase")
        self._run_seconds = self._histogram("run_seconds", "Duration of runs that ended, by phase.", LONG, "phase")
        self._rejected = self._counter("rejections", "Revisions that were rolled back and are not applied again.")
        self._steps = self._counter("steps", "Steps that ended, by type and phase.", "type", "phase")
        self._step_seconds = self._histogram("step_seconds", "Duration of steps that ended, by type.", LONG, "type")
        self._attempts = self._counter("step_attempts", "Tries to run or to undo steps, by type and how they ended.", "type", "result")
        self._rollbacks = self._counter("rollbacks", "Runs that undo what was done, or put an earlier revision back, by reason.", "reason")
        self._open_runs = self._gauge("runs_open", "Newest runs that have not ended, by queue and phase.", "queue", "phase")
        self._queue_wait = self._histogram("queue_wait_seconds", "How long runs waited in their queue before they began.", LONG, "queue")
        self._queue_wait.labels("default")  # step flow's own: there from the start
        self._throttled = self._counter("throttled", "Effects of steps that had to wait for their turn, by type.", "type")
        self._throttle_wait = self._histogram("throttle_wait_seconds", "How long effects of steps waited for their turn.", LONG)
        self._decisions = self._counter("decisions", "Decisions that were used, by verb and by who made them.", "verb", "by")
        self._commands = self._counter("commands", "What persons ordered at once, by what came of it.", "verb", "result")
        self._effects = self._counter("effects", "Effects carried out or refused, by kind and result.", "kind", "result")
        self._effect_seconds = self._histogram("effect_seconds", "Duration of effects, by kind.", SHORT, "kind")
        self._applies = self._counter("applies", "Objects applied, by result.", "result")
        self._write_backs = self._counter("write_backs", "Commits that rollbacks and commands owed to git, by what became of them.", "result")
        self._foreign = self._gauge("foreign_definitions", "Definitions of kinds of manifests that somebody else brought to the cluster.", "group")
        for group in (OAM, STEPFLOW):
            self._foreign.labels(group)  # 0 until somebody looks
        self._announced = self._counter("cluster_events", "Kubernetes Events of transitions, by what became of them.", "result")
        self._callbacks = self._counter("callback_deliveries", "Tries to tell callbacks of workflows, by result.", "result")
        self._drift = self._counter("drift_healed", "Objects returned to what was last applied to them.")
        self._lookups = self._counter("cache_lookups", "Lookups in a cache, by result.", "cache", "result")
        self._leader = self._gauge("leader", "Whether this daemon leads: 1 for one of all replicas.")
        self._epoch = self._gauge("leader_epoch", "How often the lead went from one replica to another.")
        self._renewals = self._counter("lease_renewals", "Tries to keep the lead, or to see who has it, by result.", "result")
        self._queue = self._gauge("queue_depth", "Applications that wait for a worker.")
        self._beat = self._gauge("loop_heartbeat_timestamp_seconds", "When a loop last moved.", "loop")
        self._dropped = self._counter("events_dropped", "Events that could not be counted.")

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"reconciler_{name}", meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"reconciler_{name}", meaning, labels, buckets=buckets, registry=self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """Starts at 0 for each of the words that its labels are known to take."""
        counter = Counter(f"reconciler_{name}", meaning, labels, registry=self.registry)
        for words in KNOWN.get(f"reconciler_{name}", ()):
            counter.labels(*words)
            for label, word in zip(labels, words, strict=True):
                self._words.setdefault(label, set()).add(word)
        return counter

    def _count_reconcile(self, event: Event) -> None:
        self._reconciles.labels(self._word("result", event)).inc()
        self._reconcile_seconds.observe(event.fields["seconds"])

    def _count_look(self, event: Event) -> None:
        self._look_seconds.observe(event.fields["seconds"])
        self._parse_seconds.observe(event.fields["parse"])
        self._note_look(event.fields["fetch"])
        self._declared.set(event.fields["applications"])
        problems = event.fields["problems"]
        self._problems.set(problems if isinstance(problems, int) else len(problems))

    def _count_same_look(self, event: Event) -> None:
        self._note_look(event.fields["seconds"])

    def _note_look(self, fetch: float) -> None:
        self._looks.labels("ok").inc()
        self._fetch_seconds.observe(fetch)
        self._last_look.set(self._now().timestamp())

    def _count_failed_look(self, event: Event) -> None:
        self._looks.labels(self._word("result", event, "reason")).inc()

    def _show_application(self, event: Event) -> None:
        status = event.fields["status"]
        assert isinstance(status, ApplicationStatus)
        self._applications.update(status)
        self._place(status.key, status.run)

    def _drop_application(self, event: Event) -> None:
        if event.app is not None:
            self._applications.remove(event.app)
            self._place(event.app, None)

    def _count_run(self, event: Event) -> None:
        phase = Phase(event.fields["to"])
        if phase in FINAL:
            self._runs.labels(self._word("kind", event), phase.value).inc()
            self._run_seconds.labels(phase.value).observe(event.fields["seconds"])

    def _count_step(self, event: Event) -> None:
        phase = Phase(event.fields["to"])
        if phase in FINAL:
            kind = self._step_type(event)
            self._steps.labels(kind, phase.value).inc()
            self._step_seconds.labels(kind).observe(event.fields["seconds"])

    def _step_type(self, event: Event) -> str:
        """A manifest may name anything."""
        return event.fields["type"] if event.fields["type"] in self._step_types else OTHER

    def _count_throttled(self, event: Event) -> None:
        self._throttled.labels(self._step_type(event)).inc()
        self._throttle_wait.observe(event.fields["seconds"])

    def _place(self, key: AppKey, run: RunView | None) -> None:
        """Counts an application's run where it stands now, and no longer where it stood."""
        before = self._places.pop(key, None)
        if before is not None:
            self._move(before, -1)
        if run is not None and not Phase(run.phase).final:
            place = self._places[key] = (self._known("queue", run.queue), run.phase)
            self._move(place, 1)

    def _move(self, place: tuple[str, str], change: int) -> None:
        self._standing[place] += change
        if self._standing[place]:
            self._open_runs.labels(*place).set(self._standing[place])
        else:
            del self._standing[place]
            self._open_runs.remove(*place)

    def _count_decision(self, event: Event) -> None:
        self._decisions.labels(self._word("verb", event), self._word("by", event)).inc()

    def _count_effect(self, event: Event) -> None:
        kind = self._word("kind", event)
        self._effects.labels(kind, self._word("result", event)).inc()
        if "seconds" in event.fields:
            self._effect_seconds.labels(kind).observe(event.fields["seconds"])

    def _show_lead(self, event: Event) -> None:
        self._leader.set(int(event.fields["leads"]))
        self._epoch.set(event.fields["epoch"])

    def _count_lookups(self, event: Event) -> None:
        cache = self._word("cache", event)
        self._lookups.labels(cache, "hit").inc(event.fields["hits"])
        self._lookups.labels(cache, "miss").inc(event.fields["misses"])

    def _word(self, label: str, event: Event, field: str = "") -> str:
        """The label's value in the event (in the field of its name, or in `field`), out of at most `MOST_WORDS` for that label."""
        return self._known(label, str(event.fields[field or label]))

    def _known(self, label: str, text: str) -> str:
        known, word = self._words.setdefault(label, set()), text[:64]
        if word not in known and len(known) >= MOST_WORDS:
            return OTHER
        known.add(word)
        return word


class Fanout:
    """A `Sink` that hands each event on to several."""

    def __init__(self, *sinks: Any) -> None:
        self._sinks = sinks

    def emit(self, event: Event) -> None:
        for sink in self._sinks:
            sink.emit(event)

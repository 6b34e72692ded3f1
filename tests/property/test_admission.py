"""The line under any order of events: never more than may go on, nobody starves, and a restart changes nothing of it (RULES 2)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reconciler.engine.admission import Admission
from reconciler.model.identity import AppKey
from reconciler.model.run import Phase, Run

START = datetime(2030, 1, 1, tzinfo=UTC)
QUEUES = ["a", "b", "c"]


class Line(RuleBasedStateMachine):
    """
    Runs as they are stored, an engine's admission over them, and the turns that it hinted at. A turn asks, and the run is stored as the machine
    would leave it; a crash forgets all but what is stored.
    """

    @initialize(strategy=st.sampled_from(["FIFO", "FAIR"]), limit=st.integers(1, 3))
    def begin(self, strategy, limit):
        self.strategy, self.limit = strategy, limit
        self.runs: dict[AppKey, Run] = {}
        self.now, self.passed_by = START, Counter()
        self.forced: set[AppKey] = set()
        self.restart()

    def restart(self):
        self.due: list[AppKey] = []
        self.admission = Admission(self.strategy, self.limit, self.due.append)
        self.admission.load(self.runs.values())
        self.due += sorted(self.runs)
        self.passed_by.clear()

    def turn(self, key):
        run = self.runs[key]
        if run.phase.final:
            return
        admitted = self.admission.admits(run)
        if admitted and (run.phase is Phase.PENDING or run.reason == "Queued"):
            self.count_turn(run)
            run.phase, run.reason, run.started_at = Phase.RUNNING, "", run.started_at or self.now
        elif run.phase is Phase.PENDING:
            run.reason = "Queued"
        self.admission.note(run)

    def count_turn(self, run):
        """Who is served; each other queue in which somebody waits is passed by once more."""
        waits = {other.queue for other in self.waiting()}
        for queue in QUEUES:
            self.passed_by[queue] = self.passed_by[queue] + 1 if queue in waits and queue != run.queue else 0
        first = {queue: min((other for other in self.waiting() if other.queue == queue), key=lambda other: other.created_at) for queue in waits}
        if self.strategy == "FIFO":
            assert run.created_at <= min(other.created_at for other in self.waiting()), "who was made first comes first"
        elif run.queue in first:
            assert run.created_at <= first[run.queue].created_at, "within a queue as well"

    def waiting(self):
        return [run for run in self.runs.values() if run.phase is Phase.PENDING or run.reason == "Queued"]

    def settle(self):
        while self.due:
            self.turn(self.due.pop(0))

    @rule(queue=st.sampled_from(QUEUES), count=st.integers(1, 5))
    def push(self, queue, count):
        for _ in range(count):
            self.now += timedelta(seconds=1)
            key = AppKey("shop", f"app-{len(self.runs)}")
            self.runs[key] = Run(f"{key.name}-v1-1", str(key), "v1", "digest", queue=queue, created_at=self.now)
            self.due.append(key)
        self.settle()

    @rule(count=st.integers(1, 6))
    def end_some(self, count):
        """One after the other, those that go on succeed."""
        for _ in range(count):
            run = next((run for run in self.runs.values() if run.phase is Phase.RUNNING), None)
            if run is not None:
                run.phase = Phase.SUCCEEDED
                self.admission.note(run)
                self.settle()

    def pick(self, data, *phases):
        found = [key for key, run in self.runs.items() if run.phase in phases and run.reason != "Queued"]
        return data.draw(st.sampled_from(found)) if found else None

    @rule(data=st.data(), end=st.sampled_from([Phase.SUCCEEDED, Phase.FAILED, Phase.WAITING, Phase.ROLLING_BACK]))
    def go_on(self, data, end):
        """A run ends, comes to a gate, or rolls back."""
        key = self.pick(data, Phase.RUNNING, Phase.ROLLING_BACK)
        if key is not None:
            run = self.runs[key]
            run.phase = end if run.phase is Phase.RUNNING else Phase.ROLLED_BACK
            self.admission.note(run)
            self.settle()

    @rule(data=st.data(), back=st.booleans())
    def decide(self, data, back):
        """A gate opens, or what waits at it is rolled back."""
        key = self.pick(data, Phase.WAITING)
        if key is None:
            return
        run = self.runs[key]
        self.now += timedelta(seconds=1)
        admitted = self.admission.admits(run)
        if back:
            run.phase = Phase.ROLLING_BACK
            self.forced |= set() if admitted else {key}
        elif admitted:
            run.phase = Phase.RUNNING
        else:
            run.reason = "Queued"
        self.admission.note(run)
        self.settle()

    @rule(data=st.data())
    def stop(self, data):
        """A run that waits in its queue is superseded."""
        waits = [AppKey.parse(run.app) for run in self.waiting()]
        if waits:
            run = self.runs[data.draw(st.sampled_from(waits))]
            run.phase, run.reason = Phase.SUPERSEDED, ""
            self.admission.note(run)
            self.settle()

    @rule(data=st.data())
    def fail_a_turn(self, data):
        """The turn of a run breaks, and comes again later."""
        waits = [AppKey.parse(run.app) for run in self.waiting()]
        if waits:
            key = data.draw(st.sampled_from(waits))
            self.admission.withdraw(key)
            self.passed_by[self.runs[key].queue] = 0  # it lines up anew, and its queue with it, where nobody else waits there
            self.due.append(key)
            self.settle()

    @precondition(lambda self: self.runs)
    @rule()
    def crash(self):
        self.restart()
        self.settle()

    @invariant()
    def no_more_go_on_than_may(self):
        if not hasattr(self, "runs"):
            return
        going = [key for key, run in self.runs.items() if run.phase in (Phase.RUNNING, Phase.ROLLING_BACK)]
        self.forced &= set(going)
        assert len(going) <= self.limit + len(self.forced)

    @invariant()
    def nobody_waits_while_a_place_is_free(self):
        if not hasattr(self, "runs"):
            return
        going = [run for run in self.runs.values() if run.phase in (Phase.RUNNING, Phase.ROLLING_BACK)]
        assert len(going) >= self.limit or not self.waiting()

    @invariant()
    def fair_serves_every_queue_within_one_round(self):
        if not hasattr(self, "runs") or self.strategy == "FIFO":
            return
        assert all(count < len(QUEUES) for count in self.passed_by.values())


TestLine = Line.TestCase

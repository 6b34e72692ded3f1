"""
A small engine around the real machine, the real line of the queues and nothing else, and beside it a ledger of what the world was asked to do.

The invariants are judged by the ledger and by the workflow as it is written, never by what the machine says of itself. State goes through JSON
with every look; a crash loses everything else.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from reconciler.engine.admission import Admission
from reconciler.engine.throttle import Throttle
from reconciler.model.application import Retry, Step, Workflow
from reconciler.model.identity import AppKey
from reconciler.model.outcome import Result
from reconciler.model.run import Command, Decision, Phase, Run
from reconciler.steps.catalog import STEP_TYPES
from reconciler.steps.plugin import PluginStep
from reconciler.workflow.commands import Needless, Refused, obey
from reconciler.workflow.facts import Facts
from reconciler.workflow.machine import Machine, open_steps

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
WORK = PluginStep("work", {}, (), lambda properties: [], syncs=True)
TYPES = {**STEP_TYPES, "work": WORK}
PERIOD, LIMIT = 10.0, 2
RETRY = Retry(limit=LIMIT, period=PERIOD)
KINDS = {"ok": "", "retryable": "backoff", "not ready": "wait", "final": "terminal"}


class Request(NamedTuple):
    """One that reached the world. `method`: run, rollback or sync."""

    at: datetime
    life: int
    run: str
    step: str
    method: str
    key: str
    content: bytes


class Ledger:
    """What happened in the world: every request in its order, and how it was answered, by key."""

    def __init__(self):
        self.requests: list[Request] = []
        self.answers: dict[str, list[tuple[datetime, str]]] = {}
        self.done: set[tuple[str, str]] = set()
        self.undone: set[tuple[str, str]] = set()
        self.failed: Counter[tuple[str, str, str]] = Counter()
        self.final: set[tuple[str, str, str]] = set()
        self.last_failure: dict[tuple[str, str, str], datetime] = {}

    def answer(self, request, kind, now):
        self.answers.setdefault(request.key, []).append((now, kind))
        place = (request.run, request.step)
        if kind == "ok" and request.method != "sync":
            (self.done if request.method == "run" else self.undone).add(place)
        elif kind in ("retryable", "final") and request.method != "sync":
            self.failed[(*place, request.method)] += 1
            self.last_failure[(*place, request.method)] = now
        if kind == "final":
            self.final.add((*place, request.method))


class Member:
    """One run, as it is stored. `results` and `under_way` live in the daemon's memory."""

    def __init__(self, name, workflow, queue, now):
        run = Run(f"{name}-v1-1", f"shop/{name}", f"{name}-v1", "digest", owner=f"uid-{name}", queue=queue, created_at=now)
        run.steps = open_steps(workflow, [])
        self.workflow = workflow
        self.store(run)
        self.results: dict[str, Result] = {}
        self.under_way: dict[str, Request] = {}
        self.facts: dict[str, object] = {"looked_at": now}
        self.wake: datetime | None = None
        self.turn = False
        self.told = 0
        self.before = {step.name: self._ancestors(step.name) for step in workflow.steps}

    def store(self, run: Run) -> None:
        """What comes back from the store has been JSON."""
        self.run = msgspec.json.decode(msgspec.json.encode(run), type=Run)

    @property
    def waits(self) -> bool:
        """In its queue, and it was not told yet that it is its turn."""
        run = self.run
        return bool(run.queue) and _is_queued(run) and run.suspended_at is None and not self.turn

    def _ancestors(self, name):
        """By the workflow as it is written."""
        names = [step.name for step in self.workflow.steps]
        if self.workflow.mode == "StepByStep":
            return set(names[: names.index(name)])
        found, todo = set(), [name]
        while todo:
            spec = self.workflow.steps[names.index(todo.pop())]
            todo += [other for other in spec.depends_on if other not in found]
            found.update(spec.depends_on)
        return found


class Fleet:
    """Some runs in queues, one daemon after another. Raises AssertionError as soon as a promise is broken."""

    def __init__(self, strategy="FIFO", limit=100, rate=0.0):
        """`rate`: how many effects may begin in a second, 0 for no limit."""
        self.now, self.life = START, 0
        self.ledger = Ledger()
        self.members: dict[str, Member] = {}
        self._machine = Machine(TYPES)
        self._strategy, self._limit, self._rate = strategy, limit, rate
        self._open_lines()
        self._passed_by: dict[str, Counter[str]] = {}

    def _open_lines(self):
        """What a daemon holds in memory of who waits for what."""
        self._line = Admission(self._strategy, self._limit, self._hint)
        self._line.load([member.run for member in self.members.values()])
        self._throttle = Throttle(self._rate, {}, self, self._hint, lambda *_: None)
        self._begun: list[datetime] = []

    def monotonic(self):
        """The clock of the throttle."""
        return (self.now - START).total_seconds()

    # What happens -------------------------------------------------------------------------------------------------------

    def add(self, name, workflow, queue=""):
        self.now += timedelta(milliseconds=1)
        self.members[name] = Member(name, workflow, queue, self.now)
        self.look(name)

    def look(self, name, *, dies=""):
        """A turn. `dies`: before its effects are begun, right after it is stored."""
        member = self.members[name]
        before, app = member.run, AppKey.parse(member.run.app)
        told = {"results": dict(member.results), "admitted": self._line.admits(before), "unbegun": self._throttle.unbegun(app)}
        answer = self._machine.advance(before, member.workflow, Facts(**told, **member.facts), self.now)
        assert not answer.queries
        member.facts.pop("decisions", None)
        member.store(answer.run)
        run = member.run
        self._line.note(run)
        open_keys = {intent.key for step in run.steps for path, intent in step.intents.items() if path not in step.results}
        member.results = {key: result for key, result in member.results.items() if key in open_keys}
        member.wake = answer.wake
        self._judge_turn(member, before, run, answer)
        if dies:
            self.crash()
            return
        self._throttle.withdraw(app, {order.key for order in answer.orders})
        for order in answer.orders:
            if order.key not in member.under_way and self._throttle.take(app, order.key, "work"):
                self._begin(member, order)
        self._give_turns()

    def answer(self, name, number, kind):
        """The world answers one of the requests that are under way."""
        member = self.members[name]
        if not member.under_way:
            return
        key = sorted(member.under_way)[number % len(member.under_way)]
        request = member.under_way.pop(key)
        self.ledger.answer(request, kind, self.now)
        error = {} if kind == "ok" else {"error": kind, "reason": "Said", "retry": KINDS[kind]}
        member.results[key] = Result(at=self.now, value={"after": 5.0} if kind == "not ready" else {}, **error)
        self.look(name)

    def pass_time(self, seconds):
        """Each run has its turn when it asked to; git is looked at meanwhile."""
        end = self.now + timedelta(seconds=seconds)
        for _ in range(1000):
            due = [member.wake for member in self.members.values() if member.wake is not None and member.wake > self.now]
            pause = self._throttle.delay()
            due += [self.now + timedelta(seconds=pause + 1e-6)] if pause is not None else []
            self.now = min([*due, end])
            self._throttle._grant()
            self._give_turns()
            for name, member in self.members.items():
                member.facts["looked_at"] = self.now + timedelta(milliseconds=1)
                if member.wake is not None and member.wake <= self.now:
                    self.look(name)
            if self.now >= end:
                return
        raise AssertionError("it wakes again and again")

    def decide(self, name, gate, verb):
        member = self.members[name]
        member.told += 1
        member.facts["decisions"] = (Decision(gate, verb, f"{verb}@{member.told}", self.now),)
        self.look(name)

    def command(self, name, verb, step=""):
        """What a person orders at once; it is stored, then the run has its turn."""
        member = self.members[name]
        member.told += 1
        try:
            ordered = obey(member.run, member.workflow, Command(verb=verb, at=self.now, author="Ada", step=step), f"{verb}@{member.told}", self.now)
        except (Refused, Needless):
            return
        member.store(ordered)
        self.look(name)

    def fact(self, name, **facts):
        self.members[name].facts |= facts
        self.look(name)

    def crash(self):
        """All that is not stored is lost. Whatever was under way may have been done or not: nobody knows."""
        self.life += 1
        for member in self.members.values():
            member.under_way, member.results, member.wake = {}, {}, None
            member.facts = {name: value for name, value in member.facts.items() if name != "decisions"}
        self._open_lines()
        self._passed_by.clear()
        for name in self.members:
            self.look(name)

    def _hint(self, key):
        self.members[key.name].turn = True

    def _give_turns(self):
        for name, member in self.members.items():
            if member.turn:
                member.turn = False
                self.look(name)

    def _begin(self, member, order):
        method = order.path.rpartition("/")[2]
        request = Request(
            self.now, self.life, member.run.name, order.step, method, order.key, msgspec.json.encode([order.effect.kind, order.effect.params])
        )
        self._judge_request(member, request)
        self._judge_rate()
        self.ledger.requests.append(request)
        member.under_way[order.key] = request

    # What is promised -----------------------------------------------------------------------------------------------------

    def _judge_request(self, member, request):
        ledger, place = self.ledger, (request.run, request.step)
        same = [other for other in ledger.requests if other.key == request.key]
        assert all(other.content == request.content for other in same), f"KEY: {request.key} was begun with another content"
        assert all((other.run, other.step, other.method) == (*place, request.method) for other in same), f"KEY: {request.key} is of two effects"
        if same and same[-1].life == request.life:
            said = ledger.answers.get(request.key, [])
            assert said, f"KEY: {request.key} was begun twice at once"
            assert said[-1][1] == "not ready", f"KEY: {request.key} was begun again after {said[-1][1]}"
        ancestors = member.before[request.step]
        if request.method == "run":
            missing = [name for name in ancestors if not self._is_over(member, name)]
            assert not missing, f"ORDER: {request.step} began before {missing}"
        if request.method == "rollback":
            assert place in ledger.done, f"UNDO: {request.step} is undone and was never done"
            standing = [
                name for name, before in member.before.items()
                if request.step in before and (request.run, name) in ledger.done - ledger.undone
            ]  # fmt: skip
            assert not standing, f"UNDO: {request.step} is undone before {standing}, which came after it"
        failure = ledger.last_failure.get((*place, request.method))
        if failure is not None and request.method != "sync":
            assert (*place, request.method) not in ledger.final, f"RETRY: {request.step} is tried again after it failed for good"
            assert ledger.failed[*place, request.method] <= LIMIT, f"RETRY: {request.step} is tried more than {LIMIT} times again"
            assert request.at >= failure + timedelta(seconds=PERIOD), f"RETRY: {request.step} is tried again before its time"

    def _judge_rate(self):
        """In any time no more begin than come in it, and those that were saved up; since the last crash, which saves up anew."""
        if not self._rate:
            return
        self._begun.append(self.now)
        for position, start in enumerate(self._begun):
            allowed = max(1.0, self._rate) + self._rate * (self.now - start).total_seconds() + 1e-6
            assert len(self._begun) - position <= allowed, f"RATE: {len(self._begun) - position} began since {start}, at {self._rate} a second"

    def _is_over(self, member, name):
        """By the ledger for what works; a gate has no request, so for it by the decisions that opened it."""
        spec = next(step for step in member.workflow.steps if step.name == name)
        if spec.type == "work":
            return (member.run.name, name) in self.ledger.done - self.ledger.undone
        return any(decision.gate == spec.key and decision.verb == "continue" for decision in member.run.decisions)

    def _judge_turn(self, member, before, run, answer):
        if before.phase.final:
            assert run == before, "END: a run that is over has changed"
        if run.phase.final:
            self._judge_end(member, run)
        elif not answer.orders:
            self._judge_wait(member, run, answer)
        if run.queue:
            self._judge_queue(before, run)

    def _judge_end(self, member, run):
        work = {step.name for step in member.workflow.steps if step.type == "work"}
        done = {name for name in work if (run.name, name) in self.ledger.done}
        undone = {name for name in work if (run.name, name) in self.ledger.undone}
        broken = {
            name for name in work if (run.name, name, "rollback") in self.ledger.final or self.ledger.failed[run.name, name, "rollback"] > LIMIT
        }
        if run.phase is Phase.SUCCEEDED:
            assert done == work, f"END: it succeeded without {work - done}"
            assert not undone
        if run.undo_cause and run.reason != "Ended":
            if broken:
                kept = {other for name in broken for other in member.before[name]} | broken
                assert run.reason == "RollbackFailed", f"END: {broken} could not be undone, and it says {run.reason}"
                assert done - undone <= kept, f"END: {done - undone - kept} is left without need"
            else:
                assert done == undone, f"END: {done - undone} is not undone"
                assert run.phase in (Phase.ROLLED_BACK, Phase.TERMINATED, Phase.SUPERSEDED)
        assert all(step.phase.final for step in run.steps)

    def _judge_wait(self, member, run, answer):
        """Every run goes on, or says what it waits for."""
        gate = any(step.phase is Phase.WAITING for step in run.steps)
        still = run.suspended_at is not None or any(step.suspended_at for step in run.steps)
        restore = run.phase is Phase.ROLLING_BACK and not run.undo_cause
        named = gate or still or restore or run.reason == "Queued"
        assert named or answer.wake is not None, f"WAIT: {run.name} waits for nothing: {run.phase} {run.reason} {run.message}"
        ended = any(decision.verb == "end" for decision in run.decisions[run.answered :])
        assert not ended, f"END: {run.name} was ended, nothing is under way, and it is {run.phase}"

    def _judge_queue(self, before, run):
        """Whoever goes on now does so because there was room."""
        if _goes_on(run) and not _goes_on(before) and run.phase is not Phase.ROLLING_BACK:  # what goes back waits for nobody
            others = [other.run for other in self.members.values()]
            active = [other.name for other in others if other.queue and other.name != run.name and _goes_on(other)]
            assert len(active) < self._limit, f"LIMIT: {run.name} goes on beside {active}, and the limit is {self._limit}"
        if self._strategy == "FAIR" and _is_queued(before) and not _is_queued(run) and run.phase in _TURNS and run.started_at:
            self._judge_turns(run)

    def _judge_turns(self, run):
        """No queue has two turns while another one waits."""
        waiting = {other.run.queue for other in self.members.values() if other.run.name != run.name and other.waits}
        self._passed_by.pop(run.queue, None)
        self._passed_by = {queue: passed for queue, passed in self._passed_by.items() if queue in waiting}
        for queue in waiting - {run.queue}:
            passed = self._passed_by.setdefault(queue, Counter())
            passed[run.queue] += 1
            assert passed[run.queue] < 2, f"FAIR: {run.queue} had two turns while {queue} waited"

    def finish(self):
        """From wherever they are, all runs come to their ends: whoever is waited for answers, time passes, gates open, nothing stands still."""
        for _ in range(200):
            for name, member in self.members.items():
                member.facts |= {"held": "", "restored": "Succeeded" if member.run.phase is Phase.ROLLING_BACK and not member.run.undo_cause else ""}
                for step in member.run.steps:
                    if step.suspended_at:
                        self.command(name, "resume", step.key)
                    if step.phase is Phase.WAITING and not member.run.phase.final:
                        self.decide(name, step.key, "continue")
                while member.under_way:
                    self.answer(name, 0, "ok")
                self.look(name)
            if all(member.run.phase.final for member in self.members.values()):
                return
            self.pass_time(PERIOD)
        left = [f"{member.run.name}: {member.run.phase} {member.run.reason} {member.run.message}" for member in self.members.values()]
        raise AssertionError(f"WAIT: not over, although nothing is in the way: {left}")


def _goes_on(run):
    """Whether it counts against the limit: it does something, or what it began is not over."""
    if run.phase is Phase.ROLLING_BACK:
        return True
    return run.phase is Phase.RUNNING and (run.suspended_at is None or run.in_flight)


_TURNS = (Phase.RUNNING, Phase.WAITING, Phase.SUCCEEDED, Phase.FAILED)


def _is_queued(run):
    return not run.phase.final and (run.reason == "Queued" or run.phase is Phase.PENDING)


def step(name, after=(), *, kind="work", sync=0.0, **properties):
    return Step(name, kind, name, properties=properties, depends_on=list(after), retry=RETRY, undo_retry=RETRY, sync=sync)


def workflow(*steps, mode="DAG", on_failure="undo"):
    return Workflow(mode, list(steps), on_failure)

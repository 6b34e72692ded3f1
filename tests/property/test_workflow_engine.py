"""
The workflow engine under any order of events: answers, failures, decisions, orders, time and crashes, against what `fleet.py` remembers of it.

`RECONCILER_PROOF=N` tries N times as many scripts.
"""

import os
import random
import re

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, precondition, rule, run_state_machine_as_test

from reconciler.engine import throttle
from reconciler.model.outcome import Do, Effect
from reconciler.model.run import Intent, StepState
from reconciler.model.run import Phase as RunPhase
from reconciler.steps.plugin import PluginStep
from reconciler.workflow import admission as lines
from reconciler.workflow import compensating, ordering, stopping, turn
from reconciler.workflow.retrying import pause_before
from tests.property.fleet import KINDS, Fleet, step, workflow

PROOF = int(os.environ.get("RECONCILER_PROOF", "1"))
BUDGET = settings(
    max_examples=25 * PROOF,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
MOST = 12
NAMES = [f"s{number}" for number in range(6)]


@st.composite
def workflows(draw):
    """Up to six steps in any order that has no circle; one in five is a gate, some are looked at again when they are done."""
    steps = []
    for number in range(draw(st.integers(1, 6))):
        after = draw(st.lists(st.sampled_from(NAMES[:number]), unique=True, max_size=3)) if number else []
        gate = draw(st.sampled_from(["", "", "", "", "timer", "person"]))
        properties = {"duration": "30s"} if gate == "timer" else {}
        sync = draw(st.sampled_from([0.0, 0.0, 25.0])) if not gate else 0.0
        steps.append(step(NAMES[number], after, kind="suspend" if gate else "work", sync=sync, **properties))
    return workflow(
        *steps, mode=draw(st.sampled_from(["DAG", "DAG", "StepByStep"])), on_failure=draw(st.sampled_from(["undo", "undo", "stop", "visit"]))
    )


ANSWERS = st.sampled_from(["ok"] * 8 + ["retryable"] * 3 + ["not ready", "final"])
assert set(KINDS) == {"ok", "retryable", "not ready", "final"}


def _random_flow(chance):
    steps = []
    for number in range(chance.randint(1, 6)):
        after = chance.sample(NAMES[:number], chance.randint(0, min(number, 3)))
        gate = chance.choice(["", "", "", "", "timer", "person"])
        properties = {"duration": "30s"} if gate == "timer" else {}
        sync = chance.choice([0.0, 0.0, 25.0]) if not gate else 0.0
        steps.append(step(NAMES[number], after, kind="suspend" if gate else "work", sync=sync, **properties))
    return workflow(*steps, mode=chance.choice(["DAG", "DAG", "StepByStep"]), on_failure=chance.choice(["undo", "undo", "stop", "visit"]))


def _happen(fleet, chance, answers):
    """One thing that can happen, by chance."""
    names = list(fleet.members)
    name, number = chance.choice(names), chance.randint(0, 5)
    match chance.choice(["add", "answer", "answer", "answer", "wait", "wait", "again", "gate", "order", "still", "hold", "leave", "crash", "die"]):
        case "add" if len(names) < MOST:
            fleet.add(f"w{len(names)}", _random_flow(chance), chance.choice(["", "a", "a", "b"]))
        case "answer":
            for other in names:
                fleet.answer(other, number, chance.choice(answers))
        case "wait":
            fleet.pass_time(chance.choice([1, 5, 10, 30, 100]))
        case "again":
            for _ in range(4):
                fleet.answer(name, 0, "retryable")
                fleet.pass_time(30)
        case "gate":
            fleet.decide(name, NAMES[number], "continue")
        case "order" if chance.random() < 0.4:
            fleet.command(name, chance.choice(["terminate", "rollback"]))
        case "still" if number < len(fleet.members[name].workflow.steps):
            fleet.command(name, chance.choice(["suspend", "resume"]), NAMES[number])
        case "hold":
            fleet.fact(name, held=chance.choice(["", "holiday"]))
        case "leave" if chance.random() < 0.2:
            fleet.fact(name, **chance.choice([{"newer": "web-v2"}, {"removed": True}]))
        case "crash" if chance.random() < 0.5:
            fleet.crash()
        case "die" if chance.random() < 0.5:
            fleet.look(name, dies="stored")


def walk(seed):
    """A script by chance alone: many more of them fit into a second than Hypothesis tries, but it shrinks none."""
    chance = random.Random(seed)
    fleet = Fleet(chance.choice(["FIFO", "FAIR"]), chance.randint(1, 3), chance.choice([0.0, 0.0, 1.0, 3.0]))
    for number in range(chance.choice([1, 1, 6])):
        fleet.add(f"w{number}", _random_flow(chance), chance.choice(["", "a", "a", "b"]))
    answers = ["ok"] * chance.choice([2, 8, 20]) + ["retryable", "retryable", "not ready", "final"]
    for _ in range(chance.choice([8, 20, 40])):
        _happen(fleet, chance, answers)
    fleet.finish()


class Engine(RuleBasedStateMachine):
    """Runs are added, and everything that can happen to them happens in any order."""

    runs = Bundle("runs")

    @initialize(strategy=st.sampled_from(["FIFO", "FAIR"]), limit=st.integers(1, 3), rate=st.sampled_from([0.0, 0.0, 1.0, 3.0]))
    def begin(self, strategy, limit, rate):
        self.fleet = Fleet(strategy, limit, rate)

    @rule(target=runs, flow=workflows(), queue=st.sampled_from(["", "a", "a", "b", "c"]))
    def add(self, flow, queue):
        if len(self.fleet.members) >= MOST:
            return multiple()
        name = f"w{len(self.fleet.members)}"
        self.fleet.add(name, flow, queue)
        return name

    @rule(target=runs, queues=st.lists(st.sampled_from("aaab"), min_size=3, max_size=6))
    def add_short_ones(self, queues):
        """Runs of one step, more than there are places."""
        names = [f"w{len(self.fleet.members) + number}" for number in range(min(len(queues), MOST - len(self.fleet.members)))]
        for name, queue in zip(names, queues, strict=False):
            self.fleet.add(name, workflow(step("s0")), queue)
        return multiple(*names)

    @rule(name=runs, times=st.integers(1, 5))
    def fail_again_and_again(self, name, times):
        for _ in range(times):
            self.fleet.answer(name, 0, "retryable")
            self.fleet.pass_time(30)

    @rule(name=runs, number=st.integers(0, 5), kind=ANSWERS)
    def answer(self, name, number, kind):
        self.fleet.answer(name, number, kind)

    @rule(number=st.integers(0, 5), kind=ANSWERS)
    def answer_all(self, number, kind):
        for name in list(self.fleet.members):
            self.fleet.answer(name, number, kind)

    @rule(seconds=st.sampled_from([1, 5, 10, 30, 100]))
    def wait(self, seconds):
        self.fleet.pass_time(seconds)

    @rule(name=runs)
    def look(self, name):
        self.fleet.look(name)

    @rule(name=runs, number=st.integers(0, 5))
    def open_gate(self, name, number):
        self.fleet.decide(name, NAMES[number], "continue")

    @rule(name=runs, verb=st.sampled_from(["rollback", "end"]))
    def stop(self, name, verb):
        self.fleet.decide(name, "run", verb)

    @rule(name=runs, verb=st.sampled_from(["terminate", "rollback"]))
    def order(self, name, verb):
        self.fleet.command(name, verb)

    @rule(name=runs, verb=st.sampled_from(["suspend", "resume"]), number=st.integers(0, 5))
    def stand_still(self, name, verb, number):
        if number < len(self.fleet.members[name].workflow.steps):
            self.fleet.command(name, verb, NAMES[number])

    @rule(name=runs, held=st.sampled_from(["", "holiday"]))
    def hold(self, name, held):
        self.fleet.fact(name, held=held)

    @rule(name=runs, fact=st.sampled_from(["newer", "removed"]))
    def leave(self, name, fact):
        self.fleet.fact(name, **{fact: "web-v2" if fact == "newer" else True})

    @rule()
    def crash(self):
        self.fleet.crash()

    @precondition(lambda self: self.fleet.members)
    @rule(name=runs)
    def crash_in_a_turn(self, name):
        self.fleet.look(name, dies="stored")

    def teardown(self):
        if hasattr(self, "fleet"):
            self.fleet.finish()


def test_rule_9_the_engine_keeps_its_promises_under_any_order_of_events():
    run_state_machine_as_test(Engine, settings=BUDGET)


@pytest.mark.parametrize("part", range(2))
def test_rule_9_the_engine_keeps_its_promises_on_many_walks(part):
    for seed in range(part, 200 * PROOF, 2):
        try:
            walk(seed)
        except AssertionError as broken:
            raise AssertionError(f"walk({seed}): {broken}") from broken


# A proof is worth what it catches: each of these bugs is planted, and the promise that it breaks has to be named.


def _runs_beside(patch):
    """A step that has begun counts as one that is over."""
    met = ordering._is_met
    patch.setattr(ordering, "_is_met", lambda state, need: met(state, need) or (state is not None and state.phase is RunPhase.RUNNING))


def _one_key_for_all_attempts(patch):
    patch.setattr(turn, "Intent", lambda key, **more: Intent(key=key.rpartition("/")[0] + "/0", **more))


def _one_key_for_all_steps(patch):
    patch.setattr(turn, "Intent", lambda key, **more: Intent(key="/".join(key.split("/")[:2]), **more))


def _parameters_that_change(patch):
    """An effect that holds the time, and a machine that does not compare."""
    next_of = PluginStep.next

    def next_with_time(self, call, results, seen, now):
        answer = next_of(self, call, results, seen, now)
        timed = (
            {path: Effect(effect.kind, {**effect.params, "now": str(now)}) for path, effect in answer.effects.items()}
            if isinstance(answer, Do)
            else {}
        )
        return Do(timed) if timed else answer

    patch.setattr(PluginStep, "next", next_with_time)
    patch.setattr(turn, "digest", lambda _: "")


def _undoes_all_at_once(patch):
    patch.setattr(compensating, "_free", lambda _, standing: [state for state in standing if not state.undo_error])


def _undoes_what_was_never_done(patch):
    patch.setattr(StepState, "touched", True)


def _leaves_one_standing(patch):
    standing = compensating._standing
    patch.setattr(compensating, "_standing", lambda now: standing(now)[1:])


def _does_not_hear_that_it_is_ended(patch):
    verdict = stopping._verdict
    patch.setattr(stopping, "_verdict", lambda now: found if (found := verdict(now)) and found.verb == "rollback" else None)


def _undoes_on_when_it_is_ended(patch):
    patch.setattr(compensating, "_give_up", lambda now: None)


def _admits_one_too_many(patch):
    begin = lines.Line.__init__
    patch.setattr(lines.Line, "__init__", lambda self, strategy, limit: begin(self, strategy, limit + 1))


def _starts_more_than_the_rate(patch):
    begin = throttle.Bucket.__init__
    patch.setattr(throttle.Bucket, "__init__", lambda self, rate, now: begin(self, 2 * rate, now))


def _serves_who_came_first(patch):
    begin = lines.Line.__init__
    patch.setattr(lines.Line, "__init__", lambda self, strategy, limit: begin(self, "FIFO", limit))


def _never_wakes(patch):
    patch.setattr(turn.Turn, "wake_at", lambda self, when: None)


def _forgets_what_was_under_way(patch):
    patch.setattr(turn.Turn, "again_unresolved", lambda self: None)


def _tries_again_at_once(patch):
    patch.setattr(turn, "pause_before", lambda retry, failures, key: None if pause_before(retry, failures, key) is None else 0.0)


def _tries_for_ever(patch):
    patch.setattr(turn, "pause_before", lambda retry, failures, key: retry.period)


def _succeeds_too_early(patch):
    finish = turn.Turn.finish

    def finish_early(self, phase, reason, message):
        finish(self, *((RunPhase.SUCCEEDED, "Succeeded", "") if phase is RunPhase.FAILED else (phase, reason, message)))

    patch.setattr(turn.Turn, "finish", finish_early)


BUGS = [
    ("ORDER", _runs_beside),
    ("KEY", _one_key_for_all_attempts),
    ("KEY", _one_key_for_all_steps),
    ("KEY", _parameters_that_change),
    ("UNDO", _undoes_all_at_once),
    ("UNDO", _undoes_what_was_never_done),
    ("END", _leaves_one_standing),
    ("END", _does_not_hear_that_it_is_ended),
    ("END|WAIT", _undoes_on_when_it_is_ended),
    ("END", _succeeds_too_early),
    ("LIMIT", _admits_one_too_many),
    ("RATE", _starts_more_than_the_rate),
    ("FAIR", _serves_who_came_first),
    ("WAIT", _never_wakes),
    ("WAIT|END", _forgets_what_was_under_way),
    ("RETRY", _tries_again_at_once),
    ("RETRY", _tries_for_ever),
]


@pytest.mark.parametrize(("promise", "bug"), BUGS, ids=[bug.__name__.strip("_") for _, bug in BUGS])
def test_each_planted_bug_is_caught_and_its_promise_named(monkeypatch, promise, bug):
    bug(monkeypatch)
    for seed in range(400):
        try:
            walk(seed)
        except AssertionError as broken:
            if re.match(promise, str(broken)):
                return
    pytest.fail("nobody noticed")

"""The machine under any order of events keeps its rules, and a crash after any stored step changes nothing (rules 2, 3d, 4c, 6, 7a, 9a)."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.application import Input, Output, Step, Workflow
from reconciler.model.outcome import Health, Result
from reconciler.model.run import Command, Decision, Phase, Run
from reconciler.steps.catalog import STEP_TYPES
from reconciler.workflow.commands import Needless, Refused, obey
from reconciler.workflow.facts import Facts
from reconciler.workflow.machine import Machine, open_steps

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
MACHINE = Machine(STEP_TYPES)
OBJECT = {"ref": "v1|ConfigMap|shop|settings", "uid": "u"}
VALUE = {"component": "web", "objects": [OBJECT], "connection": {"host": "web.shop"}}


class Event(NamedTuple):
    """What happens before a look: `kind` and its argument; `seconds` go by."""

    kind: str
    what: object
    seconds: int


@st.composite
def steps(draw):
    """A valid workflow of up to five steps; the first one's output may be an input of later ones."""
    found = []
    for number in range(draw(st.integers(1, 5))):
        name = f"s{number}"
        after = draw(st.lists(st.sampled_from([step.name for step in found]), unique=True, max_size=2)) if found else []
        kind = draw(st.sampled_from(["apply-object", "deploy", "apply-object", "deploy", "suspend", "timer", "rollout-promotion", "gated"]))
        inputs = (
            [Input("conn.host", "properties.host")]
            if found and found[0].outputs and kind in ("apply-object", "deploy") and draw(st.booleans())
            else []
        )
        outputs = [Output("conn", "connection")] if number == 0 and kind in ("apply-object", "deploy", "gated") else []
        properties = {"timer": {"duration": "30s"}, "gated": {"auto": False}, "apply-object": {"value": {}}}.get(kind, {})
        components = {"apply-object": [name], "deploy": [f"{name}a", f"{name}b"], "gated": [name]}.get(kind, [])
        real = {"timer": "suspend", "gated": "deploy"}.get(kind, kind)
        found.append(Step(name, real, name, True, properties, components, after, inputs, outputs))
    return found


WORKFLOWS = st.builds(Workflow, st.sampled_from(["StepByStep", "DAG"]), steps())
GATE_KEYS = st.sampled_from(["s0", "s1", "s2", "s3", "s4", "workflow-changed"])
SECONDS = st.integers(0, 90)
RESULTS = st.builds(Event, st.just("result"), st.sampled_from(["ok", "ok", "ok", "backoff", "terminal"]), SECONDS)
CONTINUES = st.builds(Event, st.just("continue"), GATE_KEYS, SECONDS)
LOOKS = st.builds(Event, st.just("look"), st.none(), SECONDS)
HEALTH = st.builds(Event, st.just("health"), st.sampled_from(["Healthy", "Progressing", "Degraded"]), SECONDS)
SETTINGS = st.one_of(
    st.builds(Event, st.just("held"), st.sampled_from(["", "", "holiday"]), SECONDS),
    st.builds(Event, st.just("newer"), st.sampled_from(["", "", "web-v3"]), SECONDS),
    st.builds(Event, st.just("patient"), st.booleans(), SECONDS),
    st.builds(Event, st.just("target"), st.sampled_from(["", "web-v1"]), SECONDS),
    st.builds(Event, st.just("time"), st.none(), st.integers(-60, 700)),
)
STOPS = st.one_of(
    st.builds(Event, st.sampled_from(["rollback", "rollback", "end"]), GATE_KEYS | st.just("run"), SECONDS),
    st.builds(Event, st.just("restored"), st.sampled_from(["Succeeded", "Failed"]), SECONDS),
    st.builds(Event, st.just("removed"), st.none(), SECONDS),
)
VERBS = st.sampled_from(["suspend", "suspend", "resume", "resume", "retry", "retry", "restart", "terminate", "rollback"])
COMMANDS = st.builds(Event, VERBS.map(lambda verb: f"order {verb}"), st.sampled_from(["", "s0", "s1", "s2", "s3"]), SECONDS)
# A run should come some way before it is stopped: what carries it on is drawn more often.
EVENTS = st.sampled_from([RESULTS] * 6 + [CONTINUES] * 4 + [LOOKS] * 3 + [HEALTH] * 2 + [SETTINGS] * 2 + [COMMANDS] * 2 + [STOPS]).flatmap(
    lambda kind: kind
)
SCRIPTS = st.lists(EVENTS, min_size=5, max_size=40)
IMPLICIT = st.sampled_from([[], [], ["workflow-changed"]])
KINDS = st.sampled_from(["deploy", "deploy", "restore"])


class World:
    """All that a run meets. `crash`: whether the run that a look gave is forgotten before anything acts on it."""

    def __init__(self, workflow, implicit, kind):
        self.workflow = workflow
        self.run = Run("web-v2-1", "shop/web", "web-v2", "digest", owner="uid", kind=kind, implicit=implicit if kind == "deploy" else [])
        self.run.steps = open_steps(workflow, self.run.implicit)
        self.now, self.answer = START, None
        self.facts = {"target": "web-v1", "looked_at": START}
        self.results, self.health = {}, "Healthy"

    def take(self, event):
        """What the event changes in the facts. A result is for the oldest effect under way."""
        self.now += timedelta(seconds=event.seconds)
        self.facts["decisions"] = ()
        match event.kind:
            case "result" if self.answer is not None and self.answer.orders:
                failure = {} if event.what == "ok" else {"error": "no", "reason": "Conflict", "retry": event.what}
                self.results[self.answer.orders[0].key] = Result(value=VALUE, at=self.now, **failure)
            case "continue" | "rollback" | "end":
                self.facts["decisions"] = (Decision(event.what, event.kind, f"{event.what}={event.kind}", self.now),)
            case "look":
                self.facts["looked_at"] = self.now
            case "health":
                self.health = event.what
            case "removed":
                self.facts["removed"] = True
            case "held" | "newer" | "patient" | "target":
                self.facts[event.kind] = event.what
            case str(kind) if kind.startswith("order "):
                self.order(kind.removeprefix("order "), event.what)
            case "restored" if self.run.phase is Phase.ROLLING_BACK:
                self.facts["restored"] = event.what

    def order(self, verb, step):
        """A person's command; one that is refused changes nothing."""
        command = Command(verb, self.now, "Ada", "because", self.run.name, step if verb not in ("terminate", "rollback") else "")
        item = {"terminate": "end", "rollback": "rollback"}.get(verb)
        try:
            self.run = through_json(obey(self.run, self.workflow, command, f"run={item}@{self.run.round}" if item else "", self.now))
        except (Refused, Needless):
            return

    def ask(self, run):
        """The engine's look: queries are answered until there are no new ones."""
        seen = {}
        while True:
            answer = MACHINE.advance(run, self.workflow, Facts(results=self.results, seen=seen, **self.facts), self.now)
            new = answer.queries - seen.keys()
            if not new:
                return answer
            assert all(isinstance(query, Health) for query in new)
            seen |= {query: {"status": self.health, "message": ""} for query in new}

    def look(self):
        """Stores what comes of a look, by way of JSON as the store does."""
        self.answer = self.ask(self.run)
        self.run = through_json(self.answer.run)


def through_json(run):
    return msgspec.json.decode(msgspec.json.encode(run), type=Run)


def played(workflow, implicit, kind, script):
    """Each look of a script: (event, run before, world after)."""
    world = World(workflow, implicit, kind)
    for event in script:
        world.take(event)
        before = world.run
        world.look()
        yield event, before, world


def before_of(world, key):
    """The steps that have to be over before that one begins, by the words of the workflow."""
    gates = [state for state in world.run.steps if state.key in world.run.implicit]
    specs = world.workflow.steps
    position = next((number for number, spec in enumerate(specs) if spec.key == key), None)
    if position is None:
        return gates[: [state.key for state in gates].index(key)]
    names = {spec.name for spec in specs[:position]} if world.workflow.mode == "StepByStep" else set(specs[position].depends_on)
    return gates + [state for state in world.run.steps if state.name in names]


PLAYS = (WORKFLOWS, IMPLICIT, KINDS, SCRIPTS)


@given(*PLAYS)
def test_a_final_run_never_changes(workflow, implicit, kind, script):
    for _, before, world in played(workflow, implicit, kind, script):
        if before.phase.final:
            assert world.run == before
            assert (world.answer.orders, world.answer.queries, world.answer.wake) == ([], frozenset(), None)


@given(*PLAYS)
def test_a_final_run_has_only_final_steps_and_says_why(workflow, implicit, kind, script):
    for _, _, world in played(workflow, implicit, kind, script):
        if world.run.phase.final:
            assert all(state.phase.final for state in world.run.steps)
            assert world.run.reason
            assert world.run.finished_at is not None


@given(*PLAYS)
def test_rule_4c_a_decision_is_used_once_and_never_forgotten(workflow, implicit, kind, script):
    for _, before, world in played(workflow, implicit, kind, script):
        used = [(item.gate, item.value) for item in world.run.decisions]
        assert len(used) == len(set(used))
        assert world.run.decisions[: len(before.decisions)] == before.decisions


@given(*PLAYS)
def test_nothing_is_ordered_for_a_step_whose_predecessors_have_not_succeeded(workflow, implicit, kind, script):
    for _, _, world in played(workflow, implicit, kind, script):
        for order in world.answer.orders:
            assert all(state.phase is Phase.SUCCEEDED for state in before_of(world, order.step))
        for state in world.run.steps:
            if state.phase is Phase.SUCCEEDED or state.intents:
                assert all(other.phase is Phase.SUCCEEDED for other in before_of(world, state.key))


@given(*PLAYS)
def test_no_gate_opens_without_a_decision_but_in_a_restore_run(workflow, implicit, kind, script):
    for _, _, world in played(workflow, implicit, kind, script):
        rounds = {state.key: state.round for state in world.run.steps}
        opened = {item.gate for item in world.run.decisions if item.verb == "continue" and item.round == rounds.get(item.gate)}
        types = {spec.key: (spec.type, spec.properties.get("auto")) for spec in workflow.steps}
        after = dict(zip([spec.key for spec in workflow.steps], [spec.key for spec in workflow.steps[1:]], strict=False))
        for state in world.run.steps:
            is_gate = types.get(state.key, ("suspend", None)) in {("suspend", None), ("rollout-promotion", None), ("deploy", False)}
            if is_gate and kind == "deploy" and (state.phase is Phase.SUCCEEDED or state.intents):
                assert state.key in opened or after.get(state.key) in opened


@given(*PLAYS)
def test_rule_6a_nothing_begins_after_a_stop_or_while_suspended(workflow, implicit, kind, script):
    for _, before, world in played(workflow, implicit, kind, script):
        stopped = any(item.verb != "continue" for item in world.run.decisions[world.run.answered :]) or world.facts.get("removed")
        if stopped or world.run.suspended_at:
            began = {intent.key for state in before.steps for intent in state.intents.values()}
            assert {intent.key for state in world.run.steps for intent in state.intents.values()} <= began
            assert {order.key for order in world.answer.orders} <= began


@given(*PLAYS)
def test_rule_3d_orders_are_the_stored_intents_without_a_result(workflow, implicit, kind, script):
    for _, _, world in played(workflow, implicit, kind, script):
        keys = [order.key for order in world.answer.orders]
        assert len(keys) == len(set(keys))
        for order in world.answer.orders:
            state = world.run.step(order.step)
            assert state.intents[order.path].key == order.key
            assert order.path not in state.results
        open_keys = {intent.key for state in world.run.steps for path, intent in state.intents.items() if path not in state.results}
        assert world.run.phase.final or open_keys == set(keys), "what is under way is asked for until its result is there"


@given(*PLAYS)
def test_rule_3d_a_result_never_stands_without_its_intent(workflow, implicit, kind, script):
    for _, _, world in played(workflow, implicit, kind, script):
        for state in world.run.steps:
            assert state.results.keys() <= state.intents.keys()


@given(*PLAYS)
def test_rule_9a_a_key_is_never_given_twice_and_an_attempt_grows_by_one_on_a_failure(workflow, implicit, kind, script):
    keys = {}
    for event, before, world in played(workflow, implicit, kind, script):
        for state in world.run.steps:
            for path, intent in state.intents.items():
                assert keys.setdefault(intent.key, (state.key, path, intent.at)) == (state.key, path, intent.at)
            grown = state.attempt - before.step(state.key).attempt
            assert grown == 0 or (grown == 1 and event.kind == "result" and event.what == "backoff") or world.run.step(state.key).reason == "Conflict"


@given(*PLAYS)
def test_rule_7a_only_a_rollback_owes_a_commit_and_a_restore_run_never_does(workflow, implicit, kind, script):
    for _, _, world in played(workflow, implicit, kind, script):
        rolled_back = any(item.verb == "rollback" for item in world.run.decisions)
        if world.run.write_back is not None:
            assert rolled_back
            assert kind == "deploy"
            assert world.run.restore_target == world.run.write_back.target == "web-v1"
        assert world.run.phase is not Phase.ROLLING_BACK or world.run.write_back is not None


@given(*PLAYS)
def test_rule_2_asking_again_with_the_same_facts_changes_nothing_and_asks_for_the_same(workflow, implicit, kind, script):
    for _, before, world in played(workflow, implicit, kind, script):
        answer = world.answer
        assert world.ask(before) == answer, "the same question has the same answer"
        again = world.ask(answer.run)
        assert again.run == answer.run
        assert (again.orders, again.queries, again.wake) == (answer.orders, answer.queries, answer.wake)
        assert world.ask(world.run) == again, "and so it has after the store"


@given(*PLAYS)
def test_a_suspended_step_begins_nothing(workflow, implicit, kind, script):
    for _, before, world in played(workflow, implicit, kind, script):
        for state in world.run.steps:
            if before.step(state.key).suspended_at is not None:
                assert state.intents.keys() <= before.step(state.key).intents.keys()
                assert state.phase is before.step(state.key).phase or state.phase.final or world.run.phase is Phase.ROLLING_BACK


@given(*PLAYS)
def test_terminate_ends_a_run_wherever_it_is_as_soon_as_what_is_in_flight_has_its_results(workflow, implicit, kind, script):
    *_, (_, _, world) = played(workflow, implicit, kind, script)
    world.order("terminate", "")
    world.look()
    in_flight = {order.key for order in world.answer.orders}
    world.results |= {key: Result(value=VALUE, at=world.now) for key in in_flight}
    world.look()
    assert world.run.phase.final


@given(*PLAYS, st.data())
def test_rule_2_a_crash_after_any_stored_step_gives_the_same_result(workflow, implicit, kind, script, data):
    """
    A crash loses the results that were not stored yet; effects that were ordered and not recorded are carried out again under
    the same key, which gives the same result. In the end everything is as without the crash, but for when it was.
    """
    script = [*script, *[Event("result", "ok", 1)] * 40]
    plain, crashed = World(workflow, implicit, kind), World(workflow, implicit, kind)
    crashes = data.draw(st.sets(st.integers(0, len(script) - 1), max_size=4))
    for number, event in enumerate(script):
        for world in (plain, crashed):
            world.take(event)
            world.look()
        if number in crashes:
            crashed.answer = None
            crashed.results = {}
            crashed.run = through_json(crashed.run)
            crashed.look()
        assert crashed.run == plain.run

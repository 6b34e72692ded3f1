"""Contexts of steps: what they begin with, what people put in, and what a step that calls the run off does (research B2, B4)."""

import msgspec
import pytest

from reconciler.model.application import Step, Workflow
from reconciler.model.outcome import Done
from reconciler.model.run import Phase
from reconciler.steps.catalog import STEP_TYPES
from reconciler.workflow.contexts import ContextError, compose, put_context
from reconciler.workflow.resetting import reset
from tests.unit.workflow.machines import START, SUCCEEDED, Driver, apply, decision, step


class Sharing:
    """A custom step type that hands on what its property `shares` says, and keeps the context that it was told."""

    name, params, required = "sharing", {}, ()

    def __init__(self):
        self.told = {}

    def next(self, call, results, seen, now):
        self.told[call.step] = dict(call.attributes)
        return Done(attributes=call.properties.get("shares", {}))


def driver(*steps, parameters=None, mode="StepByStep", **run):
    sharing = Sharing()
    found = Driver(*steps, mode=mode, types={**STEP_TYPES, "sharing": sharing}, **run)
    found.workflow = Workflow(mode, list(steps), parameters=parameters or {}, contexts=True)
    found.told = sharing.told
    return found


def sharing(name, after=(), **shares):
    return step(name, "sharing", after=after, shares=shares)


def put(found, **values):
    given = put_context(found.run, found.workflow, values, found.now)
    found.run = given.run
    return given.verb


def snapshot(found, name):
    index = found.state(name).context
    return None if index is None else found.run.snapshots[index]


def test_a_step_begins_with_the_workflows_context_and_what_the_steps_before_it_left():
    found = driver(sharing("a", x=1, y=1), sharing("b", y=2), sharing("c"), parameters={"w": 0, "y": 0}).look()
    assert found.ended == SUCCEEDED
    assert found.told == {"a": {"w": 0, "y": 0}, "b": {"w": 0, "x": 1, "y": 1}, "c": {"w": 0, "x": 1, "y": 2}}
    assert [snapshot(found, name) for name in "abc"] == list(found.told.values())


def test_what_a_step_begins_with_is_stored_with_the_phase_that_says_that_it_began():
    found = driver(apply("a"), parameters={"w": 1}).look()
    assert (found.state("a").phase, snapshot(found, "a")) == (Phase.RUNNING, {"w": 1})
    assert snapshot(driver(step("gate"), apply("b")).look(), "b") is None


def test_equal_contexts_are_kept_once_and_true_is_not_one():
    found = driver(sharing("a"), sharing("b", x=1), sharing("c", x=True), sharing("d")).look()
    assert found.run.snapshots == [{}, {"x": 1}, {"x": True}]
    assert [found.state(name).context for name in "abcd"] == [0, 0, 1, 2]


def test_in_a_dag_a_step_inherits_from_those_that_it_waits_for_and_from_no_other():
    found = driver(sharing("a", x=1), sharing("b", y=1), sharing("c", ["a"]), sharing("d", ["a", "b"]), mode="DAG").look()
    assert (found.told["c"], found.told["d"]) == ({"x": 1}, {"x": 1, "y": 1})


def test_a_context_of_many_ways_is_composed_in_a_time_that_does_not_double_with_each():
    layers = [[f"{layer}-{side}" for side in "ab"] for layer in range(60)]
    steps = [sharing(name, layers[layer - 1] if layer else ()) for layer, names in enumerate(layers) for name in names]
    found = driver(*steps, mode="DAG", parameters={"w": 1})
    assert compose(found.run, found.workflow, found.state("59-a")) == {"w": 1}


def test_a_context_that_grows_too_large_fails_the_step_that_would_begin_with_it():
    found = driver(sharing("a", x="y" * 15_000), sharing("b", z="y" * 1_000), sharing("c"), parameters={"w": "y" * 1_000}).look()
    assert (found.run.phase, found.run.reason) == (Phase.FAILED, "ContextTooLarge")
    assert "10002: a step's context is at most 16384 bytes" in found.run.message
    assert "c" not in found.told


def test_the_contexts_of_a_run_have_a_limit_together():
    found = driver(*(sharing(f"s{number}", x=number) for number in range(12)), parameters={"w": "y" * 12_000}).look()
    assert (found.run.phase, found.run.reason) == (Phase.FAILED, "ContextTooLarge")
    assert "the contexts of a run are at most 131072 bytes together" in found.run.message
    assert len(found.run.snapshots) == 10


def test_a_gate_hands_on_no_decision_whoever_made_one_up():
    found = driver(sharing("a", continueRollout=True, rollback=False, x=1), step("gate", "rollout-promotion"), sharing("b")).look()
    assert found.state("gate").phase is Phase.WAITING, "no step decides for a person"
    found.decide(decision("continue", "gate"), seconds=1)
    assert found.told["b"] == {"x": 1}


# What a person puts in ---------------------------------------------------------------------------------------------------


def test_what_a_person_puts_in_reaches_all_steps_that_have_not_begun_and_no_other():
    found = driver(sharing("a", x=1), step("gate"), sharing("b"), sharing("c"), parameters={"w": 0}).look()
    put(found, x=9, new=True)
    assert snapshot(found, "gate") == {"w": 0, "x": 1}
    found.decide(decision("continue", "gate"), seconds=1)
    assert found.told["b"] == found.told["c"] == {"w": 0, "x": 9, "new": True}


def test_the_last_of_two_values_that_people_put_in_counts():
    found = driver(step("gate"), sharing("b")).look()
    put(found, x=1, y=1)
    put(found, x=2)
    found.decide(decision("continue", "gate"), seconds=1)
    assert found.told["b"] == {"x": 2, "y": 1}


@pytest.mark.parametrize(
    ("values", "verb"),
    [((True, False), "continue"), ((False, True), "rollback"), ((False, False), "end")],
)
def test_the_pair_of_keys_is_a_decision_and_no_data(values, verb):
    found = driver(step("gate"), sharing("b")).look()
    assert put(found, continueRollout=values[0], rollback=values[1]) == verb
    assert found.run.given == []
    assert found.state("gate").phase is Phase.WAITING, "it still needs its commit"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "10002: the context must not be empty"),
        ({"continueRollout": True, "p": False}, "10002: continueRollout and rollback must both be set: rollback is missing; what is p?"),
        ({"rollback": True}, "continueRollout is missing"),
        ({"rolback": True}, "unknown key rolback; did you mean rollback?"),
        ({"continueRollout": True, "rollback": True}, "10002: continueRollout must be false if rollback is true"),
        ({"continueRollout": "true", "rollback": False}, "must be true or false"),
        ({"continueRollout": 1, "rollback": 0}, "must be true or false"),
        ({"_internal_quiet_mode": True}, "_internal_quiet_mode is the machine's own"),
        ({"_internal_deliver_parameters": {"a": 1}}, "_internal_deliver_parameters is the machine's own"),
        ({"x": "y" * 17_000}, "at most 16384 bytes"),
    ],
)
def test_what_can_not_be_put_in_is_refused_and_changes_nothing(values, message):
    found = driver(step("gate"), sharing("b")).look()
    before = msgspec.json.encode(found.run)
    with pytest.raises(ContextError, match=message.replace("?", r"\?").replace(".", r"\.")):
        put(found, **values)
    assert msgspec.json.encode(found.run) == before


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.final or phase is Phase.ROLLING_BACK])
def test_a_run_that_has_ended_takes_no_context(phase):
    found = driver(step("gate"))
    found.run.phase = phase
    with pytest.raises(ContextError, match="has ended"):
        put(found, x=1)


def test_a_workflow_without_contexts_takes_none():
    with pytest.raises(ContextError, match="have no context"):
        put_context(Driver(step("gate")).look().run, Workflow("StepByStep", [step("gate")]), {"x": 1}, START)


# Calling it off ----------------------------------------------------------------------------------------------------------

CANCELED = {"_internal_cancel_execution": True}


@pytest.mark.parametrize("kind", ["apply-components", "deploy", "remoteDeploy", "suspend", "rollout-promotion", "sharing"])
def test_a_run_that_is_called_off_ends_before_its_next_step_of_whatever_type(kind):
    found = driver(sharing("a", **CANCELED, _internal_cancel_execution_reason="the window\nis over"), Step("b", kind, "b"), sharing("c")).look()
    assert (found.run.phase, found.run.reason) == (Phase.TERMINATED, "Ended")
    assert found.run.message == "the window\\nis over: nothing more is applied, what is applied stays"
    assert found.phases == ["Succeeded", "Skipped", "Skipped"]
    assert found.ordered == []
    assert found.look(5).run.phase is Phase.TERMINATED


def test_a_person_calls_it_off_without_a_reason():
    found = driver(step("gate"), apply("b")).look()
    put(found, **CANCELED)
    found.decide(decision("continue", "gate"), seconds=1)
    assert found.run.message.startswith("canceled by user")
    assert found.ordered == []


def test_a_run_that_is_called_off_waits_for_what_is_under_way_and_begins_nothing_more():
    found = driver(apply("slow"), sharing("a", **CANCELED), sharing("b", ["a"]), sharing("c", ["slow"]), mode="DAG").look()
    assert (found.run.phase, found.ordered) == (Phase.RUNNING, ["slow"])
    found.look(5)
    assert found.run.phase is Phase.RUNNING
    found.finish("slow")
    assert (found.run.phase, found.told.keys()) == (Phase.TERMINATED, {"a"})


# Beginning again ---------------------------------------------------------------------------------------------------------


def ended():
    """Ended: what was given before `b` began, and what was given after that, before `d`."""
    found = driver(sharing("a", x=1), step("g1"), sharing("b"), step("g2"), sharing("d"), parameters={"w": 0}).look()
    put(found, x=2)
    found.decide(decision("continue", "g1"), seconds=1)
    found.look(1)
    put(found, late=True)
    found.decide(decision("continue", "g2"), seconds=1)
    assert found.ended == SUCCEEDED
    assert found.told["d"] == {"w": 0, "x": 2, "late": True}
    found.told.clear()
    return found


def again(found, start=""):
    found.run = reset(found.run, found.workflow, start)
    return found.look(1)


def test_a_retry_begins_with_the_workflows_own_context_and_forgets_what_people_put_in():
    found = again(ended())
    found.decide(decision("continue", "g1", "again"), seconds=1)
    assert found.told == {"a": {"w": 0}, "b": {"w": 0, "x": 1}}
    assert found.run.given == []


def test_a_retry_from_a_step_begins_with_what_was_kept_for_it_and_forgets_what_came_later():
    found = again(ended(), "b")
    found.decide(decision("continue", "g2", "again"), seconds=1)
    assert found.told == {"b": {"w": 0, "x": 2}, "d": {"w": 0, "x": 2}}


def test_what_no_step_began_with_any_more_is_not_kept():
    found = ended()
    assert found.run.snapshots == [{"w": 0}, {"w": 0, "x": 1}, {"w": 0, "x": 2}, {"w": 0, "x": 2, "late": True}]
    from_b = reset(found.run, found.workflow, "b")
    assert [from_b.snapshots, [step.context for step in from_b.steps]] == [
        [{"w": 0}, {"w": 0, "x": 1}, {"w": 0, "x": 2}],
        [0, 1, 2, None, None],
    ]
    assert reset(found.run, found.workflow).snapshots == []


def test_a_retry_from_a_gate_begins_with_what_was_kept_for_it_and_not_with_what_was_given_while_it_waited():
    found = driver(step("gate"), sharing("b")).look()
    put(found, x=2)
    assert snapshot(found, "gate") == {}
    found.decide(decision("end", "gate"))
    assert found.run.phase is Phase.TERMINATED
    again(found, "gate")
    assert snapshot(found, "gate") == {}


def test_outputs_read_the_context_and_what_was_delivered_before():
    reading = {"outputs": [("weight", "canary.weight"), ("host", "connection.host"), ("earlier", "_internal_deliver_parameters.host"), ("no", "x.y")]}
    found = driver(apply("a", outputs=[("host", "connection.host")]), apply("b", **reading), parameters={"canary": {"weight": 5}}).look()
    found.finish(value={"connection": {"host": "h1"}}).finish(value={"connection": {"host": "h2"}})
    assert found.state("b").outputs == {"weight": 5, "host": "h2", "earlier": "h1", "no": None}


def test_a_gate_of_a_workflow_with_contexts_can_hand_on_what_was_known_when_it_began():
    found = driver(step("gate", outputs=[("weight", "weight")]), parameters={"weight": 7}).look()
    assert found.decide(decision("continue", "gate"), seconds=1).state("gate").outputs == {"weight": 7}

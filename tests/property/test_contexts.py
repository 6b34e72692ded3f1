"""Contexts against a plain reading of what they are, over random workflows, shared values, decisions and what people put in."""

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.run import Phase
from tests.unit.workflow.machines import decision, step
from tests.unit.workflow.test_contexts import again, driver, put, sharing, snapshot

KEYS = st.sampled_from("abc")
VALUES = st.dictionaries(KEYS, st.integers(0, 9), max_size=2)


@st.composite
def workflows(draw):
    """(mode, steps as (name, is gate, shares, names that it waits for))."""
    mode = draw(st.sampled_from(["StepByStep", "DAG"]))
    steps = []
    for number in range(draw(st.integers(1, 6))):
        names = [name for name, *_ in steps]
        after = draw(st.lists(st.sampled_from(names), unique=True, max_size=2)) if names and mode == "DAG" else []
        gate = draw(st.booleans())
        steps.append((f"s{number}", gate, {} if gate else draw(VALUES), sorted(after)))
    return mode, steps


class Reading:
    """What each step begins with, by the words of docs/manifests.md."""

    def __init__(self, mode, steps, parameters):
        self.parents = {name: after for name, _, _, after in steps}
        if mode == "StepByStep":
            names = [name for name, *_ in steps]
            self.parents = dict(zip(names, [[], *([name] for name in names)], strict=False))
        self.shares = {name: shares for name, _, shares, _ in steps}
        self.parameters, self.begun, self.known = parameters, {}, {}

    def begin(self, name, given):
        context = dict(self.parameters)
        for parent in self.parents[name]:
            context.update(self.begun[parent])
            context.update(self.shares[parent])
        for values in given:
            context.update(values)
        self.begun[name], self.known[name] = context, len(given)


def follow(found, reading, given):
    """Reads what began in this look."""
    for state in found.run.steps:
        if state.context is not None and state.key not in reading.begun:
            reading.begin(state.key, given)
        if state.context is not None:
            assert snapshot(found, state.key) == reading.begun[state.key], state.key


@settings(max_examples=60, deadline=None)
@given(workflows(), VALUES, st.lists(VALUES, min_size=8, max_size=8), st.integers(0, 5), st.booleans())
def test_a_step_begins_with_its_workflows_context_its_parents_and_what_people_gave_also_when_it_begins_again(found, parameters, puts, place, whole):
    mode, steps = found
    written = [step(name, "suspend", after=after) if gate else sharing(name, after, **shares) for name, gate, shares, after in steps]
    run, reading, given_ = driver(*written, mode=mode, parameters=parameters), Reading(mode, steps, parameters), []
    given_ = play(run.look(), reading, given_, puts, "")
    assert run.run.phase is Phase.SUCCEEDED
    start = "" if whole else steps[min(place, len(steps) - 1)][0]
    kept = {state.key: snapshot(run, state.key) for state in run.run.steps}
    again(run, start)
    reset = {state.key for state in run.run.steps if state.round}
    assert all(snapshot(run, key) == kept[key] for key in kept.keys() - reset)
    assert not start or snapshot(run, start) == kept[start]
    left = given_[: reading.known[start]] if start else []
    assert [entry.values for entry in run.run.given] == left, "what was given after the step began is forgotten"
    reading.begun = {key: context for key, context in reading.begun.items() if key not in reset or key == start}
    play(run, reading, left, puts[::-1], "again")
    assert run.run.phase is Phase.SUCCEEDED


def play(run, reading, given_, puts, value):
    """Opens one gate after the other, each behind something that a person puts in."""
    follow(run, reading, given_)
    for number in range(8):
        waits = [state.key for state in run.run.steps if state.phase is Phase.WAITING]
        if not waits:
            break
        if puts[number]:
            put(run, **puts[number])
            given_ = [*given_, puts[number]]
        run.decide(decision("continue", waits[0], f"{waits[0]}={value}{number}"), seconds=1)
        follow(run, reading, given_)
    return given_

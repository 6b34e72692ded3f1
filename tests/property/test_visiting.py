"""Where failures are visited, every run ends as a plain reading of its workflow says, whatever comes in first and however often it is looked at."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.run import Phase
from tests.unit.workflow.visits import apply, step, visit

MODES = st.sampled_from(["StepByStep", "DAG"])


@st.composite
def conditions(draw, before):
    asked = [f"status.{name}.{flag}" for name in before for flag in ("failed", "succeeded", "skipped")]
    return draw(st.sampled_from(["", "", "", "always", "false", *asked]))


@st.composite
def workflows(draw):
    """Up to six steps on two levels; each may depend on, and ask about, any step written before it but its own group."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        before = [spec.name for spec in found]
        after = draw(st.lists(st.sampled_from(before), unique=True, max_size=2)) if before else []
        is_group = draw(st.booleans())
        spec = step(f"s{number}", "step-group", after=after) if is_group else apply(f"s{number}", after=after)
        found.append(msgspec.structs.replace(spec, condition=draw(conditions(before)), mode=draw(MODES)))
        for inner in range(draw(st.integers(1, 3)) if is_group else 0):
            names = [*before, *(other.name for other in found if other.group == spec.key)]
            after = draw(st.lists(st.sampled_from(names), unique=True, max_size=2)) if names else []
            member = apply(f"s{number}m{inner}", after=after)
            found.append(msgspec.structs.replace(member, key=f"{spec.key}.{member.name}", group=spec.key, condition=draw(conditions(names))))
    return draw(MODES), found


class Model:
    """What becomes of each step, by name: read off the workflow from the top, with nothing of the machine in it."""

    def __init__(self, mode, specs, failing):
        self.mode, self.specs, self.failing = mode, {spec.name: spec for spec in specs}, failing
        self.ends = {}
        for spec in specs:
            self.ends[spec.name] = self.end(spec)

    def end(self, spec):
        group = next((other for other in self.specs.values() if other.key == spec.group), None)
        if group is not None and self.is_skipped(group):
            return "Skipped"
        if self.is_skipped(spec):
            return "Skipped"
        members = [other for other in self.specs.values() if other.group == spec.key]
        if not members:
            return "Failed" if spec.name in self.failing else "Succeeded"
        ends = [self.end(member) for member in members]
        return "Failed" if "Failed" in ends else "Skipped" if set(ends) == {"Skipped"} else "Succeeded"

    def is_skipped(self, spec):
        if spec.condition.startswith("status."):
            _, name, flag = spec.condition.split(".")
            return self.end(self.specs[name]) != flag.capitalize()
        if spec.condition:
            return spec.condition == "false"
        level = [other for other in self.specs.values() if other.group == spec.group]
        mode = next((other.mode for other in self.specs.values() if other.key == spec.group), self.mode)
        earlier = level[: level.index(spec)] if mode == "StepByStep" else []
        roots = self.roots(spec)
        return any(self.end(other) == "Failed" for other in earlier) or any(self.end(self.specs[name]) != "Succeeded" for name in roots)

    def roots(self, spec):
        return {name for direct in spec.depends_on for name in (direct, *self.roots(self.specs[direct]))}


def before_of(mode, specs, spec):
    """Names of the steps that have to be over before that one begins."""
    level = [other for other in specs if other.group == spec.group]
    own = next((other.mode for other in specs if other.key == spec.group), mode)
    earlier = [other.name for other in level[: level.index(spec)]] if own == "StepByStep" else []
    asked = spec.condition.split(".")[1:2] if spec.condition.startswith("status.") else []
    return {*earlier, *spec.depends_on, *asked}


@given(workflows(), st.data())
def test_every_run_ends_as_its_workflow_says_in_whatever_order_its_steps_come_to_an_end(workflow, data):
    mode, specs = workflow
    leaves = [spec.name for spec in specs if spec.type != "step-group"]
    failing = set(data.draw(st.lists(st.sampled_from(leaves), unique=True))) if leaves else set()
    driver = visit(*specs, mode=mode).look()
    names = {spec.key: spec.name for spec in specs}
    for _ in range(len(specs) + 1):
        over = {state.name for state in driver.run.steps if state.phase.final}
        for state, spec in zip(driver.run.steps, specs, strict=True):
            assert state.started_at is None or before_of(mode, specs, spec) <= over
        if driver.run.phase.final:
            break
        before = [(order.key, order.step) for order in driver.orders]
        assert [(order.key, order.step) for order in driver.look().orders] == before
        chosen = data.draw(st.sampled_from(driver.orders)).step
        if names[chosen] in failing:
            driver.fail(chosen, retry="terminal")
        else:
            driver.finish(chosen)
    model = Model(mode, specs, failing)
    assert {state.name: state.phase.value for state in driver.run.steps} == model.ends
    assert driver.run.phase is (Phase.FAILED if "Failed" in model.ends.values() else Phase.SUCCEEDED)

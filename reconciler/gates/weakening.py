"""Rule 4g: does a new workflow drop or weaken a gate that the promoted one had?"""

from __future__ import annotations

from typing import Any, NamedTuple

from reconciler.model.application import Application, Step, Workflow
from reconciler.model.canonical import canonical
from reconciler.model.expression import ALWAYS
from reconciler.model.names import GATE_STEP_TYPES


class _Mark(NamedTuple):
    """What a step applies and how: the component, where it goes, under which policies, and how many pods stay behind (`partition`)."""

    component: str
    namespace: str
    policies: tuple[str, ...]
    partition: int | str

    def within(self, other: _Mark) -> bool:
        """Whether this reaches no further than `other`: the same place and policies, and a partition that is no smaller."""
        if self[:3] != other[:3]:
            return False
        if isinstance(self.partition, int) and isinstance(other.partition, int):
            return self.partition >= other.partition
        return other.partition in (0, self.partition)


def is_gate(step: Step) -> bool:
    """A step that waits for a decision: the gate types, a `deploy` that is not automatic, and one whose definition suspends."""
    return step.type in GATE_STEP_TYPES or (step.type == "deploy" and step.properties.get("auto") is False) or step.suspends != ""


def weakening(promoted: Application, new: Application) -> str:
    """Why the new workflow is weaker, as a sentence; empty where it is not.

    Weaker: the promoted gates as (type, given name, parameters) are no subsequence of the new ones (which includes a gained
    or shorter duration), or one of them is in another group or has an `if` that it, or its group, did not have; or something that was
    applied only behind a gate is now applied before it, or also where the gate was not passed.
    """
    pairs: list[tuple[Step, Step]] = []
    rest = iter([step for step in new.workflow.steps if is_gate(step)])
    for gate in (step for step in promoted.workflow.steps if is_gate(step)):
        match = next((other for other in rest if _stands_for(new, other, promoted, gate)), None)
        if match is None:
            return f"gate {gate.name} of the promoted revision is gone or changed"
        pairs.append((gate, match))
    old_guards, new_guards = _guards(promoted), _guards(new)
    for gate, match in pairs:
        before = [mark for step in promoted.workflow.steps if gate.key not in old_guards[step.key] for mark in _marks(promoted, step)]
        behind = {mark.component for step in promoted.workflow.steps if gate.key in old_guards[step.key] for mark in _marks(promoted, step)}
        for step in new.workflow.steps:
            if match.key in new_guards[step.key]:
                continue
            for mark in _marks(new, step):
                if mark.component in behind and not any(mark.within(other) for other in before):
                    return f"step {step.name} applies {mark.component} before gate {match.name}; the promoted revision did so behind it"
    return ""


def _signature(step: Step) -> tuple[str, str, str, bytes]:
    return (step.type, step.suspends, step.name if step.given else "", canonical([step.properties, sorted(item.target for item in step.inputs)]))


def _stands_for(new: Application, gate: Step, promoted: Application, old: Step) -> bool:
    """Whether that gate holds back what the old one did."""
    if _signature(gate) != _signature(old):
        return False
    above, old_above = _group(new, gate), _group(promoted, old)
    same = (above.name if above and above.given else "") == (old_above.name if old_above and old_above.given else "")
    conditions = [(gate.condition, old.condition), (above.condition if above else "", old_above.condition if old_above else "")]
    if not same or (above is None) is not (old_above is None) or any(now not in (was, ALWAYS) for now, was in conditions):
        return False
    return _passers(new, gate) <= _passers(promoted, old)


def _passers(app: Application, gate: Step) -> set[tuple[str, str]]:
    """What else may have the gate passed by: the steps, by name and condition, without whose success it is skipped. Groups of those too."""
    known = {step.name: step.key for step in app.workflow.steps}
    steps = {step.key: step for step in app.workflow.steps}
    found: set[str] = set()
    todo = [gate.key]
    while todo:
        key = todo.pop()
        if key in found or key not in steps:
            continue
        found.add(key)
        todo += [steps[key].group, *_roots(app.workflow, steps[key], known)]
    return {(steps[key].name, steps[key].condition) for key in found - {gate.key, gate.group} if steps[key].condition not in ("", ALWAYS)}


def _group(app: Application, step: Step) -> Step | None:
    return next((other for other in app.workflow.steps if step.group and other.key == step.group), None)


def _marks(app: Application, step: Step) -> set[_Mark]:
    given = any(item.target.startswith("rollout") for item in step.inputs)  # what comes while it runs may be anything
    partition = 0 if given else _partition(step.properties.get("rollout"))
    components = (app.component(component) for component in step.components)
    leading = {_Mark(component, "", (), 0) for component in app.workflow.leading if step.components}  # any of them may be the first
    return leading | {_Mark(component.name, component.namespace, tuple(component.policies), partition) for component in components}


def _partition(rollout: Any) -> int | str:
    """0 where nothing stays behind; percentages, and what can't be read, as text."""
    details = rollout.get("properties") if isinstance(rollout, dict) else None
    text = str(details.get("partition", 0)) if isinstance(details, dict) else "0"
    return int(text) if len(text) < 10 and text.isascii() and text.isdigit() else text


def _guards(app: Application) -> dict[str, set[str]]:
    """For each step the keys of all steps that are surely over before it applies anything, and did not fail; a gate that applies guards itself.

    Where failures are visited, a step with a condition may run although one before it failed or was passed by: then only what it takes
    data from is sure.
    """
    guards: dict[str, set[str]] = {}
    workflow = app.workflow
    steps = workflow.steps
    members = {step.key: {other.key for other in steps if other.group == step.key} for step in steps if step.key in workflow.groups}
    known = {step.name: step.key for step in steps}
    producers = {output.name: step.name for step in steps for output in step.outputs}
    needs = {step.key: _needed(workflow, step, known, producers) for step in steps}
    ready = steps
    while ready:  # each round settles the steps whose needs are settled
        rest = [step for step in steps if step.key not in guards]
        ready = [step for step in rest if all(key in guards for key in (*needs[step.key], *([step.group] if step.group else ())))]
        for step in ready:
            before = [{key} | guards[key] | members.get(key, set()) for key in needs[step.key]]
            above = guards[step.group] if step.group and not step.condition else set()
            guards[step.key] = set(above).union({step.key} if is_gate(step) else (), *before)
    return {step.key: set() for step in steps} | guards  # in a cycle, which validation refuses, nothing is sure


def _needed(workflow: Workflow, step: Step, known: dict[str, str], producers: dict[str, str]) -> list[str]:
    """Keys of the steps that have to be over and not failed before it runs: of those that these need in turn, all is sure as well."""
    given = [_producer(item.source, producers) for item in step.inputs]
    if step.condition and workflow.on_failure == "visit":
        return [known[name] for name in given if name in known]
    level = [other for other in workflow.steps if other.group == step.group]
    mode = next((other.mode for other in workflow.steps if step.group and other.key == step.group), workflow.mode)
    earlier = [other.key for other in level[: level.index(step)]] if mode == "StepByStep" else []
    return [*earlier, *_roots(workflow, step, known), *(known[name] for name in given if name in known)]


def _roots(workflow: Workflow, step: Step, known: dict[str, str]) -> list[str]:
    """Keys of all that it depends on, directly or through others: none of them has failed or was passed by where it runs."""
    specs = {other.key: other for other in workflow.steps}
    found: dict[str, None] = {}
    todo = [step]
    while todo:
        for name in todo.pop().depends_on:
            key = known.get(name, "")
            if key and key not in found:
                found[key] = None
                todo.append(specs[key])
    return [key for key in found if key != step.key]


def _producer(source: str, producers: dict[str, str]) -> str:
    return producers.get(source) or producers.get(source.partition(".")[0], "")

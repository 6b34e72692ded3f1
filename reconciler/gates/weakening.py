"""Rule 4g: does a new workflow drop or weaken a gate that the promoted one had?"""

from __future__ import annotations

from typing import Any

from reconciler.model.application import Application, Step
from reconciler.model.canonical import canonical
from reconciler.model.names import GATE_STEP_TYPES


def is_gate(step: Step) -> bool:
    """A step that waits for a decision: the gate types, and a `deploy` that is not automatic."""
    return step.type in GATE_STEP_TYPES or (step.type == "deploy" and step.properties.get("auto") is False)


def weakening(promoted: Application, new: Application) -> str:
    """Why the new workflow is weaker, as a sentence; empty where it is not.

    Weaker: the promoted gates as (type, given name, parameters) are no subsequence of the new ones (which includes a gained
    or shorter duration); or something that was applied only behind a gate is now applied before it.
    """
    old_steps, new_steps = promoted.workflow.steps, new.workflow.steps
    pairs: list[tuple[Step, Step]] = []
    rest = iter(step for step in new_steps if is_gate(step))
    for gate in (step for step in old_steps if is_gate(step)):
        match = next((other for other in rest if _signature(other) == _signature(gate)), None)
        if match is None:
            return f"gate {gate.name} of the promoted revision is gone or changed"
        pairs.append((gate, match))
    old_guard, new_guard = _guards(promoted), _guards(new)
    for gate, match in pairs:
        before = {mark for step in old_steps if gate.key not in old_guard[step.key] for mark in _applies(promoted, step)}
        behind = {mark[0] for step in old_steps if gate.key in old_guard[step.key] for mark in _applies(promoted, step)}
        for step in new_steps:
            if match.key in new_guard[step.key]:
                continue
            for mark in _applies(new, step):
                if mark not in before and mark[0] in behind:
                    return f"step {step.name} applies {mark[0]} before gate {match.name}; the promoted revision did so behind it"
    return ""


def _signature(step: Step) -> tuple[str, str, bytes]:
    return (step.type, step.name if step.given else "", canonical(step.properties))


def _applies(app: Application, step: Step) -> list[tuple[str, Any]]:
    """(component name, partition) of what a step applies: a partition that shrinks is another mark."""
    rollout = step.properties.get("rollout") or {}
    partition = str((rollout.get("properties") or {}).get("partition", "")) if isinstance(rollout, dict) else ""
    return [(app.component(component).name, partition) for component in step.components]


def _guards(app: Application) -> dict[str, set[str]]:
    """For each step the keys of all steps that come surely before it."""
    guards: dict[str, set[str]] = {}
    if app.workflow.mode == "StepByStep":
        before: set[str] = set()
        for step in app.workflow.steps:
            guards[step.key] = set(before)
            before.add(step.key)
        return guards
    by_name = {step.name: step for step in app.workflow.steps}

    def collect(step: Step, path: frozenset[str]) -> set[str]:
        if step.key not in guards:
            found: set[str] = set()
            for name in step.depends_on:
                other = by_name.get(name)
                if other is not None and other.key not in path:
                    found |= {other.key} | collect(other, path | {step.key})
            guards[step.key] = found
        return guards[step.key]

    for step in app.workflow.steps:
        collect(step, frozenset())
    return guards

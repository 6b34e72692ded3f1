"""Which step comes after which, for running them and, the other way round, for undoing them."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.application import Need, Step, Workflow
from reconciler.model.run import Phase, Run, StepState

_REACHED: dict[str, frozenset[Phase]] = {
    "Pending": frozenset(Phase),
    "Running": frozenset(Phase) - {Phase.PENDING, Phase.SKIPPED},
    "RollingBack": frozenset({Phase.ROLLING_BACK, Phase.ROLLED_BACK}),
}


class Ordering:
    """Of one run. Implicit gates come first, one after the other, before all else (rules 3f, 4g)."""

    def __init__(self, run: Run, workflow: Workflow) -> None:
        self._steps = {step.key: step for step in run.steps}
        self._gates = [step for step in run.steps if step.key in run.implicit]
        self._specs = {spec.key: spec for spec in workflow.steps}
        self._keys = {spec.name: spec.key for spec in workflow.steps}
        self._producers = {output.name: spec.key for spec in workflow.steps for output in spec.outputs}
        self._before = {gate.key: [one.key for one in self._gates[:position]] for position, gate in enumerate(self._gates)}
        for position, spec in enumerate(workflow.steps):
            self._before[spec.key] = self._before_of(spec, workflow, position)

    def _before_of(self, spec: Step, workflow: Workflow, position: int) -> list[str]:
        if workflow.mode == "StepByStep":
            return [earlier.key for earlier in workflow.steps[:position]]
        # A name that no step has stays as it is: nothing ever succeeds under it.
        return [self._keys.get(name, name) for name in spec.depends_on]

    def may_begin(self, step: StepState) -> bool:
        """Whether all that must come before it has come far enough."""
        if step.key not in self._before:
            return False
        if step not in self._gates and not all(gate.phase is Phase.SUCCEEDED for gate in self._gates):
            return False
        spec = self._specs.get(step.key)
        needs = {self._keys.get(need.step, ""): need for need in spec.needs} if spec is not None else {}
        return all(_is_met(self._steps.get(key), needs.get(key)) for key in self._before[step.key])

    def dependents(self, step: StepState) -> list[StepState]:
        """The steps right behind it, because they wait for it or take what it exports."""
        return [other for key, other in self._steps.items() if step.key in self._behind_which(key)]

    def ahead_of(self, steps: Iterable[StepState]) -> set[str]:
        """The keys of all steps that come before one of those, however far: because they are waited for, or give what one takes."""
        found: set[str] = set()
        todo = [step.key for step in steps]
        while todo:
            for key in self._behind_which(todo.pop()) - found:
                found.add(key)
                todo.append(key)
        return found

    def _behind_which(self, key: str) -> set[str]:
        spec = self._specs.get(key)
        sources = [item.source.partition(".")[0] for item in spec.inputs] if spec is not None else []
        return {*self._before.get(key, ()), *(self._producers[name] for name in sources if name in self._producers)} - {key}


def _is_met(step: StepState | None, need: Need | None) -> bool:
    if step is None:
        return False
    if need is None:
        return step.phase is Phase.SUCCEEDED
    if need.resource and step.resource.get("status", "") != need.resource:
        return False
    return step.phase in _REACHED.get(need.phase, frozenset({Phase(need.phase)}))

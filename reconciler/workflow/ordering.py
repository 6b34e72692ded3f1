"""Which step comes after which, for running them and, the other way round, for undoing them."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.application import Need, Step, Workflow
from reconciler.model.run import Phase, Run, StepState
from reconciler.workflow.conditions import steps_asked

_REACHED: dict[str, frozenset[Phase]] = {
    "Pending": frozenset(Phase),
    "Running": frozenset(Phase) - {Phase.PENDING, Phase.SKIPPED},
    "RollingBack": frozenset({Phase.ROLLING_BACK, Phase.ROLLED_BACK}),
}


class Ordering:
    """
    Of one run. Implicit gates come first, one after the other, before all else (rules 3f, 4g).

    A step comes after those that it depends on and those that its condition asks about; step by step also after all before it on its
    level, which are the workflow's steps, or those of one group; and a group's after the group has begun. Where failures are visited,
    those before have to be over, however they ended; elsewhere they have to have succeeded, or have come as far as a need says.
    """

    def __init__(self, run: Run, workflow: Workflow) -> None:
        self._steps = {step.key: step for step in run.steps}
        self._gates = [step for step in run.steps if step.key in run.implicit]
        self._specs = {spec.key: spec for spec in workflow.steps}
        self._mode = workflow.mode
        self._keys = {spec.name: spec.key for spec in workflow.steps}
        self._producers = {output.name: spec.key for spec in workflow.steps for output in spec.outputs}
        self._before = {gate.key: [one.key for one in self._gates[:position]] for position, gate in enumerate(self._gates)}
        self._visits = workflow.on_failure == "visit"
        modes = {spec.key: spec.mode for spec in workflow.steps}
        levels: dict[str, list[str]] = {}
        for spec in workflow.steps:
            level = levels.setdefault(spec.group, [])
            self._before[spec.key] = self._before_of(spec, modes.get(spec.group, workflow.mode) == "StepByStep", level)
            level.append(spec.key)

    def _before_of(self, spec: Step, stepwise: bool, earlier: list[str]) -> list[str]:
        # A name that no step has stays as it is: nothing ever succeeds under it.
        named = [self._keys.get(name, name) for name in spec.depends_on]
        asked = [self._keys[name] for name in steps_asked(spec) if name in self._keys]
        before = [*(earlier if stepwise else ()), *named, *asked]
        return [key for key in dict.fromkeys(before) if key not in (spec.key, spec.group)]

    def may_begin(self, step: StepState) -> bool:
        """Whether all that must come before it has come far enough."""
        if step.key not in self._before:
            return False
        if step not in self._gates and not all(gate.phase is Phase.SUCCEEDED for gate in self._gates):
            return False
        if step.group and self._steps[step.group].phase not in (Phase.RUNNING, Phase.WAITING):
            return False
        if self._visits and step not in self._gates:
            return all(key in self._steps and self._steps[key].phase.final for key in self._before[step.key])
        spec = self._specs.get(step.key)
        needs = {self._keys.get(need.step, ""): need for need in spec.needs} if spec is not None else {}
        return all(_is_met(self._steps.get(key), needs.get(key)) for key in self._before[step.key])

    def awaited(self, step: StepState) -> str:
        """The name of a step that it depends on and that is not over; empty where there is none."""
        spec = self._specs.get(step.key)
        keys = [self._keys.get(name, name) for name in spec.depends_on] if spec is not None else []
        return next((self._steps[key].name for key in keys if key in self._steps and not self._steps[key].phase.final), "")

    def disappointed(self, step: StepState) -> bool:
        """
        Whether a step without a condition is to be skipped where failures are visited: step by step, because one before it on its level failed;
        and everywhere, because one that it depends on, directly or through others, did not succeed (as kubevela/workflow, pkg/executor).
        """
        spec = self._specs.get(step.key)
        if spec is None:
            return False
        stepwise = [key for key in self._earlier(step) if self._steps[key].phase not in (Phase.SUCCEEDED, Phase.SKIPPED)]
        return bool(stepwise) or any(self._steps[key].phase is not Phase.SUCCEEDED for key in self._roots(step.key) if key in self._steps)

    def _earlier(self, step: StepState) -> list[str]:
        level = [spec.key for spec in self._specs.values() if spec.group == step.group]
        mode = self._specs[step.group].mode if step.group else self._mode
        return level[: level.index(step.key)] if mode == "StepByStep" else []

    def _roots(self, key: str) -> set[str]:
        """Keys of all that it depends on, directly or through others."""
        found: set[str] = set()
        todo = [key]
        while todo:
            spec = self._specs.get(todo.pop())
            for name in spec.depends_on if spec is not None else ():
                other = self._keys.get(name, name)
                if other not in found:
                    found.add(other)
                    todo.append(other)
        return found - {key}

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

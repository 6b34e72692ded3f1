"""One look at a run: the run that is being changed, what was asked for on the way, and the few acts that all parts of the machine share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from reconciler.model.application import Retry, Step, Workflow
from reconciler.model.canonical import digest
from reconciler.model.identity import AppKey
from reconciler.model.names import DEFINED
from reconciler.model.outcome import HEALTH_SECONDS, Call, Do, Done, Effect, Failed, Outcome, Query, Result, StepType, Wait
from reconciler.model.run import LEADING, SYNC, UNDO, Intent, Phase, Run, Shared, StepState, copy_run, is_aside, living
from reconciler.workflow.conditions import context_of
from reconciler.workflow.contexts import readable
from reconciler.workflow.data import Pending, gather_inputs, read_outputs
from reconciler.workflow.facts import Facts, Order
from reconciler.workflow.leading import lead
from reconciler.workflow.pairs import pairs
from reconciler.workflow.pausing import paused
from reconciler.workflow.retrying import merge, pause_before

SHARED_LIMIT = 16 * 1024
OUTPUTS_LIMIT = 256 * 1024
_IMPLICIT = {
    "workflow-changed": "the new workflow drops or weakens a gate that the promoted revision had",
    "state-lost": "objects of this application run, but its history is gone: nothing that differs is touched until you continue",
}


class Turn:
    """`wake`: look again then. `retry`, `health`: what the daemon says, where neither step nor workflow says another."""

    def __init__(
        self, types: Mapping[str, StepType], run: Run, workflow: Workflow, facts: Facts, now: datetime, retry: Retry, health: float = HEALTH_SECONDS
    ) -> None:
        self.types, self.run, self.workflow, self.facts, self.now, self.retry, self.health = types, run, workflow, facts, now, retry, health
        self.orders: dict[str, Order] = {}
        self.queries: set[Query] = set()
        self.wake: datetime | None = None
        self.specs = {step.key: step for step in workflow.steps}
        self.pairs = pairs(workflow)
        self.groups = workflow.groups

    def spec(self, step: StepState) -> Step:
        """What the workflow says of it; an implicit gate is a suspend of its own."""
        return self.specs.get(step.key) or Step(step.name, step.type, step.key, properties={"message": _IMPLICIT.get(step.key, "")})

    def wake_at(self, when: datetime | None) -> None:
        if when is not None and (self.wake is None or when < self.wake):
            self.wake = when

    def on_trial(self) -> Turn:
        """The same look on a copy of the run: what it comes to is thrown away, or taken over."""
        return Turn(self.types, copy_run(self.run), self.workflow, self.facts, self.now, self.retry, self.health)

    def take_over(self, trial: Turn) -> None:
        self.run, self.orders, self.queries, self.wake = trial.run, trial.orders, trial.queries, trial.wake

    def members(self, group: StepState) -> list[StepState]:
        """The steps that belong to that one."""
        return [step for step in self.run.steps if step.group == group.key] if group.key in self.groups else []

    def stands_still(self, step: StepState) -> bool:
        """Whether a person suspended it, or the group that it belongs to."""
        return step.suspended_at is not None or (step.group != "" and self.run.step(step.group).suspended_at is not None)

    def start(self, step: StepState) -> None:
        """The first start, or that of another try: its timeout counts from the first, and its waits from this one."""
        step.phase, step.message = Phase.RUNNING, step.message if step.attempt else ""
        step.started_at = step.started_at or self.now
        step.paused_before = paused(self.run, step) if not step.attempt else step.paused_before
        timeout = self.spec(step).timeout
        if timeout and step.deadline is None:
            step.deadline = self.now + timedelta(seconds=timeout)
        self.wake_at(step.deadline)

    def kind(self, step: StepState) -> StepType | None:
        """Its type; those that the repository defines are all of one."""
        return self.types.get(DEFINED if step.type in self.workflow.definitions else step.type)

    # Asking a step ----------------------------------------------------------------------------------------------------

    def ask(self, step: StepState, spec: Step) -> Outcome:
        """What is next for a step that runs. Raises Pending where an input is missing."""
        inputs = self.inputs(spec)
        kind = self.kind(step)
        results = {path: result for path, result in step.results.items() if not is_aside(path)}
        outcome = self._call(step, None if kind is None else kind.next, self.call(step, spec, inputs), results)
        return lead(self.run.steps, self.workflow.leading, step, outcome)

    def ask_undo(self, step: StepState, spec: Step) -> Outcome:
        """What is next for a step that is undone."""
        kind = self.kind(step)
        return self._call(step, None if kind is None else kind.undo, self._aside(step, spec, UNDO), _below(step, UNDO))

    def can_sync(self, step: StepState) -> bool:
        return hasattr(self.kind(step), "sync")

    def ask_sync(self, step: StepState, spec: Step) -> Outcome:
        """How what a step made is now."""
        prefix = f"{SYNC}{step.syncs}/"
        return self._call(step, getattr(self.kind(step), "sync", None), self._aside(step, spec, prefix), _below(step, prefix))

    def call(self, step: StepState, spec: Step, inputs: tuple[dict[str, Any], dict[str, Any]]) -> Call:
        """What a step is told."""
        return Call(
            app=AppKey.parse(self.run.app),
            step=step.name,
            type=step.type,
            properties=inputs[0],
            components=tuple(spec.components),
            values=inputs[1],
            restore=self.run.kind == "restore",
            since=step.since or step.started_at,
            paused=paused(self.run, step) - step.paused_before,
            decision="continue" if self.continued(step) else "",
            begun=frozenset(path for path in step.intents if not is_aside(path)),
            key=f"{self.run.owner}/{self.run.name}/{step.round}/{step.key}/{step.attempt}",
            attributes=self.run.told(step),
            parameters=self.workflow.parameters,
            health=self.workflow.health or self.health,
            template=self.workflow.definitions.get(step.type, ""),
            outputs={output.name: output.value for output in spec.outputs},
            declared=self.workflow.declared,
            context=self.context(spec) if step.type in self.workflow.definitions else {},
        )

    def inputs(self, spec: Step) -> tuple[dict[str, Any], dict[str, Any]]:
        """As `gather_inputs` answers them. Raises Pending."""
        return gather_inputs(spec, self.run.steps, self.context(spec) if spec.inputs else {})

    def context(self, spec: Step) -> dict[str, Any]:
        """What `context` is for a step, where its family has one."""
        return context_of(spec, self.run, self.workflow) if self.workflow.on_failure == "visit" else {}

    def _aside(self, step: StepState, spec: Step, prefix: str) -> Call:
        try:
            inputs = self.inputs(spec)
        except Pending:  # the producer was undone before; what it gave is not needed to take back
            inputs = (dict(spec.properties), {})
        call = self.call(step, spec, inputs)
        begun = frozenset(path.removeprefix(prefix) for path in step.intents if path.startswith(prefix))
        made = {path: result for path, result in step.results.items() if not is_aside(path)}
        attributes = {**call.attributes, **next((entry.values for entry in reversed(living(self.run.shared)) if entry.step == step.key), {})}
        return msgspec.structs.replace(
            call, decision="", begun=begun, made=made, key=f"{call.key}/{prefix}{step.undo_attempt}", attributes=attributes
        )

    def _call(self, step: StepState, method: Any, call: Call, results: Mapping[str, Result]) -> Outcome:
        if method is None:
            return Failed("UnknownStepType", f"there is no step type {step.type}")
        try:
            outcome = method(call, results, self.facts.seen, self.now)
            if isinstance(outcome, Outcome):
                return outcome
            fault = f"it answered {type(outcome).__name__}"
        except Exception as error:  # noqa: BLE001  # a step type may be a plug-in: its fault is this run's, not the daemon's
            fault = type(error).__name__
        self.run.failure = "internal"
        return Failed("StepBroken", f"step type {step.type} broke: {fault}")

    def continued(self, step: StepState) -> bool:
        """A continue for the pair's promotion passes its suspend too (rule 4e). One of an earlier round opens nothing."""
        opened = {(decision.gate, decision.round) for decision in self.run.decisions if decision.verb == "continue"}
        rounds = {other.key: other.round for other in self.run.steps}
        return any((key, rounds.get(key, 0)) in opened for key in (step.key, self.pairs.get(step.key, step.key)))

    # Writing down what it answered ------------------------------------------------------------------------------------

    def intend(self, step: StepState, effects: Mapping[str, Effect], *, prefix: str = "", anew: bool = True) -> str:
        """Orders the effects under stored intents; `anew`: those without an intent get one. Answers which effect was stored with other
        parameters, empty where none was (rule 9a)."""
        attempt = step.undo_attempt if prefix == UNDO else step.attempt
        for name, effect in effects.items():
            path, mark = prefix + name, digest([effect.kind, effect.params])
            intent = step.intents.get(path)
            if intent is None and not anew:
                continue
            if intent is None:
                key = f"{self.run.owner}/{self.run.name}/{step.round}/{step.key}/{path}/{attempt}"
                intent = step.intents[path] = Intent(key=key, kind=effect.kind, digest=mark, at=self.now)
            elif intent.digest != mark:
                self.run.failure = "internal"
                return path
            if path not in step.results:
                self.orders[intent.key] = Order(intent.key, step.key, path, effect)
        return ""

    def succeed(self, step: StepState, spec: Step, done: Done) -> bool:
        """True: it has succeeded, which may let another step go on."""
        if done.attributes and not self.share(step, done.attributes):
            return self.fail(step, Failed("AttributesTooLarge", f"what the steps of a run share is at most {SHARED_LIMIT} bytes"))
        step.phase, step.reason, step.finished_at = Phase.SUCCEEDED, "", self.now
        step.message, step.resource = done.message, done.resource
        if step.type in self.workflow.definitions:  # read already, where they are expressions, too
            step.outputs = {output.name: done.outputs.get(output.name) for output in spec.outputs}
        else:
            names = {"context": context} if (context := self.context(spec)) else {}
            step.outputs = read_outputs(spec, {**names, **readable(self.run, self.workflow, step), **done.outputs})
        if step.outputs and len(json.dumps(step.outputs, default=str)) > OUTPUTS_LIMIT:
            step.outputs = {}
            return self.fail(step, Failed("OutputsTooLarge", f"the outputs of a step are at most {OUTPUTS_LIMIT} bytes; name what is needed of them"))
        return True

    def share(self, step: StepState, values: dict[str, Any]) -> bool:
        """False where it would be too much."""
        entry = Shared(step.key, values)
        if len(json.dumps([shared.values for shared in (*living(self.run.shared), entry)], default=str)) > SHARED_LIMIT:
            return False
        self.run.shared.append(entry)
        return True

    def fail(self, step: StepState, failed: Failed) -> bool:
        """An attempt grows only on a recorded failure; results that succeeded stay (rule 9a). True where it is over for good."""
        step.reason, step.message = failed.reason, failed.message
        if failed.ignorable:
            self._drop_failures(step)
            step.phase, step.retry_at = Phase.RUNNING, self.now + timedelta(seconds=failed.after)
            self.wake_at(step.retry_at)
            return False
        pause = self.pause(step) if failed.retryable else None
        if pause is not None:
            step.attempt += 1
            step.retry_at = self.now + timedelta(seconds=pause)
            self._drop_failures(step)
            step.phase = Phase.PENDING
            self.wake_at(step.retry_at)
            return False
        step.phase, step.finished_at, step.exhausted = Phase.FAILED, self.now, failed.retryable
        step.error = step.error or failed.message or failed.reason
        self.run.failure = self.run.failure or "user"
        self.give_nothing(step)
        return True

    def give_nothing(self, step: StepState) -> None:
        """Where failures are visited, steps behind it may ask for what it should have given."""
        if self.workflow.on_failure == "visit":
            step.outputs = {output.name: None for output in self.spec(step).outputs}

    def pause(self, step: StepState) -> float | None:
        """Seconds until it is tried again after one more failure; None when that was the last try."""
        retry = merge(self.spec(step).retry, self.workflow.retry, self.retry, self.workflow.usual)
        return pause_before(retry, step.attempt + 1, f"{self.run.name}/{step.key}/{step.attempt}")

    @staticmethod
    def _drop_failures(step: StepState) -> None:
        """What was not done is to be done again, under a new key."""
        for path in [path for path, result in step.results.items() if not result.ok and (not is_aside(path) or path.startswith(LEADING))]:
            step.left |= bool(step.intents[path].refs)
            del step.results[path], step.intents[path]

    # Ending -----------------------------------------------------------------------------------------------------------

    def finish(self, phase: Phase, reason: str, message: str) -> None:
        run = self.run
        run.phase, run.reason, run.message, run.finished_at = phase, reason, message, self.now
        self.close_steps(Phase.TERMINATED if phase in (Phase.TERMINATED, Phase.SUPERSEDED, Phase.ROLLED_BACK) else Phase.SKIPPED)
        self.orders.clear()
        self.queries.clear()
        self.wake = None

    def close_steps(self, active: Phase) -> None:
        for step in self.run.steps:
            if not step.phase.final:
                step.phase = Phase.SKIPPED if step.phase is Phase.PENDING else active
                step.finished_at = self.now

    def again_unresolved(self) -> None:
        """Asks again for what was begun and has no result, so that after a crash it still comes in before the run stops."""
        for step in self.run.steps:
            if not step.phase.final:
                self.again(step)

    def take_back(self, step: StepState) -> None:
        """What was surely not begun never will be: nothing has to wait for it."""
        for path in [path for path, intent in step.intents.items() if intent.key in self.facts.unbegun and path not in step.results]:
            del step.intents[path]

    def again(self, step: StepState) -> None:
        """The same for one step. What nobody carries out any more has failed: nothing may wait for it for ever."""
        self.take_back(step)
        missing = [path for path in step.intents if path not in step.results]
        if not missing:
            return
        try:
            outcome = self.ask(step, self.spec(step))
        except Pending:
            outcome = Failed("InputGone", "an input that it began with is not there any more")
        match outcome:
            case Do(effects) if effects.keys() >= set(missing):
                if changed := self.intend(step, effects, anew=False):
                    self.fail(step, parameters_changed(changed))
            case Wait(_, _, watch) if set(watch) - self.facts.seen.keys():
                self.queries.update(watch)
            case Failed(reason, message):
                self.fail(step, Failed(reason, message))
            case _:
                self.run.failure = "internal"
                self.fail(step, Failed("StepBroken", f"step type {step.type} broke: it does not ask any more for {missing[0]}, which it began"))


def parameters_changed(path: str) -> Failed:
    return Failed("ParametersChanged", f"effect {path} was stored with other parameters")


def _below(step: StepState, prefix: str) -> dict[str, Result]:
    return {path.removeprefix(prefix): result for path, result in step.results.items() if path.startswith(prefix)}

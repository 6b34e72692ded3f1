"""The state machine of a run. Pure: `advance` turns a run and facts into the next run and what is to be done.

The engine stores the run that comes back before it acts on anything (rule 3d). Called again with the same facts it answers the
same; called after a crash with nothing but the stored run it asks for the same effects under the same keys (rule 9a).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from reconciler.model.application import Step, Workflow
from reconciler.model.canonical import digest
from reconciler.model.identity import AppKey
from reconciler.model.outcome import Call, Do, Done, Effect, Failed, Gate, Outcome, Query, StepType, Wait
from reconciler.model.run import Decision, Intent, Phase, Run, StepState, Verb, WriteBack, copy_run
from reconciler.workflow.data import Pending, gather_inputs, read_outputs
from reconciler.workflow.facts import Advance, Facts, Order
from reconciler.workflow.pairs import pairs

ATTEMPTS = 15  # with the back-off below about nine minutes, just under the health deadline (rule 6c)
_LONGEST_BACKOFF = 60.0
_STRENGTH: dict[Verb, int] = {"rollback": 3, "end": 2, "continue": 1}
IMPLICIT_GATE = "suspend"


def open_steps(workflow: Workflow, implicit: list[str]) -> list[StepState]:
    """The steps of a new run: implicit gates first (rules 3f, 4g), then the workflow's."""
    gates = [StepState(name=key, type=IMPLICIT_GATE, key=key) for key in implicit]
    return gates + [StepState(name=step.name, type=step.type, key=step.key) for step in workflow.steps]


class Machine:
    """`types`: step types by name. The machine imports none: plug-ins and definitions come in the same way."""

    def __init__(self, types: Mapping[str, StepType]) -> None:
        self._types = types

    def advance(self, run: Run, workflow: Workflow, facts: Facts, now: datetime) -> Advance:
        """One look at a run. Never raises for what a run or a manifest holds: a step that breaks fails for an internal reason."""
        turn = _Turn(self._types, copy_run(run), workflow, facts, now)
        turn.play()
        place = {step.key: position for position, step in enumerate(turn.run.steps)}
        orders = sorted(turn.orders.values(), key=lambda order: place[order.step])
        return Advance(turn.run, orders, frozenset(turn.queries), turn.wake)


class _Turn:
    """One call of `advance`: a run being changed, and what was asked for on the way."""

    def __init__(self, types: Mapping[str, StepType], run: Run, workflow: Workflow, facts: Facts, now: datetime) -> None:
        self.types, self.run, self.workflow, self.facts, self.now = types, run, workflow, facts, now
        self.orders: dict[str, Order] = {}
        self.queries: set[Query] = set()
        self.wake: datetime | None = None
        self.specs = {step.key: step for step in workflow.steps}
        self.pairs = pairs(workflow)
        self.before = self._predecessors()

    def _predecessors(self) -> dict[str, list[StepState | None]]:
        """For each step what must have succeeded before it begins; None stands for a step that is not there, and never succeeds."""
        steps, gates = self.run.steps, self.run.steps[: len(self.run.implicit)]
        if self.workflow.mode == "StepByStep":
            known = {*self.specs, *self.run.implicit}
            return {step.key: [*steps[:position]] for position, step in enumerate(steps) if step.key in known}
        by_name = {step.name: step for step in steps[len(gates) :]}
        before: dict[str, list[StepState | None]] = {step.key: [*gates[:position]] for position, step in enumerate(gates)}
        for key, spec in self.specs.items():
            before[key] = [*gates, *(by_name.get(name) for name in spec.depends_on)]
        return before

    def play(self) -> None:
        run = self.run
        if run.phase.final:
            return
        if run.started_at is None:
            run.started_at = self.now
        self._take_results()
        self._take_pause()
        self._take_decisions()
        if run.phase is Phase.ROLLING_BACK:
            self._await_restore()
        elif self._is_stopped():
            self._stop()
        elif run.suspended_at:
            self._again_unresolved()
        else:
            self._proceed()
            if not run.phase.final and self._is_superseded():  # it has come to the gate that a newer revision waited for (6b)
                self._stop()

    # What came in -------------------------------------------------------------------------------------------------

    def _take_results(self) -> None:
        for step in self.run.steps:
            for path, intent in step.intents.items():
                if path not in step.results and intent.key in self.facts.results:
                    step.results[path] = self.facts.results[intent.key]
                    # Deadlines count from here on, so no earlier pause moves them.
                    standing = self.now - self.run.suspended_at if self.run.suspended_at else timedelta()
                    step.paused_before = self.run.paused + max(standing, timedelta())

    def _take_pause(self) -> None:
        """Deadlines stand still while the application is suspended (rule 6a)."""
        run = self.run
        if self.facts.held and run.suspended_at is None:
            run.suspended_at = self.now
        elif not self.facts.held and run.suspended_at is not None:
            stood = max(self.now - run.suspended_at, timedelta())
            run.paused += stood
            run.suspended_at = None
            for step in run.steps:
                if step.retry_at is not None:
                    step.retry_at += stood

    def _take_decisions(self) -> None:
        """Stored before they are acted on, each once (rule 4c). A suspended application takes no continue (6a)."""
        used = {(decision.gate, decision.value) for decision in self.run.decisions}
        ordered = Decision(gate="run", verb="end", value=self.run.order, at=self.now, by="order")
        for decision in (*self.facts.decisions, *((ordered,) if self.run.order == "terminate" else ())):
            if self.run.suspended_at and decision.verb == "continue":
                continue
            if (decision.gate, decision.value) not in used:
                used.add((decision.gate, decision.value))
                self.run.decisions.append(decision)

    # How it can end before its time ---------------------------------------------------------------------------------

    @property
    def _in_flight(self) -> bool:
        return any(path not in step.results for step in self.run.steps if not step.phase.final for path in step.intents)

    def _verdict(self) -> Decision | None:
        stops = [decision for decision in self.run.decisions if decision.verb != "continue"]
        return max(stops, key=lambda decision: _STRENGTH[decision.verb], default=None)

    def _is_superseded(self) -> bool:
        """Rules 6a and 6b: never while suspended; one that was passed over too often only at a gate."""
        return bool(self.facts.newer) and not self.run.suspended_at and (not self.facts.patient or self._at_gate())

    def _is_stopped(self) -> bool:
        return self._verdict() is not None or self.facts.removed or self._is_superseded()

    def _stop(self) -> None:
        """Rollback beats end beats removal beats a newer revision; each acts at the next effect boundary (rules 4c, 6a)."""
        self._again_unresolved()
        if self._in_flight:
            return
        run, verdict = self.run, self._verdict()
        if verdict is not None and verdict.verb == "rollback":
            self._roll_back(verdict)
        elif verdict is not None:
            self._finish(Phase.TERMINATED, "Ended", f"ended at {verdict.gate}: nothing more is applied, what is applied stays")
        elif self.facts.removed:
            self._finish(Phase.TERMINATED, "Removed", "the application was removed from git")
        else:
            run.superseded_by = self.facts.newer
            self._finish(Phase.SUPERSEDED, "Superseded", f"{run.superseded_by} is newer")

    def _roll_back(self, verdict: Decision) -> None:
        """Rule 7a. Where there is nothing to go back to, nothing is touched."""
        run = self.run
        if run.kind == "restore":
            self._finish(Phase.TERMINATED, "Ended", "a restore run never rolls back: it was ended")
        elif not self.facts.target:
            run.failure = "user"
            self._finish(Phase.FAILED, "NoRollbackTarget", "there is no promoted revision to go back to; nothing was touched")
        else:
            run.phase, run.reason = Phase.ROLLING_BACK, "RollingBack"
            run.restore_target = self.facts.target
            run.message = f"rolling back to {run.restore_target}: decided at {verdict.gate}"
            run.write_back = WriteBack(target=run.restore_target, rejected=run.digest, at=self.now)
            self._close_steps(Phase.TERMINATED)

    def _await_restore(self) -> None:
        if self.facts.restored == "Succeeded":
            self._finish(Phase.ROLLED_BACK, "RolledBack", f"rolled back to {self.run.restore_target}")
        elif self.facts.restored:
            self.run.failure = "user"
            self._finish(Phase.FAILED, "RestoreFailed", f"the restore of {self.run.restore_target} did not succeed; it holds as it is")

    def _finish(self, phase: Phase, reason: str, message: str) -> None:
        run = self.run
        run.phase, run.reason, run.message, run.finished_at = phase, reason, message, self.now
        self._close_steps(Phase.TERMINATED if phase in (Phase.TERMINATED, Phase.SUPERSEDED, Phase.ROLLED_BACK) else Phase.SKIPPED)
        self.orders.clear()
        self.queries.clear()
        self.wake = None

    def _close_steps(self, active: Phase) -> None:
        for step in self.run.steps:
            if not step.phase.final:
                step.phase = Phase.SKIPPED if step.phase is Phase.PENDING else active
                step.finished_at = self.now

    # How it goes on -------------------------------------------------------------------------------------------------

    def _proceed(self) -> None:
        run = self.run
        moved = True
        while moved:
            moved = False
            for step in run.steps:
                if not step.phase.final and self._may_run(step):
                    moved |= self._move(step)
        failed = next((step for step in run.steps if step.phase is Phase.FAILED), None)
        active = [step for step in run.steps if step.phase in (Phase.RUNNING, Phase.WAITING)]
        if failed is not None and all(step.phase is Phase.WAITING for step in active):  # a decision could change nothing any more
            self._finish(Phase.FAILED, failed.reason, f"step {failed.name}: {failed.message}")
            return
        if all(step.phase is Phase.SUCCEEDED for step in run.steps):
            self._finish(Phase.SUCCEEDED, "Succeeded", "")
            return
        if not active and not any(step.retry_at for step in run.steps if not step.phase.final):
            self._stuck()
            return
        waiting = self._at_gate()
        run.phase = Phase.WAITING if waiting else Phase.RUNNING
        run.reason = "Gate" if waiting else "Running"
        run.message = "; ".join(f"{step.name}: {step.message}" for step in run.steps if step.message and not step.phase.final)[:1024]

    def _stuck(self) -> None:
        """Nothing runs, nothing can: an input that never came. Validation finds these; a stored run of an older version may not."""
        pending = next((step for step in self.run.steps if step.phase is Phase.PENDING), None)
        self.run.failure = "user"
        self._finish(Phase.FAILED, "NothingToDo", f"step {pending.name}: {pending.message}" if pending else "no step can go on")

    def _at_gate(self) -> bool:
        phases = {step.phase for step in self.run.steps}
        return Phase.WAITING in phases and Phase.RUNNING not in phases

    def _may_run(self, step: StepState) -> bool:
        """Whether all that must come before has succeeded. After a failure nothing new starts."""
        if step.phase is not Phase.PENDING:
            return True
        if any(other.phase is Phase.FAILED for other in self.run.steps):
            return False
        if step.retry_at is not None and self.now < step.retry_at:
            self._wake_at(step.retry_at)
            return False
        return all(other is not None and other.phase is Phase.SUCCEEDED for other in self.before.get(step.key, [None]))

    def _move(self, step: StepState) -> bool:
        """Asks the step what is next and writes the answer down. True where that may let another step go on."""
        spec = self.specs.get(step.key) or Step(step.name, step.type, step.key, properties={"message": _IMPLICIT.get(step.key, "")})
        try:
            inputs = gather_inputs(spec, self.run.steps)
        except Pending as pending:
            step.message = str(pending)
            return False
        if step.phase is Phase.PENDING:
            step.phase, step.retry_at = Phase.RUNNING, None
            step.started_at = step.started_at or self.now
            step.paused_before = self.run.paused if not step.attempt else step.paused_before
        outcome = self._ask(step, spec, inputs)
        return self._take(step, spec, outcome)

    def _ask(self, step: StepState, spec: Step, inputs: tuple[dict[str, Any], dict[str, Any]]) -> Outcome:
        kind = self.types.get(step.type)
        if kind is None:
            return Failed("UnknownStepType", f"there is no step type {step.type}")
        call = Call(
            app=AppKey.parse(self.run.app),
            step=step.name,
            type=step.type,
            properties=inputs[0],
            components=tuple(spec.components),
            values=inputs[1],
            restore=self.run.kind == "restore",
            since=step.since or step.started_at,
            paused=self.run.paused - step.paused_before,
            decision="continue" if self._continued(step) else "",
            begun=frozenset(step.intents),
        )
        try:
            outcome = kind.next(call, step.results, self.facts.seen, self.now)
            if isinstance(outcome, Outcome):
                return outcome
            fault = f"it answered {type(outcome).__name__}"
        except Exception as error:  # noqa: BLE001  # a step type may be a plug-in: its fault is this run's, not the daemon's
            fault = type(error).__name__
        self.run.failure = "internal"
        return Failed("StepBroken", f"step type {step.type} broke: {fault}")

    def _continued(self, step: StepState) -> bool:
        """A continue for the pair's promotion passes its suspend too (rule 4e)."""
        opened = {decision.gate for decision in self.run.decisions if decision.verb == "continue"}
        return step.key in opened or self.pairs.get(step.key) in opened

    def _take(self, step: StepState, spec: Step, outcome: Outcome) -> bool:
        match outcome:
            case Do(effects):
                return self._intend(step, effects)
            case Wait(until, message, watch):
                self.queries.update(watch)
                self._wake_at(until)
                step.phase, step.message, step.until = Phase.RUNNING, message, until
                return False
            case Gate(message, deadline):
                return self._wait_at_gate(step, message, deadline)
            case Done(outputs, message):
                step.phase, step.reason, step.finished_at = Phase.SUCCEEDED, "", self.now
                step.message = message
                step.outputs = read_outputs(spec, outputs)
                return True
            case Failed(reason, message, retryable):
                return self._fail(step, reason, message, retryable=retryable)

    def _intend(self, step: StepState, effects: Mapping[str, Effect], *, anew: bool = True) -> bool:
        """Orders the effects under stored intents; `anew`: those without an intent get one."""
        step.phase, step.message = Phase.RUNNING, step.message if step.attempt else ""
        for path, effect in effects.items():
            mark = digest([effect.kind, effect.params])
            intent = step.intents.get(path)
            if intent is None and not anew:
                continue
            if intent is None:
                key = f"{self.run.owner}/{self.run.name}/{step.round}/{step.key}/{path}/{step.attempt}"
                intent = step.intents[path] = Intent(key=key, kind=effect.kind, digest=mark, at=self.now)
            elif intent.digest != mark:
                self.run.failure = "internal"
                return self._fail(step, "ParametersChanged", f"effect {path} was stored with other parameters", retryable=False)
            if path not in step.results:
                self.orders[intent.key] = Order(intent.key, step.key, path, effect)
        return False

    def _wait_at_gate(self, step: StepState, message: str, deadline: datetime | None) -> bool:
        if step.phase is not Phase.WAITING:
            step.phase, step.since = Phase.WAITING, step.since or self.now
            step.message = message
            return True  # asked again at once: a deadline counts from `since`, and a decision may stand there already
        step.message, step.until = message, deadline
        if deadline is None or self._continued(step):
            return False
        if self.now >= deadline and self.facts.looked_at is not None and self.facts.looked_at > deadline:
            self.run.decisions.append(Decision(gate=step.key, verb="continue", value="timer", at=self.now, by="timer"))
            return True
        self._wake_at(deadline)
        return False

    def _fail(self, step: StepState, reason: str, message: str, *, retryable: bool) -> bool:
        """An attempt grows only on a recorded failure; results that succeeded stay (rule 9a)."""
        step.reason, step.message = reason, message
        if retryable and step.attempt + 1 < ATTEMPTS:
            step.attempt += 1
            step.retry_at = self.now + timedelta(seconds=min(2.0 ** (step.attempt - 1), _LONGEST_BACKOFF))
            for path in [path for path, result in step.results.items() if not result.ok]:
                del step.results[path], step.intents[path]
            step.phase = Phase.PENDING
            self._wake_at(step.retry_at)
            return False
        step.phase, step.finished_at = Phase.FAILED, self.now
        self.run.failure = self.run.failure or "user"
        return True

    # Small things -----------------------------------------------------------------------------------------------------

    def _again_unresolved(self) -> None:
        """Asks again for what was begun and has no result, so that after a crash it still comes in before the run stops."""
        for step in self.run.steps:
            spec = self.specs.get(step.key)
            if spec is None or step.phase.final or all(path in step.results for path in step.intents):
                continue
            try:
                outcome = self._ask(step, spec, gather_inputs(spec, self.run.steps))
            except Pending:
                continue
            match outcome:
                case Do(effects):
                    self._intend(step, effects, anew=False)
                case Wait(_, _, watch):
                    self.queries.update(watch)
                case Failed(reason, message):  # nobody can carry it out any more
                    self._fail(step, reason, message, retryable=False)

    def _wake_at(self, when: datetime | None) -> None:
        if when is not None and (self.wake is None or when < self.wake):
            self.wake = when


_IMPLICIT = {
    "workflow-changed": "the new workflow drops or weakens a gate that the promoted revision had",
    "state-lost": "objects of this application run, but its history is gone: nothing that differs is touched until you continue",
}

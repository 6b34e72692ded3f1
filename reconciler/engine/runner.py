"""Driving one run: facts to the machine, its run to the store, its orders to the executors (rules 3d, 6, 9)."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from reconciler.engine.applications import Application
from reconciler.engine.content import ContentError
from reconciler.engine.context import Context
from reconciler.engine.executors import Planned
from reconciler.engine.gatekeeping import gather_decisions
from reconciler.model.application import Workflow
from reconciler.model.event import Event
from reconciler.model.identity import ObjectRef
from reconciler.model.outcome import Evaluation, Health, Listed, Live, Measured, Query, Ready, Result
from reconciler.model.run import Phase, Run, StepState
from reconciler.workflow.commands import ended_by_order
from reconciler.workflow.facts import Advance, Facts, Order
from reconciler.workflow.retrying import pause_of_wait

_PATIENCE = 3
_THROTTLED = "waiting for its turn: more effects are to be started than the settings allow in a second"
_ENDS = {Phase.SUCCEEDED: "ok", Phase.FAILED: "failed", Phase.ROLLED_BACK: "undone"}


class Runner:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def drive(self, app: Application, run: Run) -> Run:
        """One look at an open run; answers it as it is now stored. Effects go on as tasks; their ends are hints."""
        context = self._context
        admitted = context.admission.admits(run)
        workflow = await self._workflow(app, run)
        unbegun = context.throttle.unbegun(app.key) | app.abandoned(run)
        facts = msgspec.structs.replace(await self._facts(app, run, workflow), admitted=admitted, unbegun=unbegun)
        step = await self._ask(app, run, workflow, facts)
        prepared, refused = await self._prepare(app, step)
        while refused:  # what is refused before it is tried is a result as any other; the intents that it answers stand in `step.run`
            facts = msgspec.structs.replace(facts, results={**facts.results, **refused})
            step = await self._ask(app, step.run, workflow, facts)
            prepared, refused = await self._prepare(app, step)
        stored = await self._store(app, run, step.run)
        context.admission.note(stored)
        context.throttle.withdraw(app.key, {order.key for order in step.orders})
        for order in step.orders:
            if order.key in prepared and context.throttle.take(app.key, order.key, stored.step(order.step).type):
                app.tasks[order.key] = asyncio.create_task(self._execute(app, order, prepared[order.key]))
            elif context.throttle.waits(order.key):
                stored.step(order.step).message = _THROTTLED
        app.look_again |= self._began_to_wait(app, run, stored)
        if step.wake is not None:
            pause = (step.wake - context.clock.now()).total_seconds()
            if pause > 0:
                context.hint_after(app.key, pause)
            else:
                app.look_again = True  # a timer opens only after a look at git later than its deadline (4c)
        return stored

    async def _workflow(self, app: Application, run: Run) -> Workflow:
        """Where what is stored of the revision is lost, a run can still be ended by a person, and nothing else."""
        try:
            return await self._context.contents.workflow(app.key, run.revision)
        except ContentError:
            if not ended_by_order(run):
                raise
            return Workflow()

    def _began_to_wait(self, app: Application, old: Run, new: Run) -> bool:
        """Whether a gate waits since now while something stands in git: that is judged by a look that comes after it (4b)."""
        entry = self._context.index.entries.get(app.key)
        if entry is None or not entry.declared.annotations:
            return False
        waited = {step.key for step in old.steps if step.phase is Phase.WAITING}
        return any(step.phase is Phase.WAITING and step.key not in waited for step in new.steps)

    async def _ask(self, app: Application, run: Run, workflow: Workflow, facts: Facts) -> Advance:
        """Asks the machine, answers its queries, asks again until it has no new ones."""
        context = self._context
        seen: dict[Query, object] = {}
        app.unmet, cluster = [], context.reach.of(app)
        while True:
            step = context.machine.advance(run, workflow, msgspec.structs.replace(facts, seen=seen), context.clock.now())
            new = step.queries - seen.keys()
            if not new:
                context.observations.attend(app.mirror.uid, [query.ref for query in seen if isinstance(query, Live)])
                return step
            denied = self._deny(app, new)
            unwatched = self._foreign(app, new - denied.keys()) and await context.observations.read_unwatched(new, cluster)
            if unwatched or any(isinstance(query, Listed | Measured) for query in new):
                self._poll(app, run)
            if any(isinstance(query, Health) for query in new):
                await context.verdicts.ask(app)
            about_apps = [query for query in new if isinstance(query, Ready)]
            answers = await context.observations.answer(new.difference(about_apps, denied), cluster)
            answers |= self._judge(app, about_apps) | denied | self._measure(app, new) | await self._evaluate(new)
            seen = {**seen, **answers}
            if not new <= answers.keys():
                self._poll(app, run)
                return step

    async def _evaluate(self, queries: frozenset[Query]) -> dict[Query, object]:
        """How far definitions come, off the loop: a template may take its time."""
        asked = [query for query in queries if isinstance(query, Evaluation)]
        return {query: await asyncio.to_thread(self._context.evaluate, query.request) for query in asked}

    def _poll(self, app: Application, run: Run) -> None:
        """Nobody tells when that changes: it is looked at again, more rarely the longer nothing does."""
        app.polls += 1
        self._context.hint_after(app.key, pause_of_wait(app.polls, f"{run.name}/{app.polls}"))

    def _judge(self, app: Application, queries: list[Ready]) -> dict[Query, object]:
        """How other applications stand that a step waits for. They are told of, and when one stands otherwise, it is asked again."""
        unmet = {found.app: found for found in self._context.dependencies.ask(app.key, [query.app for query in queries])}
        app.unmet += [found for found in unmet.values() if found not in app.unmet]
        return {query: {"ready": query.app not in unmet, "message": unmet[query.app].text if query.app in unmet else ""} for query in queries}

    def _measure(self, app: Application, queries: frozenset[Query]) -> dict[Query, object]:
        """What is known of metrics; what is not is asked for meanwhile."""
        heard = {query: self._context.measuring.ask(app.key, query) for query in queries if isinstance(query, Measured)}
        return {query: answer for query, answer in heard.items() if answer is not None}

    def _deny(self, app: Application, queries: frozenset[Query]) -> dict[Query, object]:
        """Answers to those about objects that the application may not look at: not there, and why (13a)."""
        denied: dict[Query, object] = {}
        for query in queries:
            for ref in _asked(query):
                objection = "" if ref.identity in app.items else self._context.reach.look_objection(app, ref)
                if objection:
                    denied[query] = (
                        None if isinstance(query, Live | Listed) else {"status": "Missing", "message": f"{ref}: {objection}", "failed": False}
                    )
        return denied

    def _foreign(self, app: Application, queries: frozenset[Query]) -> bool:
        """Whether one is about an object that we did not apply: the shared watch does not bring it."""
        asked = [ref for query in queries if isinstance(query, Health) for ref in query.refs]
        asked += [query.ref for query in queries if isinstance(query, Live)]
        return any(ref.identity not in app.items for ref in asked)

    async def _facts(self, app: Application, run: Run, workflow: Workflow) -> Facts:
        context = self._context
        entry = context.index.entries.get(app.key)
        newer = ""
        if entry is not None and entry.valid and not run.restores:
            digest = entry.declared.digest
            if digest not in (run.digest, app.mirror.rejected) and not app.suspended(entry):
                app.expect(digest, entry.declared.commit)
                newer = next((record.name for record in reversed(app.records) if record.digest == digest), f"commit {entry.declared.commit[:12]}")
        restored: Literal["", "Succeeded", "Failed"] = ""
        restore = next((other for other in reversed(app.runs) if other.restores == run.name and other.phase.final), None)
        if restore is not None:
            restored = "Succeeded" if restore.phase is Phase.SUCCEEDED else "Failed"
        looked_at = context.index.looked_at  # of the head that is judged, no later one: a timer must not outrun a rollback (4c)
        return Facts(
            results=dict(app.results),
            decisions=tuple(await gather_decisions(context, app, run, workflow, context.clock.now())),
            looked_at=looked_at,
            newer=newer,
            patient=app.mirror.superseded_row >= _PATIENCE,
            held=app.suspended(entry) if not run.restores else "",  # a rollback acts while suspended (6a)
            removed=app.mirror.removal is not None and app.mirror.removal.state == "Deleting",
            target=app.rollback_target(run),
            restored=restored,
            restore_message=f"{restore.name}: {restore.message}"[:512] if restore is not None else "",
            restore_failure=restore.failure if restore is not None else "",
        )

    async def _prepare(self, app: Application, step: Advance) -> tuple[dict[str, Planned], dict[str, Result]]:
        """Reads what each order is about to do, and notes what it applies in its intent before that is stored (rule 3d)."""
        prepared: dict[str, Planned] = {}
        refused: dict[str, Result] = {}
        for order in step.orders:
            if order.key in app.tasks or self._context.throttle.waits(order.key):
                continue
            found = await self._context.executors.of(order.effect.kind).prepare(app, step.run, order)
            if isinstance(found, Result):
                refused[order.key] = found
                self._context.sink.emit(Event("effect", app.key, {"kind": order.effect.kind, "result": found.reason}))
            else:
                prepared[order.key] = found
                intent = step.run.step(order.step).intents[order.path]
                if not intent.refs:  # after a crash they may be there because of it
                    intent.absent = [ref.pack() for ref in getattr(found, "absent", ())]
                intent.refs = [ref.pack() for ref in found.written]
        return prepared, refused

    async def _store(self, app: Application, old: Run, new: Run) -> Run:
        """Stored before anything acts on it. What is only worded anew, as how many pods are ready, is seen at once and stored with what follows."""
        if not old.version or _reworded(new, old) != old:
            stored = await (self._context.store.save(app.mirror, new) if old.version else self._context.store.create_run(app.mirror, new))
            app.put_run(stored)
            app.fold_results(stored, old if old.version else None)
            app.forget_results(stored)
            self._tell(app, old, stored)
            app.polls = 0
            return stored
        if new != old:
            app.polls = 0
        app.put_run(new)
        return new

    async def _execute(self, app: Application, order: Order, planned: Planned) -> None:
        """The effect, whatever comes of it: its result waits in `app.results` until the run has it."""
        context = self._context
        start = context.clock.monotonic()
        try:
            await context.lead.hold()
            result = await context.executors.of(order.effect.kind).execute(app, planned)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # 8b: a broken effect is a failed one
            result = Result(error=f"internal error: {type(error).__name__}", reason="Internal", retry="backoff", at=context.clock.now())
        finally:
            app.tasks.pop(order.key, None)
        app.results[order.key] = result
        context.sink.emit(
            Event(
                "effect",
                app.key,
                {"kind": order.effect.kind, "result": "ok" if result.ok else result.reason, "seconds": context.clock.monotonic() - start},
            )
        )
        context.hint(app.key)

    def _tell(self, app: Application, old: Run, new: Run) -> None:
        """Events are the difference of two stored states, in the order in which it came about: a run ends after its steps."""
        emit = self._context.sink.emit
        for decision in new.decisions[len(old.decisions) if old.version else 0 :]:
            fields = {"run": new.name, "step": decision.gate, "verb": decision.verb, "by": decision.by}
            emit(Event("decision", app.key, {**fields, "commit": decision.commit, "author": decision.author}))
        if not new.phase.final:
            self._tell_phase(app, old, new)
        if new.undo_cause and not (old.version and old.undo_cause):
            emit(Event("rollback", app.key, {"run": new.name, "reason": new.undo_cause}))
        elif new.kind == "restore" and not old.version:
            emit(Event("rollback", app.key, {"run": new.name, "reason": "restore"}))
        if new.write_back is not None and (not old.version or old.write_back is None):
            emit(Event("rejected", app.key, {"run": new.name, "revision": new.revision}))
        self._tell_steps(app, old, new)
        if new.phase.final:
            self._tell_phase(app, old, new)

    def _tell_phase(self, app: Application, old: Run, new: Run) -> None:
        if new.queue and new.started_at is not None and new.created_at is not None and not (old.version and old.started_at):
            waited = (new.started_at - new.created_at).total_seconds()
            self._context.sink.emit(Event("admitted", app.key, {"run": new.name, "queue": new.queue, "seconds": waited}))
        if old.version and old.phase is new.phase:
            return
        seconds = (self._context.clock.now() - new.started_at).total_seconds() if new.started_at else 0.0
        before = old.phase.value if old.version else ""
        fields = {"run": new.name, "revision": new.revision, "kind": new.kind, "from": before, "to": new.phase.value, "seconds": seconds}
        self._context.sink.emit(Event("run", app.key, {**fields, "reason": new.reason, "message": new.message}))

    def _tell_steps(self, app: Application, old: Run, new: Run) -> None:
        now = self._context.clock.now()
        was = {step.key: step for step in old.steps} if old.version or new.kind == "undo" else {}  # an undo run begins with what another did
        for step in new.steps:
            before = was.get(step.key)
            if before is None or before.phase is not step.phase:
                seconds = (now - step.started_at).total_seconds() if step.started_at else 0.0
                fields = {"run": new.name, "step": step.name, "type": step.type, "from": before.phase.value if before else "", "to": step.phase.value}
                self._context.sink.emit(Event("step", app.key, {**fields, "seconds": seconds, "message": step.message}))
            for result in _attempts(before, step):
                self._context.sink.emit(Event("attempt", app.key, {"run": new.name, "step": step.name, "type": step.type, "result": result}))


def _asked(query: Query) -> tuple[ObjectRef, ...]:
    """What may have to be denied; a list stands for an object without a name."""
    if isinstance(query, Health):
        return query.refs
    if isinstance(query, Listed):
        return (ObjectRef(query.api_version, query.kind, query.namespace, ""),)
    return (query.ref,) if isinstance(query, Live) else ()


def _reworded(run: Run, other: Run) -> Run:
    """The run with the messages of the other one."""
    said = {step.key: step.message for step in other.steps}
    steps = [msgspec.structs.replace(step, message=said.get(step.key, step.message)) for step in run.steps]
    return msgspec.structs.replace(run, message=other.message, steps=steps)


def _attempts(before: StepState | None, step: StepState) -> list[str]:
    """How the tries of a step ended that ended between two stored states. One that was reset begins anew."""
    old = before if before is not None and before.round == step.round else StepState(step.name, step.type, step.key)
    found = ["again"] * (step.attempt - old.attempt) + ["undo-again"] * (step.undo_attempt - old.undo_attempt)
    if step.undo_error and not old.undo_error:
        return [*found, "undo-failed"]
    if step.phase is not old.phase and step.phase in _ENDS and not step.undo_error:
        found.append(_ENDS[step.phase])
    return found

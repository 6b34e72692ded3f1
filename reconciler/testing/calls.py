"""Calls of plug-ins as tests see them: made one by one, noted, and made to fail."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from reconciler.engine.applications import Application
from reconciler.engine.executors import Plain
from reconciler.engine.plugins.executor import PluginExecutor
from reconciler.engine.plugins.loading import Plugin, read_plugin
from reconciler.model.clock import Clock
from reconciler.model.identity import AppKey
from reconciler.model.outcome import Call as Asked
from reconciler.model.outcome import Do, Done, Effect, Failed, Result
from reconciler.model.records import Mirror
from reconciler.model.run import Run, Shared, StepState
from reconciler.plugin import Context, NotReady
from reconciler.steps.plugin import KIND
from reconciler.workflow.facts import Order

T = TypeVar("T")
PATIENCE = 2.0


class InTurn:
    """Calls that hold the virtual clock while they are made. One that hangs is given up after `patience` real seconds, and its seconds pass."""

    def __init__(self, clock: Clock | None = None, patience: float = PATIENCE) -> None:
        self._clock, self._patience = clock, patience

    async def call(self, work: Callable[[], T], seconds: float) -> T:
        answers: list[T] = []
        thread = threading.Thread(target=lambda: answers.append(work()), name="plugin-under-test", daemon=True)
        thread.start()
        thread.join(min(seconds, self._patience))
        if answers:
            return answers[0]
        if self._clock is not None:
            await self._clock.sleep(seconds)
        raise TimeoutError


@dataclass
class Call:
    """
    One call that was made. `method`: run, rollback or sync. `life`: how often the daemon had died before. `answer`: what it answered; `error`:
    what it raised, also where a test had it raise that; neither: it is not over.
    """

    plugin: str
    method: str
    step: str
    workflow: str
    key: str
    attempt: int
    parameters: Any
    attributes: Mapping[str, Any]
    life: int = 0
    answer: Done | None = None
    error: BaseException | None = None


@dataclass
class Notes:
    """The calls of all plug-ins, in their order, and the failures that wait for calls to come."""

    calls: list[Call] = field(default_factory=list)
    failures: list[tuple[str, str, BaseException]] = field(default_factory=list)
    life: int = 0

    def take(self, call: Call) -> None:
        """Notes the call. Raises what a test has ordered for it."""
        self.calls.append(call)
        for position, (plugin, method, error) in enumerate(self.failures):
            if (plugin, method) == (call.plugin, call.method):
                del self.failures[position]
                call.error = error
                raise error

    def check_keys(self) -> None:
        """
        Raises AssertionError where two calls under one key had different parameters, or where one was made twice without need: neither had it
        failed, nor was it not ready, nor had the daemon died.
        """
        last: dict[str, Call] = {}
        for call in self.calls:
            before = last.get(call.key)
            if before is not None:
                assert before.parameters == call.parameters, f"{call.key}: called with {before.parameters!r}, then with {call.parameters!r}"
                again = call.attempt > before.attempt or call.life > before.life or isinstance(before.error, NotReady)
                assert again, f"{call.key}: called twice, although the first call was neither lost nor failed"
            last[call.key] = call


class _Noted:
    """Stands before an object of a plug-in's class."""

    def __init__(self, name: str, made_of: Callable[[], Any], notes: Notes) -> None:
        self._name, self._made_of, self._notes = name, made_of, notes

    def run(self, context: Context[Any]) -> Any:
        return self._call("run", context)

    def rollback(self, context: Context[Any]) -> Any:
        return self._call("rollback", context)

    def sync(self, context: Context[Any]) -> Any:
        return self._call("sync", context)

    def _call(self, method: str, context: Context[Any]) -> Any:
        told = (context.step, context.workflow, context.key, context.attempt, context.parameters, context.attributes)
        call = Call(self._name, method, *told, life=self._notes.life)
        self._notes.take(call)
        try:
            answer = getattr(self._made_of(), method)(context)
        except BaseException as error:
            call.error = error
            raise
        if inspect.isawaitable(answer):
            return _follow(call, answer)
        call.answer = answer
        return answer


async def _follow(call: Call, answer: Awaitable[Any]) -> Any:
    try:
        call.answer = await answer
    except BaseException as error:
        call.error = error
        raise
    return call.answer


def noted(plugin: Plugin, notes: Notes) -> Plugin:
    """The plug-in, each call of it noted."""
    return plugin._replace(made_of=lambda: _Noted(plugin.name, plugin.made_of, notes))


def call_step(
    step: type,
    method: str = "run",
    parameters: Mapping[str, Any] | None = None,
    *,
    attributes: Mapping[str, Any] | None = None,
    made: Done | None = None,
    attempt: int = 0,
    key: str = "key",
) -> Done | Failed:
    """
    What comes of one call, as a workflow would take it. `parameters`: as a manifest gives them. `made`: what `run` had answered, for
    `rollback` and `sync`. Raises PluginError for a class that is no plug-in.
    """
    plugin = read_plugin("step", step)
    shared = [Shared("before", dict(attributes))] if attributes else []
    run = Run("test-v1-1", "default/test", "test-v1", "", shared=shared, steps=[StepState("step", "step", "step")])
    given = {"run": Result(value=msgspec.structs.asdict(made))} if made is not None else {}
    asked = Asked(AppKey("default", "test"), "step", "step", dict(parameters or {}), key=key, made=given)
    executor = PluginExecutor({"step": plugin}, lambda: datetime.now(UTC), lambda _: InTurn())
    ask = {"run": plugin.step.next, "rollback": plugin.step.undo, "sync": plugin.step.sync}[method]
    outcome = ask(asked, {}, {}, datetime.now(UTC))
    if isinstance(outcome, Do):
        [effect] = outcome.effects.values()
        outcome = ask(asked, {method: _execute(executor, run, effect, f"{key}/{attempt}")}, {}, datetime.now(UTC))
    assert isinstance(outcome, Done | Failed)
    return outcome


def _execute(executor: PluginExecutor, run: Run, effect: Effect, key: str) -> Result:
    assert effect.kind == KIND
    app = Application(Mirror(namespace="default", name="test"))
    return asyncio.run(executor.execute(app, Plain(run, Order(key, "step", str(effect.params["method"]), effect))))

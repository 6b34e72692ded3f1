"""The executor of `plugin` effects: one call of one method of a plug-in, and nothing that it does reaches further than its own step (rule 8b)."""

from __future__ import annotations

import asyncio
import inspect
import math
import os
import re
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from reconciler.engine.applications import Application
from reconciler.engine.executors import Plain
from reconciler.engine.plugins.loading import Plugin, read_parameters
from reconciler.engine.plugins.speech import Cloak, CloakedLog, overheard
from reconciler.engine.plugins.threads import Calls, Threads
from reconciler.model.outcome import Done, Result
from reconciler.model.run import Run
from reconciler.plugin import Context, NotReady, Retryable, StepError
from reconciler.plugin import Final as FinalError
from reconciler.workflow.facts import Order

LIMIT: Final = 32 * 1024  # rule 3e
_RESOURCE: Final = frozenset({"status", "id", "name", "address"})
_REASON: Final = re.compile(r"[A-Z][A-Za-z0-9]{0,63}", re.ASCII)
_LONGEST_PAUSE: Final = 86400.0


class _Failure(NamedTuple):
    error: str
    reason: str
    retry: str = "terminal"
    after: float = 0.0


class PluginExecutor:
    """`calls`: makes the place where a plug-in of that name runs; each has its own, so that one whose calls hang takes none from another."""

    def __init__(self, plugins: Mapping[str, Plugin], now: Callable[[], datetime], calls: Callable[[str], Calls] = Threads) -> None:
        self._plugins, self._now = dict(plugins), now
        self._calls = {name: calls(name) for name in plugins}

    async def prepare(self, app: Application, run: Run, order: Order) -> Plain | Result:  # noqa: ARG002  # the protocol's arguments
        name = str(order.effect.params.get("plugin"))
        if name not in self._plugins:
            return Result(error=f"the step plug-in {name} is not loaded", reason="PluginMissing", at=self._now())
        return Plain(run, order)

    async def execute(self, app: Application, planned: Plain) -> Result:
        run, order = planned
        plugin, params = self._plugins[str(order.effect.params["plugin"])], order.effect.params
        made = params.get("made") or {}
        attributes = {**run.told(run.step(order.step)), **(made.get("attributes") or {})}
        cloak = Cloak(params, attributes)
        key, _, attempt = order.key.rpartition("/")
        log = CloakedLog(cloak, plugin=plugin.name, application=str(app.key), run=run.name, step=order.step)

        def work() -> dict[str, Any] | _Failure:
            try:
                return ask()
            except BaseException:  # noqa: BLE001  # even what it raised may raise when it is looked at
                return _Failure("it raised what can't be shown", "PluginBroken", "backoff")

        def ask() -> dict[str, Any] | _Failure:
            try:
                context = Context(
                    workflow=str(app.key),
                    step=order.step,
                    parameters=read_parameters(plugin, params.get("properties") or {}),
                    key=key,
                    attempt=int(attempt),
                    deadline=deadline,
                    log=log,
                    attributes=attributes,
                    workflow_parameters=params.get("parameters") or {},
                    made=_done(made) if params["method"] != "run" else None,
                )
            except ValueError as error:
                return _Failure(f"its parameters do not hold: {cloak.hide(error)}", "InvalidProperties")
            with overheard(log):
                return _call(plugin, str(params["method"]), context, cloak)

        deadline = self._now() + timedelta(seconds=plugin.seconds)
        try:
            answer = await self._calls[plugin.name].call(work, plugin.seconds)
        except TimeoutError:
            answer = _Failure(f"{params['method']} of {plugin.name} gave no answer in {plugin.seconds:g} s", "Timeout", "backoff")
        if isinstance(answer, _Failure):
            value = {"after": answer.after} if answer.after else {}
            return msgspec.convert({"value": value, "error": answer.error, "reason": answer.reason, "retry": answer.retry, "at": self._now()}, Result)
        return Result(value=answer, at=self._now())


def _done(made: dict[str, Any]) -> Done:
    return Done(**{name: value for name, value in made.items() if name in Done.__struct_fields__})


def _call(plugin: Plugin, method: str, context: Context[Any], cloak: Cloak) -> dict[str, Any] | _Failure:
    """One call, in its own thread, and what is to be stored of it. Raises nothing, whatever the plug-in does."""
    try:
        answer = getattr(plugin.made_of(), method)(context)
        if inspect.isawaitable(answer):
            answer = asyncio.run(_await(answer, plugin.seconds))
        return _read(answer, method, plugin.name, cloak)
    except StepError as error:
        return _explain(error, cloak)
    except TimeoutError as error:
        return _Failure(_describe(error), "Timeout", "backoff")
    except BaseException as error:  # noqa: BLE001  # also sys.exit: it ends this call, not the daemon
        return _Failure(_describe(error), "PluginBroken", "backoff")


async def _await(answer: Any, seconds: float) -> Any:
    async with asyncio.timeout(seconds):
        return await answer


def _explain(error: StepError, cloak: Cloak) -> _Failure:
    given = str(getattr(error, "reason", ""))
    reason = given if _REASON.fullmatch(given) else ""
    message = cloak.hide(getattr(error, "message", "")) or type(error).__name__
    if isinstance(error, NotReady):
        pause = error.after if isinstance(error.after, int | float) and math.isfinite(error.after) else 10.0
        return _Failure(message, reason or "NotReady", "wait", min(max(float(pause), 1.0), _LONGEST_PAUSE))
    retryable = isinstance(error, Retryable) or not isinstance(error, FinalError)
    return _Failure(message, reason or "StepFailed", "backoff" if retryable else "terminal")


def _describe(error: BaseException) -> str:
    """Its type and where it came from. Its own text is not shown: nobody wrote it for the status, and it may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(os.path.dirname(__file__))]  # noqa: PTH120  # a text of the trace
    at = f" at {os.path.basename(own[-1].filename)}:{own[-1].lineno}" if own else ""  # noqa: PTH119
    return f"it raised {type(error).__name__}{at}"


def _read(answer: object, method: str, name: str, cloak: Cloak) -> dict[str, Any] | _Failure:
    """What it answered as plain data, or why it can't be stored."""
    if answer is None:
        return {}
    if not isinstance(answer, Done):
        return _Failure(f"{method} of {name} answered {type(answer).__name__}, not Done", "BadAnswer")
    try:
        data = msgspec.json.encode(answer)
        if len(data) > LIMIT:
            return _Failure(f"{method} of {name} answered {len(data)} bytes; at most {LIMIT} are kept", "AnswerTooLarge")
        done = msgspec.json.decode(data, type=Done)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        return _Failure(f"{method} of {name} answered what can't be stored: {cloak.hide(error, 200)}", "BadAnswer")
    unknown = sorted(done.resource.keys() - _RESOURCE)
    if unknown:
        return _Failure(f"{method} of {name}: a resource has {', '.join(sorted(_RESOURCE))}, not {cloak.hide(unknown[0], 80)}", "BadAnswer")
    value = {
        "outputs": done.outputs,
        "message": cloak.hide(done.message),
        "attributes": done.attributes,
        "resource": {field: cloak.hide(text, 256) for field, text in done.resource.items()},
    }
    return {field: part for field, part in value.items() if part}

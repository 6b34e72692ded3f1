"""The executor of `http`: one request to another system (rules 9b, 13b)."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Final

import msgspec

from reconciler.engine.applications import Application
from reconciler.engine.executors import Plain
from reconciler.engine.lanes import Lanes, receiver_of
from reconciler.model.clock import Clock
from reconciler.model.outcome import Result, Retry
from reconciler.model.run import Run
from reconciler.notify.protocol import Answer, NoAnswerError, NotifyError, Request, Sender
from reconciler.workflow.facts import Order

_AT_ONCE, _EACH = 128, 16
_AGAIN: Final = frozenset({408, 425, 429})  # they say themselves that it may be asked again


class Asking:
    """`seconds`: how long an answer is waited for where the step does not say it."""

    def __init__(self, sender: Sender, seconds: float, clock: Clock) -> None:
        self._sender, self._seconds, self._clock = sender, seconds, clock
        self._lanes = Lanes(_AT_ONCE, _EACH)

    async def prepare(self, app: Application, run: Run, order: Order) -> Plain:  # noqa: ARG002  # the protocol's arguments
        return Plain(run, order)

    async def execute(self, app: Application, planned: Any) -> Result:  # noqa: ARG002
        params = planned.order.effect.params
        limit, seconds = int(params.get("answer", 0)), float(params.get("seconds", self._seconds))
        receiver = receiver_of(params["url"])
        try:
            async with asyncio.timeout(seconds), self._lanes.enter(receiver):  # it ends in time also where others hang before it
                answer = await self._sender.send(build_request(planned.order), seconds, limit)
        except TimeoutError:
            return _failed(NoAnswerError.reason, f"{receiver} gave no answer within {seconds:g} s", NoAnswerError.retry, self._clock.now())
        except NotifyError as error:
            return _failed(error.reason, str(error), error.retry, self._clock.now())
        return judge(answer, params.get("expect"), limit, self._clock.now())


class NotAsking:
    """In a simulation, where nothing leaves the machine: as if all went well."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def prepare(self, app: Application, run: Run, order: Order) -> Plain:  # noqa: ARG002  # the protocol's arguments
        return Plain(run, order)

    async def execute(self, app: Application, planned: Any) -> Result:  # noqa: ARG002
        expect = planned.order.effect.params.get("expect") or [200]
        return Result(value={"status": expect[0], "answer": {}}, at=self._clock.now())


def build_request(order: Order) -> Request:
    """With the effect's key less its attempt: a repeated request is the same request (rule 9a)."""
    params = order.effect.params
    headers = {**params["headers"], "Idempotency-Key": order.key.rpartition("/")[0]}
    return Request(params["method"], params["url"], headers, params.get("body", "").encode("utf-8", "surrogatepass"))


def judge(answer: Answer, expect: list[int] | None, limit: int, now: datetime) -> Result:
    """What comes of an answer. `limit`: bytes up to which a JSON object in it is kept, 0 for none."""
    status = answer.status
    if status in expect if expect else 200 <= status < 300:
        value: dict[str, Any] = {"status": status}
        found = _read_object(answer) if limit else None
        return Result(value=value if found is None else {**value, "answer": found}, at=now)
    wanted = f"; expected {', '.join(map(str, expect))}" if expect else ""
    return _failed("HttpStatus", f"answered {status}{wanted}", "backoff" if status in _AGAIN or status >= 500 else "terminal", now)


def _read_object(answer: Answer) -> dict[str, Any] | None:
    if not answer.whole:
        return None
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _failed(reason: str, message: str, retry: Retry, now: datetime) -> Result:
    return Result(error=message[:1024], reason=reason, retry=retry, at=now)

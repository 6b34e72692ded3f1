"""The executor of `http`: one request to another system (rules 9b, 13b)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from reconciler.engine.applications import Application
from reconciler.engine.executors import Plain
from reconciler.engine.lanes import Lanes, receiver_of
from reconciler.model.clock import Clock
from reconciler.model.outcome import Result, Retry
from reconciler.model.run import Run
from reconciler.model.text import MASK, one_line
from reconciler.notify.protocol import Answer, NoAnswerError, NotifyError, Request, Sender
from reconciler.workflow.facts import Order

_AT_ONCE, _EACH = 128, 16
_BUSY: Final = frozenset({-1, 130101, 9499, 11232, 11233})  # DingTalk and Lark: too busy, or too many at once
_SHORTEST: Final = 6  # parts of a URL that are shorter are words, no secrets
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
        if params.get("verbatim"):
            return keep(answer, self._clock.now())
        return judge(answer, params, self._clock.now())


class NotAsking:
    """In a simulation, where nothing leaves the machine: as if all went well."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def prepare(self, app: Application, run: Run, order: Order) -> Plain:  # noqa: ARG002  # the protocol's arguments
        return Plain(run, order)

    async def execute(self, app: Application, planned: Any) -> Result:  # noqa: ARG002
        expect = planned.order.effect.params.get("expect") or [200]
        if planned.order.effect.params.get("verbatim"):
            return Result(value={"answer": {"statusCode": expect[0], "body": "{}"}}, at=self._clock.now())
        return Result(value={"status": expect[0], "answer": {}}, at=self._clock.now())


def build_request(order: Order) -> Request:
    """With the effect's key less its attempt: a repeated request is the same request (rule 9a)."""
    params = order.effect.params
    headers = {**params["headers"], "Idempotency-Key": order.key.rpartition("/")[0]}
    return Request(params["method"], params["url"], headers, params.get("body", "").encode("utf-8", "surrogatepass"))


def keep(answer: Answer, now: datetime) -> Result:
    """The answer itself, whatever its status: who asked judges it."""
    if not answer.whole:
        return _failed("AnswerTooLarge", f"answered {answer.status} with more than {len(answer.body)} bytes", "terminal", now)
    return Result(value={"answer": {"statusCode": answer.status, "body": answer.body.decode("utf-8", "replace")}}, at=now)


def judge(answer: Answer, params: Mapping[str, Any], now: datetime) -> Result:
    """
    What comes of an answer. Of the parameters: `expect`, the status codes that are success; `answer`: bytes up to which JSON in it is kept, 0 for
    none; `zero`: the field of it that is 0 where the request was taken, `said`: the one that says why it was not.
    """
    status, expect, limit = answer.status, params.get("expect"), int(params.get("answer", 0))
    if not (status in expect if expect else 200 <= status < 300):
        wanted = f"; expected {', '.join(map(str, expect))}" if expect else ""
        return _failed("HttpStatus", f"answered {status}{wanted}", "backoff" if status in _AGAIN or status >= 500 else "terminal", now)
    value: dict[str, Any] = {"status": status}
    found = _read_json(answer) if limit else msgspec.UNSET
    if params.get("zero"):
        code = found.get(params["zero"]) if isinstance(found, dict) else None
        if code in (0, None):
            return Result(value=value, at=now)
        said = _hide(str(found.get(params.get("said")) or ""), str(params["url"])) if isinstance(found, dict) else ""
        message = f"answered {status} with {params['zero']} {one_line(code, 40)}{f': {said}' if said else ''}"
        return _failed("NotTaken", message, "backoff" if code in _BUSY else "terminal", now)
    return Result(value=value if found is msgspec.UNSET else {**value, "answer": found}, at=now)


def _read_json(answer: Answer) -> Any:
    """UNSET for what is none, or not all of it."""
    if not answer.whole:
        return msgspec.UNSET
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return msgspec.UNSET


def _hide(text: str, url: str) -> str:
    """What the receiver said, without what of its URL may be a secret."""
    for part in sorted(re.split(r"[/?&=#]", url), key=len, reverse=True):
        text = text.replace(part, MASK) if len(part) >= _SHORTEST else text
    return one_line(text, 200)


def _failed(reason: str, message: str, retry: Retry, now: datetime) -> Result:
    return Result(error=message[:1024], reason=reason, retry=retry, at=now)

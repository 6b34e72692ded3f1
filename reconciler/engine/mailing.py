"""The executor of `mail`: one mail to its server (rules 9b, 13b)."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, Final, NamedTuple

from reconciler.engine.applications import Application
from reconciler.engine.lanes import Lanes
from reconciler.model.clock import Clock
from reconciler.model.identity import ObjectRef
from reconciler.model.outcome import Result
from reconciler.model.run import Run
from reconciler.notify.mail import Mail, Post
from reconciler.notify.protocol import NoAnswerError, NotifyError
from reconciler.workflow.facts import Order

_AT_ONCE, _EACH = 16, 4
SECONDS: Final = 60.0


class Written(NamedTuple):
    mail: Mail

    @property
    def written(self) -> list[ObjectRef]:
        return []


class Mailing:
    """`seconds`: how long a server may take for one mail."""

    def __init__(self, post: Post, clock: Clock, seconds: float = SECONDS) -> None:
        self._post, self._clock, self._seconds = post, clock, seconds
        self._lanes = Lanes(_AT_ONCE, _EACH)

    async def prepare(self, app: Application, run: Run, order: Order) -> Written:  # noqa: ARG002  # the protocol's arguments
        """Message-ID and date follow from the effect's key and the step's start: a mail that is sent again is the same mail."""
        params: dict[str, Any] = order.effect.params
        mark = hashlib.sha256(order.key.rpartition("/")[0].encode("utf-8", "surrogatepass")).hexdigest()[:32]
        step = run.step(order.step)
        at = step.started_at or step.intents[order.path].at
        fields = {name: params[name] for name in ("host", "port", "address", "alias", "password", "subject", "body")}
        return Written(Mail(**fields, to=tuple(params["to"]), mark=mark, date=at.replace(microsecond=0)))

    async def execute(self, app: Application, planned: Any) -> Result:  # noqa: ARG002
        place = f"{planned.mail.host}:{planned.mail.port}"
        try:
            async with asyncio.timeout(self._seconds), self._lanes.enter(place):
                await self._post.send(planned.mail, self._seconds)
        except TimeoutError:
            error: NotifyError = NoAnswerError(f"{place} gave no answer within {self._seconds:g} s")
        except NotifyError as raised:
            error = raised
        else:
            return Result(value={"status": 250}, at=self._clock.now())
        return Result({}, str(error)[:1024], error.reason, error.retry, self._clock.now())

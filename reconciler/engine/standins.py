"""The executor of effects that change nothing anywhere: what the steps `random`, `sleep` and `fail` ask for, so that they count as any other."""

from __future__ import annotations

import hashlib

from reconciler.engine.applications import Application
from reconciler.engine.executors import Plain
from reconciler.model.clock import Clock
from reconciler.model.outcome import Result
from reconciler.model.run import Run
from reconciler.workflow.facts import Order

KINDS = ("random", "sleep", "fail")


class StandIn:
    """The time that such a step takes passes in the run, after the result: nothing here waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def prepare(self, app: Application, run: Run, order: Order) -> Plain:  # noqa: ARG002  # the protocol's arguments
        return Plain(run, order)

    async def execute(self, app: Application, planned: Plain) -> Result:  # noqa: ARG002
        effect, at = planned.order.effect, self._clock.now()
        if effect.kind == "fail":
            again = bool(effect.params.get("retryable"))
            return Result(error=str(effect.params.get("message", "")), reason="AskedToFail", retry="backoff" if again else "terminal", at=at)
        wanted = effect.params.get("result") or _by_chance(planned.order.key)
        if effect.kind == "sleep" or wanted == "success":
            return Result(at=at)
        fatal = wanted == "fatal"
        return Result(
            error="it failed for good" if fatal else "it failed by chance", reason="Unlucky", retry="terminal" if fatal else "backoff", at=at
        )


def _by_chance(key: str) -> str:
    """From the key of the effect, but for the uid that it begins with: a simulation foretells it."""
    return ("success", "failure")[hashlib.sha256(key.partition("/")[2].encode()).digest()[0] % 2]

"""Metrics that steps ask about: read from Prometheus beside the turns, so that a slow one holds up nobody (rules 8a, 13b)."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import quote_plus

import msgspec

from reconciler.engine.lanes import receiver_of
from reconciler.model.clock import Clock
from reconciler.model.identity import AppKey
from reconciler.model.outcome import Measured
from reconciler.model.text import one_line
from reconciler.notify.protocol import NotifyError, Request, Sender

_FRESH: Final = 2.0
_SECONDS: Final = 10.0
_POINTS: Final = 120
_LIMIT: Final = 256 * 1024
_KEPT: Final = 1000


class Meter(NamedTuple):
    """`endpoints`: URLs that the operator names. `sender` reaches those alone."""

    sender: Sender
    endpoints: tuple[str, ...]


class _Heard(NamedTuple):
    answer: dict[str, Any]
    at: float


class Measuring:
    """`meter`: None where nothing leaves the machine: then all is as it should be. `hint`: asks for a turn of who waits for an answer."""

    def __init__(self, meter: Meter | None, clock: Clock, hint: Callable[[AppKey], None]) -> None:
        self._meter, self._clock, self._hint = meter, clock, hint
        self._heard: OrderedDict[Measured, _Heard] = OrderedDict()
        self._untold: set[Measured] = set()
        self._tasks: dict[Measured, asyncio.Task[None]] = {}

    def ask(self, key: AppKey, query: Measured) -> dict[str, Any] | None:
        """The answer, where there is a new one; else it is asked for, and the application has a turn when it is there."""
        if self._meter is None:
            return {"pretended": True}
        if not self._meter.endpoints:
            return {"refused": "the operator names no Prometheus (setting metricsEndpoints)"}
        if query.endpoint.rstrip("/") not in ("", *(endpoint.rstrip("/") for endpoint in self._meter.endpoints)):
            return {"refused": f"{one_line(receiver_of(query.endpoint), 120)} is none that the operator names (setting metricsEndpoints)"}
        heard = self._heard.get(query)
        if heard is not None and (query in self._untold or self._clock.monotonic() - heard.at < _FRESH):
            self._untold.discard(query)
            return heard.answer
        if query not in self._tasks:
            self._tasks[query] = asyncio.create_task(self._read(self._meter, key, query))
        return None

    async def _read(self, meter: Meter, key: AppKey, query: Measured) -> None:
        end = self._clock.now().timestamp()
        start = max(query.since.timestamp() if query.since is not None else 0.0, end - query.seconds * 1.5)
        step = max(1.0, math.ceil(query.seconds / _POINTS))
        span = f"start={start}&end={end}&step={step:g}"
        url = f"{(query.endpoint or meter.endpoints[0]).rstrip('/')}/api/v1/query_range?query={quote_plus(query.query)}&{span}"
        try:
            answer = await meter.sender.send(Request("GET", url), _SECONDS, _LIMIT)
            told = _read_points(answer.body) if answer.whole else {"error": "the answer is too large"}
        except NotifyError as error:
            told = {"error": str(error)}
        except Exception as error:  # noqa: BLE001  # 8b: whatever it is, it is this question's alone
            told = {"error": f"internal error: {type(error).__name__}"}
        finally:
            del self._tasks[query]
        self._heard[query] = _Heard({**told, "start": start, "end": end, "step": step}, self._clock.monotonic())
        self._heard.move_to_end(query)
        self._untold.add(query)
        while len(self._heard) > _KEPT:
            self._untold.discard(self._heard.popitem(last=False)[0])
        self._hint(key)

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()


def _read_points(body: bytes) -> dict[str, Any]:
    """What Prometheus' API answers, as `points`; its own words, or what is wrong, as `error`."""
    try:
        found = msgspec.json.decode(body)
        if found["status"] != "success":
            return {"error": one_line(found.get("error") or "it says no", 300)}
        series = found["data"]["result"]
        if found["data"]["resultType"] != "matrix" or len(series) > 1:
            return {"error": "the query has more than one value; sum or pick them"}
        pairs = [(float(at), float(value)) for at, value in series[0]["values"]] if series else []
    except (msgspec.DecodeError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return {"error": "what answers is no Prometheus"}
    return {"points": [pair for pair in pairs if not math.isnan(pair[1])]}

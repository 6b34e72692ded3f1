"""Metrics are asked for beside the turns, of those whom the operator names alone, and whatever answers is read."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from reconciler.daemon import SystemClock
from reconciler.engine.measuring import Measuring, Meter
from reconciler.model.identity import AppKey
from reconciler.model.outcome import Measured
from reconciler.notify.protocol import Answer, UnreachableError

KEY = AppKey("d", "a")
URL = "http://prometheus:9090"


class Sender:
    def __init__(self, answer):
        self.asked, self.answer = [], answer

    async def send(self, request, seconds, limit=0):
        self.asked.append(request.url)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def told(answer, endpoint="", endpoints=(URL,)):
    """(first answer, later answer, hints, URLs)."""

    async def run():
        hints, sender = [], Sender(answer)
        measuring = Measuring(Meter(sender, endpoints), SystemClock(), hints.append)
        query = Measured(endpoint, 'sum(up{a="b"})', datetime.now(UTC), 60.0)
        first = measuring.ask(KEY, query)
        assert first is not None or measuring.ask(KEY, query) is None  # asked once, however often
        await asyncio.sleep(0.01)
        later = measuring.ask(KEY, query)
        measuring.close()
        return first, later, hints, sender.asked

    return asyncio.run(run())


def body(*series, kind="matrix"):
    return Answer(200, json.dumps({"status": "success", "data": {"resultType": kind, "result": list(series)}}).encode())


def test_what_is_not_known_is_asked_for_and_the_application_has_a_turn_when_it_is():
    first, later, hints, asked = told(body({"values": [[1.5, "2"], [2.5, "NaN"], [3.5, "+Inf"]]}))
    assert first is None
    assert later["points"] == [(1.5, 2.0), (3.5, float("inf"))]
    assert hints == [KEY]
    assert len(asked) == 1
    assert asked[0].startswith(f"{URL}/api/v1/query_range?query=sum%28up%7Ba%3D%22b%22%7D%29&start=")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (UnreachableError("no connection to prometheus:9090"), "no connection to prometheus:9090"),
        (RuntimeError("secret"), "internal error: RuntimeError"),
        (Answer(200, b"<html>"), "no Prometheus"),
        (Answer(200, b"[]"), "no Prometheus"),
        (Answer(200, b'{"status": "success", "data": {"resultType": "matrix", "result": [{"values": [1]}]}}'), "no Prometheus"),
        (Answer(200, b"{}", whole=False), "too large"),
        (Answer(400, b'{"status": "error", "error": "parse error\\nat 3"}'), "parse error\\nat 3"),
        (body({"values": []}, {"values": []}), "more than one value"),
        (body(kind="string"), "more than one value"),
    ],
)
def test_whatever_answers_is_an_error_of_this_question_alone(answer, said):
    assert said in told(answer)[1]["error"]


def test_no_series_is_no_value_and_no_error():
    assert told(body())[1]["points"] == []


def test_rule_13b_nobody_is_asked_whom_the_operator_does_not_name():
    for endpoint, endpoints in (("http://elsewhere:9090", (URL,)), (URL + ".evil.test", (URL,)), ("", ())):
        first, _, hints, asked = told(body(), endpoint, endpoints)
        assert "metricsEndpoints" in first["refused"]
        assert (hints, asked) == ([], [])
    assert told(body(), URL + "/")[1]["points"] == []


def test_where_nothing_leaves_the_machine_nobody_is_asked():
    assert Measuring(None, SystemClock(), print).ask(KEY, Measured("", "up", None, 1.0)) == {"pretended": True}

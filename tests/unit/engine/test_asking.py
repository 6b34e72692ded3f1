"""What comes of the answers of others, and under which key they are asked."""

import asyncio
from datetime import UTC, datetime

import pytest

from reconciler.daemon import SystemClock
from reconciler.engine.asking import Asking, build_request, judge
from reconciler.engine.executors import Plain
from reconciler.model.outcome import Effect
from reconciler.notify.protocol import Answer
from reconciler.workflow.facts import Order

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
URL = "https://example.org/a"


@pytest.mark.parametrize(
    ("status", "expect", "retry"),
    [(200, None, ""), (204, None, ""), (299, None, ""), (404, [404], ""), (200, [404], "terminal"), (400, None, "terminal"), (404, None, "terminal"),
     (301, None, "terminal"), (429, None, "backoff"), (408, None, "backoff"), (500, None, "backoff"), (503, [200], "backoff"), (503, [503], "")],
)  # fmt: skip
def test_research_12_400_is_an_error_and_only_what_may_pass_is_tried_again(status, expect, retry):
    result = judge(Answer(status), {"expect": expect}, NOW)
    assert result.ok is (not retry)
    assert not retry or (result.retry == retry and result.error.startswith(f"answered {status}"))


@pytest.mark.parametrize(
    ("body", "found"),
    [(b'{"a": [1]}', {"a": [1]}), (b"[1]", [1]), (b"", None), (b"{", None), (b"\xff", None), (b'"x"', "x"), (b"[" * 10_000, None)],
)
def test_only_json_is_kept_of_an_answer(body, found):
    assert judge(Answer(200, body), {"answer": 100}, NOW).value.get("answer") == found
    assert "answer" not in judge(Answer(200, body), {}, NOW).value
    assert "answer" not in judge(Answer(200, body, whole=False), {"answer": 100}, NOW).value


@pytest.mark.parametrize("path", ["request", "undo/request", "sync/3/request"])
def test_rule_9a_a_repeated_request_has_the_same_key(path):
    keys = set()
    for attempt in (0, 1):
        effect = Effect("http", {"url": URL, "method": "POST", "headers": {"A": "b"}, "body": "é"})
        request = build_request(Order(f"uid/a-v1-1/0/s/{path}/{attempt}", "s", path, effect))
        keys.add(request.headers["Idempotency-Key"])
        assert (request.headers["A"], request.body) == ("b", "é".encode())
    assert keys == {f"uid/a-v1-1/0/s/{path}"}


async def test_a_request_that_waits_behind_others_that_hang_ends_in_its_own_time():
    hang = asyncio.Event()

    class Hanging:
        async def send(self, request, seconds, limit=0):
            await hang.wait()
            return Answer(200)

    clock = SystemClock()
    asking = Asking(Hanging(), 60.0, clock)
    planned = [Plain(None, Order(f"k/{n}/0", "s", "request", Effect("http", {"url": URL, "method": "GET", "headers": {}}))) for n in range(16)]
    before = [asyncio.create_task(asking.execute(None, one)) for one in planned]
    await asyncio.sleep(0)
    params = {"url": URL, "method": "GET", "headers": {}, "seconds": 0.01}
    late = await asking.execute(None, Plain(None, Order("k/16/0", "s", "request", Effect("http", params))))
    assert (late.reason, late.retry, late.error) == ("NoAnswer", "backoff", "example.org gave no answer within 0.01 s")
    hang.set()
    assert all(result.ok for result in await asyncio.gather(*before))

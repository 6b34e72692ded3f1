"""What comes of the answers of others, and under which key they are asked."""

from datetime import UTC, datetime

import pytest

from reconciler.engine.asking import build_request, judge
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
    result = judge(Answer(status), expect, 0, NOW)
    assert result.ok is (not retry)
    assert not retry or (result.retry == retry and result.error.startswith(f"answered {status}"))


@pytest.mark.parametrize(
    ("body", "found"),
    [(b'{"a": [1]}', {"a": [1]}), (b"[1]", None), (b"", None), (b"{", None), (b"\xff", None), (b'"x"', None), (b"[" * 10_000, None)],
)
def test_only_a_json_object_is_kept_of_an_answer(body, found):
    assert judge(Answer(200, body), None, 100, NOW).value.get("answer") == found
    assert "answer" not in judge(Answer(200, body), None, 0, NOW).value
    assert "answer" not in judge(Answer(200, body, whole=False), None, 100, NOW).value


@pytest.mark.parametrize("path", ["request", "undo/request", "sync/3/request"])
def test_rule_9a_a_repeated_request_has_the_same_key(path):
    keys = set()
    for attempt in (0, 1):
        effect = Effect("http", {"url": URL, "method": "POST", "headers": {"A": "b"}, "body": "é"})
        request = build_request(Order(f"uid/a-v1-1/0/s/{path}/{attempt}", "s", path, effect))
        keys.add(request.headers["Idempotency-Key"])
        assert (request.headers["A"], request.body) == ("b", "é".encode())
    assert keys == {f"uid/a-v1-1/0/s/{path}"}

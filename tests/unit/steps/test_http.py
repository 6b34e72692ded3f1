"""The `http` step: what it asks for, and what follows from an answer."""

from datetime import UTC, datetime

import pytest

from reconciler.model.identity import AppKey
from reconciler.model.outcome import Call, Do, Done, Failed, Result
from reconciler.steps.catalog import STEP_TYPES

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
HTTP = STEP_TYPES["http"]
URL = "https://example.org/a"


def ask(results=None, method="next", **properties):
    return getattr(HTTP, method)(Call(AppKey("d", "a"), "s", "http", {"url": URL, **properties}), results or {}, {}, NOW)


def params(outcome):
    assert isinstance(outcome, Do)
    return outcome.effects["request"].params


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, {"method": "GET", "headers": {}}),
        ({"body": "x"}, {"method": "POST", "headers": {}, "body": "x"}),
        ({"headers": "A: b:c\n\nD:  e "}, {"method": "GET", "headers": {"A": "b:c", "D": "e"}}),
        ({"expect": "404, 200 200"}, {"method": "GET", "headers": {}, "expect": [200, 404]}),
        ({"expect": 204}, {"method": "GET", "headers": {}, "expect": [204]}),
        ({"timeout": "1m30s"}, {"method": "GET", "headers": {}, "seconds": 90.0}),
        ({"timeout": "24h"}, {"method": "GET", "headers": {}, "seconds": 600.0}),
        ({"attribute": "ticket"}, {"method": "GET", "headers": {}, "answer": 16 * 1024}),
    ],
)
def test_it_asks_for_one_request(properties, expected):
    assert params(ask(**properties)) == {"url": URL, **expected}


def test_undoing_it_asks_for_the_request_that_takes_it_back_and_does_nothing_without_one():
    assert ask(method="undo") == Done()
    found = params(ask(method="undo", rollbackUrl="http://example.org/back", rollbackMethod="DELETE", body="not this"))
    assert found == {"url": "http://example.org/back", "method": "DELETE", "headers": {}}
    assert params(ask(method="undo", rollbackUrl="http://example.org/back", rollbackBody="x"))["method"] == "POST"
    assert ask({"request": Result(value={"status": 204})}, "undo", rollbackUrl="http://x") == Done(message="answered 204")
    failed = Result(error="answered 500", reason="HttpStatus", retry="backoff")
    assert ask({"request": failed}, "undo", rollbackUrl="http://x") == Failed("HttpStatus", "answered 500", retryable=True)


def test_looking_at_it_tells_its_resource_and_a_final_error_is_one():
    assert ask(method="sync") == Done()
    assert params(ask(method="sync", syncUrl="http://x/state")) == {"url": "http://x/state", "method": "GET", "headers": {}, "answer": 16 * 1024}
    answer = {"status": "ready", "id": 7, "name": ["no"], "more": "x"}
    looked = ask({"request": Result(value={"status": 200, "answer": answer})}, "sync", syncUrl="http://x/state")
    assert looked == Done(resource={"status": "ready", "id": "7"})
    gone = ask({"request": Result(error="answered 404", reason="HttpStatus")}, "sync", syncUrl="http://x/state")
    assert gone == Failed("HttpStatus", "answered 404")


def test_an_answer_is_shared_under_the_name_that_was_given_and_nothing_without_one():
    result = Result(value={"status": 201, "answer": {"id": 7}})
    assert ask({"request": result}, attribute="ticket") == Done(message="answered 201", attributes={"ticket": {"id": 7}})
    assert ask({"request": result}) == Done(message="answered 201")
    assert ask({"request": Result(value={"status": 201})}, attribute="ticket").reason == "AnswerInvalid"


def test_a_header_may_stand_in_a_secret_which_is_named_with_its_entry_and_nothing_else():
    named = {"secretRef": {"name": "s", "key": "k"}}
    assert params(ask(headers={"Authorization": named}))["headers"] == {"Authorization": named}
    for wrong, field in (({"secretRef": {"name": "s"}}, ".secretRef.key"), ({"value": "s3cret"}, ""), ({**named, "value": "s3cret"}, "")):
        [(found, message)] = HTTP.check({"url": URL, "headers": {"Authorization": wrong}})
        assert found == f"headers.Authorization{field}"
        assert "s3cret" not in message


def test_no_value_of_a_header_is_shown_where_it_is_wrong():
    for headers in ({"A": "s3cret\n"}, "A: s3cret\x00", {"A": ["s3cret"]}, {"Host": "s3cret"}, "s3cret"):
        assert "s3cret" not in str(HTTP.check({"url": URL, "headers": headers}))

"""`request`, `webhook` and `notification`: what they send, and what follows from answers."""

from datetime import UTC, datetime

import pytest

from reconciler.model.identity import AppKey
from reconciler.model.outcome import Call, Do, Done, Failed, Result
from reconciler.steps.catalog import STEP_TYPES

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
URL = "https://example.org/a"
OK = Result({"status": 200})
DINGDING = {"url": {"value": URL}, "message": {"text": {"content": "hello"}}}
SLACK = {"url": {"secretRef": {"name": "slack", "key": "url"}}, "message": {"text": "hello"}}
EMAIL = {
    "from": {"address": "me@example.org", "host": "smtp.example.org", "password": {"value": "p4ssw0rd"}},
    "to": ["you@example.org"],
    "content": {"subject": "s", "body": "b"},
}


def ask(kind, results=None, **properties):
    return STEP_TYPES[kind].next(Call(AppKey("d", "a"), "s", kind, properties), results or {}, {}, NOW)


def test_a_request_is_sent_as_it_is_given_with_its_body_as_json():
    plain, full = ask("request", url=URL), ask("request", url=URL, method="PUT", body={"b": 1, "a": 2}, header={"X-A": "b"})
    assert isinstance(plain, Do)
    assert plain.effects["request"].params == {"url": URL, "method": "GET", "headers": {}, "answer": 16384}
    assert isinstance(full, Do)
    params = full.effects["request"].params
    assert (params["method"], params["body"], params["headers"]) == ("PUT", '{"a":2,"b":1}', {"X-A": "b", "Content-Type": "application/json"})
    typed = ask("request", url=URL, body={}, header={"content-type": "text/x"})
    assert isinstance(typed, Do)
    assert typed.effects["request"].params["headers"] == {"content-type": "text/x"}


@pytest.mark.parametrize("answer", [{"a": 1}, [1], "text", None, 0])
def test_the_answer_of_a_request_is_its_response_whatever_json_it_is(answer):
    done = ask("request", {"request": Result({"status": 201, "answer": answer})}, url=URL)
    assert isinstance(done, Done)
    assert done.outputs["response"] == answer
    assert done.outputs["http"]["response"]["statusCode"] == 201


def test_an_answer_that_is_no_json_is_said_and_no_failure():
    done = ask("request", {"request": OK}, url=URL)
    assert isinstance(done, Done)
    assert "response" not in done.outputs
    assert "no JSON" in done.message


@pytest.mark.parametrize(("retry", "retryable"), [("backoff", True), ("terminal", False)])
def test_defect_a6_12_an_error_of_a_request_is_the_steps_failure(retry, retryable):
    failed = ask("request", {"request": Result({}, "answered 400", "HttpStatus", retry)}, url=URL)
    assert failed == Failed("HttpStatus", "answered 400", retryable=retryable)


def test_a_webhook_posts_its_data_or_the_application():
    for data, body in (({"b": 1, "a": 2}, '{"a":2,"b":1}'), (None, {"application": True})):
        sent = ask("webhook", url={"value": URL}, **({"data": data} if data else {}))
        assert isinstance(sent, Do)
        assert (sent.effects["webhook"].params["url"], sent.effects["webhook"].params["body"]) == (URL, body)
    assert ask("webhook", {"webhook": OK}, url={"value": URL}) == Done(message="answered 200")


def test_all_channels_are_told_at_once_each_by_an_effect_of_its_own():
    sent = ask("notification", dingding=DINGDING, slack=SLACK, email=EMAIL)
    assert isinstance(sent, Do)
    assert {path: effect.kind for path, effect in sent.effects.items()} == {"dingding": "http", "slack": "http", "email": "mail"}
    assert sent.effects["dingding"].params["body"] == '{"msgtype":"text","text":{"content":"hello"}}'
    assert sent.effects["dingding"].params["zero"] == "errcode"
    assert sent.effects["slack"].params["url"] == {"secretRef": {"name": "slack", "key": "url"}}
    assert (sent.effects["email"].params["port"], sent.effects["email"].params["password"]) == (587, "p4ssw0rd")


def test_a_channel_that_failed_is_tried_again_alone():
    given = {"dingding": DINGDING, "slack": SLACK}
    busy = Result({}, "answered 503", "HttpStatus", "backoff")
    waiting = ask("notification", {"dingding": busy}, **given)
    assert isinstance(waiting, Do)
    assert set(waiting.effects) == {"slack"}
    failed = ask("notification", {"dingding": busy, "slack": OK}, **given)
    assert failed == Failed("HttpStatus", "dingding: answered 503", retryable=True)
    again = ask("notification", {"slack": OK}, **given)
    assert isinstance(again, Do)
    assert set(again.effects) == {"dingding"}
    assert ask("notification", {"slack": OK, "dingding": OK}, **given) == Done(message="told by dingding, slack")


def test_what_all_refuse_for_good_is_not_tried_again():
    failed = ask("notification", {"slack": Result({}, "no", "NoConsent")}, slack=SLACK)
    assert failed == Failed("NoConsent", "no", retryable=False)


def test_defect_a6_6_a_password_by_reference_is_read_as_any_other():
    email = {**EMAIL, "from": {**EMAIL["from"], "password": {"secretRef": {"name": "mail", "key": "password"}}}}
    sent = ask("notification", email=email)
    assert isinstance(sent, Do)
    assert sent.effects["email"].params["password"] == {"secretRef": {"name": "mail", "key": "password"}}


def test_slack_gets_its_one_attachment_as_a_list():
    sent = ask("notification", slack={**SLACK, "message": {"text": "t", "attachments": {"color": "red"}}})
    assert isinstance(sent, Do)
    assert sent.effects["slack"].params["body"] == '{"attachments":[{"color":"red"}],"text":"t"}'

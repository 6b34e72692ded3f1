"""`request`: one HTTP request, and its answer for later steps. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from reconciler.model.outcome import Call, Done, Effect, Outcome, Query, Result
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.http import ANSWER_LIMIT, check_headers
from reconciler.steps.sending import JSON, check_body, check_url, send_all, write_json
from reconciler.steps.validation import Finding, check_choice, refuse

METHODS: Final = ("GET", "POST", "PUT", "DELETE")


class Request(NoCompensation):
    """2xx is success. 408, 425, 429, 5xx and a lost connection are tried again; every other answer is the step's failure, 400 too."""

    name = "request"
    params: Mapping[str, str] = MappingProxyType(
        {
            "url": "where the request goes: http or https, to an address that is public or opened with --allow-egress",
            "method": "GET, the default, POST, PUT or DELETE",
            "body": "a mapping, sent as JSON",
            "header": "a map of texts, or of `secretRef` with `name` and `key` of a Secret that holds one and whose owner allows it",
        }
    )
    required: tuple[str, ...] = ("url",)
    exports = ("response", "http", "req")

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found = check_url(properties, "url") + check_choice(properties, "method", METHODS) + check_body(properties, "body")
        return found + check_headers(properties, "header")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties, *self.required)
        if wrong is not None:
            return wrong
        given = call.properties
        headers = given.get("header") or {}
        params: dict[str, Any] = {"url": given["url"], "method": given.get("method") or "GET", "headers": headers, "answer": ANSWER_LIMIT}
        if given.get("body") is not None:
            typed = any(name.lower() == "content-type" for name in headers)
            params |= {"headers": headers if typed else headers | JSON, "body": write_json(given["body"])}
        unsent = send_all({"request": Effect("http", params)}, results)
        if unsent is not None:
            return unsent
        value = results["request"].value
        status = {"statusCode": value.get("status")}
        outputs: dict[str, Any] = {"req": {"$returns": status, **status}, "http": {"response": status}}
        if "answer" in value:
            return Done(outputs | {"response": value["answer"]}, f"answered {value.get('status')}")
        return Done(outputs, f"answered {value.get('status')}, no JSON of at most {ANSWER_LIMIT} bytes")

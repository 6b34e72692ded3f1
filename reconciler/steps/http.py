"""`http`: one request to another system, and, where they are given, one that undoes it and one that looks how it is now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from reconciler.model.duration import parse_duration
from reconciler.model.outcome import Call, Do, Done, Effect, Failed, Outcome, Query, Result
from reconciler.steps.validation import Finding, check_duration, check_fields, check_text, check_type, refuse

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
LONGEST_BODY: Final = 64 * 1024
LONGEST_WAIT: Final = 600.0
ANSWER_LIMIT: Final = 16 * 1024

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110, 5.6.2
_VALUE: Final = re.compile(r"[ -~\t]*", re.ASCII)
# A message's framing and its key are the daemon's to say.
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "keep-alive"})
_KEY: Final = "idempotency-key"
_STATUS: Final = re.compile(r"[1-5]\d\d", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}", re.ASCII)


class Http:
    """
    2xx, or the codes in `expect`, is success. 429, 5xx and a lost connection are tried again; every other answer is final.

    Each request bears the header `Idempotency-Key`, the same whenever it is repeated, so that its receiver does it once (rules 9a, 9b).
    """

    name = "http"
    params: Mapping[str, str] = MappingProxyType(
        {
            "url": "where the request goes: http or https, to an address that is public or opened with --allow-egress",
            "method": "GET, HEAD, POST, PUT, PATCH or DELETE; GET unless given, POST with a body",
            "body": "what is sent, a text",
            "headers": "a map of texts, or of `secretRef` with `name` and `key` of a Secret that holds one; or a text with lines `Name: value`",
            "expect": "status codes that are success, as a list or a text like `200, 404`; any 2xx unless given",
            "timeout": "how long the whole answer is waited for, as a Go duration; the daemon's rpcTimeoutMillSeconds unless given",
            "attribute": "name under which an answer that is a JSON object is shared with later steps and callbacks",
            "rollbackUrl": "asked when the step is undone; without it there is nothing to undo",
            "rollbackMethod": "its method",
            "rollbackBody": "its body",
            "syncUrl": "asked with GET at each look at what the step made (syncPeriodSeconds)",
        }
    )
    required: tuple[str, ...] = ("url",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found = check_text(properties, "url", "rollbackUrl", "syncUrl") + check_duration(properties, "timeout")
        for field in ("body", "rollbackBody"):
            found += check_type(properties, field, str)
            if isinstance(properties.get(field), str) and len(properties[field].encode("utf-8", "surrogatepass")) > LONGEST_BODY:
                found.append((field, f"must be at most {LONGEST_BODY} bytes"))
        for field in ("method", "rollbackMethod"):
            if properties.get(field) is not None and properties[field] not in METHODS:
                found.append((field, f"must be one of {', '.join(METHODS)}"))
        for field in ("rollbackMethod", "rollbackBody"):
            if properties.get(field) is not None and properties.get("rollbackUrl") is None:
                found.append((field, "does nothing without rollbackUrl"))
        for field in ("url", "rollbackUrl", "syncUrl"):
            value = properties.get(field)
            if isinstance(value, str) and value and not value.lower().startswith(("http://", "https://")):
                found.append((field, "must begin with http:// or https://"))
        if isinstance(properties.get("attribute"), str) and not _NAME.fullmatch(properties["attribute"]):
            found.append(("attribute", "must be a name: letters, digits, _ . -"))
        found += check_type(properties, "attribute", str)
        return found + _check_expect(properties) + check_headers(properties, "headers")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties, *self.required)
        if wrong is not None:
            return wrong
        asked = _ask(call, results, call.properties["url"], call.properties.get("method"), call.properties.get("body"))
        if not isinstance(asked, Result):
            return asked
        attribute = call.properties.get("attribute")
        if attribute and not isinstance(asked.value.get("answer"), dict):
            return Failed("AnswerInvalid", f"the answer is no JSON object of at most {ANSWER_LIMIT} bytes, which `attribute` asks for")
        return Done(message=f"answered {asked.value.get('status')}", attributes={attribute: asked.value["answer"]} if attribute else {})

    def undo(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        url = call.properties.get("rollbackUrl")
        if not url:
            return Done()
        asked = _ask(call, results, url, call.properties.get("rollbackMethod"), call.properties.get("rollbackBody"))
        return Done(message=f"answered {asked.value.get('status')}") if isinstance(asked, Result) else asked

    def sync(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        url = call.properties.get("syncUrl")
        if not url:
            return Done()
        asked = _ask(call, results, url, "GET", None)
        if not isinstance(asked, Result):
            return asked
        answer = asked.value.get("answer")
        known = answer if isinstance(answer, dict) else {}
        return Done(resource={name: str(known[name])[:256] for name in ("status", "id", "name", "address") if isinstance(known.get(name), str | int)})


def _ask(call: Call, results: Mapping[str, Result], url: str, method: str | None, body: str | None) -> Result | Do | Failed:
    """The stored answer where it is a success, else the effect that asks, or the failure."""
    result = results.get("request")
    if result is None:
        return Do({"request": Effect("http", _params(call, url, method, body))})
    if result.ok:
        return result
    return Failed(result.reason or "EffectFailed", result.error, retryable=result.retry != "terminal")


def _params(call: Call, url: str, method: str | None, body: str | None) -> dict[str, Any]:
    params: dict[str, Any] = {"url": url, "method": method or ("GET" if body is None else "POST"), "headers": read_headers(call.properties)}
    if body is not None:
        params["body"] = body
    if call.properties.get("expect") is not None:
        params["expect"] = read_expect(call.properties["expect"])
    if call.properties.get("timeout") is not None:
        params["seconds"] = min(parse_duration(call.properties["timeout"]).total_seconds(), LONGEST_WAIT)
    if call.properties.get("attribute") or call.properties.get("syncUrl") == url:
        params["answer"] = ANSWER_LIMIT
    return params


def read_headers(properties: Mapping[str, Any]) -> dict[str, str | dict[str, Any]]:
    """Headers by name; a mapping stands for what the executor is to read in its place. What they are was checked."""
    given = properties.get("headers") or {}
    if isinstance(given, str):
        pairs = [line.partition(":") for line in given.splitlines() if line.strip()]
        return {name.strip(): value.strip() for name, _, value in pairs}
    return {str(name): value if isinstance(value, dict) else str(value) for name, value in given.items()}


def read_expect(given: Any) -> list[int]:
    """Status codes. What they are was checked."""
    items = given.replace(",", " ").split() if isinstance(given, str) else given if isinstance(given, list) else [given]
    return sorted({int(item) for item in items})


def is_header_value(text: str) -> bool:
    return _VALUE.fullmatch(text) is not None


def check_secret(given: dict[str, Any], field: str) -> list[Finding]:
    """`{secretRef: {name, key}}`, which stands at `field`."""
    if list(given) != ["secretRef"]:
        return [(field, "must be a text, or a mapping with secretRef alone")]
    found = check_fields(given, "secretRef", {"name": str, "key": str}, required=("name", "key"))
    return [(f"{field}.{where}", message) for where, message in found]


def _check_expect(properties: dict[str, Any]) -> list[Finding]:
    given = properties.get("expect")
    if given is None:
        return []
    items = given.replace(",", " ").split() if isinstance(given, str) else given if isinstance(given, list) else [given]
    if not items or not all(not isinstance(item, bool) and _STATUS.fullmatch(str(item)) for item in items):
        return [("expect", "must be status codes from 100 to 599, as a list or a text like `200, 404`")]
    return []


def check_headers(properties: dict[str, Any], field: str) -> list[Finding]:
    """The values are never shown: they may be credentials."""
    given = properties.get(field)
    if given is None:
        return []
    if isinstance(given, str):
        lines = [line for line in given.splitlines() if line.strip()]
        if not all(":" in line for line in lines):
            return [(field, "must be lines `Name: value`")]
        given = read_headers({"headers": given})
    if not isinstance(given, dict):
        return [(field, "must be a mapping of texts, or a text with lines `Name: value`")]
    found: list[Finding] = []
    names: set[str] = set()
    for name, value in given.items():
        if not isinstance(name, str) or not _HEADER.fullmatch(name):
            return [*found, (field, "a name is none that HTTP knows")]
        if isinstance(value, dict):
            found += check_secret(value, f"{field}.{name}")
        elif not isinstance(value, str) or not is_header_value(value):
            found.append((f"{field}.{name}", "must be a text of visible ASCII characters on one line"))
        if name.lower() in _OURS or name.lower() == _KEY or name.lower().startswith("proxy-"):
            found.append((f"{field}.{name}", "is the daemon's to set; leave it out"))
        if name.lower() in names:
            found.append((f"{field}.{name}", "stands there twice"))
        names.add(name.lower())
    return found

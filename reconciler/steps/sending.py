"""What the steps have in common that send something to others: where the address or a password comes from, and the effects that send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from reconciler.model.outcome import Do, Effect, Failed, Result
from reconciler.steps.http import ANSWER_LIMIT, LONGEST_BODY
from reconciler.steps.validation import Finding, check_fields, check_text, check_type

JSON: Final = {"Content-Type": "application/json"}


def check_source(properties: Mapping[str, Any], field: str, *, url: bool = True) -> list[Finding]:
    """`{value}` xor `{secretRef: {name, key}}`, below `field`. The value is never shown: it may be a credential."""
    given = properties.get(field)
    if not isinstance(given, dict):
        return [(field, "must be a mapping with value or secretRef")]
    if sum(given.get(name) is not None for name in ("value", "secretRef")) != 1:
        return [(field, "needs exactly one of value, secretRef")]
    found = [(f"{field}.{name}", "is not known here (known: value, secretRef)") for name in given if name not in ("value", "secretRef")]
    value = given.get("value")
    if value is not None and (not isinstance(value, str) or not value):
        found.append((f"{field}.value", "must be a text that is not empty"))
    elif url and isinstance(value, str) and not value.lower().startswith(("http://", "https://")):
        found.append((f"{field}.value", "must begin with http:// or https://"))
    return found + [
        (f"{field}.{where}", message) for where, message in check_fields(given, "secretRef", {"name": str, "key": str}, required=("name", "key"))
    ]


def read_source(given: Mapping[str, Any]) -> str | dict[str, Any]:
    """The value, or what the executor is to read in its place."""
    return {"secretRef": given["secretRef"]} if given.get("value") is None else str(given["value"])


def check_url(properties: dict[str, Any], field: str) -> list[Finding]:
    found = check_text(properties, field)
    value = properties.get(field)
    if not found and isinstance(value, str) and not value.lower().startswith(("http://", "https://")):
        found.append((field, "must begin with http:// or https://"))
    return found


def check_body(properties: dict[str, Any], field: str) -> list[Finding]:
    found = check_type(properties, field, dict)
    if not found and properties.get(field) is not None and len(write_json(properties[field])) > LONGEST_BODY:
        found.append((field, f"must be at most {LONGEST_BODY} bytes"))
    return found


def write_json(value: Any) -> str:
    """The same text for equal values: a body that is sent again is the same to the byte (rule 9b)."""
    return msgspec.json.encode(value, order="sorted").decode()


def post(url: str | dict[str, Any], body: str | dict[str, Any], zero: str = "", said: str = "") -> Effect:
    """`zero`: the field of the JSON answer that is 0 where it was taken; `said`: the one that says why it was not."""
    params: dict[str, Any] = {"url": url, "method": "POST", "headers": dict(JSON), "body": body}
    return Effect("http", params | ({"zero": zero, "said": said, "answer": ANSWER_LIMIT} if zero else {}))


def send_all(effects: Mapping[str, Effect], results: Mapping[str, Result]) -> Do | Failed | None:
    """All at once, each by itself: what was taken is not sent again, whatever became of the others. None once all were."""
    missing = {path: effect for path, effect in effects.items() if path not in results}
    if missing:
        return Do(missing)
    failed = {path: results[path] for path in effects if not results[path].ok}
    if not failed:
        return None
    first = next(iter(failed.values()))
    several = len(effects) > 1
    said = "; ".join(f"{path}: {result.error}" if several else result.error for path, result in failed.items())
    return Failed(first.reason or "EffectFailed", said[:1024], retryable=any(result.retry != "terminal" for result in failed.values()))

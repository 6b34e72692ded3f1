"""
What an API server answers when it does not do it, to the protocol's errors (Kubernetes API conventions: Response Status Kind).

Messages name fields and managers. A value that the server quotes is left out: it may be a Secret's, or stand in the environment of a Pod.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from reconciler.cluster.protocol import (
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    ImmutableError,
    InvalidError,
    KindUnknownError,
    NamespaceMissingError,
    NotFoundError,
    OwnershipError,
    UnavailableError,
)
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.model.text import one_line

_LONGEST: Final = 800
# field.Error of apimachinery: these words are followed by the value that was sent, all others by their explanation alone.
_QUOTING: Final = ("Invalid value: ", "Unsupported value: ", "Duplicate value: ", "Too many: ", "Not found: ", "Type invalid: ")
_IMMUTABLE: Final = re.compile(
    r"field is immutable|may not change fields|updates to \S+ spec for fields other than|once set|is immutable after creation|is immutable"
)
_TYPED: Final = re.compile(r"got &value\.\w+\{.*?\}(?=;|,|\n|$)", re.DOTALL)
_GO_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
# Refused for good, and yet told as a failure of the server: etcd's limit, and a patch that does not fit the kind's schema.
_FOR_GOOD: Final = ("request is too large", "failed to create typed patch object")


class ContinuationExpiredError(ExpiredError):
    """410 in the middle of a list. `token` goes on after the last item that was had, in a newer state of the list; empty: begin anew."""

    def __init__(self, message: str, token: str) -> None:
        super().__init__(message)
        self.token = token


def read_status(data: bytes) -> JsonObject:
    """The Status object of an answer; an empty one where it is something else, as a proxy's page."""
    try:
        status = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return status if isinstance(status, dict) and status.get("kind") == "Status" else {}


def error_of(code: int, status: JsonObject, what: str, ref: ObjectRef | None = None, sent: JsonObject | None = None) -> ClusterError:
    """
    `what` names the call in messages. `ref`: the object that it was about, where there was one. `sent`: what was sent, so that no value of
    a Secret comes back in a message.
    """
    details = _mapping(status.get("details"))
    causes = [_mapping(cause) for cause in details.get("causes") or []]
    reason = str(status.get("reason", ""))
    message = f"{what}: {_tell(status, causes, code, sent)}"
    why = {str(cause.get("reason", "")) for cause in causes}
    if code == 404:
        return _missing(status, details, message, ref)
    if code == 409:
        if reason == "AlreadyExists":
            return AlreadyExistsError(message)
        return OwnershipError(message) if "FieldManagerConflict" in why else ConflictError(message)
    if "ResourceVersionTooLarge" in why:
        return ExpiredError(message)  # a version of the future: the server's data was set back
    if code == 410:
        return ContinuationExpiredError(message, str(_mapping(status.get("metadata")).get("continue") or ""))
    if code == 401:
        return ForbiddenError(f"{what}: the API server does not know who this is: the credentials are not valid, or not any more")
    if code == 403:
        return NamespaceMissingError(message) if "NamespaceTerminating" in why else ForbiddenError(message)
    said = str(status.get("message", ""))
    if code in {408, 429} or (code >= 500 and not any(words in said for words in _FOR_GOOD)):
        return UnavailableError(message)
    return ImmutableError(message) if _IMMUTABLE.search(message) else InvalidError(message)


def _missing(status: JsonObject, details: JsonObject, message: str, ref: ObjectRef | None) -> ClusterError:
    """404 says the same of an object, of its namespace, and of a kind that is not served any more."""
    if details.get("kind") == "namespaces" and ref is not None and ref.kind != "Namespace":
        return NamespaceMissingError(message)
    if details.get("name") or (ref is None and status.get("reason") == "NotFound" and details.get("kind")):
        return NotFoundError(message)
    return KindUnknownError(message)


def _tell(status: JsonObject, causes: list[JsonObject], code: int, sent: JsonObject | None) -> str:
    parts = [part for part in (_tell_cause(cause) for cause in causes) if part]
    text = "; ".join(dict.fromkeys(parts)) or _TYPED.sub("got a value of another type", str(status.get("message") or f"HTTP status {code}"))
    for value in _secrets(sent):
        text = text.replace(value, "…")
    return one_line(text, _LONGEST)


def _tell_cause(cause: JsonObject) -> str:
    message, field = _strip_value(str(cause.get("message", ""))), str(cause.get("field", ""))
    if cause.get("reason") == "UnexpectedServerResponse":
        return ""
    return f"{field}: {message}" if field and message else message


def _strip_value(message: str) -> str:
    """`Invalid value: "x": must be …` without the `"x"`."""
    word = next((word for word in _QUOTING if message.startswith(word)), "")
    if not word:
        return _TYPED.sub("got a value of another type", message)
    rest = message[len(word) :]
    end = _end_of_value(rest)
    return word + rest[end:].removeprefix(": ") if end < len(rest) else word.removesuffix(": ")


def _end_of_value(text: str) -> int:
    """Where a value that Go has written ends: a quoted string, JSON, a struct, or a bare word."""
    if text.startswith('"'):
        match = _GO_STRING.match(text)
        return match.end() if match else len(text)
    if text.startswith(("{", "[", "map[", "&", "v1.", "core.", "apps.", "batch.")):
        try:
            return json.JSONDecoder().raw_decode(text)[1]
        except ValueError:
            return max((text.rfind(close) + 1 for close in ("}: ", "]: ")), default=0) or len(text)
    found = text.find(": ")
    return found if found >= 0 else len(text)


def _secrets(sent: JsonObject | None) -> Iterator[str]:
    """Every value of a Secret as it was sent, and as it reads."""
    if sent is None or sent.get("kind") != "Secret":
        return
    for part in ("data", "stringData"):
        for value in _mapping(sent.get(part)).values():
            if not isinstance(value, str) or not value:
                continue
            yield value
            if part == "data":
                try:
                    plain = base64.b64decode(value, validate=True).decode()
                except (binascii.Error, ValueError):
                    continue
                if plain:
                    yield plain


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}

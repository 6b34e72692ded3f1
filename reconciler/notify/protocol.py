"""What the engine needs to ask others over HTTP. Every call may raise a `NotifyError`, whose type says what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Protocol

from reconciler.model.outcome import Retry


class NotifyError(Exception):
    """Root of what can go wrong with a request. One line; it names host and port and nothing else of the URL: paths and queries hold secrets."""

    retry: ClassVar[Retry] = "backoff"
    reason: ClassVar[str] = "NotifyError"


class EgressRefusedError(NotifyError):
    """The operator does not let it go there (rule 13b). `opening`: the value of `--allow-egress` that would."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "EgressRefused"

    def __init__(self, message: str, opening: str) -> None:
        super().__init__(message)
        self.opening = opening


class RequestInvalidError(NotifyError):
    """No such request is ever sent: not http or https, a user in the URL, a header that is none, too large."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "RequestInvalid"


class RedirectRefusedError(NotifyError):
    """The answer sends it on, from https to http or too often."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "RedirectRefused"


class UnreachableError(NotifyError):
    """No such name, no connection, a certificate that does not hold, or a connection that broke."""

    reason: ClassVar[str] = "Unreachable"


class NoAnswerError(NotifyError):
    """No whole answer before the deadline. It may have been received."""

    reason: ClassVar[str] = "NoAnswer"


class Request(NamedTuple):
    """`headers` go to the host of `url` alone: a redirect to another host takes none of them but `Content-Type` and `Idempotency-Key`."""

    method: str
    url: str
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""


class Answer(NamedTuple):
    """The final answer. `body`: at most as much as was asked for; `whole`: whether that is all. `challenge`: the `WWW-Authenticate` of a 401."""

    status: int
    body: bytes = b""
    whole: bool = True
    challenge: str = ""


class Sender(Protocol):
    """Sends one request and follows redirects. `seconds`: for all of it; `limit`: bytes of the answer's body. Raises NotifyError."""

    async def send(self, request: Request, seconds: float, limit: int = 0) -> Answer: ...

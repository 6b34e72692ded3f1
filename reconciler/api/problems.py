"""Errors of the API: one shape, `{"error": {"code", "message"}}`, and a fixed list of codes."""

from __future__ import annotations

from enum import Enum

import msgspec
from aiohttp import web

from reconciler.model.text import one_line


class Code(Enum):
    """The codes. docs/api.md says of each when it comes."""

    InvalidRequest = "InvalidRequest", 400
    TokenNeeded = "TokenNeeded", 401
    OriginNotAllowed = "OriginNotAllowed", 403
    TokenWrong = "TokenWrong", 403
    NotFound = "NotFound", 404
    MethodNotAllowed = "MethodNotAllowed", 405
    Refused = "Refused", 409
    BodyNotAllowed = "BodyNotAllowed", 413
    ContentTypeNotAllowed = "ContentTypeNotAllowed", 415
    HostNotAllowed = "HostNotAllowed", 421
    OtherShard = "OtherShard", 421
    NotLeading = "NotLeading", 503
    Internal = "Internal", 500
    Unavailable = "Unavailable", 503

    @property
    def status(self) -> int:
        """Of HTTP."""
        return self.value[1]


class ApiError(Exception):
    """Ends a request with that code. `message` is one sentence for people, without a secret."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def respond(self) -> web.Response:
        body = msgspec.json.encode({"error": {"code": self.code.name, "message": one_line(self.message, 1024)}})
        headers = {"WWW-Authenticate": "Bearer"} if self.code is Code.TokenNeeded else None
        return web.Response(status=self.code.status, body=body, content_type="application/json", headers=headers)

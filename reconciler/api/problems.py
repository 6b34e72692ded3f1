"""Errors of the API: one shape, `{"error": {"code", "message"}}`, and a fixed list of codes."""

from __future__ import annotations

from enum import Enum

import msgspec
from aiohttp import web

from reconciler.model.text import one_line


class Code(Enum):
    """The codes, with their HTTP status. docs/api.md says of each when it comes."""

    InvalidRequest = 400
    OriginNotAllowed = 403
    NotFound = 404
    MethodNotAllowed = 405
    BodyNotAllowed = 413
    ContentTypeNotAllowed = 415
    HostNotAllowed = 421
    Internal = 500
    Unavailable = 503


class ApiError(Exception):
    """Ends a request with that code. `message` is one sentence for people, without a secret."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def respond(self) -> web.Response:
        body = msgspec.json.encode({"error": {"code": self.code.name, "message": one_line(self.message, 1024)}})
        return web.Response(status=self.code.value, body=body, content_type="application/json")

"""Who may order: those who have the daemon's token (rule 13d)."""

from __future__ import annotations

import hmac

from aiohttp import web

from reconciler.api.guard import Handler
from reconciler.api.problems import ApiError, Code


def admit(token: str, handler: Handler) -> Handler:
    """The handler, for those alone who send `Authorization: Bearer TOKEN`. How long the answer takes says nothing about the token."""

    async def answer(request: web.Request) -> web.StreamResponse:
        scheme, _, given = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise ApiError(Code.TokenNeeded, "to order something the daemon's token is needed; it stands in the file that `reconciler run` printed")
        if not hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode()):
            raise ApiError(Code.TokenWrong, "that is not the daemon's token")
        return await handler(request)

    return answer

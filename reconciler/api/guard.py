"""What every request and every answer passes (rule 13d)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final

import structlog
from aiohttp import web
from yarl import URL

from reconciler.api.problems import ApiError, Code

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_log = structlog.get_logger("reconciler.api")


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses what is no plain read, hint or command, or not by this machine's own name; makes every error the one shape; sets the headers."""
    try:
        _check(request)
        response = await handler(request)
    except ApiError as error:
        response = error.respond()
    except web.HTTPMethodNotAllowed:
        response = _refuse_method(request).respond()
    except web.HTTPNotFound:
        response = ApiError(Code.NotFound, f"there is nothing at {request.path}").respond()
    except Exception:  # noqa: BLE001  # one failed request must not become a dropped connection
        # What went wrong may hold anything: it goes to the log, not to the caller.
        _log.exception("a request failed", path=request.path)
        response = ApiError(Code.Internal, "the daemon failed to answer; its log says why").respond()
    response.headers.update(HEADERS)
    return response


def _check(request: web.Request) -> None:
    post = request.method == "POST" and request.match_info.http_exception is None
    if request.method not in ("GET", "HEAD") and not post:
        raise _refuse_method(request)
    if _arrived_on_loopback(request) and not is_loopback_name(request.headers.get("Host", "")):
        # A page in a browser on this machine can make any name resolve to 127.0.0.1 (DNS rebinding).
        raise ApiError(Code.HostNotAllowed, "on loopback the Host must be localhost or a loopback address")
    if post:
        _check_sender(request)
    elif request.body_exists:
        raise ApiError(Code.BodyNotAllowed, "a read has no body")


def _check_sender(request: web.Request) -> None:
    """No page of another site sends this: a browser names its origin, and asks first before it sends JSON elsewhere, which is refused."""
    host = request.headers.get("Host", "")
    foreign = request.headers.getall("Origin", []) not in ([], [f"http://{host}"], [f"https://{host}"])
    if foreign or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise ApiError(Code.OriginNotAllowed, "another site's page may not ask for this")
    if request.content_type != "application/json":
        raise ApiError(Code.ContentTypeNotAllowed, "send Content-Type: application/json")


def _refuse_method(request: web.Request) -> ApiError:
    return ApiError(
        Code.MethodNotAllowed, f"{request.method} is not possible here: the API reads, and takes hints and commands; all else is a commit"
    )


def _arrived_on_loopback(request: web.Request) -> bool:
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return not isinstance(name, tuple) or is_loopback_name(f"[{name[0]}]" if ":" in name[0] else name[0])


def is_loopback_name(host: str) -> bool:
    """Whether the value of a Host header names this machine: `localhost` or a loopback address, with or without a port."""
    try:
        name = URL(f"http://{host}/").host
    except ValueError:
        return False
    if name is None or host != host.strip() or any(char in host for char in "@/?#\\"):
        return False
    if name in ("localhost", "localhost."):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback

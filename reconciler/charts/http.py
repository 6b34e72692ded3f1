"""Asking chart repositories and registries: which answers count, and who is told of credentials."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from reconciler.charts.protocol import ChartError, Credentials, Get, Reply
from reconciler.model.chart import show_url

_NONE: Mapping[str, str] = MappingProxyType({})


def place_of(url: str) -> tuple[str, str]:
    """Host, and host and port, as `Credentials` names them."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ChartError(f"{show_url(url)} is no URL") from None
    host = f"[{host}]" if ":" in host else host
    return host, f"{host}:{port or (80 if parts.scheme == 'http' else 443)}"


def as_consented(url: str, credentials: Credentials | None) -> Credentials | None:
    """The credentials where they may go to that URL's host; None where it is asked as by anybody."""
    return credentials if credentials is not None and not credentials.hosts.isdisjoint(place_of(url)) else None


def basic(url: str, credentials: Credentials | None) -> dict[str, str]:
    """The header that opens that URL; none where nobody asks for it. Raises ChartError where the Secret does not name that host."""
    if credentials is None:
        return {}
    if as_consented(url, credentials) is None:
        raise ChartError(f"its Secret may not be used for {place_of(url)[1]}: that host is not among those that its annotation names", retry=True)
    pair = f"{credentials.username}:{credentials.password}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


async def fetch(get: Get, url: str, limit: int, headers: Mapping[str, str] = _NONE) -> bytes:
    """A whole body. Raises ChartError."""
    return body_of(await get(url, headers, limit), url, limit)


def body_of(reply: Reply, url: str, limit: int) -> bytes:
    """Raises ChartError, as for what may pass where the server says so."""
    if reply.status in (401, 403):
        raise ChartError(f"{show_url(url)} answered {reply.status}: it wants other credentials (secretRef)", retry=True)
    if reply.status == 404:
        raise ChartError(f"{show_url(url)} is not there (404)", retry=True)
    if not 200 <= reply.status < 300:
        raise ChartError(f"{show_url(url)} answered {reply.status}", retry=True)
    if not reply.whole:
        size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
        raise ChartError(f"{show_url(url)} answered with more than {size}")
    return reply.body

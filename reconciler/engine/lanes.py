"""Bounds for requests: what hangs at one receiver keeps no request to another one waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from reconciler.model.text import one_line


class Lanes:
    """So many requests at once, and so many of them to one receiver. Which receivers there were is not remembered."""

    def __init__(self, at_once: int, each: int) -> None:
        self._all, self._each = asyncio.Semaphore(at_once), each
        self._lanes: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    @asynccontextmanager
    async def enter(self, receiver: str) -> AsyncIterator[None]:
        lane, users = self._lanes.setdefault(receiver, (asyncio.Semaphore(self._each), []))
        users.append(None)
        try:
            async with lane, self._all:
                yield
        finally:
            users.pop()
            if not users:
                del self._lanes[receiver]


def receiver_of(url: str) -> str:
    """Host and port: all of a URL that is shown. Empty for what is no URL."""
    try:
        return one_line(urlsplit(url).netloc.rpartition("@")[2], 120)
    except ValueError:
        return ""

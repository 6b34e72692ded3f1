"""Who is called back: a real HTTP server on loopback that notes every request, and answers as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import web


class Told(NamedTuple):
    """One request, as it came in."""

    path: str
    key: str
    body: bytes
    headers: dict[str, str]

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def about(self) -> str:
        """`<name> <phase>`."""
        return f"{self.said['name']} {self.said['phase']}"


class Receiver:
    """`answer`: the status for a request, by the requests so far (that one included). `replies`: what it answers, by
    path. `open`: while it is not set, nothing is answered."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.answer: Callable[[list[Told]], int] = lambda _: 200
        self.open = asyncio.Event()
        self.open.set()
        self.replies: dict[str, bytes] = {}
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=s3cret"

    @property
    def keys(self) -> list[str]:
        return [told.key for told in self.told]

    def about(self, application: str) -> list[str]:
        """What was said of one application, in order."""
        return [told.about for told in self.told if told.headers["reconciler-application"].endswith(f"/{application}")]

    def answers(self, *statuses: int) -> None:
        """These in turn, the last one for ever."""
        left = list(statuses)
        self.answer = lambda _: left.pop(0) if len(left) > 1 else left[0]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.told.append(Told(request.path, headers.get("idempotency-key", ""), await request.read(), headers))
        status = self.answer(self.told)
        await self.open.wait()
        return web.Response(status=status, body=self.replies.get(request.path, b""))


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        receiver.open.set()
        await runner.cleanup()

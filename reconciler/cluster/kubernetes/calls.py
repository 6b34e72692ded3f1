"""
Requests to the API server: a deadline for each, a place in the row, and patience with a server that says that it is busy.

Two lanes: what people wait for goes before what happens in the background, which has at most half of the places. A 429 is tried again
after its Retry-After, whatever the call, because the server did nothing; a 503 only where doing it twice is doing it once. A read is
tried a few times whatever went wrong: one lost answer among the hundred lists of a start is no reason to begin all of them anew.
"""

from __future__ import annotations

import asyncio
import io
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple
from urllib.parse import quote

import aiohttp
import msgspec

from reconciler import __version__
from reconciler.cluster.kubernetes.connection import Connection
from reconciler.cluster.kubernetes.errors import error_of, read_status
from reconciler.cluster.protocol import ClusterError, UnavailableError
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.model.text import one_line

JSON: Final = "application/json"
APPLY: Final = "application/apply-patch+yaml"  # JSON is YAML
_AGENT: Final = f"reconciler/{__version__}"
_DEADLINE: Final = 30.0
_CONNECT: Final = 10.0
_LARGE: Final = 2**20
_LONGEST_LINE: Final = 32 * 1024 * 1024
_PATIENCE: Final = frozenset({429, 503})
_READS: Final = 4
_FIRST_PAUSE: Final = 0.2


class Answer(NamedTuple):
    """`code` below 300, or 304 where the request said If-None-Match. `etag` is empty where there was none."""

    code: int
    data: bytes
    etag: str = ""
    content_type: str = ""


class Call(NamedTuple):
    """
    One request. `path` is escaped, `query` is not. `ref` and `sent` for messages, as in `error_of`. `twice`: doing it twice is doing it once.
    `user`: in whose name, empty for the daemon's own.
    """

    method: str
    path: str
    query: Mapping[str, str] = {}
    body: JsonObject | None = None
    content_type: str = JSON
    accept: str = JSON
    etag: str = ""
    ref: ObjectRef | None = None
    twice: bool = False
    background: bool = False
    user: str = ""

    @property
    def what(self) -> str:
        return str(self.ref) if self.ref is not None else one_line(self.path, 120)

    def headers(self) -> dict[str, str]:
        found = {"Accept": self.accept, "User-Agent": _AGENT}
        if self.body is not None:
            found["Content-Type"] = self.content_type
        if self.etag:
            found["If-None-Match"] = self.etag
        if self.user:
            found["Impersonate-User"] = self.user
        return found

    def encode_query(self) -> str:
        return "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in self.query.items())


class Calls:
    """`width`: how many requests are under way at once, watches not counted. `deadline`: seconds for a whole call, its pauses included."""

    def __init__(self, connection: Connection, width: int = 32, deadline: float = _DEADLINE) -> None:
        self._connection, self._deadline = connection, deadline
        self._places = Places(width)
        self._quiet_until = 0.0
        self.sent: Counter[str] = Counter()  # by method; WATCH: a watch, EVENT: what writes an Event

    async def send(self, call: Call) -> Answer:
        """Raises the protocol's errors; `UnavailableError` where there was no answer in time."""
        loop = asyncio.get_running_loop()
        end, renewed = loop.time() + self._deadline, False
        pauses = [_FIRST_PAUSE * 2**number for number in range(_READS - 1)] if call.method == "GET" else []
        while True:
            if call.background and self._quiet_until > loop.time():
                await asyncio.sleep(self._quiet_until - loop.time())
            headers, since = await self._connection.authorize()
            try:
                async with asyncio.timeout_at(end), self._places.take(call.background):
                    code, reply, data = await self._exchange(call, headers)
            except TimeoutError:
                raise UnavailableError(f"{call.what}: no answer within {self._deadline:.0f} s") from None
            except UnavailableError:
                if not pauses:
                    raise
                await asyncio.sleep(pauses.pop(0) * random.uniform(0.5, 1.0))  # noqa: S311
                continue
            if code == 401 and not renewed:
                renewed = True
                if await self._connection.renew(since):
                    continue
            if code in _PATIENCE and (code == 429 or call.twice):
                pause = _retry_after(reply)
                self._quiet_until = max(self._quiet_until, loop.time() + pause)
                if loop.time() + pause < end:
                    await asyncio.sleep(pause * random.uniform(1.0, 1.25))  # noqa: S311  # all who were told so do not come back at once
                    continue
            if code >= 500 and pauses:
                await asyncio.sleep(pauses.pop(0) * random.uniform(0.5, 1.0))  # noqa: S311
                continue
            if code >= 300 and not (code == 304 and call.etag):
                raise error_of(code, read_status(data), call.what, call.ref, call.body)
            return Answer(code, data, reply.get("ETag", ""), reply.get("Content-Type", ""))

    async def _exchange(self, call: Call, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        body = b"" if call.body is None else msgspec.json.encode(call.body)
        data = io.BytesIO(body) if len(body) > _LARGE else body or None  # as aiohttp wants it: sent in pieces
        connection = self._connection
        self.sent["EVENT" if call.method != "GET" and "/events" in call.path else call.method] += 1
        try:
            async with connection.session.request(
                call.method,
                connection.url(call.path, call.encode_query()),
                data=data,
                headers={**call.headers(), **headers},
                allow_redirects=False,  # a redirect would carry the credentials elsewhere
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
                **connection.request_options,
            ) as response:
                return response.status, response.headers, await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnavailableError(f"{call.what}: {_describe(error)}") from None

    @asynccontextmanager
    async def stream(self, call: Call, silence: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """
        The lines of a watch, without end. Raises UnavailableError where nothing came for `silence` seconds: a connection that is cut without
        a word looks like one on which nothing happens.
        """
        headers, since = await self._connection.authorize()
        connection = self._connection
        self.sent["WATCH"] += 1
        try:
            async with connection.session.request(
                call.method,
                connection.url(call.path, call.encode_query()),
                headers={**call.headers(), **headers},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=silence),
                **connection.request_options,
            ) as response:
                if response.status == 401:
                    await connection.renew(since)
                if response.status >= 300:
                    error = error_of(response.status, read_status(await response.read()), call.what)
                    if response.status == 429:
                        await asyncio.sleep(_retry_after(response.headers))
                    raise error
                yield _lines(response.content, call.what)
        except ClusterError:
            raise
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnavailableError(f"{call.what}: {_describe(error)}") from None


async def _lines(stream: aiohttp.StreamReader, what: str) -> AsyncIterator[bytes]:
    """Whole lines. An event of a large object comes in many pieces, which are joined once."""
    pieces: list[bytes] = []
    size = 0
    while chunk := await stream.readany():
        head, *rest = chunk.split(b"\n")
        pieces.append(head)
        size += len(head)
        if size > _LONGEST_LINE:
            raise UnavailableError(f"{what}: an event of more than {_LONGEST_LINE} bytes")
        for piece in rest:
            line = b"".join(pieces)
            pieces, size = [piece], len(piece)
            if line:
                yield line


class Places:
    """So many at once. Who waits in front goes first, who waits behind takes at most half of the places."""

    def __init__(self, width: int) -> None:
        self._free, self._half, self._behind = width, max(1, width // 2), 0
        self._front: deque[asyncio.Future[None]] = deque()
        self._back: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def take(self, background: bool) -> AsyncIterator[None]:
        await self._enter(background)
        try:
            yield
        finally:
            self._free += 1
            self._behind -= background
            self._wake()

    async def _enter(self, background: bool) -> None:
        waiting = self._back if background else self._front
        if self._free > 0 and not self._front and (not background or (self._behind < self._half and not self._back)):
            self._grant(background)
            return
        turn = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn  # what wakes it has granted the place already
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free += 1
                self._behind -= background
                self._wake()
            else:
                waiting.remove(turn)
            raise

    def _grant(self, background: bool) -> None:
        self._free -= 1
        self._behind += background

    def _wake(self) -> None:
        while self._free > 0:
            background = not self._front
            waiting = self._back if background else self._front
            if not waiting or (background and self._behind >= self._half):
                return
            turn = waiting.popleft()
            if not turn.done():
                self._grant(background)
                turn.set_result(None)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds; the API server says so in whole ones. One second where it does not."""
    text = headers.get("Retry-After", "")
    return min(float(text), 60.0) if text.isascii() and text.isdigit() and text != "0" else 1.0


def _describe(error: BaseException) -> str:
    """Without the request's headers, whatever raised it."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the API server's certificate is not trusted: {one_line(str(error.certificate_error), 160)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to {error.host}:{error.port}: {one_line(error.os_error.strerror or error.os_error, 160)}"
    return f"the connection broke ({type(error).__name__})"

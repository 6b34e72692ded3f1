"""
A proxy in front of an API server that does what networks and servers do: it is slow, refuses, cuts, falls silent, lies.

It speaks TLS with the control plane's own certificate, so that a kubeconfig differs by the port alone. It runs in a thread
of its own: a test may block while the daemon talks through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import selectors
import ssl
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
from aiohttp import web
from yarl import URL

from tests.control_plane import ControlPlane

HOP = {"host", "connection", "keep-alive", "transfer-encoding", "content-length", "te", "trailer", "upgrade", "proxy-authorization"}
STARTING = 30.0


class Call(NamedTuple):
    """One request. `plural`: the kind's name in the path; `name`: of one object, empty for a list; `watch`: it streams."""

    method: str
    path: str
    plural: str
    name: str
    watch: bool

    @classmethod
    def read(cls, request: web.BaseRequest) -> Call:
        parts = request.path.strip("/").split("/")
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            rest = rest[2:]
        watch = request.query.get("watch", "") in {"1", "true", "True"}
        return cls(request.method, request.path, rest[0] if rest else "", rest[1] if len(rest) > 1 else "", watch)

    @property
    def lists(self) -> bool:
        return self.method == "GET" and bool(self.plural) and not self.name and not self.watch

    @property
    def writes(self) -> bool:
        return self.method != "GET"


class Fault:
    """
    What happens to the calls that it is about, from when it is added until it is removed, or for the first `times` of them.

    `delay`: seconds before it is passed on. `status`: it is refused so, with `retry_after` where given. `lost`: it is passed on, and
    the answer never arrives. `empty`: 200, a list without items. `silent`: the connection stays, and nothing comes. `hook`: called as
    soon as it comes in; after it has landed, where the answer is `lost`.
    """

    def __init__(
        self,
        about: Callable[[Call], bool] = lambda _: True,
        *,
        times: int | None = None,
        delay: float = 0.0,
        status: int = 0,
        retry_after: int | None = None,
        lost: bool = False,
        empty: bool = False,
        silent: bool = False,
        hook: Callable[[], None] = lambda: None,
    ) -> None:
        self.about, self.times = about, times
        self.delay, self.status, self.retry_after = delay, status, retry_after
        self.lost, self.empty, self.silent, self.hook = lost, empty, silent, hook
        self.met: list[Call] = []

    def takes(self, call: Call) -> bool:
        if not self.about(call) or (self.times is not None and len(self.met) >= self.times):
            return False
        self.met.append(call)
        return True


class Stream(NamedTuple):
    call: Call
    request: web.BaseRequest
    response: web.StreamResponse


class Proxy:
    """`url` stands for the API server. Faults act on calls as they come in; the methods below on streams that are open."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._faults: list[Fault] = []
        self._streams: list[Stream] = []
        self._silent: set[int] = set()
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._up, self._down = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run)
        self.calls: list[Call] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(STARTING)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join()

    # --- what a test does

    def add(self, fault: Fault) -> Fault:
        self._faults = [*self._faults, fault]
        return fault

    def remove(self, fault: Fault) -> None:
        self._faults = [each for each in self._faults if each is not fault]

    @contextlib.contextmanager
    def having(self, fault: Fault) -> Iterator[Fault]:
        """The fault, as long as the block lasts."""
        self.add(fault)
        try:
            yield fault
        finally:
            self.remove(fault)

    def open_streams(self, plural: str = "") -> int:
        return len([stream for stream in self._streams if plural in {"", stream.call.plural}])

    def cut(self, plural: str = "") -> int:
        """Breaks the connections of open streams; answers how many there were."""
        return self._on_streams(plural, lambda stream: stream.request.transport and stream.request.transport.abort())

    def silence(self, plural: str = "") -> int:
        """Open streams say nothing any more, and stay open: a half-open connection."""
        return self._on_streams(plural, lambda stream: self._silent.add(id(stream.response)))

    def expire(self, plural: str = "") -> int:
        """Open streams say 410 Gone as an event, and end."""

        def end(stream: Stream) -> None:
            event = {"type": "ERROR", "object": status_object(410, "Expired", "too old resource version")}
            task = asyncio.ensure_future(stream.response.write(json.dumps(event).encode() + b"\n"))
            task.add_done_callback(lambda _: stream.request.transport and stream.request.transport.close())

        return self._on_streams(plural, end)

    def _on_streams(self, plural: str, act: Callable[[Stream], Any]) -> int:
        async def all_of_them() -> int:
            found = [stream for stream in self._streams if plural in {"", stream.call.plural} and id(stream.response) not in self._silent]
            for stream in found:
                act(stream)
            return len(found)

        return asyncio.run_coroutine_threadsafe(all_of_them(), self._loop).result(STARTING)

    # --- the server

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        trust = ssl.create_default_context(cadata=self._plane.authority)
        own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        own.load_cert_chain(self._plane.folder / "server.crt", self._plane.folder / "server.key")
        connector = aiohttp.TCPConnector(ssl=trust, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as self._session:
            runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=own).start()
            self.port = runner.addresses[0][1]
            self._up.set()
            await self._down.wait()
            await runner.cleanup()
            left = asyncio.all_tasks() - {asyncio.current_task()}  # who was cut off in the middle of something
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        end = self._loop.time() + STARTING
        while len(self._selector.get_map()) > 1 and self._loop.time() < end:  # TLS connections say goodbye; the loop's own one stays
            await asyncio.sleep(0.01)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        call = Call.read(request)
        self.calls.append(call)
        faults = [fault for fault in self._faults if fault.takes(call)]
        for fault in faults:
            if not fault.lost:
                fault.hook()
            await asyncio.sleep(fault.delay)
            if fault.silent:
                await self._down.wait()
            if fault.status:
                return refusal(fault.status, fault.retry_after)
        try:
            return await self._pass_on(request, call, faults)
        except (aiohttp.ClientError, ConnectionError):
            if request.transport:
                request.transport.abort()
            return web.Response(status=502)

    async def _pass_on(self, request: web.BaseRequest, call: Call, faults: list[Fault]) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        if any(fault.empty for fault in faults):
            headers.pop("Accept-Encoding", None)
        url = self._plane.server + request.raw_path
        body = await request.read() or None
        target = URL(url, encoded=True)
        async with self._session.request(request.method, target, headers=headers, data=body, allow_redirects=False) as answer:
            if lost := [fault for fault in faults if fault.lost]:
                await answer.read()
                for fault in lost:
                    fault.hook()
                if request.transport:
                    request.transport.abort()
                return web.Response(status=502)
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
            if any(fault.empty for fault in faults) and answer.status == 200:
                found = json.loads(await answer.read()) | {"items": []}
                found["metadata"] = {"resourceVersion": found["metadata"]["resourceVersion"]}
                return web.Response(body=json.dumps(found).encode(), headers=kept)
            if not (call.watch and answer.status == 200):
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)
            return await self._stream(request, call, answer, kept)

    async def _stream(self, request: web.BaseRequest, call: Call, answer: aiohttp.ClientResponse, headers: dict[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        stream = Stream(call, request, response)
        self._streams.append(stream)
        try:
            async for chunk in answer.content.iter_any():
                if id(response) in self._silent:
                    await self._down.wait()
                await response.write(chunk)
        finally:
            self._streams.remove(stream)
            self._silent.discard(id(response))
        return response


def status_object(code: int, reason: str, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}


def refusal(code: int, retry_after: int | None) -> web.Response:
    reason = {410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}.get(code, "Unknown")
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return web.json_response(status_object(code, reason, f"injected {code}"), status=code, headers=headers)

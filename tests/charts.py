"""Charts for tests, and who serves them: a chart repository and an OCI registry on loopback, real HTTP servers that count who asked for what."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import yaml
from aiohttp import web

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
S = TypeVar("S", bound="Server")


def pack(files: dict[str, bytes | str]) -> bytes:
    """A gzipped tar file of those paths, as they are."""
    members = []
    for path, content in files.items():
        member, data = tarfile.TarInfo(path), content.encode() if isinstance(content, str) else content
        member.size = len(data)
        members.append((member, data))
    return pack_members(members)


def pack_members(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def chart_files(name: str, version: str, files: dict[str, bytes | str] | None = None, **more: Any) -> dict[str, bytes | str]:
    """`more`: of Chart.yaml, such as dependencies."""
    return {"Chart.yaml": yaml.safe_dump({"apiVersion": "v2", "name": name, "version": version, **more}), **(files or {})}


def chart(name: str, version: str, files: dict[str, bytes | str] | None = None, **more: Any) -> bytes:
    return pack({f"{name}/{path}": content for path, content in chart_files(name, version, files, **more).items()})


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Server:
    """`asked`: `METHOD path` of every request, `headers` the headers of each. `routes`: what answers instead of what is built in, by path."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.routes: dict[str, Handle] = {}
        self.user = ""
        self.port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def count(self, path: str) -> int:
        return sum(asked == path for asked in self.asked)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.headers.append(dict(request.headers))
        if request.path in self.routes:
            return await self.routes[request.path](request)
        return await self.answer(request)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError

    def is_user(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Basic {base64.b64encode(self.user.encode()).decode()}"


class Repository(Server):
    """`charts`: archives by name and version. `user`: `NAME:PASSWORD`, where nobody else is served."""

    def __init__(self) -> None:
        super().__init__()
        self.charts: dict[tuple[str, str], bytes] = {}
        self.digests = True

    @property
    def url(self) -> str:
        return f"http://{self.host}/charts"

    def add(self, name: str, version: str, files: dict[str, bytes | str] | None = None, **more: Any) -> bytes:
        data = self.charts[name, version] = chart(name, version, files, **more)
        return data

    def index(self) -> bytes:
        entries: dict[str, list[dict[str, Any]]] = {}
        for (name, version), data in self.charts.items():
            entry: dict[str, Any] = {"name": name, "version": version, "urls": [f"{name}-{version}.tgz"], "created": "2026-01-01T00:00:00Z"}
            entries.setdefault(name, []).append({**entry, **({"digest": digest_of(data)} if self.digests else {})})
        return yaml.safe_dump({"apiVersion": "v1", "entries": entries}).encode()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.user and not self.is_user(request):
            return web.Response(status=401)
        if request.path == "/charts/index.yaml":
            return web.Response(body=self.index())
        for (name, version), data in self.charts.items():
            if request.path == f"/charts/{name}-{version}.tgz":
                return web.Response(body=data)
        return web.Response(status=404)


class Registry(Server):
    """Charts by path and tag; a page of `page` tags at a time. `user`: who is given a token; empty: everybody. `basic`: it takes no tokens."""

    CONFIG = "application/vnd.cncf.helm.config.v1+json"

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, dict[str, bytes]] = {}
        self.config, self.page, self.basic, self.realm = self.CONFIG, 3, False, ""

    @property
    def url(self) -> str:
        return f"oci://{self.host}/charts"

    def add(self, name: str, version: str, files: dict[str, bytes | str] | None = None, **more: Any) -> bytes:
        data = chart(name, version, files, **more)
        self.tags.setdefault(f"charts/{name}", {})[version.replace("+", "_")] = data
        return data

    def _may(self, request: web.Request) -> bool:
        return self.is_user(request) if self.basic else request.headers.get("Authorization") == "Bearer t0ken"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            return web.json_response({"token": "t0ken"}) if not self.user or self.is_user(request) else web.Response(status=401)
        if not self._may(request):
            realm = self.realm or f"http://{self.host}/token"
            told = 'Basic realm="registry"' if self.basic else f'Bearer realm="{realm}",service="registry",scope="repository:x:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": told})
        for path, tags in self.tags.items():
            if request.path == f"/v2/{path}/tags/list":
                after = [tag for tag in sorted(tags) if tag > request.query.get("last", "")]
                return web.json_response({"name": path, "tags": after[: self.page]})
            for tag, data in tags.items():
                if request.path == f"/v2/{path}/manifests/{tag}":
                    layer = {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": f"sha256:{digest_of(data)}"}
                    return web.Response(body=json.dumps({"config": {"mediaType": self.config}, "layers": [layer]}).encode())
                if request.path == f"/v2/{path}/blobs/sha256:{digest_of(data)}":
                    return web.Response(body=data)
        return web.Response(status=404)


@asynccontextmanager
async def serving(server: S) -> AsyncIterator[S]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await server.handle(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@contextmanager
def serving_aside(server: S) -> Iterator[S]:
    """The same on a thread of its own, for tests that wait for a process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    served = serving(server)
    try:
        yield asyncio.run_coroutine_threadsafe(served.__aenter__(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(served.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def endless(request: web.Request) -> web.StreamResponse:
    """A body that never ends."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)
        await asyncio.sleep(0)

"""A scripted API server on loopback, for what a real one can't be made to answer at will; the contract tests have the real one."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def resource(plural: str, kind: str, *, namespaced: bool = True, short: tuple[str, ...] = (), verbs: list[str] = VERBS) -> dict:
    return {
        "resource": plural,
        "responseKind": {"kind": kind},
        "scope": "Namespaced" if namespaced else "Cluster",
        "singularResource": kind.lower(),
        "verbs": verbs,
        "shortNames": list(short),
    }


CORE = [resource("configmaps", "ConfigMap", short=("cm",)), resource("secrets", "Secret"), resource("namespaces", "Namespace", namespaced=False)]
APPS = [resource("deployments", "Deployment", short=("deploy",))]


def group(name: str, resources: list[dict], version: str = "v1", freshness: str = "Current") -> dict:
    return {"metadata": {"name": name}, "versions": [{"version": version, "resources": resources, "freshness": freshness}]}


def status(code: int, reason: str, message: str = "", **more: object) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason, "message": message, **more}
    return web.json_response(body, status=code)


class ApiServer:
    """
    `on[method, path]`: what answers; `groups` what discovery tells. `requests`: all that came, as `METHOD path?query`.
    """

    def __init__(self) -> None:
        self.on: dict[tuple[str, str], Handler] = {}
        self.groups = [group("apps", APPS)]
        self.core = [group("", CORE)]
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.etag = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        self.headers.append(dict(request.headers))
        handler = self.on.get((request.method, request.path))
        if handler is not None:
            return await handler(request)
        if request.path in ("/api", "/apis"):
            return self._discover(request)
        return web.Response(status=404, text="404 page not found\n")

    def _discover(self, request: web.Request) -> web.Response:
        if self.etag and request.headers.get("If-None-Match") == self.etag:
            return web.Response(status=304)
        items = self.core if request.path == "/api" else self.groups
        return web.json_response(
            {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": items},
            headers={"ETag": self.etag} if self.etag else {},
        )

    def asked(self, start: str) -> list[str]:
        return [request for request in self.requests if request.startswith(start)]

    def reply(self, method: str, path: str, *answers: web.Response | dict) -> None:
        """One after the other, the last one for ever."""
        left = list(answers)

        async def handle(request: web.Request) -> web.StreamResponse:
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, dict):
                return web.json_response(answer)
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

        self.on[method, path] = handle


def config_map(name: str = "one", version: str = "5", **meta: object) -> dict:
    metadata = {"name": name, "namespace": "default", "uid": f"u-{name}", "resourceVersion": version, **meta}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}}


def page(*items: dict, version: str = "10", following: str = "") -> dict:
    return {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version, "continue": following}, "items": list(items)}


def line(kind: str, obj: dict) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


async def eventually(predicate: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not predicate():
            await asyncio.sleep(0.01)

"""The routes of the API, each with what it answers. docs/api.md lists them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec
from aiohttp import web

from reconciler.api.problems import ApiError, Code
from reconciler.model.identity import AppKey
from reconciler.model.status import ApplicationStatus, Reader
from reconciler.workflow.explain import explain, line_to_commit

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
APPLICATION: Final = "/v1/applications/{namespace}/{name}"

# Seconds: what a request may wait for its answer, and what its body may take to come.
DEFAULT_WAIT: Final = 30.0
LONGEST_WAIT: Final = 300.0
_BODY_SECONDS: Final = 5.0
_MOST_WAITING: Final = 100

_Value = TypeVar("_Value")


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a hint. `timeout`: seconds that its sender waits at most."""

    timeout: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_WAIT)] = DEFAULT_WAIT


class Routes:
    """Handlers over one `Reader`. `now`: aware UTC; `render_metrics`: the exposition text, cheap enough for the event loop."""

    def __init__(self, reader: Reader, render_metrics: Callable[[], bytes], now: Callable[[], datetime]) -> None:
        self._reader = reader
        self._render_metrics = render_metrics
        self._now = now
        self._waiting = 0

    def hints(self) -> dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        """Path patterns to handlers: all that takes a POST. None of it changes anything (rule 13d)."""
        return {f"{APPLICATION}/reconcile": self.reconcile_application}

    def table(self) -> dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        """Path patterns to handlers: all that is read."""
        return {
            "/v1/applications": self.list_applications,
            APPLICATION: self.get_application,
            f"{APPLICATION}/why": self.explain_application,
            f"{APPLICATION}/diff": self.diff_application,
            f"{APPLICATION}/revisions": self.list_revisions,
            f"{APPLICATION}/history": self.tell_history,
            "/v1/objects": self.list_objects,
            "/v1/problems": self.list_problems,
            "/v1/source": self.describe_source,
            "/metrics": self.expose_metrics,
            "/healthz": self.report_alive,
            "/readyz": self.report_ready,
        }

    async def list_applications(self, request: web.Request) -> web.Response:
        """All applications, sorted by namespace and name; `name` and `namespace` narrow them."""
        wanted = _parameters(request, "name", "namespace")
        found = [
            status
            for status in self._reader.applications()
            if wanted["name"] in ("", status.application) and wanted["namespace"] in ("", status.namespace)
        ]
        return _answer(found)

    async def get_application(self, request: web.Request) -> web.Response:
        return _answer(self._find(request))

    async def explain_application(self, request: web.Request) -> web.Response:
        """`{application, namespace, why, help, since, path, commit}`: the sentence, what helps, and the line that helps where a gate waits."""
        status = self._find(request)
        told = explain(status, self._now(), self._reader.fault())
        return _answer(
            {
                "application": status.application,
                "namespace": status.namespace,
                "why": told.sentence,
                "help": told.help,
                "since": told.since,
                "path": status.path,
                "commit": line_to_commit(status),
            }
        )

    async def diff_application(self, request: web.Request) -> web.Response:
        key = self._find(request).key
        return _answer(_present(await self._reader.diff(key), key))

    async def list_revisions(self, request: web.Request) -> web.Response:
        key = self._find(request).key
        return _answer(_present(await self._reader.revisions(key), key))

    async def tell_history(self, request: web.Request) -> web.Response:
        key = self._find(request).key
        return _answer(_present(await self._reader.history(key), key))

    async def reconcile_application(self, request: web.Request) -> web.Response:
        """Looks again now and answers what came of it, or that nothing did in time."""
        key = self._find(request).key
        wish = await _read_wish(request)
        if self._waiting >= _MOST_WAITING:
            raise ApiError(Code.Unavailable, f"{_MOST_WAITING} requests wait already")
        self._waiting += 1
        try:
            return _answer(_present(await self._reader.reconcile(key, wish.timeout), key))
        finally:
            self._waiting -= 1

    async def list_objects(self, request: web.Request) -> web.Response:
        """Objects of one kind, secrets masked; `kind` is needed, `namespace` and `name` narrow them."""
        wanted = _parameters(request, "kind", "namespace", "name")
        if not wanted["kind"]:
            raise ApiError(Code.InvalidRequest, "name a kind, as in /v1/objects?kind=Deployment")
        try:
            return _answer(await self._reader.objects(wanted["kind"], wanted["namespace"], wanted["name"]))
        except LookupError as error:
            raise ApiError(Code.NotFound, str(error.args[0]) if error.args else f"no kind is called {wanted['kind']}") from None

    async def list_problems(self, request: web.Request) -> web.Response:
        _parameters(request)
        return _answer(self._reader.problems())

    async def describe_source(self, request: web.Request) -> web.Response:
        """`{fault: {message, since} or null}`: whether git can be read."""
        _parameters(request)
        return _answer({"fault": self._reader.fault()})

    async def expose_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._render_metrics(), headers={"Content-Type": METRICS_TYPE})

    async def report_alive(self, _: web.Request) -> web.Response:
        """200 while the loops move."""
        return _report(*self._reader.alive())

    async def report_ready(self, _: web.Request) -> web.Response:
        """200 once a first look at the repository succeeded and state is loaded."""
        return _report(*self._reader.ready())

    def _find(self, request: web.Request) -> ApplicationStatus:
        _parameters(request)
        key = AppKey(request.match_info["namespace"], request.match_info["name"])
        return _present(self._reader.application(key), key)


async def _read_wish(request: web.Request) -> Wish:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return msgspec.json.decode(await request.read() or b"{}", type=Wish)
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(Code.BodyNotAllowed, "the body is too large") from None
    except TimeoutError:
        raise ApiError(Code.InvalidRequest, "the body did not come") from None
    except msgspec.DecodeError as error:
        raise ApiError(Code.InvalidRequest, f'the body is not as in {{"timeout": 30}}: {error}') from None


def _present(value: _Value | None, key: AppKey) -> _Value:
    if value is None:
        raise ApiError(Code.NotFound, f"there is no application {key}")
    return value


def _parameters(request: web.Request, *known: str) -> dict[str, str]:
    """The query's parameters, each given once at most. An unknown one is an error: it would narrow nothing, unseen."""
    query = request.query
    unknown = sorted(set(query) - set(known))
    if unknown:
        raise ApiError(Code.InvalidRequest, f"unknown parameter {unknown[0]}" + (f"; known are {', '.join(known)}" if known else ""))
    if len(query) != len(set(query)):
        raise ApiError(Code.InvalidRequest, "a parameter is given twice")
    return {name: query.get(name, "") for name in known}


def _answer(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _report(well: bool, reason: str) -> web.Response:
    if not well:
        raise ApiError(Code.Unavailable, reason or "not yet")
    return web.Response(body=b'{"status":"ok"}', content_type="application/json")

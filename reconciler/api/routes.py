"""The routes of the API, each with what it answers. docs/api.md lists them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, TypeVar, get_args

import msgspec
from aiohttp import web

from reconciler.api.problems import ApiError, Code
from reconciler.model import command
from reconciler.model.command import Commands
from reconciler.model.identity import AppKey
from reconciler.model.run import CommandVerb
from reconciler.model.status import ApplicationStatus
from reconciler.model.workflow import WorkflowReader
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


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a command: who orders it and why, as that person says. `step`: its name or key. `timeout`: as in a hint."""

    author: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    step: Annotated[str, msgspec.Meta(max_length=300)] = ""
    timeout: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_WAIT)] = DEFAULT_WAIT


class Routes:
    """
    Handlers over one reader. `now`: aware UTC; `render_metrics`: the exposition text, cheap enough for the event loop. `commands`: who carries out
    what is ordered.
    """

    def __init__(
        self, reader: WorkflowReader, render_metrics: Callable[[], bytes], now: Callable[[], datetime], commands: Commands | None = None
    ) -> None:
        self._reader, self._commands = reader, commands
        self._render_metrics = render_metrics
        self._now = now
        self._waiting = 0

    def hints(self) -> dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        """Path patterns to handlers: all that takes a POST. None of it changes anything (rule 13d)."""
        return {f"{APPLICATION}/reconcile": self.reconcile_application}

    def orders(self) -> dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        """All that takes a POST and the token (rules 7f, 13d)."""
        return {f"{APPLICATION}/workflow/{verb}": partial(self.order_command, verb=verb) for verb in get_args(CommandVerb)}

    def table(self) -> dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        """Path patterns to handlers: all that is read."""
        return {
            "/v1/applications": self.list_applications,
            APPLICATION: self.get_application,
            f"{APPLICATION}/why": self.explain_application,
            f"{APPLICATION}/diff": self.diff_application,
            f"{APPLICATION}/revisions": self.list_revisions,
            f"{APPLICATION}/history": self.tell_history,
            f"{APPLICATION}/workflow": self.show_workflow,
            "/v1/workflows": self.list_workflows,
            "/v1/objects": self.list_objects,
            "/v1/problems": self.list_problems,
            "/v1/source": self.describe_source,
            "/v1/leader": self.describe_leader,
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
        self._need_lead()
        key = self._find_own(request).key
        wish = await _read_body(request, Wish, '{"timeout": 30}')
        return _answer(_present(await self._wait(self._reader.reconcile(key, wish.timeout)), key))

    async def order_command(self, request: web.Request, verb: CommandVerb) -> web.Response:
        """Has it done at once, and answers what came of it."""
        self._need_lead()
        key = self._find_own(request).key
        order = await _read_body(request, Order, '{"author": "Ada <ada@example.org>", "reason": "why"}')
        if not order.author.strip() or not order.reason.strip():
            raise ApiError(Code.InvalidRequest, "author and reason say who orders it and why; neither may be blank")
        assert self._commands is not None, "without somebody who carries it out there is no such route"
        wish = command.Wish(verb, order.author.strip(), order.reason.strip(), order.step)
        answer = _present(await self._wait(self._commands.command(key, wish, order.timeout)), key)
        if answer.result in ("Refused", "NotFound"):
            raise ApiError(Code[answer.result], answer.message)
        return _answer(answer)

    async def _wait(self, answer: Coroutine[Any, Any, _Value]) -> _Value:
        if self._waiting >= _MOST_WAITING:
            answer.close()
            raise ApiError(Code.Unavailable, f"{_MOST_WAITING} requests wait already")
        self._waiting += 1
        try:
            return await answer
        finally:
            self._waiting -= 1

    async def list_workflows(self, request: web.Request) -> web.Response:
        """All kept runs, by namespace and name, the newest of each first; `name` and `namespace` narrow them."""
        wanted = _parameters(request, "name", "namespace")
        found = self._reader.workflows()
        return _answer([run for run in found if wanted["name"] in ("", run.application) and wanted["namespace"] in ("", run.namespace)])

    async def show_workflow(self, request: web.Request) -> web.Response:
        """The newest run with the graph of its steps, or the one that `run` names."""
        wanted = _parameters(request, "run")
        key = AppKey(request.match_info["namespace"], request.match_info["name"])
        _present(self._reader.application(key), key)
        found = await self._reader.workflow(key, wanted["run"])
        if found is None:
            raise ApiError(Code.NotFound, f"{key} has no run {wanted['run']}".rstrip())
        return _answer(found)

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

    async def describe_leader(self, request: web.Request) -> web.Response:
        """`{leads, leader, epoch}`: whether this daemon acts, and who does."""
        _parameters(request)
        return _answer(self._reader.leader())

    def _need_lead(self) -> None:
        """Hints and orders are for who can act on them."""
        lead = self._reader.leader()
        if not lead.leads:
            who = f"{lead.leader} leads" if lead.leader else "nobody leads yet"
            raise ApiError(Code.NotLeading, f"this one stands by: {who}; ask there, or again in a moment")

    async def expose_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._render_metrics(), headers={"Content-Type": METRICS_TYPE})

    async def report_alive(self, _: web.Request) -> web.Response:
        """200 while the loops move."""
        return _report(*self._reader.alive())

    async def report_ready(self, _: web.Request) -> web.Response:
        """200 once a first look at the repository succeeded and state is loaded, whether it leads or stands by."""
        return _report(*self._reader.ready())

    def _find(self, request: web.Request) -> ApplicationStatus:
        _parameters(request)
        key = AppKey(request.match_info["namespace"], request.match_info["name"])
        return _present(self._reader.application(key), key)

    def _find_own(self, request: web.Request) -> ApplicationStatus:
        """One that this daemon acts for: another shard's has a daemon of its own."""
        status, own = self._find(request), self._reader.leader().shard
        if own not in (None, status.shard):
            theirs = f"the one that runs with --shard {status.shard}" if status.shard else "the one that runs without --shard"
            raise ApiError(Code.OtherShard, f"another daemon acts for {status.key}: ask {theirs}")
        return status


async def _read_body(request: web.Request, shape: type[_Value], example: str) -> _Value:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return msgspec.json.decode(await request.read() or b"{}", type=shape)
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(Code.BodyNotAllowed, "the body is too large") from None
    except TimeoutError:
        raise ApiError(Code.InvalidRequest, "the body did not come") from None
    except msgspec.DecodeError as error:
        raise ApiError(Code.InvalidRequest, f"the body is not as in {example}: {error}") from None


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

"""The API as the commands use it. Whatever goes wrong becomes one sentence and an exit code."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

import msgspec

from reconciler.cli.errors import CommandError, DeniedError, NotFoundError, RefusedError, UnreachableError, UsageError
from reconciler.model.command import Commanded, Wish
from reconciler.model.identity import AppKey
from reconciler.model.problem import Problem
from reconciler.model.status import ApplicationStatus, Attention, Fault
from reconciler.model.text import nearest, one_line
from reconciler.settings import DEFAULT_SERVER

TIMEOUT: Final = 30.0
LARGEST_ANSWER: Final = 256 << 20


class RevisionRecord(msgspec.Struct):
    """A kept revision, as `/v1/applications/NAMESPACE/NAME/revisions` lists them, newest first."""

    revision: str
    digest: str
    promoted: bool
    rejected: bool
    commit: str
    spec: dict[str, Any]


class Source(msgspec.Struct):
    """As `/v1/source` answers."""

    fault: Fault | None


class Client:
    """One daemon. Raises `CommandError`s."""

    def __init__(self, server: str) -> None:
        if urlsplit(server).scheme not in ("http", "https") or not urlsplit(server).hostname:
            raise UsageError(f"--server {server!r} is not an http:// or https:// address, as in {DEFAULT_SERVER}")
        self.server = server.rstrip("/")
        # Never through a proxy: what the environment says of the internet does not hold for a daemon on this machine.
        self._opener: OpenerDirector = build_opener(ProxyHandler({}))

    def get(self, path: str, **params: str) -> bytes:
        """The body of a successful answer. `path` segments are already quoted."""
        query = urlencode({name: value for name, value in params.items() if value})
        return self._ask(Request(f"{self.server}{path}" + (f"?{query}" if query else ""), headers={"Accept": "application/json"}), TIMEOUT)  # noqa: S310  # http(s) only, above

    def reconcile(self, key: AppKey, seconds: float) -> Attention:
        """Has the daemon look again now; answers what came of it within that time."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        body = json.dumps({"timeout": seconds}).encode()
        request = Request(f"{self.server}{self.locate(key, 'reconcile')}", data=body, headers=headers, method="POST")  # noqa: S310  # as above
        answer: Attention = self._decode(self._ask(request, seconds + TIMEOUT), Attention)
        return answer

    def order(self, key: AppKey, wish: Wish, token: str, seconds: float) -> Commanded:
        """Has it done at once; answers what came of it within that time."""
        headers = {"Accept": "application/json", "Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        body = json.dumps({"author": wish.author, "reason": wish.reason, "step": wish.step, "timeout": seconds}).encode()
        path = self.locate(key, f"workflow/{wish.verb}")
        request = Request(f"{self.server}{path}", data=body, headers=headers, method="POST")  # noqa: S310  # as above
        answer: Commanded = self._decode(self._ask(request, seconds + TIMEOUT), Commanded)
        return answer

    def _ask(self, request: Request, seconds: float) -> bytes:
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                body: bytes = answer.read(LARGEST_ANSWER + 1)
        except HTTPError as error:
            with error:
                raise self._explain(error) from None
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise UnreachableError(
                f"no daemon answers at {self.server} ({reason}): start one with `reconciler run`, or name it with --server or RECONCILER_SERVER"
            ) from None
        if len(body) > LARGEST_ANSWER:
            raise UnreachableError(f"the answer of {self.server} is too large")
        return body

    def decode(self, path: str, shape: Any, **params: str) -> Any:
        """The answer as a value of that type."""
        return self._decode(self.get(path, **params), shape)

    def _decode(self, body: bytes, shape: Any) -> Any:
        try:
            return msgspec.json.decode(body, type=shape)
        except msgspec.DecodeError as error:
            raise UnreachableError(f"what answers at {self.server} is not a reconciler of this version ({error})") from None

    def applications(self, name: str = "") -> list[ApplicationStatus]:
        found: list[ApplicationStatus] = self.decode("/v1/applications", list[ApplicationStatus], name=name)
        return found

    def find(self, text: str) -> ApplicationStatus:
        """The application called NAME, where that is unique, or NAMESPACE/NAME."""
        key = AppKey.parse(text)
        if not text or ("/" in text and not (key.namespace and key.name)):
            raise UsageError(f"{text!r} names no application: write NAME or NAMESPACE/NAME")
        if "/" in text:
            try:
                status: ApplicationStatus = self.decode(self.locate(key), ApplicationStatus)
            except NotFoundError as error:
                raise NotFoundError(f"{error}{self._unread(key.name)}") from None
            return status
        found = self.applications(text)
        if not found:
            unread = self._unread(text)
            close = None if unread else nearest(text, sorted({status.application for status in self.applications()}))
            raise NotFoundError(f"no application is called {text!r}{unread}" + (f"; did you mean {close}?" if close else ""))
        if len(found) > 1:
            names = ", ".join(str(status.key) for status in found)
            raise UsageError(f"{text!r} is the name of several applications: say which of {names}")
        return found[0]

    def problems(self) -> list[Problem]:
        """What is wrong with the documents of the head, errors only."""
        found: list[Problem] = self.decode("/v1/problems", list[Problem])
        return [problem for problem in found if problem.severity == "error"]

    def fault(self) -> Fault | None:
        """Why the daemon can't read git just now; None while it can."""
        source: Source = self.decode("/v1/source", Source)
        return source.fault

    def unready(self) -> str:
        """Why the daemon has not read the repository yet; empty where it has."""
        try:
            self.get("/readyz")
        except UnreachableError as error:
            return str(error)
        return ""

    def _unread(self, name: str) -> str:
        """An application whose first manifest has errors is none yet: what is wrong with it."""
        problem = next((problem for problem in self.problems() if problem.object.endswith(f" {name}")), None)
        return f" yet: {one_line(problem, 600)}" if problem else ""

    def revisions(self, key: AppKey) -> list[RevisionRecord]:
        found: list[RevisionRecord] = self.decode(self.locate(key, "revisions"), list[RevisionRecord])
        return found

    @staticmethod
    def locate(key: AppKey, view: str = "") -> str:
        """The path of an application, or of a view of it, below the server."""
        path = f"/v1/applications/{quote(key.namespace, safe='')}/{quote(key.name, safe='')}"
        return f"{path}/{view}" if view else path

    def _explain(self, error: HTTPError) -> CommandError:
        try:
            told = json.loads(error.read(1 << 16))["error"]
            code, message = str(told["code"]), str(told["message"])
        except (ValueError, KeyError, TypeError, OSError):
            return UnreachableError(f"what answers at {self.server} is not a reconciler (HTTP {error.code})")
        if error.code == 404:
            return NotFoundError(message)
        if code in ("TokenNeeded", "TokenWrong"):
            return DeniedError(f"{message}: name it with --token-file, RECONCILER_TOKEN_FILE or RECONCILER_TOKEN")
        return RefusedError(message) if error.code < 500 else UnreachableError(message)

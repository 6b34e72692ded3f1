"""The only way out over HTTP: every address is checked after its name was looked up and at each redirect, and only what was checked is reached."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from reconciler import __version__
from reconciler.model.text import one_line
from reconciler.notify.egress import Egress
from reconciler.notify.lookup import Lookup, SystemLookup
from reconciler.notify.protocol import (
    Answer,
    NoAnswerError,
    NotifyError,
    RedirectRefusedError,
    Request,
    RequestInvalidError,
    UnreachableError,
)

OpenSocket = Callable[[Any], socket.socket]

TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110, 5.6.2
VALUE: Final = re.compile(r"[ -~\t]*", re.ASCII)
REDIRECTS: Final = 3
BODY_LIMIT: Final = 256 * 1024
CONNECTIONS: Final = 256
_REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})
_CHUNK: Final = 16 * 1024
# What goes along to another host: nothing that a manifest may keep as a credential.
_HARMLESS: Final = frozenset({"content-type", "idempotency-key", "accept-encoding", "user-agent"})
# What says where a message ends and whom it is for is the client's own to say.
FRAMING: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "keep-alive"})


class GuardedClient:
    """
    A `Sender`. `idle`: seconds for which an unused connection is kept. `lookup` and `open_socket`: in place of the machine's own.

    Proxies of the environment are not used: they would look the name up themselves. Cookies are not kept, answers are not unpacked. To be
    used in one event loop; the first request opens it and `close` ends it.
    """

    def __init__(self, egress: Egress, *, idle: float = 200.0, lookup: Lookup | None = None, open_socket: OpenSocket | None = None) -> None:
        self._egress, self._idle, self._lookup, self._open_socket = egress, idle, lookup, open_socket
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request, seconds: float, limit: int = 0) -> Answer:
        """As the protocol says."""
        url = self._egress.read(request.url)
        if len(request.body) > BODY_LIMIT:
            raise RequestInvalidError(f"the body is {len(request.body)} bytes; at most {BODY_LIMIT} are sent")
        headers = _headers(url, request.headers)
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(request, url, headers, limit)
        except TimeoutError:
            raise NoAnswerError(f"{place_of(url)} gave no answer within {seconds:g} s") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _follow(self, request: Request, url: URL, headers: dict[str, str], limit: int) -> Answer:
        """Redirects keep method and body, but for 303, which asks for the answer elsewhere (RFC 9110, 15.4.4)."""
        method, body = request.method, request.body
        for _ in range(REDIRECTS + 1):
            answer, location = await self._ask(method, url, headers, body, limit)
            if location is None:
                return answer
            following = self._egress.read(_join(url, location))
            if url.scheme == "https" and following.scheme != "https":
                raise RedirectRefusedError(f"{place_of(url)} sends it on from https to http")
            if following.origin() != url.origin():
                headers = {name: value for name, value in headers.items() if name in _HARMLESS}
            if answer.status == 303:
                method, body = "GET", b""
                headers = {name: value for name, value in headers.items() if name != "content-type"}
            url = following
        raise RedirectRefusedError(f"{place_of(url)} sends it on for more than {REDIRECTS} times")

    async def _ask(self, method: str, url: URL, headers: Mapping[str, str], body: bytes, limit: int) -> tuple[Answer, str | None]:
        """The answer, and where it sends the request on to."""
        place = place_of(url)
        try:
            async with self._opened().request(method, url, headers=headers, data=body or None, allow_redirects=False) as answer:
                if answer.status in _REDIRECTING and "Location" in answer.headers:
                    return Answer(answer.status), answer.headers["Location"]
                return await _read(answer, limit), None
        except NotifyError:
            raise
        except aiohttp.InvalidURL:
            raise RequestInvalidError(f"the URL of {place} cannot be asked") from None
        except aiohttp.ClientConnectorCertificateError:
            raise UnreachableError(f"the certificate of {place} does not hold") from None
        except aiohttp.ClientConnectorDNSError:
            raise UnreachableError(f"no address is known for {place}") from None
        except aiohttp.ClientConnectorError as error:
            raise UnreachableError(f"no connection to {place}: {_why(error.os_error)}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(f"the connection to {place} broke: {_why(error)}") from None
        except ValueError:  # what it says may hold a value
            raise RequestInvalidError(f"the request to {place} is none that HTTP knows") from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = _Resolver(self._egress, self._lookup or SystemLookup())
            connector = aiohttp.TCPConnector(
                resolver=resolver,
                use_dns_cache=False,  # each connection is to what was looked up and checked for it
                limit=CONNECTIONS,
                keepalive_timeout=self._idle,
                socket_factory=GuardedSocket(self._open_socket or _open_socket),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


class _Resolver(AbstractResolver):
    """Answers a connection with addresses that were checked, all of them: a name that leads here and there leads nowhere."""

    def __init__(self, egress: Egress, lookup: Lookup) -> None:
        self._egress, self._lookup = egress, lookup

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:  # noqa: ARG002
        addresses = await self._lookup(host)
        if not addresses:
            raise OSError("no address")
        for address in addresses:
            self._egress.check(host, port, address)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        return


class GuardedSocket:
    """Opens sockets to plain addresses alone: whatever else reached this point would be looked up once more, by the machine."""

    def __init__(self, open_socket: OpenSocket) -> None:
        self._open = open_socket

    def __call__(self, info: Any) -> socket.socket:
        try:
            ip_address(str(info[4][0]).partition("%")[0])
        except ValueError:
            raise OSError("not an address") from None
        return self._open(info)


def _open_socket(info: Any) -> socket.socket:
    family, kind, proto, _, _ = info
    return socket.socket(family=family, type=kind, proto=proto)


async def _read(answer: aiohttp.ClientResponse, limit: int) -> Answer:
    """What is over the limit is not read: the connection is closed then, not used again."""
    body = bytearray()
    challenge = answer.headers.get("WWW-Authenticate", "") if answer.status == 401 else ""
    if limit:
        async for chunk in answer.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > limit:
                answer.close()
                del body[limit:]  # in place: it may be large
                return Answer(answer.status, bytes(body), whole=False, challenge=challenge)
    return Answer(answer.status, bytes(body), challenge=challenge)


def _headers(url: URL, given: Mapping[str, str]) -> dict[str, str]:
    """By lower-case name. Raises RequestInvalidError for one that is not the caller's to set."""
    headers = {name.lower(): value for name, value in given.items()}
    for name, value in headers.items():
        if not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
            raise RequestInvalidError(f"a header of a request to {place_of(url)} is none that HTTP knows")
        if name in FRAMING or name.startswith("proxy-"):
            raise RequestInvalidError(f"the header {name} of a request to {place_of(url)} is not the sender's to set")
    return {"user-agent": f"reconciler/{__version__}"} | headers | {"accept-encoding": "identity"}


def _join(url: URL, location: str) -> str:
    try:
        return str(url.join(URL(location)))
    except ValueError:
        raise RedirectRefusedError(f"{place_of(url)} sends it on to what is no URL") from None


def place_of(url: URL) -> str:
    """HOST:PORT: all of a URL that is ever shown."""
    host = one_line(url.raw_host or "", 120)
    return f"[{host}]:{url.port}" if ":" in host else f"{host}:{url.port}"


def _why(error: BaseException | None) -> str:
    """The system's own words for a failed connection; what the error itself says may hold what was sent."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno).lower()
    if isinstance(error, ssl.SSLError):
        return "no TLS"
    return "it was closed without an answer" if isinstance(error, aiohttp.ServerDisconnectedError) else "no valid HTTP answer"

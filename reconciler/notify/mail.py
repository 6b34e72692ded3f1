"""The only way out by mail: SMTP with TLS, to an address that was checked after its name was looked up (rule 13b)."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime
from email.headerregistry import Address as MailAddress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from ipaddress import ip_address
from typing import ClassVar, Final, NamedTuple, Protocol

from reconciler.model.outcome import Retry
from reconciler.notify.addresses import Address
from reconciler.notify.egress import Egress
from reconciler.notify.lookup import Lookup, SystemLookup
from reconciler.notify.protocol import NoAnswerError, NotifyError, RequestInvalidError, UnreachableError

Connect = Callable[[str, int, ssl.SSLContext | None, str], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

_IMPLICIT: Final = 465
_LINE: Final = 2048
_LINES: Final = 100
_CODE: Final = re.compile(rb"(\d{3})([ -]|$)")
_NAME: Final = "reconciler"


class Mail(NamedTuple):
    """`mark`: of which its Message-ID is made, the same whenever it is sent again, as is `date`."""

    host: str
    port: int
    address: str
    alias: str
    password: str
    to: tuple[str, ...]
    subject: str
    body: str
    mark: str
    date: datetime


class MailRefusedError(NotifyError):
    """The server says no, for good."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "MailRefused"


class MailDelayedError(NotifyError):
    """The server says not now."""

    reason: ClassVar[str] = "MailDelayed"


class Post(Protocol):
    """Hands one mail to its server, all recipients or none. `seconds`: for all of it. Raises NotifyError."""

    async def send(self, mail: Mail, seconds: float) -> None: ...


class Mailer:
    """A `Post`. The password goes over TLS alone, to a server whose certificate holds. `connect`, `lookup`, `tls`: in place of the machine's own."""

    def __init__(self, egress: Egress, *, lookup: Lookup | None = None, connect: Connect | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._egress, self._lookup, self._connect, self._tls = egress, lookup, connect or _connect, tls

    async def send(self, mail: Mail, seconds: float) -> None:
        """As the protocol says."""
        place = f"{mail.host}:{mail.port}"
        data = write_mail(mail)
        try:
            async with asyncio.timeout(seconds):
                await self._deliver(mail, data, place)
        except TimeoutError:
            raise NoAnswerError(f"{place} gave no answer within {seconds:g} s") from None
        except ssl.SSLError:
            raise UnreachableError(f"no TLS with {place}, or its certificate does not hold") from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            raise UnreachableError(f"no connection to {place}, or it broke") from None

    async def _deliver(self, mail: Mail, data: bytes, place: str) -> None:
        address = await self._check(mail.host, mail.port)
        tls = self._tls = self._tls or ssl.create_default_context()
        reader, writer = await self._connect(str(address), mail.port, tls if mail.port == _IMPLICIT else None, mail.host)
        try:
            talk = _Talk(reader, writer, place)
            await talk.hear(220, "said nothing")
            await talk.say(f"EHLO {_NAME}", 250, "refused the greeting")
            if mail.port != _IMPLICIT:
                await talk.say("STARTTLS", 220, "has no TLS")
                if reader._buffer:  # type: ignore[attr-defined]  # noqa: SLF001  # what came in clear text before TLS is nobody's (CVE-2011-0411)
                    raise MailRefusedError(f"{place} spoke before TLS")
                await writer.start_tls(tls, server_hostname=mail.host)
                await talk.say(f"EHLO {_NAME}", 250, "refused the greeting")
            token = base64.b64encode(f"\0{mail.address}\0{mail.password}".encode("utf-8", "surrogatepass")).decode()
            await talk.say(f"AUTH PLAIN {token}", 235, "refused the password")
            await talk.say(f"MAIL FROM:<{mail.address}>", 250, "refused the sender")
            for recipient in mail.to:
                await talk.say(f"RCPT TO:<{recipient}>", 250, "refused a recipient")
            await talk.say("DATA", 354, "refused the message")
            writer.write(re.sub(rb"(?m)^\.", b"..", data) + b".\r\n")
            await talk.hear(250, "refused the message")
            writer.write(b"QUIT\r\n")
        finally:
            writer.close()

    async def _check(self, host: str, port: int) -> Address:
        """An address that was checked; every one that the name has must be allowed."""
        try:
            addresses = [ip_address(host)]
        except ValueError:
            self._lookup = self._lookup or SystemLookup()
            addresses = await self._lookup(host)
        if not addresses:
            raise UnreachableError(f"no address is known for {host}:{port}")
        for address in addresses:
            self._egress.check(host, port, address)
        return addresses[0]


class _Talk:
    """Lines of SMTP (RFC 5321): what the server says is never shown, but for its code."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: str) -> None:
        self._reader, self._writer, self._place = reader, writer, place

    async def say(self, line: str, wanted: int, otherwise: str) -> None:
        self._writer.write(line.encode("utf-8", "surrogatepass") + b"\r\n")
        await self.hear(wanted, otherwise)

    async def hear(self, wanted: int, otherwise: str) -> None:
        for _ in range(_LINES):
            line = (await self._reader.readuntil(b"\n")).rstrip()
            match = _CODE.match(line[:_LINE])
            if match is None:
                raise MailRefusedError(f"{self._place} does not speak SMTP")
            if match[2] == b"-":
                continue
            code = int(match[1])
            if code == wanted or (wanted == 250 and code == 251):
                return
            kind = MailDelayedError if 400 <= code < 500 else MailRefusedError
            raise kind(f"{self._place} {otherwise}: {code}")
        raise MailRefusedError(f"{self._place} does not end its answer")


def write_mail(mail: Mail) -> bytes:
    """The message, the same to the byte whenever it is written. Raises RequestInvalidError."""
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = MailAddress(mail.alias, addr_spec=mail.address)
        message["To"] = ", ".join(mail.to)
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(mail.date)
        message["Message-ID"] = f"<{mail.mark}@{_NAME}>"
        message.set_content(mail.body, subtype="html" if mail.body.lstrip().startswith("<") else "plain", cte="base64")
        data = message.as_bytes()
    except (ValueError, UnicodeError, IndexError):
        raise RequestInvalidError("no such mail is ever sent: an address or a header is none") from None
    return data if data.endswith(b"\r\n") else data + b"\r\n"


async def _connect(address: str, port: int, tls: ssl.SSLContext | None, host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(address, port, ssl=tls, server_hostname=host if tls is not None else None, limit=_LINE * 4)

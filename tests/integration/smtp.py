"""A mail server on loopback that speaks SMTP with STARTTLS and notes every mail, and the certificate authority that vouches for it."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class MailServer:
    """`tls`: for who sends to it. `refuse`: what it answers to a command instead. `mails`: what it took, `logins`: with whose name and password."""

    def __init__(self, folder: Path) -> None:
        self.mails: list[EmailMessage] = []
        self.logins: list[tuple[str, str]] = []
        self.recipients: list[list[str]] = []
        self.clear: list[str] = []
        self.refuse: dict[str, str] = {}
        self.port = 0
        self.tls, self._own = _certify(folder)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        secure, recipients = False, list[str]()
        try:
            while line := (await reader.readline()).decode().strip():
                verb = line.split(" ", 1)[0].upper()
                if not secure:
                    self.clear.append(line)
                if verb in self.refuse:
                    writer.write(self.refuse[verb].encode() + b"\r\n")
                elif verb == "EHLO":
                    writer.write(b"250-here\r\n250 AUTH PLAIN\r\n" if secure else b"250-here\r\n250 STARTTLS\r\n")
                elif verb == "STARTTLS":
                    writer.write(b"220 go\r\n")
                    await writer.start_tls(self._own)
                    secure = True
                elif verb == "AUTH":
                    _, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
                    self.logins.append((user, password))
                    writer.write(b"235 ok\r\n")
                elif verb == "RCPT":
                    recipients.append(line.partition("<")[2].rstrip(">"))
                    writer.write(b"250 ok\r\n")
                elif verb == "DATA":
                    writer.write(b"354 go\r\n")
                    data = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
                    self.mails.append(cast("EmailMessage", message_from_bytes(data, policy=policy.default)))
                    self.recipients.append(recipients)
                    writer.write(b"250 ok\r\n")
                else:
                    writer.write(b"250 ok\r\n")
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def mail_server(folder: Path) -> AsyncIterator[MailServer]:
    server = MailServer(folder)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def _certify(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(what trusts the server, what the server is)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    names = x509.SubjectAlternativeName([x509.DNSName("mail.test"), x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "mail.pem").write_bytes(pem + secret)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(folder / "mail.pem")
    return ssl.create_default_context(cadata=pem.decode()), own

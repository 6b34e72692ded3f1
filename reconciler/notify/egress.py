"""Where requests may go: what the operator opened, and public addresses (rule 13b)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from yarl import URL

from reconciler.model.text import one_line
from reconciler.notify.addresses import Address, describe_refused, read_literal
from reconciler.notify.protocol import EgressRefusedError, RequestInvalidError

SCHEMES: Final = ("http", "https")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,253}", re.ASCII)


class Egress:
    """
    `openings`: values of `--allow-egress`, `HOST` or `HOST:PORT`, hosts as they stand in URLs. `only`: the same, where nothing else may be asked
    at all, whatever its address; `setting`: what the operator calls that list. Empty: every host.
    """

    def __init__(self, openings: Iterable[str] = (), only: Iterable[str] = (), setting: str = "") -> None:
        self._open = {_read_opening(opening) for opening in openings}
        self._only, self._setting = {_read_opening(host) for host in only}, setting

    def read(self, text: str) -> URL:
        """
        The URL that is asked: checked, an address in its plain spelling, without fragment. Raises EgressRefusedError where it names an
        address that is not reached, RequestInvalidError where it is none that ever is.
        """
        try:
            url = URL(text)
            host, port = url.raw_host or "", url.port
        except ValueError:
            raise RequestInvalidError("the URL cannot be read") from None
        if url.scheme not in SCHEMES or not host or not port:
            raise RequestInvalidError("the URL must begin with http:// or https:// and a host")
        if url.raw_user is not None or url.raw_password is not None or "@" in urlsplit(text).netloc:
            raise RequestInvalidError(f"the URL of {one_line(host, 80)}:{port} holds a user or a password; leave them out")
        if ":" not in host and not _NAME.fullmatch(host):
            raise RequestInvalidError("the host of the URL is no name")
        try:
            literal = read_literal(host)
        except ValueError as error:
            raise RequestInvalidError(one_line(error, 120)) from None
        if literal is not None:
            self.check(str(literal), port, literal)
            url = url.with_host(str(literal))
        named = _plain(str(literal) if literal is not None else host)
        if self._only and self._only.isdisjoint({(named, port), (named, 0)}):
            raise EgressRefusedError(f"{one_line(named, 120)}:{port} is not among the hosts of {self._setting}", f"{named}:{port}")
        return url.with_fragment(None)

    def check(self, host: str, port: int, address: Address) -> None:
        """`host`: a name, or the address itself in its plain spelling. Raises EgressRefusedError."""
        kind = describe_refused(address)
        if not kind or not self._open.isdisjoint({(_plain(host), port), (_plain(host), 0)}):
            return
        place = f"[{host}]" if ":" in host else one_line(host, 120)
        what = f"{place}:{port} is" if host == str(address) else f"{place}:{port} leads to {address},"
        raise EgressRefusedError(f"{what} {kind} address, reached only where the daemon has --allow-egress {place}:{port}", f"{place}:{port}")


def opening_of(url: str) -> str:
    """What opens the place of a URL that the operator names: `HOST:PORT`."""
    parts = URL(url)
    host = parts.raw_host or ""
    return f"[{host}]:{parts.port}" if ":" in host else f"{host}:{parts.port}"


def _plain(host: str) -> str:
    return host.rstrip(".").lower()


def _read_opening(text: str) -> tuple[str, int]:
    """Host and port, 0 for every port."""
    host, colon, port = text.rpartition(":")
    if not colon or (text.startswith("[") and text.endswith("]")) or not port.isdigit():
        host, port = text, "0"
    bare = host[1:-1] if host.startswith("[") else host
    try:
        return str(ip_address(bare)), int(port)
    except ValueError:
        return _plain(bare), int(port)

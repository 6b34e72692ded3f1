"""What fetching charts needs of others, and what can go wrong with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple


class ChartError(Exception):
    """A chart is not to be had. One line that says which, where and what to do. `retry`: it may be had later, with nothing changed in git."""

    def __init__(self, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.retry = retry


class Reply(NamedTuple):
    """An HTTP answer, redirects followed. `whole`: whether `body` is all of it. `challenge`: the `WWW-Authenticate` of a 401."""

    status: int
    body: bytes = b""
    whole: bool = True
    challenge: str = ""


Get = Callable[[str, Mapping[str, str], int], Awaitable[Reply]]
"""Asks for a URL with those headers; at most so many bytes of the body are read. Raises ChartError for an address that is not to be asked, and
where no answer comes in time. Headers go to the host of the URL alone, whoever sends the request on."""


class Credentials(NamedTuple):
    """A user, and the hosts (`HOST` or `HOST:PORT`) that are told of it; nobody else is (rule 13c)."""

    username: str
    password: str
    hosts: frozenset[str]

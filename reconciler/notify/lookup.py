"""Asking the machine what addresses a name has."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final

from reconciler.notify.addresses import Address

Lookup = Callable[[str], Awaitable[list[Address]]]
_AT_ONCE: Final = 16


class SystemLookup:
    """
    The machine's own resolver. It may hang for half a minute and can't be stopped, so it runs on threads that nobody waits for, a few at once,
    one for each name: a name that hangs keeps no other one waiting, and not the end of the process.
    """

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._asked: dict[str, asyncio.Task[list[Address]]] = {}

    async def __call__(self, host: str) -> list[Address]:
        """Raises OSError where it has none."""
        task = self._asked.get(host)
        if task is None:
            task = self._asked[host] = asyncio.create_task(self._ask(host))
            task.add_done_callback(lambda done: self._forget(host, done))
        return await asyncio.shield(task)

    def _forget(self, host: str, task: asyncio.Task[list[Address]]) -> None:
        del self._asked[host]
        if not task.cancelled():
            task.exception()  # whoever asked may be gone

    async def _ask(self, host: str) -> list[Address]:
        async with self._slots:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[list[Address]] = loop.create_future()
            threading.Thread(target=_work, args=(host, loop, answer), name="lookup", daemon=True).start()
            return await answer


def _work(host: str, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[list[Address]]) -> None:
    found: list[Address] | OSError
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        found = list(dict.fromkeys(ip_address(str(info[4][0]).partition("%")[0]) for info in infos))
    except OSError as error:
        found = error
    except UnicodeError:
        found = OSError("no name")

    def tell() -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:
        return  # the loop has ended meanwhile

"""Where the code of others runs: in threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

T = TypeVar("T")


class Calls(Protocol):
    async def call(self, work: Callable[[], T], seconds: float) -> T:
        """What `work` answers; it never raises. Raises TimeoutError after so many seconds."""
        ...


class Threads:
    """
    At most `most` calls at once, each in a thread of its own. One that hangs is given up after its seconds and keeps its place until it ends by
    itself: how many hang is bounded. Its thread ends with the process, which does not wait for it.
    """

    def __init__(self, name: str, most: int = 8) -> None:
        self._name, self._free = name, asyncio.Semaphore(most)

    async def call(self, work: Callable[[], T], seconds: float) -> T:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[T] = loop.create_future()

        def take(answer: T) -> None:
            self._free.release()
            if not ended.done():
                ended.set_result(answer)

        def body() -> None:
            answer = work()
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(take, answer)

        async with asyncio.timeout(seconds):
            await self._free.acquire()
            try:
                threading.Thread(target=body, name=f"plugin-{self._name}", daemon=True).start()
            except RuntimeError as error:  # the machine has no thread left
                self._free.release()
                raise TimeoutError from error
            return await ended

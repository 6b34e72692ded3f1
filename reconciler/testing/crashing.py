"""A daemon that dies at a write of its choice: the cluster as that daemon sees it, and as it never sees it again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

_WRITES: Final = frozenset({"create", "replace", "replace_status", "apply", "delete"})


class Died(NamedTuple):
    """At which write a daemon died, and whether that one landed."""

    write: int
    landed: bool


class Lifeline:
    """
    A cluster for one life of a daemon. It dies at the write of that number (from 1), right after it landed or right before: like kill -9, from
    then on nothing that this daemon does reaches anything. `on_death` is called then.
    """

    def __init__(self, cluster: Any, on_death: Callable[[], None]) -> None:
        self._cluster, self._on_death = cluster, on_death
        self.writes, self.dead = 0, False
        self.dies: Died | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cluster, name)
        if name not in _WRITES:
            return found

        async def write(*args: Any, **kwargs: Any) -> Any:
            if self.dead:
                await self._die()
            self.writes += 1
            last = self.dies is not None and self.writes == self.dies.write
            if last and self.dies is not None and not self.dies.landed:
                await self._die()
            answer = await found(*args, **kwargs)
            if last:
                await self._die()
            return answer

        return write

    async def _die(self) -> None:
        self.dead = True
        self._on_death()
        await asyncio.Event().wait()

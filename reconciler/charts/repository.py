"""Chart repositories over HTTP: an index, and archives by URL."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from reconciler.charts.choice import choose
from reconciler.charts.http import basic, fetch
from reconciler.charts.index import MOST_BYTES, Entry, read_index
from reconciler.charts.protocol import ChartError, Credentials, Get
from reconciler.model.text import nearest, one_line

_FRESH: Final = 5.0
_KEPT: Final = 8
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Found(NamedTuple):
    """Where a version of a chart is. `digest`: hex, empty where nobody says."""

    version: str
    url: str
    digest: str


class Repositories:
    """An index that was read a few seconds ago is not read again: many applications ask for the same one."""

    def __init__(self, get: Get) -> None:
        self._get = get
        self._indexes: OrderedDict[tuple[str, Credentials | None], tuple[float, dict[str, list[Entry]]]] = OrderedDict()
        self._reading: dict[tuple[str, Credentials | None], asyncio.Task[dict[str, list[Entry]]]] = {}

    async def find(self, repository: str, name: str, wanted: str, credentials: Credentials | None) -> Found:
        """Raises ChartError."""
        charts = await self._index(repository, credentials)
        entries = charts.get(name)
        if not entries:
            guess = nearest(name, charts) if len(name) <= 80 else None
            raise ChartError(f"the index holds no chart of that name{f'; did you mean {one_line(guess, 80)}?' if guess else ''}", retry=True)
        version = choose((entry.version for entry in entries), wanted)
        entry = next(entry for entry in entries if entry.version == version)
        if entry.digest and not _DIGEST.fullmatch(entry.digest):
            raise ChartError(f"the index gives {one_line(version, 40)} a digest that is no SHA-256")
        return Found(version, _resolve(repository, entry.url), entry.digest)

    async def _index(self, repository: str, credentials: Credentials | None) -> dict[str, list[Entry]]:
        key, now = (repository, credentials), asyncio.get_running_loop().time()
        if key in self._indexes and now - self._indexes[key][0] < _FRESH:
            return self._indexes[key][1]
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._read(repository, credentials))
            task.add_done_callback(lambda done: self._forget(key, done))
        charts = await asyncio.shield(task)
        self._indexes[key] = now, charts
        self._indexes.move_to_end(key)
        while len(self._indexes) > _KEPT:
            self._indexes.popitem(last=False)
        return charts

    def _forget(self, key: tuple[str, Credentials | None], done: asyncio.Task[dict[str, list[Entry]]]) -> None:
        del self._reading[key]
        if not done.cancelled():
            done.exception()  # whoever asked may be gone

    async def _read(self, repository: str, credentials: Credentials | None) -> dict[str, list[Entry]]:
        url = _resolve(repository, "index.yaml")
        return await asyncio.to_thread(read_index, await fetch(self._get, url, MOST_BYTES, basic(url, credentials)))


def _resolve(repository: str, reference: str) -> str:
    """Relative to the repository's folder. Raises ChartError for another scheme, and for https that leads to http."""
    try:
        base = urlsplit(repository)
        found = urlsplit(urljoin(base._replace(path=base.path.rstrip("/") + "/", query="", fragment="").geturl(), reference))
    except ValueError:
        raise ChartError("the index gives a URL that can't be read") from None
    if found.scheme not in ("http", "https", "oci") or (base.scheme == "https" and found.scheme == "http"):
        raise ChartError(f"the index leads from {one_line(base.scheme, 20)} to {one_line(found.scheme, 20)}")
    return found.geturl()

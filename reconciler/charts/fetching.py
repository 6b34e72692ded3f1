"""From what a component asks for to a pin, and from a pin to one archive with all that it needs in it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final

from reconciler.charts.archive import MOST_PACKED, pack_archive, read_archive
from reconciler.charts.http import as_consented, basic, fetch
from reconciler.charts.metadata import Needed, find_missing, read_name
from reconciler.charts.protocol import ChartError, Credentials, Get
from reconciler.charts.registry import Registries, read_place
from reconciler.charts.repository import Found, Repositories
from reconciler.charts.store import ArchiveStore
from reconciler.model.chart import ChartPin, ChartSource
from reconciler.model.text import one_line

_DEEPEST: Final = 5
_MOST: Final = 40
_AT_ONCE: Final = 8


class Charts:
    """Every error is a ChartError that names the chart and where it was looked for."""

    def __init__(self, get: Get, store: ArchiveStore) -> None:
        self._get, self._store = get, store
        self._repositories, self._registries = Repositories(get), Registries(get)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def resolve(self, source: ChartSource, credentials: Credentials | None = None) -> ChartPin:
        """What the range means now. The archive is fetched and checked, and so is all that it needs and does not hold."""
        try:
            async with self._slots:
                return await self._resolve(source, credentials, [_MOST], 0)
        except ChartError as error:
            raise ChartError(f"{source.label}: {error}", retry=error.retry) from None

    async def archive(self, pin: ChartPin, credentials: Credentials | None = None) -> bytes:
        """One archive that needs nothing else; the same pin gives the same bytes. What is not kept any more is fetched again."""
        try:
            async with self._slots:
                return await asyncio.to_thread(pack_archive, pin.name, await self._assemble(pin, credentials))
        except ChartError as error:
            raise ChartError(f"{pin.label}: {error}", retry=error.retry) from None

    async def _resolve(self, source: ChartSource, credentials: Credentials | None, left: list[int], depth: int) -> ChartPin:
        left[0] -= 1
        if depth > _DEEPEST or left[0] < 0:
            raise ChartError(f"it needs more than {_MOST} other charts, or charts of charts more than {_DEEPEST} deep")
        if source.repository.startswith("oci://"):
            found = await self._registries.find(read_place(source.repository, source.name), source.version, credentials)
        else:
            found = await self._repositories.find(source.repository, source.name, source.version, credentials)
            if found.url.startswith("oci://"):  # an index may lead to a registry
                found = await self._registries.find(read_place(found.url), found.version, as_consented(found.url, credentials))
        data = await self._fetch(found, credentials)
        files = await asyncio.to_thread(read_archive, data)
        name, version = read_name(files)
        if source.name and name != source.name:
            raise ChartError(f"the archive holds the chart {one_line(name, 80)}, not that one")
        requires = [await self._require(needed, source, credentials, left, depth) for needed in find_missing(files)]
        return ChartPin(name, version, found.url, f"sha256:{hashlib.sha256(data).hexdigest()}", requires)

    async def _require(self, needed: Needed, source: ChartSource, credentials: Credentials | None, left: list[int], depth: int) -> ChartPin:
        """A dependency. Credentials go along where it is in the very same place."""
        shown = one_line(f"its dependency {needed.name} {needed.version}".strip(), 120)
        repository = needed.repository
        if not repository.startswith(("http://", "https://", "oci://")):
            why = f"at {one_line(repository, 80)}, which only its author has" if repository else "of no repository"
            raise ChartError(f"{shown} is {why}, and not in its charts/ folder: vendor it (helm dependency build)")
        if source.repository.startswith(("https://", "oci://")) and repository.startswith("http://"):
            raise ChartError(f"{shown} is to be had over http alone, while the chart came over TLS")
        wanted = ChartSource(repository.rstrip("/"), needed.name, needed.version)
        try:
            return await self._resolve(wanted, credentials if wanted.repository == source.repository.rstrip("/") else None, left, depth + 1)
        except ChartError as error:
            raise ChartError(f"{shown}: {error}", retry=error.retry) from None

    async def _fetch(self, found: Found, credentials: Credentials | None) -> bytes:
        """The archive's bytes, which have the digest that was told. Raises ChartError."""
        kept = await asyncio.to_thread(self._store.read, found.digest) if found.digest else None
        if kept is not None:
            return kept
        allowed = as_consented(found.url, credentials)
        if found.url.startswith("oci://"):
            data = await self._registries.fetch(read_place(found.url), found.digest, MOST_PACKED, allowed)
        else:
            data = await fetch(self._get, found.url, MOST_PACKED, basic(found.url, allowed))
        digest = hashlib.sha256(data).hexdigest()
        if found.digest and digest != found.digest:
            raise ChartError(f"its archive has the digest {digest[:12]}…, not {found.digest[:12]}… as was said: nothing of it is used", retry=True)
        await asyncio.to_thread(self._store.write, digest, data)
        return data

    async def _assemble(self, pin: ChartPin, credentials: Credentials | None) -> dict[str, bytes]:
        data = await self._fetch(Found(pin.version, pin.url, pin.digest.removeprefix("sha256:")), credentials)
        files = await asyncio.to_thread(read_archive, data)
        for number, required in enumerate(pin.requires):
            inner = await self._assemble(required, credentials)
            files |= {f"charts/{required.name}-{number}/{path}": content for path, content in inner.items()}
        return files

"""
One stream of all that carries our labels, of whatever kind: a watch for each kind that holds such objects, and none for the others.

Which kinds those are is known from the list that it begins at, and from what is applied through the same cluster from then on. What others
label is found by a slow sweep over the rest. A place in the stream is a version for each kind: versions of two kinds say nothing together.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Final, TypeVar

import msgspec
import structlog

from reconciler.cluster.kubernetes.calls import Calls
from reconciler.cluster.kubernetes.discovery import CRD, Discovery, Resource
from reconciler.cluster.kubernetes.lists import read_all, read_page
from reconciler.cluster.kubernetes.watch import Pace, follow
from reconciler.cluster.protocol import ClusterError, ExpiredError, ForbiddenError, KindUnknownError, Page, UnavailableError, WatchEvent
from reconciler.model.identity import GVK, JsonObject
from reconciler.model.names import GROUP

_log = structlog.get_logger("reconciler.cluster")
Labels = Mapping[str, str | None]
Name = tuple[str, str]
QUIET: Final = frozenset({("", "Event"), ("events.k8s.io", "Event"), ("coordination.k8s.io", "Lease")})
# Their health is that they are there, so their content (of Secrets above all) need not come over.
_BARE: Final = frozenset(
    {("", "ConfigMap"), ("", "Secret"), ("", "ServiceAccount")}
    | {("rbac.authorization.k8s.io", kind) for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")}
)
_Place = dict[str, str]  # a kind's key to the version that a watch of it goes on from
T = TypeVar("T")
_BOOKMARK_SECONDS: Final = 20.0
_SWEEP_SECONDS: Final = 600.0
_FORBIDDEN_SECONDS: Final = 120.0
_AT_ONCE: Final = 8
_BACKLOG: Final = 2048


class _Rest(msgspec.Struct):
    """What a list of all kinds still has to read: continuations by kind, and where those with objects stand."""

    todo: dict[str, str]
    at: dict[str, str]


class Shared:
    """What the shared watches of one cluster have in common. `note` is told of every object that is written. `forbidden`: kinds that may not be
    listed or watched, by the last try."""

    def __init__(self, calls: Calls, discovery: Discovery, pace: Pace) -> None:
        self.calls, self.discovery, self.pace = calls, discovery, pace
        self._ours: dict[Name, JsonObject] = {}  # the labels of the latest object of that kind
        self._streams: set[Stream] = set()
        self.forbidden: set[Name] = set()

    def note(self, obj: JsonObject) -> None:
        """An object was written: where it has labels that somebody watches for, its kind is watched from now on."""
        gvk = GVK.of(obj)
        if (gvk.group, gvk.kind) == CRD:
            self.discovery.suspect()
        labels = obj["metadata"].get("labels")
        if not labels or not _told(gvk):
            return
        self._ours[gvk.group, gvk.kind] = labels
        for stream in self._streams:
            stream.join((gvk.group, gvk.kind), labels)

    def resources(self) -> list[Resource]:
        """The kinds that a watch over all kinds tells of."""
        return [resource for resource in self.discovery.all() if resource.watchable and _told(resource.gvk)]

    async def list(self, labels: Labels | None, page: str, limit: int) -> Page:
        """Every kind at once, `limit` of each; further pages go on with those that have more. `version` of the last page is the place."""
        if not page:
            await self.discovery.refresh()
        pending = _decode(page, _Rest) if page else _Rest({_key(_name(one)): "" for one in self.resources()}, {})
        known = {_key(_name(one)): one for one in self.resources()}
        row = asyncio.Semaphore(_AT_ONCE)

        async def read(key: str, token: str) -> tuple[str, Page | None]:
            resource = known.get(key)
            async with row:
                return key, await self.read(resource, labels, token, limit) if resource is not None else None

        items: list[JsonObject] = []
        todo: dict[str, str] = {}
        ours = {_key(name) for name in self._ours}
        at: dict[str, str] = dict(pending.at)
        for key, part in await asyncio.gather(*(read(key, token) for key, token in pending.todo.items())):
            if part is None:
                continue
            items += part.items
            if part.items or key in ours:
                at.setdefault(key, part.version)
            if part.next:
                todo[key] = part.next
        return Page(items, _encode(at), _encode(_Rest(todo, at)) if todo else "")

    async def read(self, resource: Resource, labels: Labels | None, token: str, limit: int) -> Page | None:
        """A page of one kind; None where it is not served any more or not ours to list, or its own server, beside the API server, is down."""
        self.forbidden.discard(_name(resource))
        try:
            return await read_page(self.calls, resource, "", labels, token, limit, bare=is_bare(resource), background=True)
        except (KindUnknownError, ForbiddenError, UnavailableError) as error:
            if isinstance(error, ForbiddenError):
                self.forbidden.add(_name(resource))
            if isinstance(error, UnavailableError) and resource.gvk.group not in self.discovery.stale:
                raise
            _log.debug("a kind is left out of the shared watch", kind=resource.gvk.kind, group=resource.gvk.group, reason=error.reason)
            return None

    async def watch(self, labels: Labels | None, since: str) -> AsyncIterator[WatchEvent]:
        """Raises ExpiredError where one of the kinds has lost its place."""
        at: dict[str, str] = _decode(since, _Place) if since else await self._begin(labels)
        stream = Stream(self, labels or {}, at)
        self._streams.add(stream)
        try:
            for name, ours in self._ours.items():
                if _key(name) not in at:  # the others go on from their place: a list would tell nothing of what is gone since
                    stream.join(name, ours)
            async for event in stream.events():
                yield event
        finally:
            self._streams.discard(stream)
            await stream.close()

    async def _begin(self, labels: Labels | None) -> dict[str, str]:
        page = ""
        while True:
            part = await self.list(labels, page, 1)
            if not part.next:
                return _decode(part.version, _Place)
            page = part.next


class Stream:
    """One shared watch: a task for each kind, a bounded queue between them and who reads."""

    def __init__(self, shared: Shared, labels: Labels, at: dict[str, str]) -> None:
        self._shared, self._labels, self._at = shared, labels, at
        self._queue: asyncio.Queue[tuple[str, WatchEvent | ClusterError, str]] = asyncio.Queue(_BACKLOG)  # kind, event, the place after it
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._others: list[asyncio.Task[None]] = []

    def join(self, name: Name, labels: JsonObject) -> None:
        """Follows that kind too, where the labels are those that are watched for and it is not followed yet."""
        key = _key(name)
        wanted = all(word in labels and value in (None, labels[word]) for word, value in self._labels.items())
        if wanted and (key not in self._tasks or self._tasks[key].done()):
            self._start(key, "")

    def _start(self, key: str, version: str) -> None:
        self._tasks[key] = asyncio.create_task(self._follow(key, version), name=f"watch {key}")

    async def events(self) -> AsyncIterator[WatchEvent]:
        for key, version in list(self._at.items()):
            if key not in self._tasks:
                self._start(key, version)
        self._others = [asyncio.create_task(self._sweep(), name="watch sweep"), asyncio.create_task(self._definitions(), name="watch definitions")]
        loop = asyncio.get_running_loop()
        marked = loop.time()
        while True:
            try:
                async with asyncio.timeout(max(0.01, marked + _BOOKMARK_SECONDS - loop.time())):
                    key, event, place = await self._queue.get()
            except TimeoutError:
                marked = loop.time()
                yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": _encode(self._at)}})
                continue
            if isinstance(event, ClusterError):
                raise event
            if event.type != "BOOKMARK":
                yield event
            if place:
                self._at[key] = place

    async def close(self) -> None:
        tasks = [*self._tasks.values(), *self._others]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, key: str, version: str) -> None:
        """One kind, until it is not served any more. One that joins late tells first of all that is there."""
        pause = self._shared.pace.first
        resource: Resource | None = None
        while True:
            try:
                resource = self._known(key)
                if resource is None:
                    return
                if not version:
                    version = await self._tell_all(key, resource)
                    self._shared.forbidden.discard(_name(resource))
                async for event in follow(self._shared.calls, resource, self._labels, version, self._shared.pace, bare=is_bare(resource)):
                    version, pause = event.object["metadata"]["resourceVersion"], self._shared.pace.first
                    await self._queue.put((key, event, version))
            except ExpiredError as error:
                await self._queue.put((key, error, ""))
                return
            except KindUnknownError:
                self._shared.discovery.suspect()
                return
            except ForbiddenError as error:
                _log.warning("a kind that is ours may not be watched", kind=key, error=str(error))
                if resource is not None:
                    self._shared.forbidden.add(_name(resource))
                version = ""
                await asyncio.sleep(_FORBIDDEN_SECONDS)
            except ClusterError:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(pause * 2, self._shared.pace.last)

    async def _tell_all(self, key: str, resource: Resource) -> str:
        version = ""
        async for part in read_all(self._shared.calls, resource, self._labels, bare=is_bare(resource)):
            version = version or part.version
            for obj in part.items:
                await self._queue.put((key, WatchEvent("ADDED", obj), ""))
        await self._queue.put((key, WatchEvent("BOOKMARK", {}), version))  # only what was told in full is a place to go on from
        return version

    def _known(self, key: str) -> Resource | None:
        return next((one for one in self._shared.resources() if _key(_name(one)) == key), None)

    async def _sweep(self) -> None:
        """Looks, slowly, whether kinds that held nothing of ours do so now: other daemons apply too, and people copy labels."""
        await asyncio.sleep(_SWEEP_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311
        while True:
            try:
                await self._shared.discovery.refresh()
            except ClusterError:
                await asyncio.sleep(self._shared.pace.last)
                continue
            kinds = self._shared.resources()
            for resource in kinds:
                await asyncio.sleep(_SWEEP_SECONDS / max(1, len(kinds)))
                key = _key(_name(resource))
                if key in self._tasks and not self._tasks[key].done():
                    continue
                try:
                    part = await self._shared.read(resource, self._labels, "", 1)
                except ClusterError:
                    continue
                if part is not None and part.items:
                    self._start(key, "")

    async def _definitions(self) -> None:
        """A hint only: kinds that came or went are asked for anew. What it misses, an unknown kind or the sweep finds."""
        while True:
            try:
                resource = await self._shared.discovery.resolve(GVK(CRD[0], "v1", CRD[1]))
                start = (await read_page(self._shared.calls, resource, "", None, "", 1, bare=True, background=True)).version
                async for event in follow(self._shared.calls, resource, None, start, self._shared.pace, bare=True):
                    if event.type != "BOOKMARK":
                        self._shared.discovery.suspect()
            except ClusterError:
                await asyncio.sleep(_FORBIDDEN_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311


def is_bare(resource: Resource) -> bool:
    """Whether metadata alone is asked for."""
    return _name(resource) in _BARE


def _told(gvk: GVK) -> bool:
    return gvk.group != GROUP and (gvk.group, gvk.kind) not in QUIET


def _name(resource: Resource) -> Name:
    return resource.gvk.group, resource.gvk.kind


def _key(name: Name) -> str:
    return f"{name[1]}.{name[0]}" if name[0] else name[1]


def _encode(value: _Place | _Rest) -> str:
    return msgspec.json.encode(value).decode()


def _decode(text: str, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.DecodeError:
        raise ExpiredError(f"not a place among all kinds: {text!r:.40}; list again") from None

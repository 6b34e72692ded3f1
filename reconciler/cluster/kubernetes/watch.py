"""
Following one kind: from a version on, over as many connections as it takes.

A watch is ended by the server every few minutes and begun again where it was; bookmarks keep that place new. Everything else that ends it
(a cut line, silence, a server that is busy) is a pause that grows, and then the same. Only three answers are the caller's: the place is no
longer kept, the kind is not served, it is forbidden.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from reconciler.cluster.kubernetes import paths
from reconciler.cluster.kubernetes.calls import JSON, Call, Calls
from reconciler.cluster.kubernetes.discovery import Resource
from reconciler.cluster.kubernetes.errors import error_of
from reconciler.cluster.protocol import ClusterError, ExpiredError, ForbiddenError, KindUnknownError, UnavailableError, WatchEvent
from reconciler.model.identity import JsonObject

BARE: Final = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON}"
BARE_LIST: Final = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"


class Pace(NamedTuple):
    """
    Seconds. `longest`: after which the server is to end a watch, at random between half of it and all. `silence`: after which a watch that
    brings nothing, not even a bookmark (one a minute), is taken for dead. `first` and `last`: the pauses after an error.
    """

    longest: float = 600.0
    silence: float = 90.0
    first: float = 0.5
    last: float = 30.0


class _Line(msgspec.Struct):
    type: str
    object: dict[str, Any]


def select(labels: Mapping[str, str | None] | None) -> dict[str, str]:
    """As a part of a query; none where nothing is selected."""
    terms = [key if value is None else f"{key}={value}" for key, value in (labels or {}).items()]
    return {"labelSelector": ",".join(terms)} if terms else {}


def name_kind(obj: JsonObject, resource: Resource) -> JsonObject:
    """With the kind's own name, which items of a list and metadata alone do not have."""
    return obj | {"apiVersion": resource.gvk.api_version, "kind": resource.gvk.kind}


async def follow(
    calls: Calls,
    resource: Resource,
    labels: Mapping[str, str | None] | None,
    version: str,
    pace: Pace,
    *,
    bare: bool = False,
    user: str = "",
    namespace: str = "",
) -> AsyncIterator[WatchEvent]:
    """Events after `version`, of one namespace or, where it is empty, of all. Raises ExpiredError, KindUnknownError, ForbiddenError; any other
    trouble it waits for."""
    loop, pause, mute = asyncio.get_running_loop(), pace.first, False
    path, accept = paths.collection(resource, namespace), BARE if bare else JSON
    while True:
        began, seen = loop.time(), False
        try:
            if mute:
                await _check_place(calls, resource, path, version, user)
            seconds = max(1, int(pace.longest * random.uniform(0.5, 1.0)))  # noqa: S311  # not all watches end at once
            query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": str(seconds), **select(labels)}
            async with calls.stream(Call("GET", path, query, accept=accept, user=user), pace.silence) as lines:
                async for line in lines:
                    event = _read(line, resource, path)
                    version = event.object["metadata"]["resourceVersion"]
                    seen = True
                    yield event
            mute = not seen
        except (ExpiredError, KindUnknownError, ForbiddenError):
            raise
        except ClusterError:
            mute, seen = mute or (not seen and loop.time() - began >= pace.silence), False
        if seen or loop.time() - began > pace.first * 4:
            pause = pace.first
            if seen:
                continue
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # not all at once
        pause = min(pause * 2, pace.last)


async def _check_place(calls: Calls, resource: Resource, path: str, version: str, user: str) -> None:
    """
    Not even a bookmark came. A server whose data was set back to an older state is silent until it comes to that version again: raises
    ExpiredError where its newest version is older.
    """
    answer = await calls.send(Call("GET", path, {"limit": "1"}, accept=BARE_LIST, twice=True, background=True, user=user))
    newest = str((msgspec.json.decode(answer.data).get("metadata") or {}).get("resourceVersion", ""))
    if newest.isdigit() and version.isdigit() and int(newest) < int(version):
        raise ExpiredError(f"{resource.gvk.kind}: version {version} is of the future, the newest is {newest}; list again")


def _read(line: bytes, resource: Resource, what: str) -> WatchEvent:
    try:
        read = msgspec.json.decode(line, type=_Line)
        if read.type == "ERROR":
            raise error_of(int(read.object.get("code") or 500), read.object, what)
        if read.type == "BOOKMARK":
            return WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": read.object["metadata"]["resourceVersion"]}})
        if read.type not in {"ADDED", "MODIFIED", "DELETED"}:
            raise UnavailableError(f"{what}: an event of an unknown type")
        event = WatchEvent(read.type, name_kind(read.object, resource))  # type: ignore[arg-type]
        if not isinstance(event.object["metadata"]["resourceVersion"], str):
            raise UnavailableError(f"{what}: an event without a version")
        return event
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        raise UnavailableError(f"{what}: not an event of a watch") from None
    except RecursionError:  # it would come again and again: what is there is to be listed, which says why that can't be
        raise ExpiredError(f"{what}: an object is nested too deeply to be read; list again") from None

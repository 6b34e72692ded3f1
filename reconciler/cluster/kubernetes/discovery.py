"""
Which kinds the API server serves: aggregated discovery (`apidiscovery.k8s.io/v2`, two requests for everything), or the plain one.

What is known is kept and asked for again when a kind is not in it, so that a definition and its first object can come in one commit. The
answer to an unchanged question is 304, without a body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from reconciler.cluster.kubernetes.calls import JSON, Call, Calls
from reconciler.cluster.protocol import ClusterError, Kind, KindUnknownError
from reconciler.dialects.served import served_version
from reconciler.model.chart import Capabilities, list_versions
from reconciler.model.identity import GVK, JsonObject

CRD: Final = ("apiextensions.k8s.io", "CustomResourceDefinition")
_AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_ROOTS: Final = ("/api", "/apis")
_LEAST_SECONDS: Final = 1.0  # between two looks for a kind that is not there
_CAPABLE_SECONDS: Final = 30.0  # how old what charts are told may be, where it was not the daemon that changed it
_UNSURE_SECONDS: Final = 15.0  # after a definition changed: it takes the server a moment to serve it, or to stop


class Resource(NamedTuple):
    """One kind in one version, with the verbs of it and of its status."""

    gvk: GVK
    plural: str
    singular: str
    namespaced: bool
    verbs: frozenset[str]
    short: tuple[str, ...] = ()

    @property
    def watchable(self) -> bool:
        return {"list", "watch"} <= self.verbs

    def describe(self, gvk: GVK) -> Kind:
        return Kind(gvk, self.plural, self.namespaced, self.gvk)


class Discovery:
    """`resolve` is what all calls go through; it asks the server only when it has to."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._known: dict[GVK, Resource] = {}
        self._groups: dict[str, dict[str, list[Resource]]] = {root: {} for root in _ROOTS}
        self.stale: set[str] = set()  # groups whose own server can't be reached
        self._etags = dict.fromkeys(_ROOTS, "")
        self._lock = asyncio.Lock()
        self._looked_at = self._unsure_until = -1.0
        self._asking = asyncio.Lock()
        self._capabilities, self._told_at = Capabilities(), -_CAPABLE_SECONDS

    def suspect(self) -> None:
        """A definition came, changed or went: for some seconds what is known is asked for again before it is believed."""
        self._unsure_until = asyncio.get_running_loop().time() + _UNSURE_SECONDS

    async def resolve(self, gvk: GVK) -> Resource:
        """In the version that answers for it. Raises KindUnknownError, and UnavailableError where it is not known and can't be asked."""
        now = asyncio.get_running_loop().time()
        found = self._find(gvk)
        unsure = now < self._unsure_until
        if found is None or (unsure and not _is_built_in(gvk.group)):
            if now - self._looked_at >= (_LEAST_SECONDS / 4 if unsure else _LEAST_SECONDS):
                await self.refresh()
            found = self._find(gvk)
        if found is None:
            raise KindUnknownError(f"the cluster serves no kind {gvk.kind!r:.100} of {gvk.api_version!r:.100}")
        return found

    def _find(self, gvk: GVK) -> Resource | None:
        found = self._known.get(gvk)
        if found is None:
            served = served_version(gvk.api_version, gvk.kind)
            if served is not None:
                group, _, version = served.rpartition("/")
                found = self._known.get(GVK(group, version, gvk.kind))
        return found

    def all(self) -> list[Resource]:
        """Each kind in its preferred version, those of Kubernetes first."""
        first: dict[tuple[str, str], Resource] = {}
        for resource in self._resources():
            first.setdefault((resource.gvk.group, resource.gvk.kind), resource)
        return sorted(first.values(), key=lambda resource: not _is_built_in(resource.gvk.group))

    async def lookup(self, word: str) -> Resource:
        """As kubectl reads it: plural, singular, kind or short name, with or without the group. Raises LookupError."""
        name, _, group = word.lower().partition(".")
        for again in (False, True):
            if again:
                await self.refresh()
            for resource in self.all():
                names = (resource.gvk.kind.lower(), resource.plural, resource.singular, *resource.short)
                if name in names and group in ("", resource.gvk.group):
                    return resource
        raise LookupError(f"the cluster serves no kind {word!r:.100}")

    async def capabilities(self) -> Capabilities:
        """For charts. One asks for all who want to know meanwhile. Raises what a call may raise."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if now - self._told_at >= (_LEAST_SECONDS if now < self._unsure_until else _CAPABLE_SECONDS):
                answer, _ = await asyncio.gather(self._calls.send(Call("GET", "/version", twice=True)), self.refresh())
                version = str(msgspec.json.decode(answer.data).get("gitVersion") or "")
                self._capabilities, self._told_at = Capabilities(version, list_versions(self._known)), now
            return self._capabilities

    async def refresh(self) -> None:
        """Asks again, once for all who ask meanwhile."""
        asked = asyncio.get_running_loop().time()
        async with self._lock:
            if self._looked_at > asked:
                return
            began = asyncio.get_running_loop().time()
            await asyncio.gather(*(self._read(root) for root in _ROOTS))
            self._known = {resource.gvk: resource for resource in self._resources()}
            self._looked_at = began

    def _resources(self) -> Iterable[Resource]:
        return (resource for groups in self._groups.values() for group in groups.values() for resource in group)

    async def _read(self, root: str) -> None:
        call = Call("GET", root, accept=f"{_AGGREGATED},{JSON}", etag=self._etags[root], twice=True)
        answer = await self._calls.send(call)
        if answer.code == 304:
            return
        found = msgspec.json.decode(answer.data)
        if found.get("kind") == "APIGroupDiscoveryList":
            self._take(root, found)
            self._etags[root] = answer.etag
        else:
            self._groups[root] = await self._read_plain(root, found)

    def _take(self, root: str, found: JsonObject) -> None:
        """A group whose server can't be reached is kept as it was last seen: `Stale`, and without resources."""
        groups: dict[str, list[Resource]] = {}
        for group in found.get("items") or []:
            name = str(group["metadata"].get("name") or "")
            self.stale.discard(name)
            for version in group.get("versions") or []:
                read = [_read_aggregated(GVK(name, version["version"], ""), entry) for entry in version.get("resources") or []]
                if version.get("freshness") == "Stale":
                    self.stale.add(name)
                    read = read or [old for old in self._groups[root].get(name, []) if old.gvk.version == version["version"]]
                groups.setdefault(name, []).extend(resource for resource in read if resource is not None)
        self._groups[root] = groups

    async def _read_plain(self, root: str, found: JsonObject) -> dict[str, list[Resource]]:
        """Servers that do not aggregate: one request for each group and version."""
        versions = [("", version) for version in found.get("versions") or []] if root == "/api" else _versions_of(found)
        lists = await asyncio.gather(*(self._read_version(root, group, version) for group, version in versions))
        groups: dict[str, list[Resource]] = {}
        for (group, version), entries in zip(versions, lists, strict=True):
            if entries is None:
                kept = [old for old in self._groups[root].get(group, []) if old.gvk.version == version]
            else:
                kept = [_read_plain_entry(GVK(group, version, ""), entry) for entry in entries if "/" not in entry["name"]]
            groups.setdefault(group, []).extend(kept)
        return groups

    async def _read_version(self, root: str, group: str, version: str) -> list[JsonObject] | None:
        """None where the server of that group can't be reached."""
        path = f"{root}/{group}/{version}" if group else f"{root}/{version}"
        try:
            answer = await self._calls.send(Call("GET", path, twice=True))
        except ClusterError:
            return None
        entries: list[JsonObject] = msgspec.json.decode(answer.data).get("resources") or []
        return entries


def _versions_of(found: JsonObject) -> list[tuple[str, str]]:
    """(group, version), the preferred version of a group first."""
    pairs = []
    for group in found.get("groups") or []:
        preferred = (group.get("preferredVersion") or {}).get("version", "")
        versions = [entry["version"] for entry in group.get("versions") or []]
        pairs += [(group["name"], version) for version in sorted(versions, key=lambda version: version != preferred)]
    return pairs


def _read_aggregated(where: GVK, entry: dict[str, Any]) -> Resource | None:
    answers = entry.get("responseKind") or {}
    if not answers.get("kind"):
        return None
    namespaced = entry.get("scope") == "Namespaced"
    verbs, short = frozenset(entry.get("verbs") or ()), tuple(entry.get("shortNames") or ())
    return Resource(where._replace(kind=answers["kind"]), entry["resource"], entry.get("singularResource", ""), namespaced, verbs, short)


def _read_plain_entry(where: GVK, entry: dict[str, Any]) -> Resource:
    verbs, short = frozenset(entry.get("verbs") or ()), tuple(entry.get("shortNames") or ())
    return Resource(where._replace(kind=entry["kind"]), entry["name"], entry.get("singularName", ""), bool(entry.get("namespaced")), verbs, short)


def _is_built_in(group: str) -> bool:
    """Groups of Kubernetes itself have no dot, or end as its own do; those of definitions have a domain of their own."""
    return "." not in group or group.endswith(".k8s.io")

"""The protocol of a cluster, on an API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from reconciler.cluster.kubernetes import paths
from reconciler.cluster.kubernetes.calls import APPLY, Answer, Call, Calls
from reconciler.cluster.kubernetes.connection import Connection, Origin
from reconciler.cluster.kubernetes.discovery import CRD, Discovery
from reconciler.cluster.kubernetes.lists import read_page
from reconciler.cluster.kubernetes.shared import Shared
from reconciler.cluster.kubernetes.watch import Pace, follow
from reconciler.cluster.protocol import (
    InvalidError,
    Kind,
    KindUnknownError,
    Page,
    Propagation,
    UnavailableError,
    WatchEvent,
    check_user,
)
from reconciler.model.chart import Capabilities
from reconciler.model.identity import GVK, JsonObject, ObjectRef
from reconciler.model.names import FIELD_MANAGER

_Labels = Mapping[str, str | None]
_KindList = list[Kind]  # inside the class `list` is the method


class KubernetesCluster:
    """Implements `reconciler.cluster.protocol.Cluster`. `start` before use; what it opens, `close` closes."""

    def __init__(self, origin: Origin, pace: Pace | None = None, deadline: float = 30.0) -> None:
        self.connection = Connection(origin)
        self.calls = Calls(self.connection, deadline=deadline)
        self._discovery = Discovery(self.calls)
        self._pace = pace or Pace()
        self._shared = Shared(self.calls, self._discovery, self._pace)
        self._user = ""

    def acting_as(self, user: str) -> KubernetesCluster:
        """By Impersonate-User. It shares the connection and what is known of kinds; watches of all kinds stay the daemon's own."""
        check_user(user)
        other = object.__new__(KubernetesCluster)
        other.__dict__.update(self.__dict__)
        other._user = user
        return other

    async def start(self) -> None:
        """Raises KubeconfigError, and what the first call to the API server may raise."""
        await self.connection.start()
        try:
            await self._discovery.refresh()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self.connection.close()

    @property
    def name(self) -> str:
        """What a person knows it by: the context of the kubeconfig and the API server's address."""
        known, host = self.connection.name, self.connection.host
        return f"{known} at {host}" if known and known != host else host

    # Kinds --------------------------------------------------------------------------------------------------------------

    async def kind(self, gvk: GVK) -> Kind:
        return (await self._discovery.resolve(gvk)).describe(gvk)

    async def kinds(self) -> _KindList:
        """Those that hold objects: what can only be created, as a review of access, is none."""
        return [resource.describe(resource.gvk) for resource in self._discovery.all() if {"get", "list"} <= resource.verbs]

    def unwatched(self) -> AbstractSet[tuple[str, str]]:
        return self._shared.forbidden

    async def capabilities(self) -> Capabilities:
        return await self._discovery.capabilities()

    async def lookup(self, word: str) -> Kind:
        resource = await self._discovery.lookup(word)
        return resource.describe(resource.gvk)

    # Reading ------------------------------------------------------------------------------------------------------------

    async def get(self, ref: ObjectRef) -> JsonObject:
        resource = await self._discovery.resolve(ref.gvk)
        return await self._object(Call("GET", paths.item(resource, ref.namespace, ref.name), ref=ref, twice=True))

    async def list(
        self,
        kind: GVK | None,
        namespace: str = "",
        labels: _Labels | None = None,
        page: str = "",
        limit: int = 500,
        fields: Mapping[str, str] | None = None,
    ) -> Page:
        if kind is None:
            if namespace or fields:
                raise InvalidError("a list of all kinds is one of all namespaces, by labels alone")
            return await self._shared.list(labels, page, limit)
        resource = await self._discovery.resolve(kind)
        return await read_page(self.calls, resource, namespace, labels, page, limit, fields=fields, user=self._user)

    async def watch(
        self, kind: GVK | None, labels: _Labels | None = None, since: str = "", *, bare: bool = False, namespace: str = ""
    ) -> AsyncIterator[WatchEvent]:
        if kind is None:
            async for event in self._shared.watch(labels, since):
                yield event
            return
        resource = await self._discovery.resolve(kind)
        if not since:
            since = (await read_page(self.calls, resource, namespace, labels, "", 1, bare=True, user=self._user)).version
        async for event in follow(self.calls, resource, labels, since, self._pace, bare=bare, user=self._user, namespace=namespace):
            yield event

    # Writing ------------------------------------------------------------------------------------------------------------

    async def create(self, obj: JsonObject) -> JsonObject:
        resource = await self._discovery.resolve(GVK.of(obj))
        paths.item_of(resource, obj)
        if obj["metadata"].get("resourceVersion"):
            raise InvalidError("metadata.resourceVersion: must not be set on an object to be created")
        path = paths.place(resource, obj["metadata"].get("namespace"))
        return await self._write(Call("POST", path, {"fieldManager": FIELD_MANAGER}, obj, ref=ObjectRef.of(obj)))

    async def replace(self, obj: JsonObject) -> JsonObject:
        return await self._replace(obj, "")

    async def replace_status(self, obj: JsonObject) -> JsonObject:
        return await self._replace(obj, "/status")

    async def _replace(self, obj: JsonObject, part: str) -> JsonObject:
        resource = await self._discovery.resolve(GVK.of(obj))
        path = paths.item_of(resource, obj) + part
        if not obj["metadata"].get("resourceVersion"):
            raise InvalidError("metadata.resourceVersion: must be given for an update")
        return await self._write(Call("PUT", path, {"fieldManager": FIELD_MANAGER}, obj, ref=ObjectRef.of(obj)))

    async def apply(self, obj: JsonObject, manager: str, force: bool = False, dry_run: bool = False) -> JsonObject:
        resource = await self._discovery.resolve(GVK.of(obj))
        path = paths.item_of(resource, obj)
        query = {"fieldManager": manager, "force": "true" if force else "false", **({"dryRun": "All"} if dry_run else {})}
        sent = obj if obj.get("apiVersion") == resource.gvk.api_version else {**obj, "apiVersion": resource.gvk.api_version}
        call = Call("PATCH", path, query, sent, APPLY, ref=ObjectRef.of(obj), twice=True)
        return await self._write(call, noted=not dry_run)

    async def delete(self, ref: ObjectRef, uid: str = "", version: str = "", propagation: Propagation = "Background") -> None:
        resource = await self._discovery.resolve(ref.gvk)
        conditions = {name: value for name, value in (("uid", uid), ("resourceVersion", version)) if value}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        body = options | ({"preconditions": conditions} if conditions else {})
        await self._send(Call("DELETE", paths.item(resource, ref.namespace, ref.name), body=body, ref=ref))
        if (ref.group, ref.kind) == CRD:
            self._discovery.suspect()

    async def _write(self, call: Call, *, noted: bool = True) -> JsonObject:
        obj = await self._object(call)
        if noted:
            self._shared.note(obj)
        return obj

    async def _object(self, call: Call) -> JsonObject:
        answer = await self._send(call)
        try:
            obj = msgspec.json.decode(answer.data)
        except msgspec.DecodeError:
            obj = None
        if not isinstance(obj, dict) or not isinstance(obj.get("metadata"), dict):
            raise UnavailableError(f"{call.what}: the answer is not an object")
        return obj

    async def _send(self, call: Call) -> Answer:
        try:
            return await self.calls.send(call._replace(user=self._user))
        except KindUnknownError:
            self._discovery.suspect()  # its definition went meanwhile
            raise

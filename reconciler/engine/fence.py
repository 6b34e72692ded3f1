"""The cluster as a leader writes to it: nothing is sent unless enough is left of its lease (rule 3h)."""

from __future__ import annotations

from typing import Any

from reconciler.cluster.protocol import Cluster, Propagation
from reconciler.engine.leadership import Lead
from reconciler.model.identity import JsonObject, ObjectRef


class FencedCluster:
    """
    Implements `Cluster` over another one. Reads pass; each write waits until it may be started, and for ever once the lead is lost.

    State is safe without it, by compare-and-swap: this keeps what applies, heals and deletes from going on beside a new leader.
    """

    def __init__(self, cluster: Cluster, lead: Lead) -> None:
        self._cluster, self._lead = cluster, lead

    def __getattr__(self, name: str) -> Any:
        """All that only reads."""
        return getattr(self._cluster, name)

    def acting_as(self, user: str) -> Cluster:
        return fenced(self._cluster.acting_as(user), self._lead)

    async def create(self, obj: JsonObject) -> JsonObject:
        await self._lead.hold()
        return await self._cluster.create(obj)

    async def replace(self, obj: JsonObject) -> JsonObject:
        await self._lead.hold()
        return await self._cluster.replace(obj)

    async def replace_status(self, obj: JsonObject) -> JsonObject:
        await self._lead.hold()
        return await self._cluster.replace_status(obj)

    async def apply(self, obj: JsonObject, manager: str, force: bool = False, dry_run: bool = False) -> JsonObject:
        if not dry_run:
            await self._lead.hold()
        return await self._cluster.apply(obj, manager, force, dry_run)

    async def delete(self, ref: ObjectRef, uid: str = "", version: str = "", propagation: Propagation = "Background") -> None:
        await self._lead.hold()
        await self._cluster.delete(ref, uid, version, propagation)


def fenced(cluster: Cluster, lead: Lead) -> Cluster:
    """The cluster itself where nobody else can ever lead."""
    fence: Any = FencedCluster(cluster, lead)
    return cluster if lead.alone else fence

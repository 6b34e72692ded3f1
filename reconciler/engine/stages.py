"""Between two stages of an apply: a kind is served, and a namespace takes objects, before what needs them is sent."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.cluster.protocol import Cluster, InvalidError, Kind, KindUnknownError, NamespaceMissingError, NotFoundError
from reconciler.model.clock import Clock
from reconciler.model.identity import GVK, JsonObject, ObjectRef
from reconciler.model.records import InventoryItem
from reconciler.model.stages import FIRST, stage

_DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
_SOON, _LATE = 0.02, 1.0


def in_order_of_deletion(items: Iterable[InventoryItem]) -> list[InventoryItem]:
    """The reverse of the order of apply, and in any case what rests on namespaces and kinds before them."""
    backwards = [*items][::-1]
    return sorted(backwards, key=lambda item: -stage(item.object.group, item.object.kind))


def kinds_of(objects: Iterable[JsonObject]) -> dict[GVK, Kind]:
    """The kinds that definitions among the objects bring, which the cluster may not serve yet."""
    found: dict[GVK, Kind] = {}
    for obj in objects:
        if GVK.of(obj)[::2] == _DEFINITION:
            found |= {kind.gvk: kind for kind in _kinds(obj)}
    return found


def _kinds(definition: JsonObject) -> list[Kind]:
    """Of one definition; none where it is malformed, which the cluster says better."""
    spec = definition.get("spec")
    names = spec.get("names") if isinstance(spec, dict) else None
    versions = spec.get("versions") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(names, dict) or not isinstance(versions, list):
        return []
    served = [version["name"] for version in versions if isinstance(version, dict) and version.get("served") is True and "name" in version]
    gvks = [GVK(str(spec.get("group")), str(version), str(names.get("kind"))) for version in served]
    return [Kind(gvk, str(names.get("plural")), spec.get("scope") != "Cluster", gvk) for gvk in gvks]


async def until_ready(cluster: Cluster, clock: Clock, refs: Iterable[ObjectRef]) -> None:
    """
    Until each definition is established and its kind served, and each namespace takes objects. It waits for as long as that may
    still come: the caller limits the time. Raises InvalidError where it never will, NamespaceMissingError, other ClusterErrors.
    """
    for ref in refs:
        pause = _SOON
        while not await _is_ready(cluster, ref):
            await clock.sleep(pause)
            pause = min(pause * 2, _LATE)


async def _is_ready(cluster: Cluster, ref: ObjectRef) -> bool:
    live = await cluster.get(ref)
    if (ref.group, ref.kind) == _DEFINITION:
        return await _is_served(cluster, ref, live)
    if live["metadata"].get("deletionTimestamp"):
        raise NamespaceMissingError(f"namespace {ref.name!r} is being deleted")
    return bool((live.get("status") or {}).get("phase", "Active") == "Active")


async def _is_served(cluster: Cluster, ref: ObjectRef, live: JsonObject) -> bool:
    said = {item.get("type"): item for item in (live.get("status") or {}).get("conditions") or []}
    refused = said.get("NamesAccepted", {})
    if refused.get("status") == "False":
        raise InvalidError(f"{ref.kind} {ref.name!r} is not served: {refused.get('message', 'its names are not accepted')}"[:400])
    if said.get("Established", {}).get("status") != "True":
        return False
    try:
        for kind in _kinds(live):
            await cluster.kind(kind.gvk)
    except (KindUnknownError, NotFoundError):
        return False
    return True


def is_first(ref: ObjectRef) -> bool:
    """Whether others may rest on that object being ready."""
    return stage(ref.group, ref.kind) == FIRST

"""Deleting one object of ours (rule 1c), and making one anew that can't be changed in place."""

from __future__ import annotations

from reconciler.cluster.protocol import Cluster, ConflictError, NotFoundError, Propagation
from reconciler.engine.ownership import ProtectedError
from reconciler.model.clock import Clock
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.model.names import FIELD_MANAGER, LABEL_UID, PRUNE
from reconciler.model.treatment import treatment_of

PRECIOUS = frozenset({"Namespace", "CustomResourceDefinition", "PersistentVolume", "PersistentVolumeClaim", "StatefulSet"})
"""Kinds whose objects never go without approval (rule 1d)."""
_POLL_SECONDS = 0.2
_TAKEN = ("clusterIP", "clusterIPs", "healthCheckNodePort")
_ROOM = 50  # of a Job's name, so that the trial's is no longer than a Job's may be


async def delete_ours(cluster: Cluster, ref: ObjectRef, uid: str, owner: str, propagation: Propagation = "Background") -> bool:
    """
    Rule 1c: a live read, our owner label, the recorded uid, preconditions. False where it is gone or not ours (any more).

    Raises ProtectedError for an object that somebody marked by hand.
    """
    try:
        live = await cluster.get(ref)
        meta = live["metadata"]
        if (meta.get("labels") or {}).get(LABEL_UID) != owner or meta["uid"] != uid:
            return False
        if meta.get("deletionTimestamp"):
            return True
        if not treatment_of(live).prune:
            raise ProtectedError(f"it bears {PRUNE}: disabled and is not deleted")
        await cluster.delete(ref, uid=uid, version=meta["resourceVersion"], propagation=propagation)
    except NotFoundError:
        return False
    except ConflictError:
        return await delete_ours(cluster, ref, uid, owner, propagation)
    return True


async def renew(cluster: Cluster, clock: Clock, ref: ObjectRef, obj: JsonObject, uid: str, owner: str) -> JsonObject:
    """
    Deletes the object `uid` with all that it owns, waits until it is gone, and applies `obj`. Done again after a crash at any
    instant it comes to the same.

    A trial under another name comes first: what the cluster would refuse costs the old object nothing. Raises what applying raises.
    """
    if ref.kind != "CustomResourceDefinition":  # whose name is made of what it defines
        await cluster.apply(_trial(obj, ref), FIELD_MANAGER, force=True, dry_run=True)
    # What the old one runs has ended before the new one starts.
    while await delete_ours(cluster, ref, uid, owner, "Foreground"):
        await clock.sleep(_POLL_SECONDS)
    return await cluster.apply(obj, FIELD_MANAGER, force=True)


def _trial(obj: JsonObject, ref: ObjectRef) -> JsonObject:
    """The same under another name, less the addresses and ports that the old object still has."""
    trial = {**obj, "metadata": {**obj["metadata"], "name": f"{ref.name[:_ROOM].rstrip('-.')}-trial"}}
    spec = obj.get("spec")
    if (ref.group, ref.kind) == ("", "Service") and isinstance(spec, dict):
        ports = [{name: value for name, value in port.items() if name != "nodePort"} for port in spec.get("ports") or []]
        trial["spec"] = {name: value for name, value in spec.items() if name not in _TAKEN} | ({"ports": ports} if ports else {})
    return trial

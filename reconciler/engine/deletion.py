"""Deleting one object of ours (rule 1c), and making one anew that can't be changed in place."""

from __future__ import annotations

from reconciler.cluster.protocol import Cluster, ConflictError, NotFoundError, Propagation
from reconciler.model.clock import Clock
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.model.names import FIELD_MANAGER, LABEL_UID

PRECIOUS = frozenset({"Namespace", "CustomResourceDefinition", "PersistentVolume", "PersistentVolumeClaim", "StatefulSet"})
"""Kinds whose objects never go without approval (rule 1d)."""
_POLL_SECONDS = 0.2
_ROOM = 50  # of a Job's name, so that the trial's is no longer than a Job's may be


async def delete_ours(cluster: Cluster, ref: ObjectRef, uid: str, owner: str, propagation: Propagation = "Background") -> bool:
    """Rule 1c: a live read, our owner label, the recorded uid, preconditions. False where it is gone or not ours (any more)."""
    try:
        live = await cluster.get(ref)
        meta = live["metadata"]
        if (meta.get("labels") or {}).get(LABEL_UID) != owner or meta["uid"] != uid:
            return False
        if meta.get("deletionTimestamp"):
            return True
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
    trial = {**obj, "metadata": {**obj["metadata"], "name": f"{ref.name[:_ROOM]}-trial"}}
    await cluster.apply(trial, FIELD_MANAGER, force=True, dry_run=True)
    # What the old one runs has ended before the new one starts.
    while await delete_ours(cluster, ref, uid, owner, "Foreground"):
        await clock.sleep(_POLL_SECONDS)
    return await cluster.apply(obj, FIELD_MANAGER, force=True)

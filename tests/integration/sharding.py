"""What tests of shards look at."""

from __future__ import annotations

from reconciler.cluster.protocol import NotFoundError
from reconciler.engine.engine import Engine
from reconciler.model.identity import JsonObject, ObjectRef
from tests.integration.harness import Clone
from tests.integration.replicas import Replica, Replicas


def engine_of(replica: Replica) -> Engine:
    return replica.daemon.engine


def live(found: Replicas, name: str) -> JsonObject | None:
    try:
        row: JsonObject = found.cluster._objects.get(ObjectRef("v1", "ConfigMap", "default", name))
    except NotFoundError:
        return None
    return row


def uid(found: Replicas, name: str) -> str:
    row = live(found, name)
    return str(row["metadata"]["uid"]) if row is not None else ""


async def mirror(found: Replicas, name: str) -> JsonObject:
    return await found.cluster.get(ObjectRef("reconciler.dev/v1alpha1", "Application", "reconciler-system", f"default.{name}"))


def runs(replica: Replica, text: str, name: str = "web") -> bool:
    """Whether that replica shows that revision as the one that runs."""
    status = replica.daemon.status(name)
    return status is not None and status.sync == "Synced" and status.running is not None and status.running.revision == text


def shard(replica: Replica, name: str = "web") -> str | None:
    status = replica.daemon.status(name)
    return status.shard if status is not None else None


async def push(clone: Clone, *found: Replica, **files: str | None) -> None:
    clone.push({f"{name}.yaml": text for name, text in files.items()})
    for one in found:
        engine_of(one).look()


def wrote(found: Replicas, name: str) -> set[str]:
    """Kinds of what that replica wrote, but for leases, the state's own mark and what it keeps of the source."""
    return {f"{kind}/{what}" for who, _, kind, what, _ in found.writes if who == name and kind != "Lease" and not what.startswith("reconciler-s")}

"""A rollout that stops half-way: the partition of StatefulSets (seed 003)."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from reconciler.model.identity import JsonObject
from reconciler.render.protocol import RenderError


def with_partition(objects: Sequence[JsonObject], partition: int | str) -> list[JsonObject]:
    """
    The objects with `partition` in each StatefulSet: pods below that ordinal stay as they are. A percentage (`25%`) is of the
    StatefulSet's replicas, rounded up, so that at least the share asked for stays. Raises RenderError where there is none.
    """
    found = False
    changed = []
    for obj in objects:
        if obj.get("kind") == "StatefulSet" and str(obj.get("apiVersion", "")).startswith("apps/"):
            found = True
            spec = copy.deepcopy(obj.get("spec") or {})
            spec["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": _ordinal(partition, spec.get("replicas", 1))}}
            obj = {**obj, "spec": spec}  # noqa: PLW2901 - the copy takes its place
        changed.append(obj)
    if not found:
        raise RenderError("rollout: a partition needs a StatefulSet, and the component has none")
    return changed


def _ordinal(partition: int | str, replicas: object) -> int:
    if isinstance(partition, int):
        return partition
    percent = int(partition.removesuffix("%"))
    return -(-percent * (replicas if isinstance(replicas, int) else 1) // 100)

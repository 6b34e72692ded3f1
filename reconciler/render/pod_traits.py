"""Traits that change pods. Parameters are KubeVela's."""

from __future__ import annotations

from typing import Final

from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields
from reconciler.render.workloads import Target

_DEFAULT_RESOURCES: Final = {"cpu": "1", "memory": "2048Mi"}


def set_resources(fields: Fields, target: Target) -> None:
    """`cpu` and `memory` are request and limit alike; `requests` and `limits` say each alone, with KubeVela's defaults."""
    both = {name: fields.text(name) for name in _DEFAULT_RESOURCES if fields.has(name)}
    found: JsonObject = {"requests": dict(both), "limits": dict(both)} if both else {}
    for side in ("requests", "limits"):
        if fields.has(side):
            found[side] = {name: fields.below(side).text(name, default) for name, default in (_DEFAULT_RESOURCES | both).items()}
    if not found:
        raise fields.error("", "needs cpu, memory, requests or limits")
    for container in target.containers(fields):
        there = container.get("resources")
        container["resources"] = {**(there if isinstance(there, dict) else {}), **{side: dict(values) for side, values in found.items()}}

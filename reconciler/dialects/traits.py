"""Traits of the KubeVela family, with the shape of their properties and the component types that they do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from reconciler.dialects.shapes import ListOf, MapOf, Quantity, Record, Shape, Text, Whole

_RESOURCES = Record({"cpu": Quantity(), "memory": Quantity()})

TRAITS: Mapping[str, Shape] = MappingProxyType(
    {
        "scaler": Record({"replicas": Whole(0, 100_000)}, required=("replicas",)),
        "env": Record({"containerName": Text(), "env": MapOf(Text(empty=True)), "unset": ListOf(Text())}),
        "labels": MapOf(Text(empty=True)),
        "annotations": MapOf(Text(empty=True)),
        "resource": Record({"cpu": Quantity(), "memory": Quantity(), "requests": _RESOURCES, "limits": _RESOURCES}),
    }
)

UNFIT: Mapping[str, frozenset[str]] = MappingProxyType({})
"""Trait to the component types that surely have nothing for it. What objects and manifests have, rendering finds."""

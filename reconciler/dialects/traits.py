"""Traits of the KubeVela family, with the shape of their properties and the component types that they do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from reconciler.dialects.catalog import PORT_NAME
from reconciler.dialects.shapes import ListOf, MapOf, Quantity, Record, Shape, Text, Whole

_RUN_TO_AN_END = frozenset({"task", "cron-task"})
_PORT = Whole(1, 65535)
_PROTOCOL = Text(choices=("TCP", "UDP", "SCTP"))
_LABELS = MapOf(Text(empty=True))
_RESOURCES = Record({"cpu": Quantity(), "memory": Quantity()})
_EXPOSED = Record({"port": _PORT, "name": PORT_NAME, "protocol": _PROTOCOL, "nodePort": _PORT}, required=("port",))

TRAITS: Mapping[str, Shape] = MappingProxyType(
    {
        "scaler": Record({"replicas": Whole(0, 100_000)}, required=("replicas",)),
        "env": Record({"containerName": Text(), "env": MapOf(Text(empty=True)), "unset": ListOf(Text())}),
        "labels": MapOf(Text(empty=True)),
        "annotations": MapOf(Text(empty=True)),
        "resource": Record({"cpu": Quantity(), "memory": Quantity(), "requests": _RESOURCES, "limits": _RESOURCES}),
        "expose": Record(
            {
                "port": ListOf(_PORT, least=1),
                "ports": ListOf(_EXPOSED, least=1),
                "annotations": _LABELS,
                "matchLabels": _LABELS,
                "type": Text(choices=("ClusterIP", "NodePort", "LoadBalancer")),
            },
            one_of=("port", "ports"),
        ),
    }
)

UNFIT: Mapping[str, frozenset[str]] = MappingProxyType({"expose": _RUN_TO_AN_END})
"""Trait to the component types that surely have nothing for it. What objects and manifests have, rendering finds."""

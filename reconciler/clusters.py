"""Settings to the cluster that they name. What only one of them needs is imported only for it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from reconciler.cluster.protocol import Cluster
from reconciler.model.clock import Clock
from reconciler.settings import Settings


class OwnedCluster(Cluster, Protocol):
    """A cluster with a beginning and an end: `start` before use, and what that opens, `close` closes."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    @property
    def name(self) -> str:
        """What a person knows it by; one line, known once it is started."""
        ...


def make_cluster(settings: Settings, clock: Clock, state: Path | None) -> OwnedCluster:
    """`state`: the file of the embedded cluster. Raises KubeconfigError; connects nowhere and opens nothing yet."""
    if settings.cluster == "embedded":
        from reconciler.cluster.embedded.cluster import EmbeddedCluster

        return EmbeddedCluster(str(state), clock, settings.speed)
    from reconciler.cluster.kubernetes.cluster import KubernetesCluster
    from reconciler.cluster.kubernetes.connection import find_origin

    return KubernetesCluster(find_origin(settings.kubeconfig, settings.context))

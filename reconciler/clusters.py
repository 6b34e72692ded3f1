"""Settings to the cluster that they name. What only one of them needs is imported only for it."""

from __future__ import annotations

import platform
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from reconciler.cluster.protocol import Cluster
from reconciler.engine.leadership import Lead, Leadership, lease_ref
from reconciler.model.clock import Clock
from reconciler.model.duration import parse_duration
from reconciler.model.event import Event, Sink
from reconciler.model.identity import AppKey
from reconciler.observe.cluster_events import ClusterEvents
from reconciler.settings import Settings

_log = structlog.get_logger("reconciler")


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


async def prepare_cluster(settings: Settings, cluster: Cluster, sink: Sink) -> dict[str, str]:
    """
    Once it is started: the daemon's own kinds are there as it needs them, and what is another controller's is told, once. Answers
    the names of those definitions, and whose each is.

    Raises DefinitionError, ClusterError. The embedded cluster has them from the start.
    """
    if settings.cluster == "embedded":
        return {}
    from reconciler.cluster.crds.families import OAM, STEPFLOW, oam_crds, stepflow_crds
    from reconciler.cluster.crds.install import find_foreign, prepare
    from reconciler.cluster.crds.state import state_crds

    for line in await prepare(cluster, state_crds(), bring=settings.install_crds):
        _log.warning("definitions of the daemon's own kinds", said=line)
    foreign = await find_foreign(cluster, [*oam_crds(), *stepflow_crds()])
    for group in (OAM, STEPFLOW):
        names = [found.name for found in foreign if found.group == group]
        if not settings.shard:  # told once, not by each shard
            sink.emit(Event("foreign", fields={"group": group, "count": len(names)}))
        if names:
            whose = next(found.detail for found in foreign if found.group == group)
            _log.info(
                "kinds of manifests are another controller's here: they and their objects are left alone", group=group, whose=whose, names=names
            )
    return {found.name: found.detail for found in foreign}


def tell_transitions(settings: Settings, cluster: Cluster, clock: Clock, mirror: Callable[[AppKey], str], sink: Sink) -> ClusterEvents | None:
    """Who writes Kubernetes Events; nobody on the embedded cluster, where no tool reads them. `mirror`: the uid of an application's mirror."""
    if settings.cluster == "embedded":
        return None
    return ClusterEvents(cluster, clock, settings.namespace, platform.node(), mirror, sink)


def make_lead(settings: Settings, cluster: Cluster, clock: Clock, sink: Sink, source: str) -> Lead | None:
    """None where the daemon has the cluster to itself, as the embedded one, whose file is locked."""
    if settings.cluster == "embedded":
        return None
    seconds = parse_duration(settings.lease_duration).total_seconds()
    me = settings.identity or socket.gethostname()
    return Leadership(cluster, lease_ref(settings.namespace, settings.shard), me, secrets.token_hex(4), seconds, clock, sink, source)

"""What tests on Kubernetes have in common: our own kinds, and a cluster that talks to the control plane of the test run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import yaml

from reconciler.cluster.kubernetes.cluster import KubernetesCluster
from reconciler.cluster.kubernetes.connection import Origin
from reconciler.cluster.kubernetes.watch import Pace
from reconciler.cluster.protocol import AlreadyExistsError, KindUnknownError
from reconciler.model.identity import GVK
from reconciler.model.names import GROUP, STATE_KINDS

DEFINITIONS = Path(__file__).resolve().parents[1] / "manifests" / "crds" / "reconciler.dev.yaml"


async def install_definitions(cluster: KubernetesCluster) -> None:
    """Our own kinds, once for all tests; answers when they are served."""
    if await _served(cluster):
        return
    for definition in yaml.safe_load_all(DEFINITIONS.read_text()):
        with suppress(AlreadyExistsError):
            await cluster.create(definition)
    async with asyncio.timeout(50):
        while not await _served(cluster):
            await asyncio.sleep(0.1)


async def _served(cluster: KubernetesCluster) -> bool:
    try:
        return all([await cluster.kind(GVK(GROUP, "v1alpha1", kind)) for kind in STATE_KINDS])
    except KindUnknownError:
        return False


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[KubernetesCluster]:
    """The server ends a watch after 3 to 6 seconds here, and tells a bookmark shortly before: else one comes only every minute."""
    cluster = KubernetesCluster(Origin(str(kubeconfig), "", named=True), Pace(longest=6.0))
    await cluster.start()
    try:
        await install_definitions(cluster)
        yield cluster
    finally:
        await cluster.close()

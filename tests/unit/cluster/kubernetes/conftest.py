"""A scripted API server, and a cluster that talks to it."""

import json
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from reconciler.cluster.kubernetes.cluster import KubernetesCluster
from reconciler.cluster.kubernetes.connection import Origin
from reconciler.cluster.kubernetes.watch import Pace
from tests.unit.cluster.kubernetes.server import ApiServer


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    fake = ApiServer()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", fake.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    yield fake
    await runner.cleanup()


@pytest.fixture
def kubeconfig(server: ApiServer, tmp_path) -> Callable[..., str]:
    """Writes one whose user is as given; answers its path."""

    def write(user: dict | None = None, name: str = "config") -> str:
        path = tmp_path / name
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "test",
                    "clusters": [{"name": "test", "cluster": {"server": server.url}}],
                    "users": [{"name": "test", "user": user or {"token": "s3cret-token"}}],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}, {"name": "other", "context": {"cluster": "gone"}}],
                }
            )
        )
        return str(path)

    return write


@pytest.fixture
async def cluster(kubeconfig) -> AsyncIterator[KubernetesCluster]:
    pace = Pace(longest=2.0, silence=0.3, first=0.01, last=0.05)
    made = KubernetesCluster(Origin(kubeconfig(), "", named=True), pace, deadline=3.0)
    await made.start()
    yield made
    await made.close()

"""
The cluster under test: the embedded one on a clock that is turned, and Kubernetes' own API server, controllers and scheduler. A new
implementation joins by one more entry in WORLDS; no test knows which one it talks to.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.cluster.protocol import Cluster, NotFoundError
from reconciler.model.identity import ObjectRef
from tests.real_cluster import connected

Eventually = Callable[..., Awaitable[object]]


class TurnedClock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        until = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.elapsed + seconds, until))
        await until

    def turn(self, seconds: float) -> None:
        self.elapsed += seconds
        for due, until in self._sleepers:
            if due <= self.elapsed and not until.done():
                until.set_result(None)
        self._sleepers = [(due, until) for due, until in self._sleepers if not until.done()]


class World:
    """`eventually` waits for a predicate (sync or async) and answers its value; it fails after `seconds` of the cluster's time."""

    def __init__(self, cluster: Cluster, pass_time: Callable[[], Awaitable[float]]) -> None:
        self.cluster = cluster
        self._pass_time = pass_time

    async def eventually(self, predicate: Callable[[], object], seconds: float = 120.0) -> object:
        passed = 0.0
        while True:
            value = predicate()
            if isinstance(value, Awaitable):
                value = await value
            if value:
                return value
            assert passed < seconds, f"not so within {seconds} seconds: {predicate.__doc__ or predicate}"
            passed += await self._pass_time()


@asynccontextmanager
async def embedded(_: pytest.FixtureRequest) -> AsyncIterator[World]:
    clock = TurnedClock()
    cluster = EmbeddedCluster(":memory:", clock, bookmark_seconds=0.05)
    await cluster.start()

    async def pass_time() -> float:
        step = min(cluster.delay() or 0.1, 1.0)
        clock.turn(step)
        cluster.tick()
        await asyncio.sleep(0)
        return step or 0.01

    yield World(cluster, pass_time)
    await cluster.close()


@asynccontextmanager
async def kubernetes(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async def pass_time() -> float:
        await asyncio.sleep(0.05)
        return 0.05

    async with connected(request.getfixturevalue("control_plane").kubeconfig) as cluster:
        yield World(cluster, pass_time)


WORLDS = {"embedded": embedded, "kubernetes": kubernetes}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only what runs on Kubernetes needs the control plane."""
    for item in items:
        if getattr(item, "callspec", None) is not None and item.callspec.params.get("world") == "kubernetes":
            item.fixturenames.append("control_plane")


@pytest.fixture(params=WORLDS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with WORLDS[request.param](request) as one:
        yield one


@pytest.fixture
def cluster(world: World) -> Cluster:
    return world.cluster


@pytest.fixture
def eventually(world: World) -> Eventually:
    return world.eventually


@pytest.fixture
async def namespace(cluster: Cluster) -> AsyncIterator[str]:
    """A new namespace of its own for each test; it goes with what is in it."""
    name = f"contract-{uuid.uuid4().hex[:8]}"
    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    with suppress(NotFoundError):
        await cluster.delete(ObjectRef("v1", "Namespace", "", name))


def config_map(namespace: str, name: str = "one", labels: dict[str, str] | None = None, **data: str) -> dict:
    metadata: dict = {"name": name, "namespace": namespace}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def workload(kind: str, namespace: str, name: str = "web", image: str = "nginx:1", **spec: object) -> dict:
    labels = {"app": name}
    # How kwok is told what the embedded cluster sees by the image.
    fate = {"annotations": {"controlplane.test/pod": "image-pull-back-off"}} if image.startswith("never-ready") else {}
    template = {"metadata": {"labels": labels, **fate}, "spec": {"containers": [{"name": "main", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


@pytest.fixture(name="config_map")
def _config_map(namespace: str) -> Callable[..., dict]:
    return lambda *args, **kwargs: config_map(namespace, *args, **kwargs)


@pytest.fixture(name="workload")
def _workload(namespace: str) -> Callable[..., dict]:
    return lambda kind, *args, **kwargs: workload(kind, namespace, *args, **kwargs)


async def absent(cluster: Cluster, ref: object) -> bool:
    try:
        await cluster.get(ref)  # type: ignore[arg-type]
    except NotFoundError:
        return True
    return False


@pytest.fixture(name="absent")
def _absent(cluster: Cluster) -> Callable[..., Awaitable[bool]]:
    return lambda ref: absent(cluster, ref)

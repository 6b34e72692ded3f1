"""The embedded cluster with a clock that stands still until it is turned."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster


class StillClock:
    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        await asyncio.get_running_loop().create_future()


class Turned:
    """A cluster, and `turn`, which lets seconds pass and every controller act when it is due."""

    def __init__(self, cluster: EmbeddedCluster, clock: StillClock) -> None:
        self.cluster = cluster
        self.clock = clock

    def turn(self, seconds: float) -> None:
        end = self.clock.elapsed + seconds
        self.cluster.tick()
        while (delay := self.cluster.delay()) is not None and self.clock.elapsed + delay <= end:
            self.clock.elapsed += delay
            self.cluster.tick()
        self.clock.elapsed = end
        self.cluster.tick()


@pytest.fixture
async def make_cluster() -> AsyncIterator[Callable[..., object]]:
    """Starts clusters; closes those that are still open."""
    made: list[EmbeddedCluster] = []

    async def make(path: object = ":memory:", **options: object) -> Turned:
        clock = StillClock()
        cluster = EmbeddedCluster(str(path), clock, **options)
        await cluster.start()
        made.append(cluster)
        return Turned(cluster, clock)

    yield make
    for cluster in made:
        await cluster.close()


@pytest.fixture
async def turned(make_cluster: Callable[..., object]) -> Turned:
    return await make_cluster()


@pytest.fixture
def workload() -> Callable[..., dict]:
    def make(kind: str, image: str = "nginx:1", name: str = "web", **spec: object) -> dict:
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}
        metadata = {"name": name, "namespace": "default"}
        return {
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": metadata,
            "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
        }

    return make


@pytest.fixture
def config_map() -> Callable[..., dict]:
    def make(name: str = "one", labels: dict[str, str] | None = None, **data: str) -> dict:
        metadata = {"name": name, "namespace": "default", **({"labels": labels} if labels else {})}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

    return make

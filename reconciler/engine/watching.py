"""Following the objects of one kind in one namespace, for as long as the daemon works."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from reconciler.cluster.protocol import Cluster, ClusterError, ExpiredError, WatchEvent
from reconciler.model.clock import Clock
from reconciler.model.identity import GVK


async def watch(
    cluster: Cluster,
    clock: Clock,
    kind: GVK,
    namespace: str,
    take: Callable[[WatchEvent], None],
    *,
    pause: float,
    begin: Callable[[], Awaitable[str]] | None = None,
    bare: bool = False,
) -> None:
    """
    What becomes of them, until cancelled; `bare`: of their metadata. `begin` takes in what is there and answers from where to watch, again
    whenever that place is lost or the cluster refuses; without it what a watch loses is not told again. `pause`: seconds after an error.
    """
    since = ""
    while True:
        try:
            since = since or (await begin() if begin is not None else "")
            async for event in cluster.watch(kind, since=since, bare=bare, namespace=namespace):
                since = event.object["metadata"]["resourceVersion"]
                if event.type != "BOOKMARK":
                    take(event)
        except ExpiredError:
            since = ""
        except ClusterError:
            since = "" if begin is not None else since
            await clock.sleep(pause)

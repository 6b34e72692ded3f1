"""A day of a team, in half a minute: everything that metrics tell of happens once."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from reconciler.engine.queue import KeyQueue
from reconciler.model.identity import ObjectRef
from reconciler.model.names import GATE_PREFIX, SUSPEND
from tests.integration.harness import ENVIRONMENT, Clone, Daemon, config_map_app
from tests.integration.prometheus.server import Prometheus
from tests.integration.sequences import GATE, gate_of, push, replace_data

WEB, API, OLD, SHOP = "web.yaml", "api.yaml", "old.yaml", "shop.yaml"


def web(value: str, decision: str = "") -> str:
    return config_map_app("web", value, gate=True, annotations={GATE: decision} if decision else None)


def api(image: str) -> str:
    """A Deployment whose step gives up after a second without health."""
    lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application", "metadata: {name: api}", "spec:", "  components:"]
    lines += ["    - name: api", "      type: webservice", f"      properties: {{image: {image}}}", "  workflow:", "    steps:"]
    return "\n".join([*lines, "      - {type: apply-component, name: apply, properties: {component: api, timeout: 1s}}"]) + "\n"


def shop(annotations: dict[str, str] | None = None) -> str:
    """A ResourceQuota, whose status nothing moves but the test."""
    text = config_map_app("shop", "1", annotations=annotations)
    quota = "            kind: ResourceQuota\n            metadata: {name: shop}\n            spec: {hard: {pods: 10}}\n"
    return text[: text.index("            kind: ConfigMap")] + quota


def flow() -> str:
    """A workflow in a queue, of three steps that are to begin at once; of each second one does, by the daemon's settings."""
    lines = ["apiVersion: workflow.example.com/v1alpha1", "kind: Workflow", "metadata: {name: flow}", "spec:", "  queue: default", "  steps:"]
    return (
        "\n".join([*lines, *(f'  - {{name: s{number}, stepTemplate: {{type: sleep, parameters: {{seconds: "0"}}}}}}' for number in range(3))]) + "\n"
    )


class Day:
    """Its stations, in any order after `deliver`. Each waits until Prometheus has told of it, and leaves no alert behind."""

    def __init__(self, daemon: Daemon, clone: Clone, prometheus: Prometheus) -> None:
        self._daemon, self._clone, self._prometheus = daemon, clone, prometheus

    async def _push(self, **files: str | None) -> None:
        await push(self._daemon, self._clone, {f"{name}.yaml": text for name, text in files.items()})

    async def _told(self, kind: str, count: int = 1) -> None:
        sink = self._daemon.sink
        await self._daemon.until(lambda: len([event for event in sink.events if event.kind == kind]) >= count, f"{count} {kind}")

    async def deliver(self) -> None:
        """First deploys: one waits at a gate for too long, one opens by its timer, one leaves git."""
        timed = config_map_app("timed", "1", gate=True).replace("name: approve}", 'name: approve, properties: {duration: "1s"}}')
        await self._push(web=web("1"), api=api("api:1"), old=config_map_app("old", "1"), shop=shop(), timed=timed)
        await self._prometheus.fires("ReconcilerGateWaiting", name="web")
        await self._push(web=web("1", gate_of(self._daemon, "web").continue_), flow=flow())
        await self._daemon.synced("web")
        await self._daemon.synced("flow")
        await self._push(old=None)
        await self._told("application-gone")
        await self._prometheus.clears("ReconcilerGateWaiting")

    async def go_back(self) -> None:
        """A deploy is superseded, the next one rolled back with a commit, another one ended."""
        await self._push(web=web("2"))
        await self._push(web=web("3"))
        await self._push(web=web("3", gate_of(self._daemon, "web").rollback))
        await self._prometheus.fires("ReconcilerRollbackHappened", name="web")
        await self._told("write-back")
        await self._push(web=web("4"))
        await self._prometheus.clears("ReconcilerRollbackHappened")
        await self._push(web=web("4", gate_of(self._daemon, "web").end))

    async def refuse_the_commit(self) -> None:
        """Somebody has the branch checked out while it is to be rolled back."""
        await self._push(web=web("5"))
        checkout = str(self._clone.path.parent / "checkout")
        self._git_origin("config", "receive.denyCurrentBranch", "ignore")
        self._git_origin("worktree", "add", "-q", checkout, "main")
        await self._push(web=web("5", gate_of(self._daemon, "web").rollback))
        await self._prometheus.fires("ReconcilerWriteBackRefused", name="web")
        self._git_origin("worktree", "remove", "--force", checkout)
        await self._push(web=web("6"))
        await self._push(web=web("6", gate_of(self._daemon, "web").continue_))
        await self._prometheus.clears("ReconcilerWriteBackRefused")

    def _git_origin(self, *words: str) -> None:
        subprocess.run(["git", "-C", str(self._clone.origin), *words], check=True, env=ENVIRONMENT, capture_output=True)

    async def break_an_image(self) -> None:
        """It never gets ready, its run fails, and git is behind until somebody mends it."""
        await self._push(api=api("api:crash-loop"))
        await self._prometheus.fires("ReconcilerRunFailed", name="api")
        await self._prometheus.fires("ReconcilerRevisionLag", name="api")
        await self._push(api=api("api:2"))
        await self._prometheus.clears("ReconcilerRunFailed")
        await self._prometheus.clears("ReconcilerRevisionLag")

    async def degrade(self) -> None:
        """What was promoted fails by itself; somebody edits an object by hand meanwhile."""
        await replace_data(self._daemon, "web", {"value": "by hand"})
        await self._told("drift-healed")
        await self._set_status({"conditions": [{"type": "Failed", "status": "True", "message": "more is used than there is"}]})
        await self._prometheus.fires("ReconcilerDegradedAfterPromotion", name="shop")
        await self._set_status({})
        await self._prometheus.clears("ReconcilerDegradedAfterPromotion")

    async def _set_status(self, status: dict[str, Any]) -> None:
        live = await self._daemon.cluster.get(ObjectRef("v1", "ResourceQuota", "default", "shop"))
        await self._daemon.cluster.replace_status({**live, "status": status})

    async def mistype(self) -> None:
        """A decision names no gate; an application is suspended and resumed."""
        await self._push(shop=shop({f"{GATE_PREFIX}aprove": "end"}))
        await self._prometheus.fires("ReconcilerAttentionNeeded", type="DecisionIgnored")
        await self._push(shop=shop({SUSPEND: "stocktaking"}))
        await self._prometheus.clears("ReconcilerAttentionNeeded")
        await self._daemon.until(lambda: (status := self._daemon.status("shop")) is not None and status.suspended, "suspended")
        await self._push(shop=shop())

    async def lose_git(self) -> None:
        """The repository is moved away, and put back."""
        origin = self._clone.origin
        away = origin.with_name("away.git")
        origin.rename(away)
        await self._prometheus.fires("ReconcilerGitUnreachable")
        away.rename(origin)
        await self._prometheus.clears("ReconcilerGitUnreachable")

    async def stall(self, stuck: dict[str, float]) -> None:
        stuck["seconds"] = 500.0
        await self._prometheus.fires("ReconcilerLoopStalled", loop="queue")
        stuck["seconds"] = 0.0
        await self._prometheus.clears("ReconcilerLoopStalled")


def stand_still(stuck: dict[str, float]) -> property:
    """A heartbeat of the queue that lies as many seconds back as `stuck` says."""

    def read(queue: KeyQueue) -> float:
        return queue._clock.monotonic() - stuck["seconds"]

    return property(read, lambda queue, value: None)


@asynccontextmanager
async def polling(look: Callable[[], None]) -> AsyncIterator[None]:
    """Looks at git all the time, as the daemon's poll does."""

    async def poll() -> None:
        while True:
            look()
            await asyncio.sleep(0.3)

    task = asyncio.create_task(poll())
    try:
        yield
    finally:
        task.cancel()

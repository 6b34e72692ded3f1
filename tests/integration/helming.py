"""Applications with charts, and the engine that has fetched charts at hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from reconciler.notify.client import GuardedClient
from reconciler.notify.egress import Egress
from reconciler.wiring import build_charts
from tests.integration.harness import Clone, Daemon, running


def app(url: str, version: str = "1.x", more: str = "", name: str = "web") -> str:
    properties = f"{{url: '{url}', chart: web, version: '{version}'{more}}}"
    return (
        f"apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n  components:\n"
        f"  - {{name: {name}, type: helm, properties: {properties}}}\n"
    )


@asynccontextmanager
async def deploying(clone: Clone, folder: Path | None = None, **options: Any) -> AsyncIterator[Daemon]:
    client = GuardedClient(Egress(["127.0.0.1"]))
    try:
        async with running(clone, charts=build_charts(client, folder), **options) as daemon:
            yield daemon
    finally:
        await client.close()


async def data(daemon: Daemon, name: str = "web-settings") -> dict[str, str]:
    found: dict[str, str] = (await daemon.get("ConfigMap", name))["data"]
    return found


async def problem(daemon: Daemon, words: str, name: str = "web") -> str:
    def said() -> str:
        return next((text for text in daemon.conditions(name).values() if words in text), "")

    found: str = await daemon.until(said, f"{name} says {words}")
    return found

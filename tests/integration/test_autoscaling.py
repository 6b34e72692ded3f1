"""An autoscaler and the daemon on one field: neither fights the other."""

from pathlib import Path
from typing import Any

from tests.integration.harness import Clone, Daemon, running


def scaled(image: str, traits: str) -> str:
    lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application", "metadata: {name: web}", "spec:", "  components:"]
    lines += ["    - name: web", "      type: webservice", f"      properties: {{image: {image}}}", f"      traits: [{traits}]"]
    return "\n".join(lines) + "\n"


async def workload(daemon: Daemon) -> Any:
    return await daemon.get("Deployment", "web", api_version="apps/v1")


async def test_rule_7g_what_an_autoscaler_scales_is_neither_sent_nor_healed(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    scaler = "{type: cpuscaler, properties: {min: 3, max: 5}}"
    clone.push({"web.yaml": scaled("web:1", scaler)})
    async with running(clone) as daemon:
        await daemon.synced("web")
        while (await workload(daemon))["spec"]["replicas"] != 3:
            await daemon.looked()
        live = await workload(daemon)
        await daemon.cluster.replace({**live, "spec": {**live["spec"], "replicas": 5}}, manager="autoscaler")
        commit = clone.push({"web.yaml": scaled("web:2", scaler)})
        status = await daemon.synced("web", commit)
        assert (await workload(daemon))["spec"]["replicas"] == 5
        assert status.health == "Healthy"
        assert [event for event in daemon.sink.events if event.kind == "drift-healed"] == []

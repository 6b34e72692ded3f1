"""`check-metrics` against a real Prometheus: it waits until the metric is well for long enough, and fails when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from reconciler.engine.measuring import Meter
from reconciler.notify.client import GuardedClient
from reconciler.notify.egress import Egress, opening_of
from tests.integration.builtins import ended, step_of, workflow
from tests.integration.harness import Clone, running
from tests.integration.prometheus.binaries import Binaries
from tests.integration.prometheus.server import Prometheus


@pytest.mark.timeout(120)
async def test_defect_a6_3_a_step_waits_for_a_metric_to_be_well_and_fails_where_it_is_not(binaries: Binaries, tmp_path: Path) -> None:
    clone, errors = Clone(tmp_path), {"rate": 1}

    async def metrics(_: web.BaseRequest) -> web.Response:
        return web.Response(text=f"shop_errors {errors['rate']}\n")

    target = web.ServerRunner(web.Server(metrics))
    await target.setup()
    await web.TCPSite(target, "127.0.0.1", 0).start()
    with Prometheus(binaries, tmp_path / "prometheus", f"http://127.0.0.1:{target.addresses[0][1]}", {"groups": []}) as prometheus:
        url = prometheus.url
        client = GuardedClient(Egress([opening_of(url)]))

        def check(name: str, query: str, patience: str, more: str = "") -> str:
            given = f'query: {query}, condition: "<1", duration: 2s, failDuration: {patience}, metricEndpoint: "{url}"'
            return f"{{name: {name}, type: check-metrics, properties: {{{given}}}{more}}}"

        clone.push({"flow.yaml": workflow(check("well", "shop_errors", "100s"), check("typo", "shop_erorrs", "2s", ", if: always"))})
        try:
            async with running(clone, meter=Meter(client, (url,))) as daemon:
                await daemon.until(lambda: "1, not <1" in _message(daemon), "it is seen to be unwell")
                errors["rate"] = 0
                run = await ended(daemon)
                assert (step_of(run, "well").phase.value, step_of(run, "typo").phase.value) == ("Succeeded", "Failed"), run.steps
                assert step_of(run, "well").message.startswith("0, <1 for ")
                assert step_of(run, "typo").message.endswith("now it is nothing")
        finally:
            await client.close()
            await target.cleanup()


def _message(daemon: object) -> str:
    status = daemon.status("flow")  # type: ignore[attr-defined]
    return status.run.steps[0].message if status is not None and status.run is not None else ""

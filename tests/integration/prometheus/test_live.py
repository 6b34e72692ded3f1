"""Every alert, panel and documented query against a real Prometheus that scrapes a daemon through a scripted day."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.api.server import Server, create_app
from reconciler.daemon import SystemClock
from reconciler.engine.queue import KeyQueue
from reconciler.observe.metrics import Metrics
from tests.integration.harness import Clone, running
from tests.integration.prometheus.binaries import Binaries
from tests.integration.prometheus.day import Day, polling, stand_still
from tests.integration.prometheus.server import Prometheus
from tests.unit.test_documented import code, rows

MANIFESTS = Path(__file__).parents[3] / "manifests"
# A day of the script is half a minute; the loop's limit stays as it is.
HURRIED = {"> 86400": "> 1", "> 3600": "> 1", "< 3600": "< 5", "> 300": "> 3"}


def hurry(rules: dict[str, Any]) -> dict[str, Any]:
    """The rules with limits for people who wait seconds, not hours, and without `for`."""
    for rule in rules["groups"][0]["rules"]:
        rule.pop("for", None)
        for slow, quick in HURRIED.items():
            rule["expr"] = rule["expr"].replace(slow, quick)
    return rules


def panel_queries() -> dict[str, str]:
    """By dashboard, panel and letter: the expression with Grafana's variables filled in."""
    found = {}
    for path in sorted((MANIFESTS / "grafana").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                expression = re.sub(r"\$(?:namespace|name)\b", ".*", target["expr"]).replace("$__rate_interval", "4s")
                found[f"{path.stem}: {panel['title']} {target['refId']}"] = expression
    return found


async def silent(prometheus: Prometheus, queries: dict[str, str], since: float) -> list[str]:
    """Those that answer nothing at any time of the day."""
    return [name for name, expression in queries.items() if not await prometheus.series(expression, since)]


@pytest.mark.timeout(240)
async def test_in_a_scripted_day_every_alert_fires_and_clears_and_every_query_answers(
    binaries: Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = {"seconds": 0.0}
    monkeypatch.setattr(KeyQueue, "heartbeat", stand_still(stuck), raising=False)
    rules = hurry(yaml.safe_load((MANIFESTS / "prometheus/alerts.yaml").read_text()))
    clone, clock, began = Clone(tmp_path), SystemClock(), time.time()
    clone.push({"README.md": "nothing of ours"})
    metrics = Metrics(clock.now)
    async with running(clone, beat=0.2, sinks=(metrics,), kind_qps={"sleep": 1.0}) as daemon, polling(daemon.engine.look):
        server = Server(create_app(daemon.engine.reader, metrics.render, clock.now))
        url = await server.start("127.0.0.1", 0)
        with Prometheus(binaries, tmp_path / "prometheus", url, rules) as prometheus:
            day = Day(daemon, clone, prometheus)
            await day.deliver()
            await day.go_back()
            await day.refuse_the_commit()
            await day.break_an_image()
            await day.degrade()
            await day.mistype()
            await day.lose_git()
            await day.stall(stuck)
            await server.stop()
            await prometheus.fires("ReconcilerDown")
            server = Server(create_app(daemon.engine.reader, metrics.render, clock.now))
            await server.start("127.0.0.1", int(url.rpartition(":")[2]))
            await prometheus.clears("ReconcilerDown")
            fired = {each["metric"]["alertname"] for each in await prometheus.series('ALERTS{alertstate="firing"}', began)}
            assert fired == {rule["alert"] for rule in rules["groups"][0]["rules"]}
            for alert in fired:
                await prometheus.clears(alert)
            assert await silent(prometheus, panel_queries(), began) == []
            assert await silent(prometheus, {code(row[0]): code(row[3]) for row in rows("metrics.md")}, began) == []
        await server.stop()

"""`restart-workflow`: a run is run once more when it asked for it, once each time (rules 2, 6a, 6c)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.model.identity import AppKey
from tests.integration.harness import Clone, Daemon, running, virtual


def app(when: str, value: str = "1", more: str = "") -> str:
    return f"""\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{name: shop{more}}}
spec:
  components:
  - name: web
    type: k8s-objects
    properties: {{objects: [{{apiVersion: v1, kind: ConfigMap, metadata: {{name: web}}, data: {{value: "{value}"}}}}]}}
  workflow:
    steps:
    - {{name: web, type: apply-component, properties: {{component: web}}}}
    - {{name: again, type: restart-workflow, properties: {{{when}}}}}
"""


def runs(daemon: Daemon) -> list[str]:
    found = daemon.engine._context.apps.get(AppKey("default", "shop"))
    return [run.name for run in found.runs if run.phase == "Succeeded"] if found is not None else []


async def pass_time(daemon: Daemon, seconds: float) -> None:
    await daemon.engine._clock.sleep(seconds)
    await daemon.looked()


@virtual
async def test_every_runs_the_revision_again_each_time_and_goes_on_after_a_restart_of_the_daemon(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    clone.push({"shop.yaml": app("every: 1h")})
    async with running(clone, state) as daemon:
        await daemon.synced("shop")
        await pass_time(daemon, 3000)
        assert runs(daemon) == ["shop-v1-1"]
        await pass_time(daemon, 700)
        assert runs(daemon) == ["shop-v1-1", "shop-v1-2"]
    async with running(clone, state) as daemon:
        await daemon.looked()
        assert runs(daemon) == ["shop-v1-1", "shop-v1-2"]
        await pass_time(daemon, 3700)
        assert runs(daemon) == ["shop-v1-1", "shop-v1-2", "shop-v1-3"]


@virtual
async def test_after_runs_it_again_once_and_a_new_revision_begins_afresh(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"shop.yaml": app("after: 1h")})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        for _ in range(4):
            await pass_time(daemon, 3700)
        assert runs(daemon) == ["shop-v1-1", "shop-v1-2"]
        commit = clone.push({"shop.yaml": app("after: 1h", "2")})
        await daemon.synced("shop", commit)
        for _ in range(3):
            await pass_time(daemon, 3700)
        assert runs(daemon) == ["shop-v1-1", "shop-v1-2", "shop-v2-1", "shop-v2-2"]


@virtual
async def test_at_runs_it_again_at_that_moment_and_a_past_one_restarts_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        moment = daemon.engine._clock.now() + timedelta(hours=5)
        clone.push({"shop.yaml": app(f"at: '{moment.isoformat()}'")})
        await daemon.synced("shop")
        for _ in range(4):
            await pass_time(daemon, 3600)
        assert runs(daemon) == ["shop-v1-1"]
        for _ in range(3):
            await pass_time(daemon, 3600)
        assert runs(daemon) == ["shop-v1-1", "shop-v1-2"]


@virtual
async def test_rule_6a_nothing_is_restarted_while_the_application_is_suspended(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"shop.yaml": app("every: 1h")})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        clone.push({"shop.yaml": app("every: 1h", more=", annotations: {reconciler.dev/suspend: maintenance}")})
        await daemon.looked()
        await pass_time(daemon, 9000)
        assert runs(daemon) == ["shop-v1-1"]
        clone.push({"shop.yaml": app("every: 1h")})
        await daemon.until(lambda: len(runs(daemon)) == 2, "once it goes on")


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("", "exactly one of at, after, every is required"),
        ("after: 1h, every: 1h", "exactly one of"),
        ("every: 5s", "must be at least 1m"),
        ("every: often", "not a duration"),
        ("at: '2030-01-31T04:00:00'", "RFC 3339 with its offset"),
    ],
)
async def test_what_says_no_moment_is_an_error_of_the_manifest(tmp_path: Path, when: str, said: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"shop.yaml": app(when)})
    async with running(clone) as daemon:
        await daemon.until(lambda: any(said in str(problem) for problem in daemon.engine.reader.problems()), said)

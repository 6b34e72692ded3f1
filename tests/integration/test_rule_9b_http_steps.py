"""Rules 9b and 13b: the `http` step asks under its key, and only where it may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from reconciler.daemon import SystemClock
from reconciler.dialects.registry import dialects
from reconciler.engine.asking import Asking
from reconciler.model.application import Application, Step
from reconciler.model.run import Run
from reconciler.notify.client import GuardedClient
from reconciler.notify.egress import Egress
from reconciler.steps.catalog import STEP_TYPES
from tests.integration.calling import Changed
from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.receiver import receiving
from tests.integration.sequences import runs


def steps(url: str, **more: Any) -> Callable[[Application], Application]:
    """An application of one `http` step."""

    def change(app: Application) -> Application:
        step = Step("ask", "http", "ask", properties={"url": url, **more})
        return msgspec.structs.replace(app, workflow=msgspec.structs.replace(app.workflow, steps=[step]))

    return change


def ended(daemon: Daemon, name: str) -> Run | None:
    return next((run for run in runs(daemon, name) if run.phase.final), None)


async def asking(clone: Clone, change: Callable[[Application], Application], *, opened: bool = True) -> Run:
    client = GuardedClient(Egress(["127.0.0.1"] if opened else []))
    families = [Changed(dialect, change) for dialect in dialects(STEP_TYPES)]
    executors = {"http": Asking(client, 5.0, SystemClock())}
    try:
        async with running(clone, families=families, executors=executors) as daemon:
            run: Run = await daemon.until(lambda: ended(daemon, "web"), "ended")
            return run
    finally:
        await client.close()


async def test_rule_9b_an_http_step_asks_once_under_its_key_and_again_under_the_same_one(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with receiving() as receiver:
        receiver.answers(503, 201)
        run = await asking(clone, steps(receiver.url, method="PUT", body="hello", headers="X-Token: t0k3n"))
    assert (run.phase.value, run.steps[0].message) == ("Succeeded", "answered 201")
    assert len(receiver.told) == 2
    assert {(told.key, told.body, told.headers["x-token"]) for told in receiver.told} == {
        (f"{run.owner}/{run.name}/0/ask/request", b"hello", "t0k3n")
    }
    assert "t0k3n" not in msgspec.json.encode(run).decode()


async def test_rule_13b_an_http_step_to_an_address_that_is_not_opened_fails_for_good_and_names_the_flag(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with receiving() as receiver:
        run = await asking(clone, steps(receiver.url), opened=False)
        assert (run.phase.value, run.reason, run.steps[0].attempt) == ("Failed", "EgressRefused", 0)
        assert run.message.endswith(f"--allow-egress 127.0.0.1:{receiver.port}")
        assert receiver.told == []

"""Events are told in the order in which things came about."""

from __future__ import annotations

from pathlib import Path

from tests.integration.harness import Clone, running
from tests.integration.sequences import canary_app, gate_of, push


async def test_a_decision_comes_before_what_follows_from_it_and_a_run_ends_after_its_steps(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": canary_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.waiting("web")
        gate = gate_of(daemon, "web")
        await push(daemon, clone, {"web.yaml": canary_app("web", "1", annotations={gate.key: gate.continue_})})
        await daemon.synced("web")
        told = [(event.kind, event.fields.get("step", ""), event.fields.get("to", "")) for event in daemon.sink.events]
        told = [item for item in told if item[0] in ("run", "step", "decision") and item[2] != "Pending"]
        decided, passed = told.index(("decision", "approve", "")), told.index(("step", "approve", "Succeeded"))
        assert decided < passed < told.index(("step", "second", "Succeeded")) < told.index(("run", "", "Succeeded"))
        assert told[0] == ("run", "", "Running")
        assert daemon.engine.delay() is None, "all is at rest"

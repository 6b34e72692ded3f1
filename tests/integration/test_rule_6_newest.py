"""Rule 6 on real commits: the newest allowed revision wins, with patience, suspension and holds."""

from pathlib import Path

import pytest

from reconciler.model.identity import AppKey
from reconciler.model.outcome import Query
from tests.integration.harness import Clone, config_map_app, running
from tests.integration.sequences import GATE, canary_app, gate_of, phases, push, runs, value

SUSPEND = "reconciler.dev/suspend"


def slow(image: str) -> str:
    """An application whose run lasts as long as its image takes: for ever with never-ready."""
    lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application", "metadata: {name: web}", "spec:", "  components:"]
    lines += ["    - name: web", "      type: webservice", f'      properties: {{image: "{image}"}}']
    return "\n".join(lines) + "\n"


async def never_healthy(queries: frozenset[Query]) -> dict[Query, object]:
    return {query: {"status": "Progressing", "message": "slow"} for query in queries}


def broken(text: str) -> str:
    """An application whose run fails at once: a ConfigMap holds texts."""
    return config_map_app("web", text).replace(f'data: {{value: "{text}"}}', f'data: [["{text}"]]')


async def test_rule_6a_a_newer_revision_supersedes_one_at_its_gate_and_is_listed(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        first = clone.push({"web.yaml": canary_app("web", "1")})
        await daemon.waiting("web")
        clone.push({"web.yaml": canary_app("web", "2")})
        status = await daemon.waiting("web", revision="web-v2")
        assert phases(daemon, "web") == ["web-v1-1 Superseded", "web-v2-1 Waiting"]
        assert status.superseded == [f"web-v1-1 ({first[:12]})"]
        assert runs(daemon, "web")[0].superseded_by != ""


async def test_rule_6a_a_newer_revision_ends_the_health_wait_of_the_one_before(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": slow("never-ready")})
        assert phases(daemon, "web") == ["web-v1-1 Running"]
        clone.push({"web.yaml": slow("nginx:1")})
        await daemon.synced("web")
        assert phases(daemon, "web") == ["web-v1-1 Superseded", "web-v2-1 Succeeded"]


async def test_rule_6a_a_suspended_application_takes_no_continue_and_nothing_newer_but_rollback_acts(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": canary_app("web", "1")})
        await daemon.waiting("web")
        clone.push({"web.yaml": canary_app("web", "1", annotations={GATE: gate_of(daemon, "web").continue_})})
        await daemon.synced("web")
        clone.push({"web.yaml": canary_app("web", "2")})
        await daemon.waiting("web", revision="web-v2")
        gate = gate_of(daemon, "web")
        await push(daemon, clone, {"web.yaml": canary_app("web", "2", annotations={GATE: gate.continue_, SUSPEND: "wait for Ada"})})
        assert gate_of(daemon, "web") == gate
        status = daemon.status("web")
        assert status is not None
        assert (status.suspended, status.health) == ("wait for Ada", "Suspended")
        assert "wait for Ada" in daemon.conditions("web")["Suspended"]
        await push(daemon, clone, {"web.yaml": canary_app("web", "3", annotations={SUSPEND: "wait for Ada"})})
        assert phases(daemon, "web")[-1] == "web-v2-1 Waiting"
        assert await value(daemon, "web-canary") == "2"
        await push(daemon, clone, {"web.yaml": canary_app("web", "2", annotations={GATE: "rollback", SUSPEND: "wait for Ada"})})
        await daemon.until(lambda: phases(daemon, "web")[1] == "web-v2-1 RolledBack")
        assert await value(daemon, "web-canary") == "1"


async def test_rule_6a_an_approval_given_while_suspended_counts_when_the_suspension_ends(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": canary_app("web", "1")})
        await daemon.waiting("web")
        line = gate_of(daemon, "web").continue_
        await push(daemon, clone, {"web.yaml": canary_app("web", "1", annotations={SUSPEND: "freeze", GATE: line})})
        assert phases(daemon, "web") == ["web-v1-1 Waiting"]
        clone.push({"web.yaml": canary_app("web", "1", annotations={GATE: line})})
        await daemon.synced("web")


async def test_rule_6a_an_approval_given_and_withdrawn_while_suspended_opens_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": canary_app("web", "1")})
        await daemon.waiting("web")
        line = gate_of(daemon, "web").continue_
        await push(daemon, clone, {"web.yaml": canary_app("web", "1", annotations={SUSPEND: "freeze"})})
        await push(daemon, clone, {"web.yaml": canary_app("web", "1", annotations={SUSPEND: "freeze", GATE: line})})
        await push(daemon, clone, {"web.yaml": canary_app("web", "1")})
        assert phases(daemon, "web") == ["web-v1-1 Waiting"]
        assert runs(daemon, "web")[0].decisions == []


async def test_rule_6a_a_timer_stands_still_while_the_application_is_suspended(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    timer = "{type: suspend, name: approve, properties: {duration: 1s}}"
    async with running(clone) as daemon:
        clone.push({"web.yaml": canary_app("web", "1", gate=timer)})
        await daemon.waiting("web")
        await push(daemon, clone, {"web.yaml": canary_app("web", "1", gate=timer, annotations={SUSPEND: "freeze"})})
        began = runs(daemon, "web")[0].step("approve").since
        assert began is not None
        now = daemon.engine._clock.now
        await daemon.until(lambda: (now() - began).total_seconds() > 1.2)
        await daemon.looked()
        assert phases(daemon, "web") == ["web-v1-1 Waiting"]
        clone.push({"web.yaml": canary_app("web", "1", gate=timer)})
        await daemon.synced("web")
        [decision] = runs(daemon, "web")[0].decisions
        assert decision.by == "timer"
        assert (decision.at - began).total_seconds() >= 1.0 + runs(daemon, "web")[0].paused.total_seconds()


@pytest.mark.parametrize("reason", ["not yet", ""])
async def test_rule_6a_a_suspended_application_starts_nothing(tmp_path: Path, reason: str) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", annotations={SUSPEND: reason})})
        assert phases(daemon, "web") == []
        clone.push({"web.yaml": config_map_app("web", "1")})
        await daemon.synced("web")


async def test_rule_6a_a_rollback_under_way_is_finished_before_something_newer_is_taken(tmp_path: Path) -> None:
    clone = Clone(tmp_path)

    def web(image: str, decision: str = "") -> str:
        gate = "  workflow: {steps: [{type: deploy, name: first}, {type: suspend, name: approve}]}\n"
        return slow(image).replace("{name: web}", f'{{name: web, annotations: {{{GATE}: "{decision}"}}}}', 1) + gate

    async with running(clone) as daemon:
        clone.push({"web.yaml": web("nginx:1")})
        line = (await daemon.waiting("web")).gate.continue_  # type: ignore[union-attr]
        clone.push({"web.yaml": web("nginx:1", line)})
        await daemon.synced("web")
        clone.push({"web.yaml": web("nginx:2")})
        await daemon.waiting("web", revision="web-v2")
        context = daemon.engine._context
        healthy, context.observations.answer = context.observations.answer, never_healthy
        clone.push({"web.yaml": web("nginx:2", "rollback")})
        await daemon.until(lambda: "web-v1-2 Running" in phases(daemon, "web"))
        await push(daemon, clone, {"web.yaml": web("nginx:3")})
        assert phases(daemon, "web")[1:] == ["web-v2-1 RollingBack", "web-v1-2 Running"]
        context.observations.answer = healthy
        context.hint(AppKey("default", "web"))
        await daemon.waiting("web", revision="web-v3")
        assert phases(daemon, "web")[1:] == ["web-v2-1 RolledBack", "web-v1-2 Succeeded", "web-v3-1 Waiting"]


async def test_rule_6b_after_three_superseded_in_a_row_the_current_one_runs_to_its_end_first(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        for number in (1, 2, 3):
            await push(daemon, clone, {"web.yaml": slow(f"never-ready:{number}")})
        context = daemon.engine._context
        healthy, context.observations.answer = context.observations.answer, never_healthy
        await push(daemon, clone, {"web.yaml": slow("nginx:4")})
        status = daemon.status("web")
        assert status is not None
        assert [line.partition(" ")[0] for line in status.superseded] == ["web-v1-1", "web-v2-1", "web-v3-1"]
        skipped = await push(daemon, clone, {"web.yaml": slow("nginx:5")})
        await push(daemon, clone, {"web.yaml": slow("nginx:6")})
        assert phases(daemon, "web") == [*(f"web-v{number}-1 Superseded" for number in (1, 2, 3)), "web-v4-1 Running"]
        context.observations.answer = healthy
        context.hint(AppKey("default", "web"))
        status = await daemon.synced("web")
        assert phases(daemon, "web")[3:] == ["web-v4-1 Succeeded", "web-v5-1 Succeeded"]
        assert runs(daemon, "web")[3].supersedes == [f"{run.name} ({run.commit.id[:12]})" for run in runs(daemon, "web")[:3] if run.commit]
        assert status.run is not None
        assert status.run.supersedes == [f"commit {skipped[:12]}"], "of what came meanwhile only the newest is run; the others are listed"
        assert status.superseded == []


async def test_rule_6b_the_patient_one_is_superseded_at_its_gate(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        for number in (1, 2, 3, 4, 5):
            clone.push({"web.yaml": canary_app("web", str(number))})
            await daemon.waiting("web", revision=f"web-v{number}")
        assert phases(daemon, "web") == [*(f"web-v{number}-1 Superseded" for number in (1, 2, 3, 4)), "web-v5-1 Waiting"]
        clone.push({"web.yaml": canary_app("web", "5", annotations={GATE: gate_of(daemon, "web").continue_})})
        await daemon.synced("web")


async def test_rule_6c_a_failed_run_is_not_tried_again_until_the_digest_changes(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": broken("1")})
        await daemon.until(lambda: phases(daemon, "web") == ["web-v1-1 Failed"])
        await push(daemon, clone, {"README.md": "something else"})
        await push(daemon, clone, {"web.yaml": broken("1") + "# a comment\n"})
        assert phases(daemon, "web") == ["web-v1-1 Failed"]
        await push(daemon, clone, {"web.yaml": broken("2")})
        await daemon.until(lambda: phases(daemon, "web")[-1] == "web-v2-1 Failed")
        await push(daemon, clone, {"web.yaml": broken("1")})
        await daemon.until(lambda: phases(daemon, "web") == ["web-v1-1 Failed", "web-v2-1 Failed", "web-v1-2 Failed"])


async def test_rule_6c_the_hold_survives_a_restart(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    state = str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await push(daemon, clone, {"web.yaml": broken("1")})
        await daemon.until(lambda: phases(daemon, "web") == ["web-v1-1 Failed"])
        await daemon.looked()
    async with running(clone, state) as daemon:
        await push(daemon, clone, {"README.md": "something else"})
        assert phases(daemon, "web") == ["web-v1-1 Failed"]


async def test_rule_6c_7a_a_restore_run_that_failed_is_held_too(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": config_map_app("web", "1"), "other.yaml": config_map_app("other", "1")})
        await daemon.synced("web")
        await daemon.synced("other")
        two = config_map_app("web", "2").replace("metadata: {name: web}", "metadata: {name: moved}")
        await daemon.synced("web", clone.push({"web.yaml": two}))
        thief = config_map_app("other", "1").replace("metadata: {name: other}", "metadata: {name: web}")
        await daemon.until(lambda: daemon.status("web").sync == "Synced")  # type: ignore[union-attr]
        await push(daemon, clone, {"other.yaml": thief})
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")}, "Back to what another application has taken over")
        await daemon.until(lambda: phases(daemon, "web")[-1] == "web-v1-2 Failed")
        await push(daemon, clone, {"README.md": "something else"})
        assert phases(daemon, "web") == ["web-v1-1 Succeeded", "web-v2-1 Succeeded", "web-v1-2 Failed"]
        status = daemon.status("web")
        assert status is not None
        assert status.sync == "OutOfSync"

"""Rules 7a and 7b on real commits: what a rollback goes back to, and how long what it left stays rejected."""

from pathlib import Path

from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.sequences import GATE, canary_app, gate_of, phases, push, runs, value


async def promoted(daemon: Daemon, clone: Clone, text: str, revision: str) -> None:
    """That value runs, promoted through its gate."""
    clone.push({"web.yaml": canary_app("web", text)})
    gate = (await daemon.waiting("web", revision=revision)).gate
    assert gate is not None
    commit = clone.push({"web.yaml": canary_app("web", text, annotations={GATE: gate.continue_})})
    await daemon.until(lambda: (status := daemon.status("web")) and status.running and status.running.revision == revision, f"{revision} runs")
    await daemon.until(lambda: daemon.engine._context.index.head.id == commit and daemon.idle())  # type: ignore[union-attr]


async def refused(daemon: Daemon, clone: Clone, text: str, revision: str, verb: str) -> None:
    """That value was stopped at its gate."""
    clone.push({"web.yaml": canary_app("web", text)})
    await daemon.waiting("web", revision=revision)
    clone.push({"web.yaml": canary_app("web", text, annotations={GATE: verb})})
    await daemon.until(lambda: (run := runs(daemon, "web")[-1]).phase.final and run.revision in (revision, "web-v1", "web-v2") and daemon.idle())


async def test_rule_7a_the_target_is_the_newest_promoted_revision_never_a_superseded_ended_or_rejected_one(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone, write_back=False) as daemon:
        await promoted(daemon, clone, "1", "web-v1")
        await promoted(daemon, clone, "2", "web-v2")
        clone.push({"web.yaml": canary_app("web", "3")})
        await daemon.waiting("web", revision="web-v3")
        await refused(daemon, clone, "4", "web-v4", "end")
        await refused(daemon, clone, "5", "web-v5", "rollback")
        await daemon.until(lambda: await_phase(daemon, "web-v5-1", "RolledBack"))
        undone = next(run for run in runs(daemon, "web") if run.name == "web-v5-1")
        assert undone.restore_target == "web-v2"
        assert (await value(daemon, "web-canary"), await value(daemon, "web-rest")) == ("2", "2")


def await_phase(daemon: Daemon, run: str, phase: str) -> bool:
    return f"{run} {phase}" in phases(daemon, "web")


async def test_rule_7a_without_a_promoted_revision_nothing_is_touched(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": canary_app("web", "1")})
        await daemon.waiting("web")
        head = await push(daemon, clone, {"web.yaml": canary_app("web", "1", annotations={GATE: "rollback"})})
        [run] = runs(daemon, "web")
        assert (run.phase.value, run.reason) == ("Failed", "NoRollbackTarget")
        assert await value(daemon, "web-canary") == "1"
        clone.pull()
        assert clone.git("rev-parse", "HEAD") == head
        await push(daemon, clone, {"README.md": "something else"})
        assert phases(daemon, "web") == ["web-v1-1 Failed"], "it is held (6c)"


async def test_rule_7b_rejected_lasts_over_unrelated_commits_and_a_restart_and_lifts_when_the_digest_changes(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    state = str(tmp_path / "state.db")
    async with running(clone, state, write_back=False) as daemon:
        await promoted(daemon, clone, "1", "web-v1")
        await refused(daemon, clone, "2", "web-v2", "rollback")
        await daemon.until(lambda: await_phase(daemon, "web-v2-1", "RolledBack"))
        count = len(runs(daemon, "web"))
        await push(daemon, clone, {"README.md": "something else"})
        await push(daemon, clone, {"web.yaml": "# a comment\n" + canary_app("web", "2")})
        assert len(runs(daemon, "web")) == count
        assert "Rejected" in daemon.conditions("web")
        status = daemon.status("web")
        assert status is not None
        assert status.desired is not None
        assert status.running is not None
        assert (status.desired.revision, status.running.revision, status.sync) == ("web-v2", "web-v1", "OutOfSync")
    async with running(clone, state, write_back=False) as daemon:
        await push(daemon, clone, {"OTHER.md": "something else"})
        assert len(runs(daemon, "web")) == count
        assert "Rejected" in daemon.conditions("web")
        clone.push({"web.yaml": canary_app("web", "3")})
        await daemon.waiting("web", revision="web-v3")
        assert "Rejected" not in daemon.conditions("web")
        clone.push({"web.yaml": canary_app("web", "2")})
        await daemon.waiting("web", revision="web-v2")
        assert phases(daemon, "web")[-1] == "web-v2-2 Waiting", "with its gate, as anything new"


async def test_rule_7a_a_restore_that_fails_ends_degraded_and_holds(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    gate = "{type: suspend, name: approve}"

    def web(text: str, objects: str, annotations: dict[str, str] | None = None) -> str:
        return canary_app("web", text, annotations=annotations, gate=gate).replace("web-canary}", f"{objects}}}")

    async with running(clone, write_back=False) as daemon:
        clone.push({"web.yaml": web("1", "taken"), "other.yaml": config_map_app("other", "1")})
        line = (await daemon.waiting("web")).gate.continue_  # type: ignore[union-attr]
        clone.push({"web.yaml": web("1", "taken", {GATE: line})})
        await daemon.synced("web")
        await daemon.synced("other")
        await push(daemon, clone, {"web.yaml": web("2", "moved")})
        assert gate_of(daemon, "web").revision == "web-v2"
        await push(daemon, clone, {"other.yaml": config_map_app("other", "2").replace("metadata: {name: other}", "metadata: {name: taken}")})
        await daemon.synced("other")
        await push(daemon, clone, {"web.yaml": web("2", "moved", {GATE: "rollback"})})
        await daemon.until(lambda: await_phase(daemon, "web-v2-1", "Failed"))
        await push(daemon, clone, {"README.md": "something else"})
        assert phases(daemon, "web")[1:] == ["web-v2-1 Failed", "web-v1-2 Failed"]
        status = daemon.status("web")
        assert status is not None
        assert status.health == "Degraded"
        assert await value(daemon, "taken") == "2", "what another application adopted is not taken back"


async def test_rule_5b_7a_a_git_revert_restores_without_gates_and_without_a_second_commit(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await promoted(daemon, clone, "1", "web-v1")
        await promoted(daemon, clone, "2", "web-v2")
        head = clone.push({"web.yaml": canary_app("web", "1")}, "git revert")
        await daemon.synced("web", head)
        assert phases(daemon, "web")[-1] == "web-v1-2 Succeeded"
        assert runs(daemon, "web")[-1].kind == "restore"
        assert (await value(daemon, "web-canary"), await value(daemon, "web-rest")) == ("1", "1")
        await daemon.looked()
        assert clone.git("ls-remote", "origin", "refs/heads/main").split()[0] == head

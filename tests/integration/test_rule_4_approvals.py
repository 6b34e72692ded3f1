"""Rule 4 on real commits: which approval opens which gate, and what every other one comes to."""

import re
from contextlib import suppress
from pathlib import Path

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.cluster.protocol import NotFoundError
from reconciler.daemon import SystemClock
from reconciler.model.identity import GVK, ObjectRef
from reconciler.model.names import GROUP
from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.sequences import GATE, canary_app, gate_of, phases, push, runs, value


def app(text: str, **annotations: str) -> str:
    """The application `web` behind its gate."""
    return config_map_app("web", text, gate=True, annotations={f"gates.reconciler.dev/{gate}": line for gate, line in annotations.items()})


async def started(daemon: Daemon, clone: Clone) -> None:
    """`web` runs revision 1, promoted through its gate."""
    clone.push({"web.yaml": app("1")})
    await daemon.waiting("web")
    clone.push({"web.yaml": app("1", approve=gate_of(daemon, "web").continue_)})
    await daemon.synced("web")


async def test_rule_4b_an_approval_of_an_older_revision_merged_after_a_newer_one_opens_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await started(daemon, clone)
        clone.push({"web.yaml": app("2")})
        old = (await daemon.waiting("web", revision="web-v2")).gate
        assert old is not None
        clone.push({"web.yaml": app("3")})
        await daemon.waiting("web", revision="web-v3")
        await push(daemon, clone, {"web.yaml": app("3", approve=old.continue_)}, "Approve v2, too late")
        gate = gate_of(daemon, "web")
        assert gate.revision == "web-v3"
        assert await value(daemon, "web") == "1"
        assert daemon.conditions("web")["DecisionIgnored"].startswith("StaleCode: ")
        assert f'{gate.key}: "{gate.continue_}"' in daemon.conditions("web")["DecisionIgnored"]


async def test_rule_4c_a_line_that_was_used_may_stay_and_is_remarked_on_only_when_somebody_writes_it_again(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await started(daemon, clone)
        used = re.findall(r"continue@\w+", clone.read("web.yaml"))[0]
        await push(daemon, clone, {"web.yaml": app("2", approve=used)})
        assert gate_of(daemon, "web").revision == "web-v2"
        assert "DecisionIgnored" not in daemon.conditions("web")
        await push(daemon, clone, {"web.yaml": app("3")})
        await push(daemon, clone, {"web.yaml": app("3", approve=used)})
        assert gate_of(daemon, "web").revision == "web-v3"
        assert daemon.conditions("web")["DecisionIgnored"].startswith("StaleCode: ")


async def test_rule_4b_an_approval_in_the_same_push_as_another_spec_opens_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await started(daemon, clone)
        clone.push({"web.yaml": app("2")})
        await daemon.waiting("web", revision="web-v2")
        code = gate_of(daemon, "web").continue_
        await push(daemon, clone, {"web.yaml": app("evil", approve=code)}, "Approve, and slip something in")
        await daemon.waiting("web", revision="web-v3")
        assert await value(daemon, "web") == "1"
        assert phases(daemon, "web")[-2:] == ["web-v2-1 Superseded", "web-v3-1 Waiting"]
        assert [run.decisions for run in runs(daemon, "web")[-2:]] == [[], []]


async def test_rule_4b_a_rollback_in_the_same_push_as_another_spec_is_no_rollback(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await started(daemon, clone)
        clone.push({"web.yaml": app("2")})
        await daemon.waiting("web", revision="web-v2")
        await push(daemon, clone, {"web.yaml": app("3", approve=gate_of(daemon, "web").rollback)})
        assert phases(daemon, "web")[-2:] == ["web-v2-1 Superseded", "web-v3-1 Waiting"]


async def test_rule_4b_an_approval_reverted_and_brought_back_with_the_spec_opens_no_later_run(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await started(daemon, clone)
        clone.push({"web.yaml": app("2")})
        await daemon.waiting("web", revision="web-v2")
        code = gate_of(daemon, "web").continue_
        await push(daemon, clone, {"web.yaml": app("3")})
        await daemon.waiting("web", revision="web-v3")
        await push(daemon, clone, {"web.yaml": app("2", approve=code)}, "Back to 2, with the approval of its first run")
        gate = gate_of(daemon, "web")
        assert (gate.revision, phases(daemon, "web")[-1]) == ("web-v2", "web-v2-2 Waiting")
        assert gate.continue_ != code
        assert await value(daemon, "web") == "1"
        await push(daemon, clone, {"web.yaml": app("2")}, "Revert the approval")
        await push(daemon, clone, {"web.yaml": app("2", approve=code)}, "Revert the revert")
        assert gate_of(daemon, "web") == gate
        clone.push({"web.yaml": app("2", approve=gate.continue_)})
        await daemon.synced("web")
        assert await value(daemon, "web") == "2"


async def test_rule_4b_an_approval_of_another_environment_opens_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)

    def files(stage: str = "", live: str = "") -> dict[str, str | None]:
        return {
            f"{name}.yaml": config_map_app("web", "1", gate=True, namespace=name, annotations={GATE: line} if line else None)
            for name, line in (("stage", stage), ("live", live))
        }

    clone.push(files())
    async with running(clone) as daemon:
        await daemon.waiting("web", "stage")
        await daemon.waiting("web", "live")
        code = gate_of(daemon, "web", "stage").continue_
        assert code != gate_of(daemon, "web", "live").continue_
        clone.push(files(stage=code, live=code), "Copy the approval of stage to live")
        await daemon.synced("web", namespace="stage")
        await daemon.looked()
        assert gate_of(daemon, "web", "live").continue_ != code
        assert "StaleCode" in daemon.conditions("web", "live")["DecisionIgnored"]


async def test_rule_4c_an_approval_opens_its_gate_once(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": canary_app("web", "1")})
        await daemon.waiting("web")
        code = gate_of(daemon, "web").continue_
        await push(daemon, clone, {"web.yaml": canary_app("web", "1", annotations={GATE: f"end@{gate_of(daemon, 'web').end[4:]}"})})
        assert phases(daemon, "web") == ["web-v1-1 Terminated"]
        await push(daemon, clone, {"web.yaml": canary_app("web", "2")})
        await push(
            daemon,
            clone,
            {"web.yaml": canary_app("web", "1", annotations={GATE: code})},
            "The same digest again, with the approval of the run that ended",
        )
        assert phases(daemon, "web")[-1] == "web-v1-2 Waiting"
        assert [decision.verb for run in runs(daemon, "web") for decision in run.decisions] == ["end"]


async def test_rule_4b_continue_without_a_code_never_counts_and_the_condition_prints_the_line_that_would(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app("1", approve="continue")})
    async with running(clone) as daemon:
        await daemon.waiting("web")
        await push(daemon, clone, {"README.md": "nothing of ours"})
        gate = gate_of(daemon, "web")
        assert daemon.conditions("web")["DecisionIgnored"].startswith("CodeNeeded: ")
        assert f'{gate.key}: "{gate.continue_}"' in daemon.conditions("web")["DecisionIgnored"]
        clone.push({"web.yaml": app("1", approve=gate.continue_)})
        await daemon.synced("web")
        assert "DecisionIgnored" not in daemon.conditions("web")


@pytest.mark.parametrize("verb", ["rollback", "end"])
async def test_rule_4b_a_decision_without_a_code_counts_only_if_it_did_not_stand_there_before_the_run(tmp_path: Path, verb: str) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await started(daemon, clone)
        await push(daemon, clone, {"web.yaml": app("2", approve=verb)})
        gate = gate_of(daemon, "web")
        assert gate.revision == "web-v2"
        assert daemon.conditions("web")["DecisionIgnored"].startswith("Spent: ")
        await push(daemon, clone, {"web.yaml": app("2")}, "Take it away")
        await push(daemon, clone, {"web.yaml": app("2", approve=verb)}, "Bring it back")
        assert gate_of(daemon, "web") == gate
        clone.push({"web.yaml": app("3")})
        await daemon.waiting("web", revision="web-v3")
        await push(daemon, clone, {"web.yaml": app("3", approve=verb)}, "New this time")
        assert runs(daemon, "web")[-2 if verb == "rollback" else -1].decisions[0].verb == verb


async def test_rule_4c_rollback_beats_end_beats_continue_in_one_list(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await started(daemon, clone)
        for number, (verbs, winner) in enumerate([(("continue", "end"), "end"), (("continue", "end", "rollback"), "rollback")], 2):
            clone.push({"web.yaml": app(str(number))})
            gate = (await daemon.waiting("web", revision=f"web-v{number}")).gate
            assert gate is not None
            lines = {"continue": gate.continue_, "end": gate.end, "rollback": gate.rollback}
            await push(daemon, clone, {"web.yaml": app(str(number), approve=", ".join(lines[verb] for verb in verbs))})
            run = next(run for run in runs(daemon, "web") if run.name == f"web-v{number}-1")
            assert [decision.verb for decision in run.decisions] == [winner]
            assert await value(daemon, "web") == "1"


async def test_rule_4c_end_leaves_the_canary(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": canary_app("web", "1")})
        clone.push({"web.yaml": canary_app("web", "1", annotations={GATE: (await daemon.waiting("web")).gate.continue_})})  # type: ignore[union-attr]
        await daemon.synced("web")
        clone.push({"web.yaml": canary_app("web", "2")})
        await daemon.waiting("web", revision="web-v2")
        await push(daemon, clone, {"web.yaml": canary_app("web", "2", annotations={GATE: "end"})})
        assert phases(daemon, "web")[-1] == "web-v2-1 Terminated"
        assert (await value(daemon, "web-canary"), await value(daemon, "web-rest")) == ("2", "1")
        status = daemon.status("web")
        assert status is not None
        assert status.sync == "OutOfSync"
        assert status.running is not None
        assert status.running.revision == "web-v1"


async def test_rule_4c_who_decided_when_and_in_which_commit_stays_on_the_run(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": app("1")})
        await daemon.waiting("web")
        line = gate_of(daemon, "web").continue_
        approval = clone.commit({"web.yaml": app("1", approve=line)}, "Approve for Monday")
        head = clone.push({"README.md": "and something else on top"})
        await daemon.synced("web")
        [decision] = runs(daemon, "web")[0].decisions
        assert (decision.commit, decision.head, decision.message) == (approval, head, "Approve for Monday")
        assert decision.value == f"approve={line}"


async def test_rule_4c_a_suspend_with_a_duration_opens_by_itself_after_a_look(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app("1").replace("{type: suspend, name: approve}", "{type: suspend, name: approve, properties: {duration: 300ms}}")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        [decision] = runs(daemon, "web")[0].decisions
        assert (decision.verb, decision.by) == ("continue", "timer")
        step = runs(daemon, "web")[0].step("approve")
        assert step.since is not None
        assert (decision.at - step.since).total_seconds() >= 0.3


async def test_rule_4b_a_branch_with_an_approval_that_is_merged_late_opens_nothing_and_in_time_names_its_author(tmp_path: Path) -> None:
    clone = Clone(tmp_path)

    def manifest(text: str, line: str = "") -> str:
        """The annotation stands well away from the value, so that git merges both."""
        return config_map_app("web", text, gate=True, annotations={"example.org/team": "shop", GATE: line})

    async with running(clone) as daemon:
        await started(daemon, clone)
        clone.push({"web.yaml": manifest("2")})
        line = (await daemon.waiting("web", revision="web-v2")).gate.continue_  # type: ignore[union-attr]
        clone.git("checkout", "-q", "-b", "approval")
        clone.commit({"web.yaml": manifest("2", line)}, "Approve 2")
        clone.git("checkout", "-q", "main")
        clone.push({"web.yaml": manifest("3")})
        await daemon.waiting("web", revision="web-v3")
        clone.git("merge", "-q", "--no-ff", "-m", "Merge approval", "approval")
        assert 'value: "3"' in clone.read("web.yaml")
        assert line in clone.read("web.yaml")
        await push(daemon, clone, {})
        gate = gate_of(daemon, "web")
        assert gate.revision == "web-v3"
        clone.git("checkout", "-q", "-b", "in-time")
        approval = clone.commit({"web.yaml": manifest("3", gate.continue_)}, "Approve 3")
        clone.git("checkout", "-q", "main")
        clone.git("merge", "-q", "--no-ff", "-m", "Merge in-time", "in-time")
        clone.git("push", "-q", "origin", "main")
        await daemon.synced("web")
        [decision] = runs(daemon, "web")[-1].decisions
        assert (decision.commit, decision.message) == (approval, "Approve 3")


async def test_rule_4b_an_approval_pushed_while_the_daemon_was_down_opens_the_gate_that_waited(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    state = str(tmp_path / "state.db")
    clone.push({"web.yaml": app("1")})
    async with running(clone, state) as daemon:
        gate = (await daemon.waiting("web")).gate
        assert gate is not None
    async with running(clone, state) as daemon:
        assert (await daemon.waiting("web")).gate == gate
    clone.push({"web.yaml": app("1", approve=gate.continue_)})
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        assert phases(daemon, "web") == ["web-v1-1 Succeeded"]


async def test_rule_4a_of_two_gates_that_wait_each_has_its_own_code(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    steps = "".join(f"      - {{type: suspend, name: {name}}}\n" for name in ("ops", "qa"))
    apply = "      - {type: apply-component, name: apply, properties: {component: settings}, dependsOn: [ops, qa]}\n"

    def both(**annotations: str) -> str:
        lines = {f"gates.reconciler.dev/{gate}": line for gate, line in annotations.items()}
        return config_map_app("web", "1", annotations=lines) + "  workflow:\n    mode: {steps: DAG}\n    steps:\n" + steps + apply

    clone.push({"web.yaml": both()})
    async with running(clone) as daemon:
        await daemon.until(lambda: (status := daemon.status("web")) and len(status.gates) == 2)
        ops, qa = daemon.status("web").gates  # type: ignore[union-attr]
        assert (ops.step, qa.step) == ("ops", "qa")
        await push(daemon, clone, {"web.yaml": both(ops=qa.continue_, qa=ops.continue_)}, "Mixed up")
        assert [gate.step for gate in daemon.status("web").gates] == ["ops", "qa"]  # type: ignore[union-attr]
        await push(daemon, clone, {"web.yaml": both(qa=qa.continue_)})
        assert [gate.step for gate in daemon.status("web").gates] == ["ops"]  # type: ignore[union-attr]
        clone.push({"web.yaml": both(ops=ops.continue_, qa=qa.continue_)})
        await daemon.synced("web")


async def forget(state: str, namespace: str, name: str) -> None:
    """All state of one application is lost, while no daemon runs."""
    cluster = EmbeddedCluster(state, SystemClock())
    await cluster.start()
    try:
        for kind in ("Application", "ApplicationRevision", "WorkflowRun"):
            for obj in (await cluster.list(GVK(GROUP, "v1alpha1", kind), "reconciler-system")).items:
                if obj["spec"]["application"] == name and obj["spec"]["namespace"] == namespace:
                    with suppress(NotFoundError):
                        await cluster.delete(ObjectRef.of(obj))
    finally:
        await cluster.close()


async def test_rule_3f_4b_after_state_was_lost_nothing_is_touched_until_a_continue_with_its_code(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    state = str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await started(daemon, clone)
        clone.push({"web.yaml": app("2")})
        await daemon.waiting("web", revision="web-v2")
        old = gate_of(daemon, "web").continue_
        clone.push({"web.yaml": app("2", approve=f"{old}, rollback@abcdef012345")})
        await daemon.synced("web")
        clone.push({"web.yaml": app("3", approve=f"{old}, rollback@abcdef012345")})
        await daemon.waiting("web", revision="web-v3")
    await forget(state, "default", "web")
    async with running(clone, state) as daemon:
        gate = (await daemon.waiting("web")).gate
        assert gate is not None
        assert gate.key == "gates.reconciler.dev/state-lost"
        assert gate.continue_ != old
        assert "rollback@abcdef012345" in daemon.conditions("web")["StateLost"]
        assert old not in daemon.conditions("web")["StateLost"]
        await push(daemon, clone, {"web.yaml": app("3", approve=old, **{"state-lost": "continue"})})
        assert gate_of(daemon, "web") == gate
        assert await value(daemon, "web") == "2"
        clone.push({"web.yaml": app("3", approve=old, **{"state-lost": gate.continue_})})
        await daemon.until(lambda: (status := daemon.status("web")) and status.gate and status.gate.step == "approve")
        assert await value(daemon, "web") == "2"
        clone.push({"web.yaml": app("3", approve=gate_of(daemon, "web").continue_)})
        await daemon.synced("web")
        assert await value(daemon, "web") == "3"
        assert "StateLost" not in daemon.conditions("web")

"""Workflows of the step flow (seed 004), from a push to their end: what succeeds, what is undone, and how they leave git again."""

import asyncio
from pathlib import Path

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.engine.heal import Healer
from reconciler.model.identity import GVK, AppKey, ObjectRef
from reconciler.model.names import STATE_KINDS
from reconciler.simulation.clock import VirtualClock
from tests.integration.flows import SEED, config_map, ended, left, steps, workflow
from tests.integration.harness import Clone, Daemon, running, virtual
from tests.integration.removals import PRUNE, code_of, is_there
from tests.integration.sequences import phases, push, runs


@virtual
async def test_the_seeds_example_runs_from_a_push_to_its_end(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"example.yaml": SEED})
        await ended(daemon, "example")
        run = runs(daemon, "example")[0]
        assert run.finished_at is not None
        assert run.started_at is not None
        assert run.phase.value in ("Succeeded", "RolledBack")
        first, second, third = run.steps
        assert (second.started_at or run.finished_at) >= (first.finished_at or first.started_at)
        assert third.started_at == first.started_at, "a step without dependOns begins at once"
        assert (run.finished_at - run.started_at).total_seconds() >= 20
        assert daemon.status("example").run.family["phase"] in ("Success", "RollBacked")


@virtual
async def test_a_step_that_fails_for_good_has_what_was_done_undone_and_its_digest_is_held(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = workflow(f"one: apply {config_map('one')}", f"two after one: apply {config_map('two')}", "three after two: fail {message: broken}")
    async with running(clone) as daemon:
        before = await push(daemon, clone, {"flow.yaml": text})
        assert await ended(daemon, "flow") == ["flow-v1-1 RolledBack"]
        assert steps(daemon, "flow") == {"one": "RolledBack", "two": "RolledBack", "three": "Failed"}
        assert not await is_there(daemon, "one")
        assert not await is_there(daemon, "two")
        await push(daemon, clone, {"other.yaml": "# nothing\n"})
        assert phases(daemon, "flow") == ["flow-v1-1 RolledBack"], "rule 6c: what failed is not tried again by itself"
        clone.pull()
        assert clone.git("log", "--format=%H", before) in clone.git("log", "--format=%H"), "nothing is committed"
        assert daemon.status("flow").run.family == {
            "phase": "RollBacked",
            "stepPhases": {"one": "RollBacked", "two": "RollBacked", "three": "RollBacked"},
            "attributes": {},
            "runError": "broken",
            "rollbackError": "",
            "syncError": "",
        }
        assert (
            "step three: broken; what was done before it is undone" in daemon.conditions("flow").get("Ready", "") or daemon.status("flow").run.message
        )


@virtual
async def test_what_was_there_before_the_run_stays_when_it_is_undone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": workflow(f"one: apply {config_map('one')}")})
        await daemon.synced("flow")
        text = workflow(f"one: apply {config_map('one')}", f"two: apply {config_map('two')}", "three after one two: fail")
        await push(daemon, clone, {"flow.yaml": text})
        assert (await ended(daemon, "flow", 2))[1] == "flow-v2-1 RolledBack"
        assert await is_there(daemon, "one")
        assert not await is_there(daemon, "two")
        await push(daemon, clone, {"flow.yaml": workflow(f"one: apply {config_map('one')}")})
        assert (await ended(daemon, "flow", 3))[2] == "flow-v1-2 Succeeded", "going back runs that workflow afresh; there is no restore"
        assert runs(daemon, "flow")[2].kind == "deploy"


@virtual
async def test_a_newer_revision_has_what_was_done_undone_before_it_begins(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"flow.yaml": workflow(f"one: apply {config_map('one')}", 'two after one: sleep {seconds: "999999"}')})
        await daemon.until(lambda: runs(daemon, "flow") and steps(daemon, "flow").get("two") == "Running")
        clone.push({"flow.yaml": workflow(f"other: apply {config_map('other')}")})
        assert await ended(daemon, "flow", 2) == ["flow-v1-1 Superseded", "flow-v2-1 Succeeded"]
        first, second = runs(daemon, "flow")
        assert steps(daemon, "flow", 0) == {"one": "RolledBack", "two": "RolledBack"}
        assert first.finished_at <= second.created_at
        assert not await is_there(daemon, "one")
        assert await is_there(daemon, "other")


@virtual
async def test_a_decision_to_roll_back_undoes_the_run_and_commits_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = workflow(f"one: apply {config_map('one')}", 'two after one: sleep {seconds: "999999"}')
    async with running(clone) as daemon:
        clone.push({"flow.yaml": text})
        await daemon.until(lambda: runs(daemon, "flow") and steps(daemon, "flow").get("two") == "Running")
        decided = text.replace("{name: flow}", '{name: flow, annotations: {gates.reconciler.dev/run: "rollback"}}')
        commit = clone.push({"flow.yaml": decided})
        assert await ended(daemon, "flow") == ["flow-v1-1 RolledBack"]
        assert not await is_there(daemon, "one")
        run = runs(daemon, "flow")[0]
        assert (run.reason, run.undo_cause, run.write_back) == ("RolledBack", "decision", None)
        clone.pull()
        assert clone.git("rev-parse", "HEAD") == commit


@virtual
async def test_rule_1d_what_can_never_be_made_again_is_not_undone_without_approval(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    claim = '{manifest: "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}"}'
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": workflow(f"one: apply {claim}", "two after one: fail")})
        assert await ended(daemon, "flow") == ["flow-v1-1 RolledBack"]
        assert await is_there(daemon, "data", "PersistentVolumeClaim")
        said = await daemon.until(lambda: daemon.conditions("flow").get("PruneBlocked"), "it is blocked")
        clone.push({PRUNE: f"approved: [{code_of(said)}]\n"})
        await daemon.until(lambda: not daemon.conditions("flow").get("PruneBlocked"), "it is pruned")
        assert not await is_there(daemon, "data", "PersistentVolumeClaim")


@virtual
async def test_rule_9a_what_was_created_before_a_crash_is_undone_although_its_answer_was_never_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone, clock = Clone(tmp_path), VirtualClock(asyncio.get_running_loop())
    cluster = EmbeddedCluster(":memory:", clock, speed=1000.0)
    await cluster.start()
    apply, sent = cluster.apply, []

    async def apply_and_die(obj, *args, **kwargs):
        sent.append(obj["metadata"]["name"])
        await apply(obj, *args, **kwargs)
        await asyncio.Event().wait()

    text = workflow(f"one: apply {config_map('one')}", 'two after one: sleep {seconds: "60"}', "three after two: fail")
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "apply", apply_and_die)
        async with running(clone, cluster=cluster) as daemon:
            clone.push({"flow.yaml": text})
            await daemon.until(lambda: sent == ["one"])
            [intent] = runs(daemon, "flow")[0].steps[0].intents.values()
            assert intent.absent == intent.refs
    async with running(clone, cluster=cluster) as daemon:
        await daemon.until(lambda: runs(daemon, "flow") and steps(daemon, "flow")["two"] == "Running")
        assert await is_there(daemon, "one")
        assert await ended(daemon, "flow") == ["flow-v1-1 RolledBack"]
        assert not await is_there(daemon, "one")
    await cluster.close()


@virtual
async def test_rule_2_a_daemon_that_is_killed_anywhere_undoes_in_the_same_order_under_the_same_keys(tmp_path: Path) -> None:
    """Killed again and again, at each look while a run goes on, fails and is undone; then while its workflow is removed."""
    clone, clock = Clone(tmp_path), VirtualClock(asyncio.get_running_loop())
    cluster = EmbeddedCluster(":memory:", clock, speed=1000.0)
    await cluster.start()
    slow = 'random {result: success, sleepSeconds: "7"}'
    clone.push(
        {"flow.yaml": workflow(f"one: apply {config_map('one')}", f"two after one: {slow}", f"three after two: {slow}", "bad after three: fail")}
    )
    keys: dict[str, str] = {}

    def note(daemon: Daemon) -> None:
        for run in runs(daemon, "flow"):
            for step in run.steps:
                for path, intent in step.intents.items():
                    assert keys.setdefault(intent.key, f"{step.name} {path}") == f"{step.name} {path}"

    for _ in range(60):
        async with running(clone, cluster=cluster) as daemon:
            await asyncio.sleep(1)
            note(daemon)
            if runs(daemon, "flow") and runs(daemon, "flow")[-1].phase.final:
                done = sorted(
                    (step for step in runs(daemon, "flow")[-1].steps if step.phase.value == "RolledBack"), key=lambda step: str(step.finished_at)
                )
                break
    assert [step.name for step in done] == ["three", "two", "one"]
    assert sorted(keys.values()) == ["bad run", "one apply/object/one", "one undo/unapply", "three run", "three undo/run", "two run", "two undo/run"]
    clone.push(
        {
            "flow.yaml": workflow(f"one: apply {config_map('one')}", f"two after one: {slow}"),
            "keep.yaml": workflow("only: random {result: success}", name="keep"),
        }
    )
    async with running(clone, cluster=cluster) as daemon:
        await daemon.synced("flow")
    clone.push({"flow.yaml": None})
    for _ in range(30):
        async with running(clone, cluster=cluster) as daemon:
            await asyncio.sleep(1)
            note(daemon)
            if daemon.engine.reader.ready()[0] and not runs(daemon, "flow"):
                break
    assert sorted(key.split("/")[1] for key, what in keys.items() if what == "two undo/run") == ["flow-v1-1", "flow-v2-2"]
    async with running(clone, cluster=cluster) as daemon:
        await left(daemon, "flow")
        assert not await is_there(daemon, "one")
    await cluster.close()


@virtual
async def test_rule_1c_what_somebody_else_made_anew_under_the_name_is_not_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)

    async def leave(*_: object) -> None:
        """It would be healed, and so taken back, before it is undone."""

    monkeypatch.setattr(Healer, "heal", leave)
    async with running(clone) as daemon:
        clone.push({"flow.yaml": workflow(f"one: apply {config_map('one')}", 'two after one: sleep {seconds: "600"}', "three after two: fail")})
        await daemon.until(lambda: runs(daemon, "flow") and steps(daemon, "flow")["two"] == "Running")
        ref = ObjectRef("v1", "ConfigMap", "default", "one")
        live = await daemon.cluster.get(ref)
        strange = {**live, "metadata": {"namespace": "default", "name": "one", "labels": {"mine": "yes"}}}
        await daemon.cluster.delete(ref)
        await daemon.cluster.create(strange)
        assert await ended(daemon, "flow") == ["flow-v1-1 RolledBack"]
        assert (await daemon.get("ConfigMap", "one"))["metadata"]["labels"] == {"mine": "yes"}


@virtual
async def test_rule_1b_what_another_application_declares_by_then_is_not_undone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"flow.yaml": workflow(f"one: apply {config_map('one')}", 'two after one: sleep {seconds: "600"}', "three after two: fail")})
        await daemon.until(lambda: runs(daemon, "flow") and steps(daemon, "flow")["two"] == "Running")
        clone.push({"other.yaml": workflow(f"first: apply {config_map('one')}", name="other")})
        assert await ended(daemon, "flow") == ["flow-v1-1 RolledBack"]
        assert await is_there(daemon, "one")


@virtual
async def test_rule_12_a_secret_in_the_text_of_a_step_is_shown_nowhere_and_kept_in_secrets_alone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    secret = '{manifest: "{apiVersion: v1, kind: Secret, metadata: {name: login}, stringData: {password: hunter2-is-hidden}}"}'
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": workflow(f"one: apply {secret}")})
        status = await daemon.synced("flow")
        assert await is_there(daemon, "login", "Secret")
        reader, key = daemon.engine.reader, AppKey("default", "flow")
        told = [status, await reader.revisions(key), await reader.diff(key), await reader.history(key), daemon.sink.events]
        for kind in (GVK("", "v1", "ConfigMap"), *(GVK("reconciler.dev", "v1alpha1", kind) for kind in STATE_KINDS)):
            told += (await daemon.cluster.list(kind)).items
        assert "hunter2" not in str(told)
        assert "***" in str(await reader.revisions(key))


@virtual
async def test_undoing_that_never_ends_is_ended_by_the_line_that_the_status_prints(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = workflow(f"one: apply {config_map('one')}", "two after one: random {result: success, rollbackResult: failure}", "three after two: fail")
    text = text.replace("rollbackResult: failure}", "rollbackResult: failure}\n      retryPolicy: {rollbackRetryLimit: 0}")
    async with running(clone) as daemon:
        clone.push({"flow.yaml": text})
        await daemon.until(lambda: runs(daemon, "flow") and runs(daemon, "flow")[0].steps[1].undo_attempt > 50)
        stop = daemon.status("flow").run.stop
        assert (stop.rollback, stop.end[:4]) == ("", "end@")
        assert f'to leave the rest as it is, commit "{stop.key}: {stop.end}"' in daemon.conditions("flow")["Reconciling"]
        clone.push({"flow.yaml": text.replace("{name: flow}", f'{{name: flow, annotations: {{{stop.key}: "{stop.end}"}}}}')})
        assert await ended(daemon, "flow") == ["flow-v1-1 Terminated"]
        assert await is_there(daemon, "one")


@virtual
async def test_a_workflow_that_has_no_objects_misses_none_when_it_has_failed(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": workflow("one: random {result: success}", "two after one: fail")})
        await ended(daemon, "flow")
        assert daemon.status("flow").health == "Degraded"
        await push(daemon, clone, {"flow.yaml": workflow("one: random {result: success}")})
        assert (await daemon.synced("flow")).health == "Healthy"

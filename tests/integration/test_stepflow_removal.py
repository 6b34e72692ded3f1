"""Workflows of the step flow that leave git, or go back in it: what their steps did is undone first (rules 1b, 5b, 6c)."""

from pathlib import Path

from tests.integration.flows import config_map, ended, left, steps, workflow
from tests.integration.harness import Clone, running, virtual
from tests.integration.removals import PRUNE, code_of, is_there
from tests.integration.sequences import phases, push, runs

KEEP = {"keep.yaml": workflow("only: random {result: success}", name="keep")}


@virtual
async def test_a_workflow_that_leaves_git_is_undone_in_reverse_order_and_then_deleted(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = workflow(f"one: apply {config_map('one')}", "two after one: random {result: success}", "three after two: random {result: success}")
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": text, "keep.yaml": workflow("only: random {result: success}", name="keep")})
        await daemon.synced("flow")
        clone.push({"flow.yaml": None})
        await left(daemon, "flow")
        assert not await is_there(daemon, "one")
        told = [
            (event.fields["step"], event.fields["to"]) for event in daemon.sink.events if event.kind == "step" and event.fields["run"] == "flow-v1-2"
        ]
        undone = [step for step, to in told if to == "RolledBack"]
        assert undone == ["three", "two", "one"]
        assert any(event.kind == "run" and event.fields["kind"] == "undo" and event.fields["to"] == "Terminated" for event in daemon.sink.events)


@virtual
async def test_what_cannot_be_undone_keeps_a_removed_workflow_until_that_is_approved(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = workflow(f"one: apply {config_map('one')}", "two after one: random {result: success, rollbackResult: fatal}")
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": text, "keep.yaml": workflow("only: random {result: success}", name="keep")})
        await daemon.synced("flow")
        clone.push({"flow.yaml": None})
        said = await daemon.until(lambda: daemon.conditions("flow").get("RemovalInDoubt"), "it is kept")
        assert said.startswith("RollbackFailed: ")
        assert "step two could not be undone: it failed for good; not undone, because they come before it: one" in said
        assert await is_there(daemon, "one")
        assert daemon.status("flow").run.family["rollbackError"] == "it failed for good"
        await daemon.looked()
        assert len(runs(daemon, "flow")) == 2, "undoing it is tried once"
        clone.push({PRUNE: f"approved: [{code_of(said)}]\n"})
        await left(daemon, "flow")
        assert not await is_there(daemon, "one")


@virtual
async def test_rollback_policy_always_lets_a_removed_workflow_go_whatever_is_not_undone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = workflow("one: random {result: success, rollbackResult: fatal}", rollbackPolicy="Always")
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": text, "keep.yaml": workflow("only: random {result: success}", name="keep")})
        await daemon.synced("flow")
        clone.push({"flow.yaml": None})
        await left(daemon, "flow")


@virtual
async def test_a_workflow_that_comes_back_while_it_is_undone_begins_afresh_after_that(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = workflow('one: random {result: success, sleepSeconds: "600"}')
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": text, "keep.yaml": workflow("only: random {result: success}", name="keep")})
        await daemon.synced("flow")
        clone.push({"flow.yaml": None})
        await daemon.until(lambda: len(runs(daemon, "flow")) == 2)
        clone.push({"flow.yaml": text})
        assert await ended(daemon, "flow", 3) == ["flow-v1-1 Succeeded", "flow-v1-2 Terminated", "flow-v1-3 Succeeded"]
        assert steps(daemon, "flow", 1) == {"one": "RolledBack"}


@virtual
async def test_what_could_not_be_undone_begins_afresh_when_it_is_declared_again(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = workflow("one: random {result: success, rollbackResult: fatal}")
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": text, **KEEP})
        await daemon.synced("flow")
        clone.push({"flow.yaml": None})
        await daemon.until(lambda: daemon.conditions("flow").get("RemovalInDoubt"), "it is kept")
        await push(daemon, clone, {"flow.yaml": text})
        assert await ended(daemon, "flow", 3) == ["flow-v1-1 Succeeded", "flow-v1-2 Failed", "flow-v1-3 Succeeded"]
        assert "RemovalInDoubt" not in daemon.conditions("flow")


@virtual
async def test_going_back_to_what_runs_begins_it_afresh_where_a_newer_one_left_something(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    first = workflow("one: random {result: success}")
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": first})
        await push(daemon, clone, {"flow.yaml": workflow("one: random {result: success, rollbackResult: fatal}", "two after one: fail")})
        assert await ended(daemon, "flow", 2) == ["flow-v1-1 Succeeded", "flow-v2-1 Failed"]
        await push(daemon, clone, {"flow.yaml": first})
        assert (await ended(daemon, "flow", 3))[2] == "flow-v1-2 Succeeded"


@virtual
async def test_going_back_to_what_runs_runs_nothing_where_a_newer_one_was_undone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    first = workflow("one: random {result: success}")
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": first})
        await push(daemon, clone, {"flow.yaml": workflow("one: random {result: success}", "two after one: fail")})
        await push(daemon, clone, {"flow.yaml": first})
        await daemon.synced("flow")
        assert phases(daemon, "flow") == ["flow-v1-1 Succeeded", "flow-v2-1 RolledBack"]


@virtual
async def test_rule_3b_the_run_that_was_promoted_last_is_kept_to_be_undone_however_many_failed_since(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": workflow("one: random {result: success}"), **KEEP})
        for number in range(12):
            await push(daemon, clone, {"flow.yaml": workflow(f"one: fail {{message: try {number}}}")})
        assert len(runs(daemon, "flow")) == 11
        assert phases(daemon, "flow")[0] == "flow-v1-1 Succeeded"
        clone.push({"flow.yaml": None})
        await left(daemon, "flow")
        undone = [event.fields for event in daemon.sink.events if event.kind == "step" and event.fields["to"] == "RolledBack"]
        assert [(step["run"], step["step"]) for step in undone] == [("flow-v1-2", "one")]


@virtual
async def test_the_steps_of_an_undo_run_are_told_as_undone_and_not_once_more_as_succeeded(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"flow.yaml": workflow("one: random {result: success}", "two after one: random {result: success}"), **KEEP})
        await daemon.synced("flow")
        clone.push({"flow.yaml": None})
        await left(daemon, "flow")
        told = [
            (event.fields["step"], event.fields["from"], event.fields["to"])
            for event in daemon.sink.events
            if event.kind == "step" and event.fields["run"] == "flow-v1-2"
        ]
        assert sorted(told) == [(step, *way) for step in ("one", "two") for way in (("RollingBack", "RolledBack"), ("Succeeded", "RollingBack"))]

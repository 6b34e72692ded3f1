"""Two gates in one SREWorks workflow from end to end, a rollback that fails, and where a context is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reconciler.engine.content import part_text
from reconciler.model.command import Wish
from reconciler.model.identity import GVK, AppKey
from reconciler.workflow.contexts import put_context
from tests.integration.harness import Clone, Daemon, running
from tests.integration.sequences import gate_of, phases, push, runs
from tests.integration.test_sreworks import CONTINUE, ROLLBACK, images, partition

ORDERS = (Path(__file__).parents[2] / "examples" / "repo" / "rollout" / "orders.yaml").read_text()
SECRET = "not-for-everybody"


def orders(tag: str, **decisions: str) -> str:
    lines = "".join(f'    {key}: "{value}"\n' for key, value in decisions.items())
    return ORDERS.replace('tag: "1.27"', f'tag: "{tag}"').replace("    appId: orders\n", f"    appId: orders\n{lines}")


async def decide(daemon: Daemon, clone: Clone, tag: str, verb: str, **before: str) -> dict[str, str]:
    """Answers the gate that waits; `before`: what stands there from earlier ones."""
    gate = gate_of(daemon, "orders")
    values = {**before, gate.key: {"continue": gate.continue_, "rollback": gate.rollback, "end": gate.end}[verb]}
    await push(daemon, clone, {"orders.yaml": orders(tag, **values)})
    return values


async def promoted(daemon: Daemon, clone: Clone, tag: str) -> None:
    await daemon.waiting("orders")
    said = await decide(daemon, clone, tag, "continue")
    await daemon.until(lambda: gate_of(daemon, "orders").step == "watch-half")
    await decide(daemon, clone, tag, "continue", **said)
    await daemon.synced("orders")


async def tags(daemon: Daemon) -> list[str]:
    return await images(daemon, "orders", "default")


async def test_defect_b_10_each_of_two_gates_takes_a_decision_of_its_own_from_a_commit(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"orders.yaml": orders("1.27")})
    async with running(clone) as daemon:
        await promoted(daemon, clone, "1.27")
        await push(daemon, clone, {"orders.yaml": orders("1.28")})
        await daemon.waiting("orders", revision="orders-v2")
        first = gate_of(daemon, "orders")
        assert (first.step, first.key) == ("watch-one-pod", "gates.reconciler.dev/one-pod")
        assert await tags(daemon) == ["1.27", "1.27", "1.27", "1.28"]
        said = await decide(daemon, clone, "1.28", "continue")
        second = gate_of(daemon, "orders")
        assert (second.step, second.key) == ("watch-half", "gates.reconciler.dev/half-of-them")
        assert await tags(daemon) == ["1.27", "1.27", "1.28", "1.28"]
        pair = {CONTINUE: "true", ROLLBACK: f"false@{first.continue_.partition('@')[2]}"}
        await push(daemon, clone, {"orders.yaml": orders("1.28", **said, **pair)})
        assert gate_of(daemon, "orders").step == "watch-half", "the first gate's code opens no other"
        pair[ROLLBACK] = f"false@{second.continue_.partition('@')[2]}"
        await push(daemon, clone, {"orders.yaml": orders("1.28", **said, **pair)})
        await daemon.synced("orders")
        assert (await tags(daemon), await partition(daemon, "orders", "default")) == (["1.28"] * 4, 0)
        assert [decision.gate for decision in runs(daemon, "orders")[-1].decisions] == ["one-pod", "half-of-them"]


async def test_a_rollback_at_the_second_gate_takes_back_what_came_behind_the_first(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"orders.yaml": orders("1.27")})
    async with running(clone) as daemon:
        await promoted(daemon, clone, "1.27")
        await push(daemon, clone, {"orders.yaml": orders("1.28")})
        await daemon.waiting("orders", revision="orders-v2")
        said = await decide(daemon, clone, "1.28", "continue")
        await decide(daemon, clone, "1.28", "rollback", **said)
        await daemon.synced("orders")
        assert await tags(daemon) == ["1.27"] * 4
        undone = next(run for run in runs(daemon, "orders") if run.name == "orders-v2-1")
        assert undone.phase.value == "RolledBack"


async def test_defect_b_04_a_rollback_that_fails_says_why_in_the_run_that_asked_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    clone.push({"orders.yaml": orders("1.27")})
    async with running(clone, write_back=False) as daemon:
        await promoted(daemon, clone, "1.27")
        await push(daemon, clone, {"orders.yaml": orders("1.28")})
        await daemon.waiting("orders", revision="orders-v2")
        monkeypatch.setattr(daemon.engine._context.reach, "objection", lambda app, ref: "the operator forbids it now")
        await decide(daemon, clone, "1.28", "rollback")
        undone = next(run for run in runs(daemon, "orders") if run.name == "orders-v2-1")
        assert (undone.phase.value, undone.reason) == ("Failed", "RestoreFailed")
        assert "orders-v1-2: step first-pod:" in undone.message
        assert "the operator forbids it now" in undone.message
        assert phases(daemon, "orders")[-1] == "orders-v1-2 Failed"


async def stored(daemon: Daemon, kind: str, group: str = "") -> list[Any]:
    return (await daemon.cluster.list(GVK(group, "v1alpha1" if group else "v1", kind), "reconciler-system")).items


async def test_rule_3e_a_context_is_kept_in_an_owned_secret_and_nowhere_that_is_shown_and_is_there_after_a_restart(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = orders("1.27").replace("    steps:\n", "    initContext: {weight: 5}\n    steps:\n")
    clone.push({"orders.yaml": text})
    state = str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await daemon.waiting("orders")
        [app] = daemon.engine._context.apps.values()
        workflow = (await daemon.engine._context.contents.get(app.key, "orders-v1")).application.workflow
        given = put_context(app.runs[-1], workflow, {"token": SECRET}, daemon.engine._context.clock.now())
        app.put_run(await daemon.engine._context.store.save(app.mirror, given.run))
        [run] = await stored(daemon, "WorkflowRun", "reconciler.dev")
        assert SECRET not in str(run)
        assert all(SECRET not in str(item) for item in await stored(daemon, "Application", "reconciler.dev"))
        kept = [item for item in await stored(daemon, "Secret") if SECRET in part_text(item)]
        assert [item["metadata"]["ownerReferences"][0]["kind"] for item in kept] == ["Application"]
        assert SECRET not in str(daemon.status("orders"))
    async with running(clone, state) as daemon:
        await daemon.waiting("orders")
        [app] = daemon.engine._context.apps.values()
        assert app.runs[-1].given[0].values == {"token": SECRET}
        gate = gate_of(daemon, "orders")
        await push(daemon, clone, {"orders.yaml": text.replace("    appId: orders\n", f'    appId: orders\n    {gate.key}: "{gate.continue_}"\n')})
        [app] = daemon.engine._context.apps.values()
        run = app.runs[-1]
        assert run.snapshots[run.step("watch-one-pod").context or 0] == {"weight": 5}
        assert run.snapshots[run.step("watch-half").context or 0] == {"weight": 5, "token": SECRET}


async def order(daemon: Daemon, verb: str, step: str = "") -> str:
    wish = msgspec.convert({"verb": verb, "author": "Ada", "reason": "once more", "step": step}, Wish)
    told = await daemon.engine.commands.command(AppKey("default", "orders"), wish, 50)
    assert told is not None
    return told.result


def rounds(daemon: Daemon) -> dict[str, int]:
    return {step.key: step.round for step in runs(daemon, "orders")[-1].steps}


def family(daemon: Daemon) -> dict[str, Any]:
    status = daemon.status("orders")
    assert status is not None
    assert status.run is not None
    return status.run.family


@asynccontextmanager
async def ended_at_the_second_gate(tmp_path: Path) -> AsyncIterator[tuple[Clone, Daemon, dict[str, str]]]:
    """1.27 is promoted; of 1.28 half the pods run, and it was ended there."""
    clone = Clone(tmp_path)
    clone.push({"orders.yaml": orders("1.27")})
    async with running(clone) as daemon:
        await promoted(daemon, clone, "1.27")
        await push(daemon, clone, {"orders.yaml": orders("1.28")})
        await daemon.waiting("orders", revision="orders-v2")
        said = await decide(daemon, clone, "1.28", "continue")
        said = await decide(daemon, clone, "1.28", "end", **said)
        assert family(daemon)["workflowStatus"] == "TERMINATED"
        assert await tags(daemon) == ["1.27", "1.27", "1.28", "1.28"]
        yield clone, daemon, said


async def test_defect_b_11_retry_runs_every_task_again_and_every_gate_asks_again(tmp_path: Path) -> None:
    async with ended_at_the_second_gate(tmp_path) as (clone, daemon, said):
        assert await order(daemon, "retry") == "Done"
        await daemon.waiting("orders", revision="orders-v2")
        assert set(rounds(daemon).values()) == {1}
        assert (gate_of(daemon, "orders").step, family(daemon)["workflowStatus"]) == ("watch-one-pod", "SUSPEND")
        assert await partition(daemon, "orders", "default") == 3, "the first task ran again, with the partition that it had at first"
        both = await decide(daemon, clone, "1.28", "continue", **said)
        await decide(daemon, clone, "1.28", "continue", **both)
        await daemon.synced("orders")
        assert await tags(daemon) == ["1.28"] * 4
        assert len(phases(daemon, "orders")) == 2, "it is the same run"


async def test_defect_b_12_retry_from_a_task_leaves_what_came_before_it(tmp_path: Path) -> None:
    async with ended_at_the_second_gate(tmp_path) as (clone, daemon, said):
        before = runs(daemon, "orders")[-1].step("first-pod")
        assert await order(daemon, "retry", "watch-half") == "Done"
        await daemon.waiting("orders", revision="orders-v2")
        assert rounds(daemon) == {"first-pod": 0, "watch-one-pod": 0, "one-pod": 0, "half": 0, "watch-half": 1, "half-of-them": 1, "all": 1}
        assert runs(daemon, "orders")[-1].step("first-pod") == before
        assert [task["taskStatus"] for task in family(daemon)["tasks"]] == ["SUCCESS"] * 4 + ["WAITING_SUSPEND", "PENDING", "PENDING"]
        await decide(daemon, clone, "1.28", "continue", **said)
        await daemon.synced("orders")
        assert await tags(daemon) == ["1.28"] * 4


async def test_a_retry_of_a_run_that_goes_on_is_refused(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"orders.yaml": orders("1.27")})
    async with running(clone) as daemon:
        await daemon.waiting("orders")
        assert await order(daemon, "retry") == "Refused"
        assert set(rounds(daemon).values()) == {0}

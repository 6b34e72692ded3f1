"""Workflows of the step flow and who they call: the daemon killed meanwhile, what is undone, and seed 004 as it stands."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.notify.client import GuardedClient
from reconciler.notify.egress import Egress
from tests.integration.flows import SEED
from tests.integration.harness import Clone, running, virtual
from tests.integration.process import Process
from tests.integration.receiver import Receiver, Told, receiving
from tests.integration.sequences import runs


def flow(url: str, *steps: str) -> str:
    """A Workflow `flow` that calls that URL. `steps`: items of its list, on one line each."""
    lines = ["apiVersion: workflow.example.com/v1alpha1", "kind: Workflow", "metadata: {name: flow}", "spec:"]
    lines += [f"  callback: {{url: '{url}'}}", "  steps:", *(f"  - {step}" for step in steps)]
    return "\n".join(lines) + "\n"


def step(name: str, kind: str, after: str = "", limit: int = 0, **parameters: str) -> str:
    needs = [{"name": after, "phase": "Success"}] if after else []
    retry = {"runRetryLimit": limit, "runRetryPeriodSeconds": 0}
    return json.dumps({"name": name, "dependOns": needs, "stepTemplate": {"type": kind, "parameters": parameters, "retryPolicy": retry}})


@pytest.mark.parametrize("kill_at", [2])
async def test_rule_9b_killed_while_it_calls_back_it_tells_the_rest_and_that_one_again_under_its_key(tmp_path: Path, kill_at: int) -> None:
    clone = Clone(tmp_path)
    expected = ["flow Running", "a Success", "b Success", "flow Success"]
    async with receiving() as receiver:
        clone.push({"flow.yaml": flow(receiver.url, step("a", "random", result="success"), step("b", "random", "a", result="success"))})
        await asyncio.to_thread(_kill_at, receiver, tmp_path, clone, kill_at, asyncio.get_running_loop())
        sent = len(receiver.told)
        receiver.open.set()
        await asyncio.to_thread(_wait_for, receiver, tmp_path, clone, len(expected))
    assert sent == kill_at
    first: dict[str, Told] = {}
    for told in receiver.told:
        first.setdefault(told.key, told)
        assert told.body == first[told.key].body
    assert [told.about for told in first.values()] == expected
    assert len(receiver.told) <= len(expected) + kill_at, "what was told before the crash, and nothing else, may be told again"


def _kill_at(receiver: Receiver, folder: Path, clone: Clone, count: int, loop: asyncio.AbstractEventLoop) -> None:
    """Lets the daemon work until the receiver hangs at that request, and kills it there."""

    def answer(told: list[Told]) -> int:
        if len(told) == count:
            receiver.open.clear()
        return 200

    receiver.answer = answer
    with Process(folder, clone.origin, "--allow-egress", "127.0.0.1", "--state", folder / "state.db").ready() as process:
        process.wait_for(lambda: len(receiver.told) >= count, f"{count} requests")


def _wait_for(receiver: Receiver, folder: Path, clone: Clone, count: int) -> None:
    receiver.answers(200)
    with Process(folder, clone.origin, "--allow-egress", "127.0.0.1", "--state", folder / "state.db").ready() as process:
        process.wait_for(lambda: len(set(receiver.keys)) >= count, "all told")
        process.until("flow", lambda status: status["run"]["phase"] == "Succeeded", "the end of its run")


async def test_rule_9b_attributes_are_told_as_they_were_then_and_what_is_undone_is_told_step_by_step(tmp_path: Path) -> None:
    clone, client = Clone(tmp_path), GuardedClient(Egress(["127.0.0.1"]))
    async with receiving() as receiver, receiving() as shop:
        shop.replies = {"/orders": b'{"id": 7, "status": "open"}', "/payments": b'{"sum": 3}'}
        base = f"http://127.0.0.1:{shop.port}"
        ordered = step("order", "http", url=f"{base}/orders", body="{}", attribute="ticket", rollbackUrl=f"{base}/orders/7", rollbackMethod="DELETE")
        paid = step("pay", "http", "order", url=f"{base}/payments", attribute="receipt")
        clone.push({"flow.yaml": flow(receiver.url, ordered, paid, step("check", "fail", "pay", message="sold out"))})
        receiver.open.clear()
        async with running(clone, sender=client, rpc_seconds=60.0) as daemon:
            await daemon.until(lambda: runs(daemon, "flow") and runs(daemon, "flow")[0].phase.final, "ended")
            receiver.open.set()
            await daemon.until(lambda: all(notice.state == "Delivered" for notice in runs(daemon, "flow")[0].notices), "told")
    await client.close()
    assert receiver.about("flow") == [
        "flow Running",
        "order Success",
        "pay Success",
        "check Failed",
        "flow RollingBack",
        "pay RollBacked",
        "order RollingBack",
        "order RollBacked",
        "flow RollBacked",
    ]
    ticket: dict[str, Any] = {"ticket": {"id": 7, "status": "open"}}
    both = {**ticket, "receipt": {"sum": 3}}
    assert [told.said["attributes"] for told in receiver.told] == [{}, ticket] + [both] * (len(receiver.told) - 2)
    assert {told.about for told in receiver.told if told.said["runError"]} == {"check Failed", "flow RollingBack", "flow RollBacked"}
    assert {told.said["runError"] for told in receiver.told} == {"", "sold out"}
    assert {told.said["rollbackError"] for told in receiver.told} == {""}
    [run] = runs(daemon, "flow")
    key = f"{run.owner}/{run.name}/0"
    assert [(told.path, told.key) for told in shop.told] == [
        ("/orders", f"{key}/order/request"),
        ("/payments", f"{key}/pay/request"),
        ("/orders/7", f"{key}/order/undo/request"),
    ]


@virtual
async def test_rule_9b_the_seeds_example_ends_while_its_receiver_never_answers_and_is_dropped_after_a_day(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"flow.yaml": SEED})

    async def lookup(host: str) -> list[Any]:
        raise OSError(host)

    client = GuardedClient(Egress(), lookup=lookup)
    async with running(clone, sender=client, beat=3600.0) as daemon:
        await daemon.until(lambda: runs(daemon, "example") and runs(daemon, "example")[0].phase.final, "ended")
        owed = await daemon.until(lambda: daemon.conditions("example").get("CallbackOwed"), "owed")
        assert "no address is known for locahost:8080" in owed
        await asyncio.sleep(timedelta(hours=23).total_seconds())
        assert "CallbackOwed" in daemon.conditions("example")
        await asyncio.sleep(timedelta(hours=2).total_seconds())
        await daemon.until(lambda: {notice.state for notice in runs(daemon, "example")[0].notices} == {"Dropped"}, "dropped")
        await daemon.until(lambda: "CallbackOwed" not in daemon.conditions("example"), "owed no more")
    await client.close()

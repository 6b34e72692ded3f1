"""Rule 9b: a workflow's callback is told of every change, in order, under one key for each, and nobody waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.daemon import SystemClock
from reconciler.dialects.registry import dialects
from reconciler.model.identity import AppKey
from reconciler.model.names import REQUESTED_AT
from reconciler.steps.catalog import STEP_TYPES
from reconciler.workflow.explain import describe
from tests.integration.calling import Changed, notices, settled, telling, with_callback
from tests.integration.harness import Clone, config_map_app, running
from tests.integration.receiver import receiving
from tests.integration.sequences import canary_app, runs

ALL = ["web Running", "settings Success", "web Success"]


async def test_rule_9b_each_change_is_told_once_in_order_under_a_key_of_its_own(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", gate=True)})
    async with receiving() as receiver, telling(clone, with_callback(receiver.url)) as (daemon, _):
        status = await daemon.waiting("web")
        await daemon.until(lambda: receiver.about("web") == ["web Running"], "told while it waits at its gate")
        gate = status.gate
        assert gate is not None
        clone.push({"web.yaml": config_map_app("web", "1", gate=True, annotations={gate.key: gate.continue_})})
        await daemon.synced("web")
        await daemon.until(lambda: settled(daemon, "web"), "all told")
    assert receiver.about("web") == ["web Running", "approve Success", "apply Success", "web Success"]
    [run] = runs(daemon, "web")
    assert receiver.keys == [f"{run.owner}/{run.name}/{number}" for number in range(4)]
    assert all(
        told.said == {"name": told.said["name"], "phase": told.said["phase"], "attributes": {}, "runError": "", "rollbackError": ""}
        for told in receiver.told
    )
    assert [told.headers.get("reconciler-step", "") for told in receiver.told] == ["", "approve", "apply", ""]
    assert {(told.headers["reconciler-run"], told.headers["content-type"], told.path) for told in receiver.told} == {
        ("web-v1-1", "application/json", "/hook")
    }


async def test_rule_9b_what_was_not_taken_is_told_again_with_the_same_key_and_body_and_what_is_behind_it_waits(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with receiving() as receiver, telling(clone, with_callback(receiver.url)) as (daemon, clock):
        receiver.answers(200, 500, 503, 200)
        await daemon.synced("web")  # the run has ended, whoever was not told
        owed = await daemon.until(lambda: daemon.conditions("web").get("CallbackOwed"), "owed")
        assert owed == (
            f"NotTaken: the callback of web-v1-1 was not told: 127.0.0.1:{receiver.port} answered 500; it is told again by itself, for a day; "
            "mend the receiver, or the URL in web.yaml"
        )
        assert daemon.conditions("web")["Ready"].startswith("Succeeded")
        status = daemon.status("web")
        assert status is not None
        assert describe(status).startswith("default/web is at web-v1, but the callback of web-v1-1 was not told: ")
        assert receiver.about("web") == ALL[:2]
        for attempts in (2, 3):
            clock.ahead += 25
            await daemon.until(lambda attempts=attempts: notices(daemon, "web")[1][1] == attempts, "told again")
        await daemon.until(lambda: settled(daemon, "web") and "CallbackOwed" not in daemon.conditions("web"), "nothing owed any more")
    assert receiver.about("web") == [ALL[0], ALL[1], ALL[1], ALL[1], ALL[2]]
    assert len({(told.key, told.body) for told in receiver.told}) == len(ALL)
    results = [event.fields["result"] for event in daemon.sink.events if event.kind == "callback"]
    assert results == ["Delivered", "Failed", "Failed", "Delivered", "Delivered"]
    assert "s3cret" not in str(daemon.sink.events)


async def test_rule_9b_what_is_told_at_last_is_owed_no_more_also_while_its_run_waits(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": canary_app("web", "1")})
    async with receiving() as receiver, telling(clone, with_callback(receiver.url)) as (daemon, clock):
        receiver.answers(500, 200)
        await daemon.waiting("web")
        await daemon.until(lambda: "CallbackOwed" in daemon.conditions("web"), "owed")
        clock.ahead += 15
        await daemon.until(lambda: "CallbackOwed" not in daemon.conditions("web"), "owed no more")
        assert receiver.about("web") == ["web Running", "web Running", "first Success"]
        assert not runs(daemon, "web")[0].phase.final


@pytest.mark.parametrize("ignore", [True, False])
async def test_rule_9b_a_404_is_taken_only_where_the_workflow_says_so(tmp_path: Path, *, ignore: bool) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with receiving() as receiver, telling(clone, with_callback(receiver.url, ignore=ignore)) as (daemon, _):
        receiver.answers(404)
        await daemon.synced("web")
        if ignore:
            await daemon.until(lambda: settled(daemon, "web"), "told")
            assert receiver.about("web") == ALL
        else:
            await daemon.until(lambda: "answered 404" in daemon.conditions("web").get("CallbackOwed", ""), "owed")
            assert receiver.about("web") == ALL[:1]


async def test_rule_9b_a_receiver_that_hangs_delays_neither_a_run_nor_another_receiver(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    names = [f"stuck{number}" for number in range(12)]
    clone.push({f"{name}.yaml": config_map_app(name, "1") for name in [*names, "web"]})
    async with receiving() as hanging, receiving() as receiver:
        hanging.open.clear()
        async with telling(clone, with_callback(hanging.url, web=receiver.url), rpc_seconds=60.0) as (daemon, _):
            for name in [*names, "web"]:
                await daemon.synced(name)
            await daemon.until(lambda: settled(daemon, "web"), "told")
            assert receiver.about("web") == ALL
            await daemon.until(lambda: len(hanging.told) == 4, "so many at once to one receiver, and no more")
            assert daemon.engine.delay() == 0.0
            for name in names:
                mirror = await daemon.get("Application", f"default.{name}", "reconciler-system", "reconciler.dev/v1alpha1")
                assert mirror["status"]["sync"] == "Synced"
            hanging.open.set()
            await daemon.until(lambda: all(settled(daemon, name) for name in names), "all told")
    assert len(hanging.told) == len(set(hanging.keys)) == len(names) * len(ALL)


async def test_rule_9b_what_was_sent_and_not_noted_is_sent_again_after_a_restart_and_what_was_stored_is_not(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    cluster = EmbeddedCluster(":memory:", SystemClock(), speed=1000.0)
    await cluster.start()
    async with receiving() as receiver:
        receiver.open.clear()
        change = with_callback(receiver.url)
        async with telling(clone, change, cluster=cluster, rpc_seconds=60.0) as (daemon, _):
            await daemon.synced("web")
            await daemon.until(lambda: receiver.told, "sent")
        receiver.open.set()
        async with telling(clone, change, cluster=cluster) as (daemon, _):
            await daemon.until(lambda: settled(daemon, "web"), "all told")
            await daemon.until(lambda: not any(app.called for app in daemon.engine._context.apps.values()), "stored")
        assert receiver.about("web") == [ALL[0], *ALL]
        assert (receiver.told[0].key, receiver.told[0].body) == (receiver.told[1].key, receiver.told[1].body)
        async with telling(clone, change, cluster=cluster) as (daemon, _):
            await daemon.synced("web")
            await daemon.looked()
        assert len(receiver.told) == len(ALL) + 1
    await cluster.close()


async def test_rule_9b_what_was_told_is_not_told_again_when_state_is_read_anew(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", gate=True)})
    async with receiving() as receiver, telling(clone, with_callback(receiver.url)) as (daemon, _):
        await daemon.waiting("web")
        await daemon.until(lambda: notices(daemon, "web") == [("Owed", 0)] and receiver.told, "told, and not stored")
        before = daemon.engine._context.apps[AppKey("default", "web")]
        mirror = await daemon.get("Application", "default.web", "reconciler-system", "reconciler.dev/v1alpha1")
        mirror["metadata"]["annotations"] = {REQUESTED_AT: "now"}
        await daemon.cluster.replace(mirror)
        await daemon.until(lambda: daemon.engine._context.apps[AppKey("default", "web")] is not before, "read anew")
        await daemon.looked()
        await daemon.looked()
        assert receiver.about("web") == ["web Running"]


async def test_rule_9b_telling_costs_one_write_more_for_each_run_and_another_one_where_it_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    counts = []
    async with receiving() as receiver:
        for statuses in ((), (200,), (200, 500, 500, 500, 500, 200)):
            cluster = EmbeddedCluster(":memory:", SystemClock(), speed=1000.0)
            await cluster.start()
            written: list[str] = []
            replace = cluster.replace

            async def count(obj, *args, replace=replace, written=written, **kwargs):
                written.append(obj["kind"])
                return await replace(obj, *args, **kwargs)

            monkeypatch.setattr(cluster, "replace", count)
            receiver.answers(*statuses or (200,))
            change = with_callback(receiver.url) if statuses else lambda app: app
            async with telling(clone, change, cluster=cluster) as (daemon, clock):
                await daemon.synced("web")
                for attempts in range(1, len(statuses) - 1):
                    await daemon.until(lambda attempts=attempts: notices(daemon, "web")[1][1] == attempts, "tried")
                    await daemon.looked()
                    clock.ahead += 600
                await daemon.until(lambda: settled(daemon, "web"), "told")
                await daemon.looked()
            counts.append(written.count("WorkflowRun"))
            await cluster.close()
    assert counts[1] <= counts[0] + 1
    assert counts[2] <= counts[0] + 2


async def test_rule_9b_after_a_day_it_is_dropped_and_what_is_behind_it_is_still_told(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with receiving() as receiver, telling(clone, with_callback(receiver.url)) as (daemon, clock):
        receiver.answer = lambda told: 500 if told[-1].about == ALL[0] else 200
        await daemon.synced("web")
        await daemon.until(lambda: notices(daemon, "web")[0][1], "tried")
        clock.ahead += 24 * 3600 - 60
        await daemon.until(lambda: notices(daemon, "web")[0][1] > 1, "tried again")
        assert notices(daemon, "web")[0][0] == "Owed"
        clock.ahead += 120
        await daemon.until(lambda: settled(daemon, "web") and "CallbackOwed" not in daemon.conditions("web"), "dropped")
        assert [state for state, _ in notices(daemon, "web")] == ["Dropped", "Delivered", "Delivered"]
    assert receiver.about("web") == [ALL[0]] * (len(receiver.told) - 2) + ALL[1:]


async def test_rule_9b_a_run_that_owes_is_kept_with_its_revision_until_it_is_told(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "0")})
    async with receiving() as receiver, telling(clone, with_callback(receiver.url)) as (daemon, clock):
        receiver.answer = lambda told: 500 if told[-1].headers["reconciler-run"] == "web-v1-1" else 200
        await daemon.synced("web")
        for number in range(1, 13):
            await daemon.synced("web", clone.push({"web.yaml": config_map_app("web", str(number))}))
        assert [run.name for run in runs(daemon, "web")][:2] == ["web-v1-1", "web-v4-1"]
        assert "web-v1" in [record.name for record in daemon.engine._context.apps[AppKey("default", "web")].records]
        receiver.answers(200)
        clock.ahead += 1200
        await daemon.until(lambda: settled(daemon, "web"), "told")
        await daemon.synced("web", clone.push({"web.yaml": config_map_app("web", "last")}))
        assert "web-v1-1" not in [run.name for run in runs(daemon, "web")]


async def test_rule_9b_a_removed_application_goes_once_its_callback_knows_all(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1"), "other.yaml": config_map_app("other", "1")})
    async with receiving() as receiver, telling(clone, with_callback(receiver.url)) as (daemon, clock):
        receiver.answers(500)
        await daemon.synced("web")
        clone.push({"web.yaml": None})
        await daemon.until(lambda: "Reconciling" in daemon.conditions("web"), "going")
        await daemon.looked()
        assert daemon.status("web") is not None
        app = daemon.engine._context.apps[AppKey("default", "web")]
        await daemon.until(lambda: not app.items, "its objects are gone")
        receiver.answers(200)
        clock.ahead += 20
        await daemon.until(lambda: daemon.status("web") is None, "gone")
    assert receiver.about("web")[-2:] == ALL[1:]


async def test_rule_13b_a_receiver_that_is_not_opened_is_not_asked_and_the_condition_names_the_flag(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with receiving() as receiver, telling(clone, with_callback(receiver.url), "localhost") as (daemon, _):
        await daemon.synced("web")
        owed = await daemon.until(lambda: daemon.conditions("web").get("CallbackOwed"), "owed")
        assert owed.startswith(f"EgressRefused: the callback of web-v1-1 was not told: 127.0.0.1:{receiver.port} is a loopback address")
        status = daemon.status("web")
        assert status is not None
        assert [item.help for item in status.conditions if item.type == "CallbackOwed"] == [f"--allow-egress 127.0.0.1:{receiver.port}"]
        assert receiver.told == []


async def test_a_run_whose_callback_is_told_while_git_cannot_be_read(tmp_path: Path) -> None:
    """State is enough to go on with what is owed."""
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    cluster = EmbeddedCluster(":memory:", SystemClock(), speed=1000.0)
    await cluster.start()
    async with receiving() as receiver:
        receiver.answers(500)
        change = with_callback(receiver.url)
        async with telling(clone, change, cluster=cluster) as (daemon, _):
            await daemon.synced("web")
            await daemon.until(lambda: notices(daemon, "web")[0][1], "tried")
        receiver.answers(200)
        (clone.origin / "HEAD").rename(clone.origin / "HEAD.away")
        (clone.origin / "refs" / "heads" / "main").rename(tmp_path / "main")
        (clone.origin / "HEAD.away").rename(clone.origin / "HEAD")
        async with telling(clone, change, cluster=cluster) as (daemon, clock):
            clock.ahead += 20
            await daemon.until(lambda: settled(daemon, "web"), "told")
    assert receiver.about("web") == [ALL[0], *ALL]
    await cluster.close()


async def test_an_engine_without_a_way_out_ends_its_runs_and_tells_nobody(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1"), "other.yaml": config_map_app("other", "1")})
    broken: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    async with receiving() as receiver:
        families = [Changed(dialect, with_callback(receiver.url)) for dialect in dialects(STEP_TYPES)]
        async with running(clone, families=families) as daemon:
            await daemon.synced("web")
            await daemon.looked()
            assert "CallbackOwed" not in daemon.conditions("web")
            clone.push({"web.yaml": None})
            await daemon.until(lambda: daemon.status("web") is None, "gone")
        assert (receiver.told, broken) == ([], [])

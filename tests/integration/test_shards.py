"""Daemons that share the applications of one repository by a label: each acts for its own, and what moves is handed over whole."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from reconciler.cluster.protocol import WatchEvent
from reconciler.model.clock import Clock
from reconciler.model.command import Wish
from reconciler.model.identity import AppKey
from reconciler.model.names import SHARD
from reconciler.observe.metrics import Metrics
from reconciler.simulation.clock import VirtualClock
from tests.integration.harness import Clone, config_map_app, virtual
from tests.integration.replicas import replicas, until
from tests.integration.sharding import engine_of, live, mirror, push, runs, shard, uid, wrote

GATE = "gates.reconciler.dev/approve"


@virtual
async def test_two_shards_of_one_repository_act_for_their_own_applications_alone_and_show_all(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1"), "api.yaml": config_map_app("api", "1", shard="b")})
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: all(runs(one, "web-v1") and runs(one, "api-v1", "api") for one in (plain, other)), "both show both")
        await push(clone, plain, other, web=config_map_app("web", "2"), api=config_map_app("api", "2", shard="b"))
        await until(lambda: all(runs(one, "web-v2") and runs(one, "api-v2", "api") for one in (plain, other)), "both follow")
        assert {what.partition("/")[2].partition("-")[0] for what in wrote(found, "r1")} == {"default.web", "web"}
        assert {what.partition("/")[2].partition("-")[0] for what in wrote(found, "r2")} == {"default.api", "api"}
        assert (shard(plain), shard(plain, "api")) == ("", "b")
        assert (await mirror(found, "api"))["metadata"]["labels"] == {SHARD: "b"}
        assert not (await mirror(found, "web"))["metadata"].get("labels")
        assert (plain.lead.leads, other.lead.leads) == (True, True), "each shard has a Lease of its own"


@virtual
async def test_what_a_daemon_makes_is_not_read_again_where_the_watch_tells_of_it_before_the_answer_comes(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({})
    async with replicas(clone) as found:
        plain = await found.start(shard="")
        await until(lambda: plain.leads, "acts")
        await asyncio.sleep(5)
        arrived: list[AppKey] = []
        engine_of(plain)._neighbours._arrive = arrived.append  # type: ignore[method-assign]
        plain.line.lag = 0.5
        await push(clone, plain, web=config_map_app("web", "1"), api=config_map_app("api", "1"))
        await until(lambda: runs(plain, "web-v1") and runs(plain, "api-v1", "api"), "both run")
        assert arrived == []
        assert engine_of(plain)._context.contents.misses == 0


@virtual
async def test_what_a_daemon_makes_is_not_read_again_where_a_list_shows_it_before_the_answer_comes(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({})
    async with replicas(clone) as found:
        plain = await found.start(shard="")
        await until(lambda: plain.leads, "acts")
        neighbours, arrived = engine_of(plain)._neighbours, list[AppKey]()
        neighbours._arrive = arrived.append  # type: ignore[method-assign]
        plain.line.lag = 0.5
        await push(clone, plain, web=config_map_app("web", "1"))
        await until(lambda: wrote(found, "r1") == {"Application/default.web"}, "its mirror is there")
        assert AppKey("default", "web") not in engine_of(plain)._context.apps, "and the answer is under way"
        await neighbours._list("Application")
        await until(lambda: runs(plain, "web-v1"), "it runs")
        assert arrived == []


@virtual
async def test_one_that_was_made_for_this_daemon_by_another_is_read(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        plain = await found.start(shard="")
        await until(lambda: runs(plain, "web-v1"), "acts")
        neighbours, key = engine_of(plain)._neighbours, AppKey("default", "web")
        engine_of(plain)._memory.forget(key)
        arrived: list[AppKey] = []
        neighbours._arrive = arrived.append  # type: ignore[method-assign]
        neighbours._take("Application", WatchEvent("ADDED", await mirror(found, "web")))
        assert arrived == [key]


@virtual
async def test_what_a_look_has_compiled_is_held_only_until_this_daemon_has_made_a_revision_of_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1"), "api.yaml": config_map_app("api", "1", shard="b")})
    async with replicas(clone) as found:
        both = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: all(runs(one, "web-v1") and runs(one, "api-v1", "api") for one in both), "both show both")
        held = [engine_of(one)._context.compiled for one in both]
        assert held == [{}, {}]
        await push(clone, *both, web="# A comment.\n" + config_map_app("web", "1"), api=config_map_app("api", "2", shard="b"))
        await until(lambda: all(runs(one, "api-v2", "api") for one in both), "both follow")
        assert held == [{}, {}]


@virtual
async def test_who_has_the_cluster_to_itself_follows_no_runs_and_revisions_until_there_is_a_neighbour(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        plain = await found.start(shard="")
        taken: list[str] = []
        follow = engine_of(plain)._neighbours._follow

        async def noted(kind: str) -> None:
            taken.append(kind)
            await follow(kind)

        engine_of(plain)._neighbours._follow = noted  # type: ignore[method-assign]
        await until(lambda: runs(plain, "web-v1"), "applied")
        await asyncio.sleep(5)
        assert taken == ["Application"]
        other = await found.start(shard="b")
        await push(clone, plain, other, api=config_map_app("api", "1", shard="b"))
        await until(lambda: runs(plain, "api-v1", "api"), "it shows what the neighbour runs")
        assert sorted(taken) == ["Application", "ApplicationRevision", "WorkflowRun"]


@virtual
async def test_an_application_that_moves_is_handed_over_with_its_mirror_revisions_and_runs_and_nothing_is_deleted_or_run_again(
    tmp_path: Path,
) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1"), "api.yaml": config_map_app("api", "1", shard="b")})
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: runs(other, "web-v1") and runs(plain, "api-v1", "api"), "both show both")
        before, kept = uid(found, "web"), (await mirror(found, "web"))["metadata"]["uid"]
        begun = len(found.writes)
        await push(clone, other, plain, web=config_map_app("web", "1", shard="b"))
        await until(lambda: shard(plain) == "b" and shard(other) == "b", "it is the other one's")
        await asyncio.sleep(60)
        written = {(who, method, kind) for who, method, kind, *_ in found.writes[begun:] if kind not in ("Lease", "ConfigMap")}
        assert written <= {("r1", "replace", "Application"), ("r2", "replace_status", "Application")}
        assert [run.name for run in engine_of(other)._context.apps[AppKey("default", "web")].runs] == ["web-v1-1"]
        await push(clone, other, plain, web=config_map_app("web", "2", shard="b"))
        await until(lambda: runs(other, "web-v2") and runs(plain, "web-v2"), "it goes on there, seen by both")
        assert uid(found, "web") == before
        assert (await mirror(found, "web"))["metadata"]["uid"] == kept
        assert "r1" not in {who for who, _, kind, name, _ in found.writes[begun:] if (kind, name) == ("ConfigMap", "web")}
        await push(clone, other, plain, web=config_map_app("web", "2"))
        await until(lambda: shard(plain) == "", "and back again")
        await push(clone, plain, web=config_map_app("web", "3"))
        await until(lambda: runs(plain, "web-v3"), "with all that it had")
        assert "delete" not in {method for _, method, kind, *_ in found.writes if kind == "ConfigMap"}


@virtual
async def test_one_that_moves_while_it_waits_at_a_gate_waits_there_under_the_same_code(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", gate=True)})
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        status = await plain.daemon.waiting("web")
        await until(lambda: other.leads, "the other one acts")
        await push(clone, plain, other, web=config_map_app("web", "1", gate=True, shard="b"))
        await until(lambda: shard(plain) == "b", "handed over")
        opened = config_map_app("web", "1", gate=True, shard="b", annotations={GATE: status.gate.continue_})
        await push(clone, plain, other, web=opened)
        await until(lambda: runs(other, "web-v1"), "opened under the other one")
        assert [run.name for run in engine_of(other)._context.apps[status.key].runs] == ["web-v1-1"]
        assert {who for who, _, kind, name, _ in found.writes if (kind, name) == ("ConfigMap", "web")} == {"r2"}


@virtual
async def test_nothing_moves_to_a_shard_for_which_nobody_acts_and_it_says_so(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        plain = await found.start(shard="")
        await until(lambda: runs(plain, "web-v1"), "applied")
        await push(clone, plain, web=config_map_app("web", "2", shard="typo"), new=config_map_app("new", "1", shard="typo"))
        await until(lambda: runs(plain, "web-v2"), "it goes on here")
        said = plain.daemon.conditions("web")["ShardUnled"]
        assert "Lease reconciler-typo" in said
        assert "label in web.yaml" in said
        await until(plain.daemon.engine.reader.problems, "it is a problem, too")
        [problem] = plain.daemon.engine.reader.problems()
        assert (problem["path"], problem["severity"]) == ("new.yaml", "error")
        assert "nobody acts for shard typo (Lease reconciler-typo), of 2 in all" in problem["message"]
        assert live(found, "new") is None, "nobody begins with what is not his"
        await push(clone, plain, web=config_map_app("web", "3"), new=None)
        await until(lambda: runs(plain, "web-v3") and "ShardUnled" not in plain.daemon.conditions("web"), "mended")
        await until(lambda: not plain.daemon.engine.reader.problems(), "mended")


@virtual
async def test_nothing_moves_to_a_shard_whose_daemon_died_until_one_acts_again(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: runs(plain, "web-v1") and other.leads, "applied")
        await other.kill()
        await asyncio.sleep(60)
        await push(clone, plain, web=config_map_app("web", "2", shard="b"))
        await until(lambda: runs(plain, "web-v2") and "ShardUnled" in plain.daemon.conditions("web"), "it goes on here")
        await asyncio.sleep(120)
        assert shard(plain) == ""
        again = await found.start(shard="b")
        await until(lambda: shard(plain) == "b" and runs(again, "web-v2"), "handed over")
        assert "ShardUnled" not in again.daemon.conditions("web")


@virtual
async def test_what_moves_is_read_anew_whatever_a_watch_has_told(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({})
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: plain.lead.leads and other.lead.leads, "both act")
        await asyncio.sleep(5)
        engine_of(other)._neighbours._take_other = lambda kind, event: None  # type: ignore[method-assign]
        await push(clone, plain, other, web=config_map_app("web", "1"))
        await until(lambda: runs(plain, "web-v1"), "applied")
        await push(clone, plain, other, web=config_map_app("web", "1", shard="b"))
        await until(lambda: runs(other, "web-v1") and shard(other) == "b", "moved")
        app = engine_of(other)._context.apps[AppKey("default", "web")]
        assert ([run.name for run in app.runs], [record.name for record in app.records]) == (["web-v1-1"], ["web-v1"])


@virtual
async def test_copies_of_the_repository_that_are_far_apart_make_no_two_daemons_act_at_once(tmp_path: Path) -> None:
    """The one that is to have it knows of it first: it waits until who acts hands it over."""
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: runs(other, "web-v1") and other.leads, "applied, and seen")
        thread, free = engine_of(plain)._context.thread, asyncio.Event()
        call = thread.call

        async def late(work: Any) -> Any:
            await free.wait()
            return await call(work)

        thread.call = late  # type: ignore[method-assign]  # its copy is behind
        begun = len(found.writes)
        await push(clone, other, plain, web=config_map_app("web", "2", shard="b"))
        await asyncio.sleep(300)
        assert {who for who, _, kind, *_ in found.writes[begun:] if kind != "Lease"} <= {"r2"}
        assert not {kind for who, _, kind, what, _ in found.writes[begun:] if who == "r2" and kind != "Lease" and not what.startswith("reconciler-s")}
        free.set()
        await until(lambda: runs(other, "web-v2"), "handed over, and then run")
        assert {who for who, _, kind, name, _ in found.writes[begun:] if (kind, name) == ("ConfigMap", "web")} == {"r2"}


@virtual
async def test_one_that_moves_while_its_daemon_is_down_waits_for_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: runs(other, "web-v1") and other.leads, "applied, and seen")
        await plain.kill()
        await push(clone, other, web=config_map_app("web", "2", shard="b"))
        await asyncio.sleep(300)
        assert str((live(found, "web") or {})["data"]["value"]) == "1"
        again = await found.start(shard="")
        await until(lambda: runs(other, "web-v2") and runs(again, "web-v2"), "handed over")
        assert {who for who, _, kind, name, _ in found.writes if (kind, name) == ("ConfigMap", "web")} == {"r1", "r2"}


@virtual
async def test_metrics_of_an_application_come_from_who_acts_for_it_alone(tmp_path: Path) -> None:
    clock: Clock = VirtualClock(asyncio.get_running_loop())
    first, second = Metrics(clock.now), Metrics(clock.now)
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1"), "api.yaml": config_map_app("api", "1", shard="b"), "bad.yaml": "kind: [\n"})

    def told(metrics: Metrics, *names: str) -> list[str]:
        lines = metrics.render().decode().splitlines()
        return [line for line in lines if line.startswith(names)]

    async with replicas(clone) as found:
        plain, other = await found.start(shard="", sinks=(first,)), await found.start(shard="b", sinks=(second,))
        await until(lambda: runs(plain, "api-v1", "api") and runs(other, "web-v1"), "applied")
        assert [len(told(metrics, "reconciler_application_info")) for metrics in (first, second)] == [1, 1]
        assert told(first, "reconciler_applications ", "reconciler_problems ") == ["reconciler_applications 1.0", "reconciler_problems 1.0"]
        assert told(second, "reconciler_applications ", "reconciler_problems ") == ["reconciler_applications 1.0", "reconciler_problems 0.0"]
        await push(clone, plain, other, web=config_map_app("web", "1", shard="b"))
        await until(lambda: len(told(second, "reconciler_application_info")) == 2, "it came")
        assert told(first, "reconciler_application_info") == []


@virtual
async def test_rule_7c_the_commit_of_a_rollback_leaves_the_label_as_it_stands(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: runs(other, "web-v1") and other.leads, "applied, and seen")
        await push(clone, plain, other, web=config_map_app("web", "2", gate=True, shard="b"))
        await other.daemon.waiting("web", revision="web-v2")
        await push(clone, plain, other, web=config_map_app("web", "2", gate=True, shard="b", annotations={GATE: "rollback"}))

        def written_back() -> bool:
            clone.pull()
            return 'value: "1"' in clone.read("web.yaml")

        await until(written_back, "git says so")
        assert "reconciler.dev/shard: b" in clone.read("web.yaml")
        await asyncio.sleep(60)
        assert shard(plain) == "b"


@virtual
async def test_an_order_for_an_application_that_went_to_another_daemon_is_refused_and_not_kept(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", shard="b")})
    async with replicas(clone) as found:
        plain, other = await found.start(shard=""), await found.start(shard="b")
        await until(lambda: runs(plain, "web-v1"), "seen")
        wish = Wish("suspend", "Ada <ada@example.org>", "why")
        answer = await engine_of(plain).commands.command(AppKey("default", "web"), wish, 30)
        assert answer is not None
        assert (answer.result, "went to another daemon" in answer.message) == ("Refused", True)
        assert engine_of(plain).reader.leader().shard == ""
        assert not other.daemon.conditions("web").get("Suspended")


@virtual
async def test_replicas_of_one_shard_hand_over_among_themselves_and_miss_no_move(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        plain = await found.start(shard="")
        first, second = await found.start(shard="b"), await found.start(shard="b")
        await until(lambda: runs(second, "web-v1") and first.leads, "seen by all")
        await push(clone, plain, first, second, web=config_map_app("web", "1", shard="b"))
        await until(lambda: shard(second) == "b" and shard(first) == "b", "moved")
        await first.kill()
        await push(clone, plain, second, web=config_map_app("web", "2", shard="b"))
        await until(lambda: runs(second, "web-v2") and second.leads and plain.lead.leads, "the other replica goes on with it")
        assert {who for who, _, kind, name, _ in found.writes if (kind, name) == ("ConfigMap", "web")} == {"r1", "r3"}

"""What a delivery leaves in the metrics: every count comes from what really happened."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reconciler.daemon import SystemClock
from reconciler.engine.queue import KeyQueue
from reconciler.observe.metrics import Metrics
from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.sequences import GATE, gate_of, push, replace_data


def counted(daemon: Daemon) -> dict[tuple[str, ...], float]:
    """The value of each series that has one: by name, then label values in the order of the labels' names."""
    metrics = Metrics(SystemClock().now)
    for event in daemon.sink.events:
        metrics.emit(event)
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            name = sample.name.removeprefix("reconciler_").removesuffix("_total")
            found[name, *(word for _, word in sorted(sample.labels.items()))] = sample.value
    assert found["events_dropped",] == 0
    return {key: value for key, value in found.items() if value}


def of(found: dict[tuple[str, ...], float], name: str) -> dict[tuple[str, ...], float]:
    return {key[1:]: value for key, value in found.items() if key[0] == name}


async def test_a_promotion_and_a_rollback_are_counted_by_kind_outcome_and_who_decided(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True)})
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True, annotations={GATE: gate_of(daemon, "web").continue_})})
        await push(daemon, clone, {"web.yaml": config_map_app("web", "2", gate=True)})
        await push(daemon, clone, {"web.yaml": config_map_app("web", "3", gate=True)})
        await push(daemon, clone, {"web.yaml": config_map_app("web", "3", gate=True, annotations={GATE: gate_of(daemon, "web").rollback})})
        await daemon.until(lambda: [event for event in daemon.sink.events if event.kind == "write-back"], "the commit landed")
        found = counted(daemon)
    assert of(found, "runs") == {("deploy", "Succeeded"): 1, ("deploy", "Superseded"): 1, ("deploy", "RolledBack"): 1, ("restore", "Succeeded"): 1}
    assert of(found, "decisions") == {("commit", "continue"): 1, ("commit", "rollback"): 1}
    assert of(found, "rejections") == {(): 1}
    assert of(found, "write_backs") == {("Landed",): 1}
    assert of(found, "effects") == {("apply", "ok"): 2, ("write-back", "ok"): 1}
    assert of(found, "applies") == {("created",): 1, ("unchanged",): 1}


async def test_a_timer_is_told_apart_from_a_commit(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    timed = config_map_app("web", "1", gate=True).replace("name: approve}", 'name: approve, properties: {duration: "1s"}}')
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": timed})
        await daemon.synced("web")
        assert of(counted(daemon), "decisions") == {("timer", "continue"): 1}


async def test_a_commit_that_git_refuses_is_counted_by_its_reason(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone, write_back=False) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
        await push(daemon, clone, {"web.yaml": config_map_app("web", "2", gate=True)})
        await push(daemon, clone, {"web.yaml": config_map_app("web", "2", gate=True, annotations={GATE: gate_of(daemon, "web").rollback})})
        await daemon.until(lambda: "GitDiffers" in daemon.conditions("web"), "git differs")
        found = counted(daemon)
    assert of(found, "write_backs") == {("WriteBackOff",): 1}
    assert of(found, "effects")["write-back", "WriteBackOff"] == 1


async def test_objects_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    refused = config_map_app("secrets", "1").replace("{name: secrets}", "{name: secrets, namespace: kube-system}")
    stolen = config_map_app("thief", "1").replace("metadata: {name: thief}", "metadata: {name: web}")
    broken = config_map_app("broken", "1").replace('data: {value: "1"}', "data: [1]")
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
        await push(daemon, clone, {"web.yaml": config_map_app("web", "2")})
        await push(daemon, clone, {"secrets.yaml": refused, "thief.yaml": stolen, "broken.yaml": broken})
        found = counted(daemon)
    # What may not be there at all is told where it is read, and is never begun.
    assert of(found, "applies") == {("created",): 1, ("changed",): 1, ("refused",): 1, ("conflict",): 1}
    assert of(found, "effects") == {("apply", "ok"): 2, ("apply", "OwnedByOther"): 1, ("apply", "Invalid"): 1}


async def test_healed_drift_and_what_is_deleted_are_counted_and_the_series_of_what_is_removed_go(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1"), "api.yaml": config_map_app("api", "1")})
        await daemon.synced("web")
        await replace_data(daemon, "web", {"value": "by hand"})
        await daemon.until(lambda: [event for event in daemon.sink.events if event.kind == "drift-healed"], "healed")
        assert of(counted(daemon), "application_info")
        await push(daemon, clone, {"web.yaml": None})
        await daemon.until(lambda: daemon.status("web") is None, "removed")
        found = counted(daemon)
    assert found["drift_healed",] == 1
    assert found["applies", "changed"] == 1
    assert of(found, "effects") == {("apply", "ok"): 2, ("delete", "ok"): 1}
    assert [key for key in found if "web" in key] == []
    assert [key for key in found if "api" in key]


async def test_a_look_that_finds_nothing_new_says_that_git_is_reachable(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
        before = len(daemon.sink.events)
        await daemon.looked()
        await daemon.until(lambda: any(event.kind == "look-same" for event in daemon.sink.events[before:]), "a look without news")
        found = counted(daemon)
        assert found["look_seconds_count",] == found["parse_seconds_count",]
        assert found["git_fetch_seconds_count",] == found["looks", "ok"] > found["look_seconds_count",]
        assert found["last_look_timestamp_seconds",]


async def test_a_loop_that_stands_still_is_told_from_one_that_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = property(lambda queue: queue._clock.monotonic() - 500, lambda queue, value: None)
    monkeypatch.setattr(KeyQueue, "heartbeat", stuck, raising=False)
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone, beat=0.02) as daemon:

        def ages() -> dict[str, float]:
            return {event.fields["loop"]: event.fields["age"] for event in daemon.sink.events if event.kind == "heartbeat"}

        await daemon.until(lambda: ages().keys() >= {"queue", "watch"}, "beats of both loops")
        assert ages()["queue"] >= 500
        assert ages()["watch"] < 500


async def test_the_contents_that_are_read_again_are_told_from_those_at_hand(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, state, beat=0.02) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True)})
        await daemon.until(lambda: of(counted(daemon), "cache_lookups"), "lookups told")
        assert ("contents", "miss") not in of(counted(daemon), "cache_lookups"), "what was just made is at hand"
    async with running(clone, state, beat=0.02) as daemon:
        await daemon.waiting("web")
        await daemon.until(lambda: of(counted(daemon), "cache_lookups").get(("contents", "miss")) == 1, "read once after a restart")

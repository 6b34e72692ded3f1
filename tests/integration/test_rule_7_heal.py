"""Rule 7g: drift goes back to what was last applied, by whichever run."""

import asyncio
from pathlib import Path

import pytest

from reconciler.cluster.protocol import ForbiddenError
from reconciler.model.identity import AppKey, ObjectRef
from tests.integration.harness import Clone, Daemon, config_map_app, running, virtual
from tests.integration.recorded import recorded
from tests.integration.sequences import GATE, canary_app, gate_of, phases, push, replace_data, value


async def healed(daemon: Daemon, name: str, expected: str) -> None:
    """Waits until the ConfigMap is there and holds that value."""

    def there() -> bool:
        seen = [event for event in daemon.sink.events if event.kind == "drift-healed" and event.fields["object"] == f"ConfigMap default/{name}"]
        return bool(seen)

    await daemon.until(there, f"{name} healed")
    assert await value(daemon, name) == expected


async def test_rule_7g_an_edited_object_goes_back_to_what_was_applied(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await replace_data(daemon, "web", {"value": "by hand"})
        await healed(daemon, "web", "1")
        assert phases(daemon, "web") == ["web-v1-1 Succeeded"], "healing is no run"


async def test_rule_7g_a_deleted_object_comes_back(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.cluster.delete(ObjectRef("v1", "ConfigMap", "default", "web"))
        await healed(daemon, "web", "1")


async def test_rule_7g_a_fight_that_is_over_is_told_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.engine.heal._FIRST", 0.0)
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        for hand in range(4):
            await replace_data(daemon, "web", {"value": f"by hand {hand}"})
            await daemon.until(lambda: daemon.idle() and len([item for item in daemon.sink.events if item.kind == "drift-healed"]) > hand)  # noqa: B023
        assert daemon.conditions("web")["DriftFought"].startswith("Fought: ")
        monkeypatch.setattr("reconciler.engine.heal._CALM", 0.0)
        await replace_data(daemon, "web", {"value": "1", "note": "theirs"})
        await daemon.engine.reader.reconcile(AppKey("default", "web"), 20)
        await daemon.engine.reader.reconcile(AppKey("default", "web"), 20)
        assert "DriftFought" not in daemon.conditions("web")


async def test_rule_7g_a_field_that_somebody_else_adds_is_not_drift(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await replace_data(daemon, "web", {"value": "1", "note": "theirs"})
        await daemon.looked()
        await daemon.looked()
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "1", "note": "theirs"}
        assert not [event for event in daemon.sink.events if event.kind == "drift-healed"]


async def test_rule_7g_a_canary_at_its_gate_is_healed_to_the_canary_and_not_away(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": canary_app("web", "1")})
        await daemon.waiting("web")
        clone.push({"web.yaml": canary_app("web", "1", annotations={GATE: gate_of(daemon, "web").continue_})})
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": canary_app("web", "2")})
        gate = gate_of(daemon, "web")
        assert (await value(daemon, "web-canary"), await value(daemon, "web-rest")) == ("2", "1")
        await replace_data(daemon, "web-canary", {"value": "by hand"})
        await daemon.cluster.delete(ObjectRef("v1", "ConfigMap", "default", "web-rest"))
        await healed(daemon, "web-canary", "2")
        await healed(daemon, "web-rest", "1")
        assert gate_of(daemon, "web") == gate


async def test_rule_7g_after_a_rollback_objects_are_healed_to_the_target(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    state = str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        clone.push({"web.yaml": canary_app("web", "1")})
        await daemon.waiting("web")
        clone.push({"web.yaml": canary_app("web", "1", annotations={GATE: gate_of(daemon, "web").continue_})})
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": canary_app("web", "2")})
        clone.push({"web.yaml": canary_app("web", "2", annotations={GATE: "rollback"})})
        await daemon.synced("web")
        assert await value(daemon, "web-canary") == "1"
        await daemon.looked()
        assert await value(daemon, "web-canary") == "1", "the rollback is not taken for drift"
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await replace_data(daemon, "web-canary", {"value": "by hand"})
        await healed(daemon, "web-canary", "1")


async def test_rule_7g_6a_a_suspended_application_is_not_healed_until_the_suspension_ends(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": config_map_app("web", "1")})
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", annotations={"reconciler.dev/suspend": "I am looking at it"})})
        await replace_data(daemon, "web", {"value": "by hand"})
        await daemon.looked()
        await daemon.looked()
        assert await value(daemon, "web") == "by hand"
        clone.push({"web.yaml": config_map_app("web", "1")})
        await healed(daemon, "web", "1")


async def test_rule_7g_drift_while_the_daemon_was_down_is_healed_at_its_start(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    state = str(tmp_path / "state.db")
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await daemon.looked()
        daemon.engine._context.observations._on_change = lambda _uid: None  # as if it were down
        await replace_data(daemon, "web", {"value": "by hand"})
        assert await value(daemon, "web") == "by hand"
    async with running(clone, state) as daemon:
        await healed(daemon, "web", "1")


async def fight(daemon: Daemon, name: str, manager: str, times: int) -> None:
    """Somebody changes it again each time that it was healed."""
    for hand in range(times):
        live = await daemon.get("ConfigMap", name)
        before = len([event for event in daemon.sink.events if event.kind == "drift-healed"])
        await daemon.cluster.replace({**live, "data": {**live["data"], "value": f"by hand {hand}"}}, manager=manager)
        await daemon.until(lambda: len([item for item in daemon.sink.events if item.kind == "drift-healed"]) > before)  # noqa: B023


@virtual
async def test_rule_7g_a_fight_names_the_field_and_who_has_it_and_grows_slower_for_that_object_alone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": canary_app("web", "1", gate="{type: print-message-in-status, name: none, properties: {message: hello}}")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        loop = asyncio.get_running_loop()
        start = loop.time()
        await fight(daemon, "web-canary", "scaler", 8)
        assert loop.time() - start > 60, "the pauses double"
        said = daemon.conditions("web")["DriftFought"]
        assert "ConfigMap default/web-canary (.data.value by 'scaler')" in said
        events = [event.fields["by"] for event in daemon.sink.events if event.kind == "drift-healed"]
        assert (events[0], events[-1]) == ("", ".data.value by 'scaler'")
        await replace_data(daemon, "web-canary", {"value": "again"})
        await replace_data(daemon, "web-rest", {"value": "by hand"})
        start = loop.time()
        await healed(daemon, "web-rest", "1")
        assert loop.time() - start < 10, "it waits for no other"
        assert await value(daemon, "web-canary") == "again"


@virtual
async def test_rule_7g_a_field_that_somebody_takes_away_and_an_object_that_somebody_deletes_are_told_as_that(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await fight(daemon, "web", "scaler", 1)
        await replace_data(daemon, "web", {})
        await daemon.until(lambda: [item for item in daemon.sink.events if item.fields.get("by") == ".data.value taken away"])
        await daemon.cluster.delete(ObjectRef("v1", "ConfigMap", "default", "web"))
        await daemon.until(lambda: [item for item in daemon.sink.events if item.fields.get("by") == "deleted"])


@virtual
async def test_rule_7g_what_cannot_be_healed_says_so_until_it_can_and_is_tried_ever_more_rarely(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with recorded() as cluster, running(clone, cluster=cluster) as daemon:
        await daemon.synced("web")
        cluster.refuse = lambda verb, _: ForbiddenError("may not patch it") if verb == "apply" else None
        await replace_data(daemon, "web", {"value": "by hand"})
        await daemon.until(lambda: "may not patch it" in daemon.conditions("web").get("DriftFought", ""))
        before = cluster.of("apply")
        await asyncio.sleep(600)
        assert 5 < len(cluster.of("apply")) - len(before) < 15
        assert daemon.conditions("web")["DriftFought"].startswith("HealFailed: ")
        cluster.refuse = None
        await healed(daemon, "web", "1")

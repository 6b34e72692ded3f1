"""KubeVela's shared-resource through the whole engine: one object of several applications."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.identity import AppKey, ObjectRef
from tests.integration.harness import Clone, Daemon, running
from tests.integration.policies import application, component, config_map, healed, message, places, selecting, settled
from tests.integration.sequences import phases, replace_data, value

OTHERS = {f"{name}.yaml": application(name, [component(name, config_map(name, "1"))], []) for name in ("x", "y")}


def sharing(name: str, text: str, *, shared: bool = True) -> str:
    own = component(name, config_map(name, "own"))
    return application(name, [component("common", config_map("common", text)), own], [selecting("shared-resource", "common")] if shared else [])


async def owner(daemon: Daemon) -> str:
    labels = (await daemon.get("ConfigMap", "common"))["metadata"]["labels"]
    return str(labels["reconciler.dev/application"])


async def both(daemon: Daemon, clone: Clone) -> None:
    """`a` writes it, `b` came second."""
    clone.push({"a.yaml": sharing("a", "of a"), **OTHERS})
    await daemon.synced("a")
    clone.push({"b.yaml": sharing("b", "of b")})
    await daemon.synced("b")


async def test_rule_1e_who_comes_second_shares_what_the_first_one_writes(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await both(daemon, clone)
        assert (await value(daemon, "common"), await owner(daemon)) == ("of a", "a")
        await replace_data(daemon, "common", {"value": "by hand"})
        await daemon.until(lambda: healed(daemon))
        await settled(daemon)
        assert (await value(daemon, "common"), await owner(daemon), healed(daemon)) == ("of a", "a", 1)


@pytest.mark.parametrize("leaves", [None, application("a", [component("a", config_map("a", "own"))], [])])
async def test_rule_1b_when_the_first_one_leaves_the_second_writes_it_and_the_last_deletes_it(tmp_path: Path, leaves: str | None) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await both(daemon, clone)
    async with running(clone, state) as daemon:
        await daemon.synced("b")
        uid = (await daemon.get("ConfigMap", "common"))["metadata"]["uid"]
        clone.push({"a.yaml": leaves})
        app = daemon.engine._context.apps[AppKey("default", "b")]
        await daemon.until(lambda: any(item.shared and item.fields for item in app.items.values()))
        assert (await value(daemon, "common"), await owner(daemon)) == ("of b", "b")
        assert (await daemon.get("ConfigMap", "common"))["metadata"]["uid"] == uid
        clone.push({"b.yaml": None})
        await daemon.until(lambda: daemon.status("b") is None)
        assert await places(daemon, "common") == []


async def test_rule_1b_who_came_second_leaves_it_to_the_first(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await both(daemon, clone)
        clone.push({"b.yaml": None})
        await daemon.until(lambda: daemon.status("b") is None)
        assert (await value(daemon, "common"), await owner(daemon)) == ("of a", "a")


async def test_rule_1b_an_object_whose_applications_all_leave_at_once_is_deleted(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await both(daemon, clone)
        clone.push({"a.yaml": None, "b.yaml": None})
        await daemon.until(lambda: daemon.status("a") is None and daemon.status("b") is None)
        assert await places(daemon, "common") == []


@pytest.mark.parametrize("who", ["a", "b"])
async def test_rule_1e_an_object_that_only_one_of_them_shares_is_an_error(tmp_path: Path, who: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"a.yaml": sharing("a", "of a", shared=who == "a"), **OTHERS})
    async with running(clone) as daemon:
        await daemon.synced("a")
        clone.push({"b.yaml": sharing("b", "of b", shared=who == "b")})
        await daemon.until(lambda: phases(daemon, "b") == ["b-v1-1 Failed"])
        assert "is declared by default/a too" in message(daemon, "b")
        assert await value(daemon, "common") == "of a"


async def test_rule_7g_a_shared_object_that_is_deleted_comes_back(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await both(daemon, clone)
        await daemon.cluster.delete(ObjectRef("v1", "ConfigMap", "default", "common"))
        await daemon.until(lambda: healed(daemon))
        await settled(daemon)
        assert await places(daemon, "common") == ["default"]

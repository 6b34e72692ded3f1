"""KubeVela's apply-once through the whole engine: what may drift."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.identity import ObjectRef
from tests.integration.harness import Clone, Daemon, running
from tests.integration.policies import Spec, application, component, config_map, healed, places, policy, settled
from tests.integration.sequences import replace_data


def letting(path: str, affect: str) -> Spec:
    rules = [{"selector": {"componentNames": ["web"]}, "strategy": {"path": [path], "affect": affect}}]
    return policy("once", "apply-once", enable=True, rules=rules)


def pair(one: str, two: str) -> Spec:
    return component("web", {**config_map("web", ""), "data": {"one": one, "two": two}})


async def data(daemon: Daemon, name: str = "web") -> Spec:
    found: Spec = (await daemon.get("ConfigMap", name))["data"]
    return found


ONCE = policy("once", "apply-once", enable=True)


@pytest.mark.parametrize(
    ("rule", "kept_by_healing", "kept_by_an_update"),
    [
        (ONCE, "by hand", "new"),
        (letting("data.one", "always"), "by hand", "by hand"),
        (letting("data.one", "onStateKeep"), "by hand", "new"),
        (letting("data.one", "onUpdate"), "old", "old"),
        (letting("*", "always"), "by hand", "by hand"),
        (letting("*", "onStateKeep"), "by hand", "new"),
    ],
)
async def test_rule_7g_what_may_drift_is_not_healed_and_an_update_leaves_it_where_it_is_to(
    tmp_path: Path, rule: Spec, kept_by_healing: str, kept_by_an_update: str
) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [pair("old", "1")], [rule])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await replace_data(daemon, "web", {"one": "by hand", "two": "1"})
        if kept_by_healing == "by hand":
            await settled(daemon)
            assert healed(daemon) == 0
        else:
            await daemon.until(lambda: healed(daemon))
        assert (await data(daemon))["one"] == kept_by_healing
        await daemon.synced("web", clone.push({"web.yaml": application("web", [pair("new", "2")], [rule])}))
        found = await data(daemon)
        assert found["one"] == kept_by_an_update
        whole = "*" in str(rule) and kept_by_an_update == "by hand"
        assert found["two"] == ("1" if whole else "2")


async def test_rule_7g_drift_beside_what_may_drift_is_healed_and_the_rest_stays(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    clone.push({"web.yaml": application("web", [pair("old", "1")], [letting("data.one", "always")])})
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await replace_data(daemon, "web", {"one": "by hand", "two": "by hand"})
        await daemon.until(lambda: healed(daemon))
        assert await data(daemon) == {"one": "by hand", "two": "1"}
        await replace_data(daemon, "web", {"one": "again", "two": "1"})
        await settled(daemon)
        assert healed(daemon) == 1
        before = (await daemon.get("ConfigMap", "web"))["metadata"]["resourceVersion"]
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await settled(daemon)
        assert (healed(daemon), await data(daemon)) == (0, {"one": "again", "two": "1"})
        assert (await daemon.get("ConfigMap", "web"))["metadata"]["resourceVersion"] == before, "what may drift is not written"
        assert "DriftFought" not in daemon.conditions("web")


@pytest.mark.parametrize(("rule", "comes_back"), [(ONCE, False), (letting("*", "always"), False), (letting("data.one", "always"), True)])
async def test_rule_7g_a_deleted_object_comes_back_unless_all_of_it_may_drift(tmp_path: Path, rule: Spec, comes_back: bool) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [pair("old", "1")], [rule])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.cluster.delete(ObjectRef("v1", "ConfigMap", "default", "web"))
        await (daemon.until(lambda: healed(daemon)) if comes_back else settled(daemon))
        assert await places(daemon, "web") == (["default"] if comes_back else [])
        if not comes_back:
            await daemon.synced("web", clone.push({"web.yaml": application("web", [pair("new", "1")], [rule])}))
            assert await data(daemon) == {"one": "new", "two": "1"}

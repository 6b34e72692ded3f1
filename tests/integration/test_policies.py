"""KubeVela's topology and override through the whole engine."""

from __future__ import annotations

from pathlib import Path

from reconciler.model.access import Access
from tests.integration.harness import Clone, running
from tests.integration.policies import BLUE, GREEN, WEB, application, config_map, places, policy
from tests.integration.sequences import push, value


async def test_a_component_goes_to_each_namespace_of_the_topologies_with_its_override(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    two = policy("two", "override", components=[{"name": "web", "properties": {"objects": [config_map("web", "2")]}}])
    clone.push({"web.yaml": application("web", [WEB], [BLUE, GREEN, two], ["blue"], ["two", "green"])})
    async with running(clone) as daemon:
        status = await daemon.synced("web")
        assert await places(daemon, "web") == ["blue", "green"]
        assert (await value(daemon, "web", "blue"), await value(daemon, "web", "green")) == ("1", "2")
        assert (status.namespace, status.health) == ("default", "Healthy")


async def test_rule_1b_a_namespace_that_leaves_the_topologies_is_pruned_and_the_other_is_not_touched(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [WEB], [BLUE, GREEN], ["blue", "green"])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        before = (await daemon.get("ConfigMap", "web", "green"))["metadata"]["resourceVersion"]
        commit = clone.push({"web.yaml": application("web", [WEB], [GREEN], ["green"])})
        await daemon.synced("web", commit)
        await daemon.looked()
        assert await places(daemon, "web") == ["green"]
        assert (await daemon.get("ConfigMap", "web", "green"))["metadata"]["resourceVersion"] == before


async def test_rule_1b_a_move_by_topology_keeps_the_old_place_until_the_new_one_is_healthy(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [WEB], [BLUE], ["blue"])})
    async with running(clone, create_namespaces="none") as daemon:
        await daemon.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "blue"}})
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": application("web", [WEB], [GREEN], ["green"])})
        assert "NamespaceMissing" in daemon.conditions("web")
        assert await places(daemon, "web") == ["blue"]


async def test_rule_13a_each_namespace_of_a_topology_is_held_against_what_the_operator_allows(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [WEB], [BLUE, GREEN], ["blue", "green"])})
    async with running(clone, rules=(Access(path=".", namespaces=["default", "blue"]),)) as daemon:
        [problem] = await daemon.until(daemon.engine.reader.problems)
        assert "may not use namespace green" in problem["message"]
        assert problem["path"] == "web.yaml"
        assert problem["field"].startswith("spec.policies[")
        assert daemon.status("web") is None
        assert await places(daemon, "web") == []


async def test_rule_5a_a_changed_override_is_a_new_revision(tmp_path: Path) -> None:
    clone = Clone(tmp_path)

    def patched(data: str) -> str:
        patch = {"name": "web", "properties": {"objects": [config_map("web", data)]}}
        return application("web", [WEB], [policy("o", "override", components=[patch])])

    clone.push({"web.yaml": patched("2")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        commit = clone.push({"web.yaml": patched("3")})
        status = await daemon.synced("web", commit)
        assert status.running is not None
        assert status.running.revision == "web-v2"
        assert await value(daemon, "web") == "3"

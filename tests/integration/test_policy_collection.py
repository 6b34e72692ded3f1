"""KubeVela's garbage-collect through the whole engine: what is pruned, kept and released."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import Clone, running
from tests.integration.policies import CLAIM, NEW, OLD, WEB, Spec, application, component, config_map, places, policy, released
from tests.integration.sequences import push, replace_data, value


def collect(**properties: Any) -> Spec:
    return policy("gc", "garbage-collect", **properties)


def keeping(strategy: str, name: str = "old") -> Spec:
    return collect(rules=[{"selector": {"componentNames": [name]}, "strategy": strategy}])


@pytest.mark.parametrize("rules", [keeping("never"), collect(keepLegacyResource=True)])
async def test_rule_1b_what_a_policy_keeps_is_released_instead_of_pruned_and_can_be_had_back(tmp_path: Path, rules: Spec) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [OLD, NEW], [rules])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        commit = clone.push({"web.yaml": application("web", [NEW], [rules])})
        await daemon.synced("web", commit)
        meta = (await released(daemon, "old"))["metadata"]
        assert not [name for name in meta.get("labels") or {} if name.startswith("reconciler.dev/")]
        assert meta["annotations"] == {"reconciler.dev/released-from": "default/web"}
        await replace_data(daemon, "old", {"value": "by hand"})
        await daemon.looked()
        assert await value(daemon, "old") == "by hand", "it is not healed any more"
        commit = clone.push({"web.yaml": application("web", [OLD, NEW], [rules])})
        await daemon.synced("web", commit)
        assert await value(daemon, "old") == "1"


async def test_rule_1b_on_app_delete_an_object_stays_and_is_healed_until_the_application_goes(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [OLD, NEW], [keeping("onAppDelete")]), "other.yaml": application("other", [WEB], [])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        for components in ([NEW], [NEW, component("third", config_map("third", "1"))]):  # the second revision knows of no such rule
            await daemon.synced("web", clone.push({"web.yaml": application("web", components, [])}))
        await replace_data(daemon, "old", {"value": "by hand"})
        await daemon.until(lambda: [event for event in daemon.sink.events if event.kind == "drift-healed"])
        assert await value(daemon, "old") == "1"
        clone.push({"web.yaml": None})
        await daemon.until(lambda: daemon.status("web") is None)
        assert await places(daemon, "old") == await places(daemon, "new") == []


async def test_rule_1b_never_holds_when_the_application_leaves_git_and_over_a_restart(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    clone.push({"web.yaml": application("web", [OLD, NEW], [keeping("never")]), "other.yaml": application("other", [WEB], [])})
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await daemon.synced("other")
    clone.push({"web.yaml": None})
    async with running(clone, state) as daemon:
        await daemon.until(lambda: daemon.status("other") and daemon.status("web") is None)
        assert await places(daemon, "new") == []
        assert (await daemon.get("ConfigMap", "old"))["metadata"]["annotations"] == {"reconciler.dev/released-from": "default/web"}
    clone.push({"web.yaml": application("web", [OLD], [])})
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        assert "StateLost" not in daemon.conditions("web")


async def test_rule_1b_a_rule_that_comes_with_the_drop_counts_and_one_that_goes_with_it_too(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    rules = collect(rules=[{"selector": {"componentTypes": ["k8s-objects"], "resourceNames": ["old"]}, "strategy": "never"}])
    third = component("third", config_map("third", "1"))
    clone.push({"web.yaml": application("web", [OLD, NEW, third], [keeping("never", "third")])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.synced("web", clone.push({"web.yaml": application("web", [NEW], [rules])}))
        await released(daemon, "old")
        await released(daemon, "third")


async def test_rule_7a_a_rollback_has_back_what_was_released(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    gated = json.loads(application("web", [OLD, NEW], [keeping("never")]))
    gated["spec"]["workflow"] = {"steps": [{"type": "deploy"}]}
    clone.push({"web.yaml": json.dumps(gated)})
    async with running(clone) as daemon:
        await daemon.synced("web")
        dropped = {**gated, "spec": {**gated["spec"], "components": [NEW]}}
        await daemon.synced("web", clone.push({"web.yaml": json.dumps(dropped)}))
        await released(daemon, "old")
        status = await daemon.synced("web", clone.push({"web.yaml": json.dumps(gated)}))
        assert status.run is not None
        assert (status.run.kind, status.run.revision) == ("restore", "web-v1")
        assert (await daemon.get("ConfigMap", "old"))["metadata"]["labels"]["reconciler.dev/application"] == "web"


@pytest.mark.parametrize("strategy", ["never", "onAppUpdate"])
async def test_rule_1d_what_is_released_needs_no_approval_and_what_is_pruned_does(tmp_path: Path, strategy: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [NEW, component("old", CLAIM)], [keeping(strategy)])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": application("web", [NEW], [])})
        await daemon.synced("web")
        await daemon.looked()
        assert ("PruneBlocked" in daemon.conditions("web")) == (strategy == "onAppUpdate")
        labels = (await daemon.get("PersistentVolumeClaim", "data"))["metadata"].get("labels") or {}
        assert ("reconciler.dev/application" in labels) == (strategy == "onAppUpdate")


@pytest.mark.parametrize("propagation", ["orphan", "cascading"])
async def test_what_belongs_to_an_object_stays_where_it_is_to_be_orphaned(tmp_path: Path, propagation: str) -> None:
    clone = Clone(tmp_path)
    jobs = {"name": "jobs", "type": "worker", "properties": {"image": "busybox"}}
    rules = collect(rules=[{"selector": {"resourceTypes": ["Deployment"]}, "propagation": propagation}])
    clone.push({"web.yaml": application("web", [NEW, jobs], [rules])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.synced("web", clone.push({"web.yaml": application("web", [NEW], [])}))
        await daemon.looked()
        expected = ["free"] if propagation == "orphan" else []
        for _ in range(500):
            left = await daemon.engine.reader.objects("replicaset", "default", "")
            found = ["owned" if item["metadata"].get("ownerReferences") else "free" for item in left]
            if found == expected:
                break
            await asyncio.sleep(0.01)
        assert found == expected
        assert await daemon.engine.reader.objects("deployment", "default", "jobs") == []

"""Objects that `kubectl apply` made or changed: its fields become ours, others' stay theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.model.names import FIELD_MANAGER
from tests.integration.harness import Clone, Daemon, running
from tests.integration.policies import application, component, config_map, healed, policy, settled

REF = ObjectRef("v1", "ConfigMap", "default", "web")
LAST = "kubectl.kubernetes.io/last-applied-configuration"
TAKE = policy("mine", "take-over", rules=[{"selector": {"componentNames": ["web"]}}])
WEB = application("web", [component("web", config_map("web", "1"))], [TAKE])


def managers(obj: JsonObject) -> set[tuple[str, str]]:
    return {(entry["manager"], entry["operation"]) for entry in obj["metadata"]["managedFields"]}


def made(**data: str) -> dict[str, Any]:
    annotations = {LAST: '{"data":{"old":"1"}}'}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "default", "annotations": annotations}, "data": data}


async def change(daemon: Daemon, manager: str, **data: str) -> None:
    live = await daemon.cluster.get(REF)
    await daemon.cluster.replace({**live, "data": {**live["data"], **data}}, manager=manager)


async def test_what_kubectl_apply_left_goes_and_what_others_have_stays(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": WEB})
    async with running(clone) as daemon:
        await daemon.cluster.create(made(value="1", old="1"), manager="kubectl-client-side-apply")
        await change(daemon, "kubectl-edit", edited="by hand")
        await daemon.cluster.apply({**made(more="1"), "metadata": {"name": "web", "namespace": "default"}}, "team")
        await daemon.synced("web")
        live = await daemon.cluster.get(REF)
        assert live["data"] == {"value": "1", "edited": "by hand", "more": "1"}
        assert LAST not in live["metadata"]["annotations"], "it may hold anything, and nobody keeps it true any more"
        assert managers(live) == {(FIELD_MANAGER, "Apply"), ("kubectl-edit", "Update"), ("team", "Apply")}
        await daemon.synced("web", clone.push({"web.yaml": WEB.replace('"data": {"value": "1"}', '"data": {"other": "2"}')}))
        assert "value" not in (await daemon.cluster.get(REF))["data"], "nobody else holds on to it"


async def test_what_kubectl_apply_writes_into_an_object_of_ours_is_put_back_with_all_that_it_added(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": WEB})
    async with running(clone) as daemon:
        await daemon.synced("web")
        applied = {**made(value="2", added="2"), "metadata": {"name": "web", "namespace": "default"}}
        await daemon.cluster.apply(applied, "kubectl", force=True)
        await daemon.until(lambda: healed(daemon))
        live = await daemon.cluster.get(REF)
        assert live["data"] == {"value": "1"}
        assert managers(live) == {(FIELD_MANAGER, "Apply")}
        await settled(daemon)
        assert healed(daemon) == 1


@pytest.mark.parametrize("names", [frozenset[str](), frozenset({"else"})])
async def test_who_is_not_named_keeps_what_is_theirs(tmp_path: Path, names: frozenset[str]) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": WEB})
    async with running(clone, take_over_from=names) as daemon:
        await daemon.cluster.create(made(value="1", old="1"), manager="kubectl-client-side-apply")
        await daemon.synced("web")
        assert (await daemon.cluster.get(REF))["data"] == {"value": "1", "old": "1"}


async def test_without_the_policy_nothing_is_touched(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [component("web", config_map("web", "1"))], [])})
    async with running(clone) as daemon:
        before = await daemon.cluster.create(made(old="1"), manager="kubectl-client-side-apply")
        await daemon.until(lambda: "NotOurs" in str(daemon.status("web")))
        assert await daemon.cluster.get(REF) == before

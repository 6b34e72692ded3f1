"""KubeVela's policies of whose an object is, through the whole engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.identity import ObjectRef
from tests.integration.harness import Clone, running
from tests.integration.policies import NEW, OLD, WEB, Spec, application, component, config_map, message, places, policy, released, selecting, settled
from tests.integration.sequences import phases, value


async def test_what_is_read_only_must_be_there_and_is_never_written_nor_deleted(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    given, own = component("given", config_map("given", "declared")), component("own", config_map("own", "1"))
    rules = selecting("read-only", "given")
    clone.push({"web.yaml": application("web", [given, own], [rules]), "other.yaml": application("other", [WEB], [])})
    async with running(clone) as daemon:
        await daemon.until(lambda: "ConfigMap default/given: it is only read and never made" in message(daemon, "web"))
        live = await daemon.cluster.create(config_map("given", "theirs", "default"))
        await daemon.synced("web")
        await daemon.synced("web", clone.push({"web.yaml": application("web", [given, component("own", config_map("own", "2"))], [rules])}))
        await settled(daemon)
        assert await daemon.get("ConfigMap", "given") == live
        clone.push({"web.yaml": None})
        await daemon.until(lambda: daemon.status("web") is None)
        assert await daemon.get("ConfigMap", "given") == live
        assert await places(daemon, "own") == []


def pod(image: str, namespace: str = "") -> Spec:
    meta = {"name": "given", **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [{"name": "main", "image": image}]}}


async def test_the_health_of_what_is_read_only_is_waited_for(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [component("given", pod("declared"))], [selecting("read-only", "given")])})
    async with running(clone) as daemon:
        await daemon.cluster.create(pod("web:never-ready", "default"))
        await daemon.until(lambda: "Pod default/given" in message(daemon, "web") and "waiting for" in message(daemon, "web"))
        live = await daemon.get("Pod", "given")
        containers = [{"name": "main", "image": "web:1"}]
        await daemon.cluster.replace({**live, "spec": {**live["spec"], "containers": containers}}, manager="kubectl-edit")
        await daemon.synced("web")


async def test_rule_1b_1e_what_another_application_has_can_be_read_and_is_still_that_ones(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    reader = application("reader", [component("given", config_map("web", ""))], [selecting("read-only", "given")])
    clone.push({"web.yaml": application("web", [WEB, NEW], []), "reader.yaml": reader})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.synced("reader")
        assert await value(daemon, "web") == "1"
        await daemon.synced("web", clone.push({"web.yaml": application("web", [NEW], [])}))
        await settled(daemon)
        assert await places(daemon, "web") == [], "a reader keeps nothing alive"


async def test_rule_1b_what_becomes_read_only_is_released(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [OLD, NEW], [])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.synced("web", clone.push({"web.yaml": application("web", [OLD, NEW], [selecting("read-only", "old")])}))
        assert (await released(daemon, "old"))["data"] == {"value": "1"}


# take-over --------------------------------------------------------------------------------------------------------------

STRANGER = {f"reconciler.dev/{name}": text for name, text in (("application", "web"), ("application-namespace", "far"), ("application-uid", "1-2-3"))}


@pytest.mark.parametrize(
    ("labels", "said"), [({}, "belongs to no application; a policy take-over adopts it"), (STRANGER, "bears the labels of far/web")]
)
async def test_rule_1e_what_is_there_already_is_not_touched_unless_it_is_to_be_taken_over(tmp_path: Path, labels: dict[str, str], said: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [WEB], [])})
    theirs = config_map("web", "theirs", "default")
    theirs["metadata"]["labels"] = labels
    async with running(clone) as daemon:
        live = await daemon.cluster.create(theirs)
        await daemon.until(lambda: phases(daemon, "web") == ["web-v1-1 Failed"])
        assert "ConfigMap default/web: it is there already" in message(daemon, "web")
        assert said in message(daemon, "web")
        assert await daemon.get("ConfigMap", "web") == live
        await daemon.synced("web", clone.push({"web.yaml": application("web", [WEB], [selecting("take-over", "web")])}))
        assert await value(daemon, "web") == "1"
        assert (await daemon.get("ConfigMap", "web"))["metadata"]["labels"]["reconciler.dev/application-namespace"] == "default"


async def test_rule_1e_what_another_application_declares_is_never_taken_over(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [WEB], [])})
    async with running(clone) as daemon:
        await daemon.synced("web")
        clone.push({"other.yaml": application("other", [WEB], [selecting("take-over", "web")])})
        await daemon.until(lambda: phases(daemon, "other") == ["other-v1-1 Failed"])
        assert "is declared by default/web too" in message(daemon, "other")


async def test_a_namespace_that_the_daemon_made_can_be_declared_later(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": application("web", [WEB], [policy("blue", "topology", namespace="blue")])})
    async with running(clone, cluster_scoped=["Namespace"]) as daemon:
        await daemon.synced("web")
        space = component("space", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "blue"}})
        await daemon.synced("web", clone.push({"web.yaml": application("web", [space, WEB], [policy("blue", "topology", namespace="blue")])}))
        found = await daemon.cluster.get(ObjectRef("v1", "Namespace", "", "blue"))
        assert "reconciler.dev/released-from" not in (found["metadata"].get("annotations") or {})

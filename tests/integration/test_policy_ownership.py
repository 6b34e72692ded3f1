"""KubeVela's policies of whose an object is, through the whole engine."""

from __future__ import annotations

from pathlib import Path

from tests.integration.harness import Clone, running
from tests.integration.policies import NEW, OLD, WEB, Spec, application, component, config_map, message, places, released, selecting, settled
from tests.integration.sequences import value


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

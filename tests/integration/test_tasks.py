"""Tasks on real git: each change runs one again, nothing else does, and what can't be changed in place is made anew."""

import asyncio
from pathlib import Path
from typing import Any

from reconciler.model.identity import GVK, JsonObject, ObjectRef
from tests.integration.harness import Clone, Daemon, running
from tests.integration.sequences import gate_of, phases

EVENT = GVK("", "v1", "Event")
TASK = ObjectRef("batch/v1", "Job", "default", "migrate")


def tasked(image: str, *, value: str = "1", gate: bool = False, decision: str = "", **more: Any) -> str:
    """An Application of a task and, behind it (and a gate), a ConfigMap."""
    properties = ", ".join([f"image: {image}", *(f"{name}: {text}" for name, text in more.items())])
    lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application"]
    lines += [f'metadata: {{name: shop, annotations: {{gates.reconciler.dev/approve: "{decision}"}}}}' if decision else "metadata: {name: shop}"]
    lines += ["spec:", "  components:", "    - name: migrate", "      type: task", f"      properties: {{{properties}}}"]
    lines += ["    - name: settings", "      type: k8s-objects", "      properties:", "        objects:"]
    lines += [f'          - {{apiVersion: v1, kind: ConfigMap, metadata: {{name: settings}}, data: {{value: "{value}"}}}}']
    lines += ["  workflow:", "    steps:", "      - {type: apply-component, name: task, properties: {component: migrate}}"]
    lines += ["      - {type: suspend, name: approve}"] if gate else []
    lines += ["      - {type: apply-component, name: rest, properties: {component: settings}}"]
    return "\n".join(lines) + "\n"


async def job(daemon: Daemon) -> JsonObject:
    return await daemon.cluster.get(TASK)


def image_of(obj: JsonObject) -> str:
    image: str = obj["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


async def ended(daemon: Daemon, run: str) -> None:
    await daemon.until(lambda: any(line.startswith(f"{run} ") and line.split()[1] in ("Succeeded", "Failed") for line in phases(daemon, "shop")), run)


async def test_a_change_of_a_task_runs_it_again_and_nothing_else_does(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"shop.yaml": tasked("task:1")})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        first = await job(daemon)
        assert first["status"]["succeeded"] == 1
        commit = clone.push({"shop.yaml": tasked("task:1", value="2")})
        await daemon.synced("shop", commit)
        assert (await job(daemon))["metadata"]["uid"] == first["metadata"]["uid"], "it did not change, so it does not run again"
        commit = clone.push({"shop.yaml": tasked("task:2", value="2")})
        status = await daemon.synced("shop", commit)
        second = await job(daemon)
        assert status.health == "Healthy"
        assert (image_of(second), second["status"]["succeeded"]) == ("task:2", 1)
        pods = (await daemon.cluster.list((await daemon.cluster.lookup("pod")).served, "default")).items
        assert {pod["metadata"]["ownerReferences"][0]["uid"] for pod in pods} == {second["metadata"]["uid"]}


async def test_a_job_that_went_by_itself_is_not_run_again_by_healing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    lines = tasked("task:1").replace(
        "{image: task:1}", "{image: task:1}\n      traits: [{type: json-merge-patch, properties: {spec: {ttlSecondsAfterFinished: 600}}}]"
    )
    clone.push({"shop.yaml": lines})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        await daemon.until(lambda: daemon.engine._context.observations.get(TASK) is None, "it is gone")
        for _ in range(3):
            await daemon.looked()
        status = daemon.status("shop")
        assert status is not None
        assert (status.sync, status.health) == ("Synced", "Healthy")
        pods = [event for event in (await daemon.cluster.list(EVENT, "default")).items if event["reason"] == "SuccessfulCreate"]
        assert [event["involvedObject"]["kind"] for event in pods] == ["Job"], "it ran once"


async def test_rule_7a_a_rollback_makes_the_earlier_task_anew(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"shop.yaml": tasked("task:1")})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        clone.push({"shop.yaml": tasked("task:2", value="2", gate=True)})
        await daemon.waiting("shop")
        assert image_of(await job(daemon)) == "task:2"
        clone.push({"shop.yaml": tasked("task:2", value="2", gate=True, decision=gate_of(daemon, "shop").rollback)})
        status = await daemon.synced("shop")
        assert status.running is not None
        assert (status.running.revision, status.health) == ("shop-v1", "Healthy")
        assert image_of(await job(daemon)) == "task:1"


async def test_a_task_that_fails_ends_the_run_at_once_and_is_made_anew_by_the_next(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"shop.yaml": tasked("task:will-fail")})
    async with running(clone) as daemon:
        await ended(daemon, "shop-v1-1")
        status = daemon.status("shop")
        assert status is not None
        assert status.run is not None
        assert (status.run.phase, status.run.reason, status.health) == ("Failed", "JobFailed", "Degraded")
        assert "backoff limit" in status.run.message
        failed = await job(daemon)
        clone.push({"shop.yaml": tasked("task:will-fail", value="2")})
        await ended(daemon, "shop-v2-1")
        assert (await job(daemon))["metadata"]["uid"] != failed["metadata"]["uid"], "it ran again"
        commit = clone.push({"shop.yaml": tasked("task:mended", value="2")})
        status = await daemon.synced("shop", commit)
        assert status.health == "Healthy"


async def test_rule_1c_a_job_of_that_name_that_is_not_ours_is_not_deleted(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"shop.yaml": tasked("task:1")})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        live = await job(daemon)
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "theirs"}]}}
        await daemon.cluster.delete(TASK, uid=live["metadata"]["uid"])
        foreign = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate", "namespace": "default"}, "spec": {"template": template}}
        uid = (await daemon.cluster.create(foreign, manager="team"))["metadata"]["uid"]
        clone.push({"shop.yaml": tasked("task:2")})
        await ended(daemon, "shop-v2-1")
        status = daemon.status("shop")
        assert status is not None
        assert status.run is not None
        assert status.run.reason == "Immutable"
        assert (await job(daemon))["metadata"]["uid"] == uid


async def test_rule_2_a_crash_while_the_old_task_goes_comes_to_the_same(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    state = str(tmp_path / "state.db")
    clone.push({"shop.yaml": tasked("task:1")})
    async with running(clone, state) as daemon:
        await daemon.synced("shop")
        live = await job(daemon)
        held = {**live, "metadata": {**live["metadata"], "finalizers": ["example.org/hold"]}}
        await daemon.cluster.replace(held, manager="team")
        clone.push({"shop.yaml": tasked("task:2")})
        while "deletionTimestamp" not in (await job(daemon))["metadata"]:
            daemon.engine.look()
            await asyncio.sleep(0.02)
    async with running(clone, state) as daemon:
        live = await job(daemon)
        assert live["metadata"]["deletionTimestamp"]
        await daemon.cluster.replace({**live, "metadata": {**live["metadata"], "finalizers": []}}, manager="team")
        await daemon.until(lambda: "shop-v2-1 Succeeded" in phases(daemon, "shop"), "the second run ends")
        assert image_of(await job(daemon)) == "task:2"

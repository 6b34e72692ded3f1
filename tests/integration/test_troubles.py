"""What keeps an application from being healthy, told where people look: the step that waits, `why`, status and conditions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.cluster.protocol import UnavailableError
from reconciler.model.identity import ObjectRef
from reconciler.workflow.explain import explain
from tests.integration.harness import Clone, Daemon, config_map_app, running, virtual

REFUSED = "its readiness probe fails: HTTP probe failed with statuscode: 503"


def workload(image: str, kind: str = "Deployment", name: str = "web", **spec: Any) -> str:
    """An application of one workload. A Deployment's deadline is far: the simulated cluster runs a thousand times as fast as the clock."""
    spec = {"progressDeadlineSeconds": 10_000_000} | spec if kind == "Deployment" else spec
    template = f"template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: [{{name: main, image: '{image}'}}]}}}}"
    more = "".join(f", {key}: {value}" for key, value in spec.items())
    text = config_map_app(name, "1").replace("apiVersion: v1\n            kind: ConfigMap", f"apiVersion: apps/v1\n            kind: {kind}")
    return text.replace('data: {value: "1"}', f"spec: {{selector: {{matchLabels: {{app: {name}}}}}, {template}{more}}}")


def job(image: str) -> str:
    text = config_map_app("web", "1").replace("apiVersion: v1\n            kind: ConfigMap", "apiVersion: batch/v1\n            kind: Job")
    template = f"template: {{spec: {{restartPolicy: Never, containers: [{{name: main, image: '{image}'}}]}}}}"
    return text.replace('data: {value: "1"}', f"spec: {{backoffLimit: 0, {template}}}")


def step_message(daemon: Daemon) -> str:
    status = daemon.status("web")
    return status.run.steps[0].message if status is not None and status.run is not None and status.run.steps else ""


@pytest.mark.parametrize(
    ("kind", "image", "told"),
    [
        (
            "Deployment",
            "shop:never-ready",
            "Deployment default/web: 0 of 1 available: container main: ImagePullBackOff: image shop:never-ready: not found",
        ),
        (
            "StatefulSet",
            "crash-loop",
            "StatefulSet default/web: 0 of 1 ready: pod web-0: container main: CrashLoopBackOff: it ended with exit code 1",
        ),
        ("Deployment", "out-of-memory", "0 of 1 available: container main: CrashLoopBackOff: it ended with exit code 137 (OOMKilled)"),
        ("DaemonSet", "never-answers", f"0 of 1 available: container main: {REFUSED}"),
        ("Deployment", "never-fits", "0 of 1 available: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu"),
    ],
)
def test_a_step_that_waits_says_what_its_pods_wait_for(tmp_path, kind, image, told):
    @virtual
    async def play() -> None:
        clone = Clone(tmp_path)
        async with running(clone) as daemon:
            clone.push({"web.yaml": workload(image, kind)})
            await daemon.until(lambda: told in step_message(daemon), told)
            status = daemon.status("web")
            assert status is not None
            assert told.removesuffix(".") in explain(status, datetime.now(UTC)).sentence
            assert told in daemon.conditions("web").get("Ready", "") or told in status.conditions[0].message

    play()


@virtual
async def test_a_run_that_fails_for_health_says_why(tmp_path):
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": workload("never-ready")})
        status = await daemon.until(lambda: (status := daemon.status("web")) and status.run and status.run.phase == "Failed" and status)
        assert "not healthy in time" in status.run.message
        assert "ImagePullBackOff: image never-ready: not found" in status.run.message


@virtual
async def test_a_job_that_fails_at_once_says_how_it_ended(tmp_path):
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": job("fail")})
        status = await daemon.until(lambda: (status := daemon.status("web")) and status.run and status.run.phase == "Failed" and status)
        assert "reached the specified backoff limit: container main: ended with exit code 1" in status.run.message


@virtual
async def test_what_breaks_after_its_run_is_told_too(tmp_path):
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": workload("web:1")})
        await daemon.synced("web")
        pods = (await daemon.cluster.list((await daemon.cluster.lookup("pod")).served, "default")).items
        sets = (await daemon.cluster.list((await daemon.cluster.lookup("replicaset")).served, "default")).items
        sets[0]["spec"]["template"]["spec"]["containers"][0]["image"] = "web:never-fits"
        await daemon.cluster.replace(sets[0])
        await daemon.cluster.delete(ObjectRef.of(pods[0]))
        status = await daemon.until(lambda: (status := daemon.status("web")) and "Unschedulable" in status.trouble and status)
        assert status.sync == "Synced"
        assert "Unschedulable: 0/1 nodes" in explain(status, datetime.now(UTC)).sentence


@virtual
async def test_a_reason_is_not_told_any_more_once_it_is_mended(tmp_path):
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": workload("never-ready")})
        await daemon.until(lambda: "ImagePullBackOff" in step_message(daemon))
        clone.push({"web.yaml": workload("never-answers")})
        await daemon.until(lambda: REFUSED in step_message(daemon))
        clone.push({"web.yaml": workload("web:1")})
        status = await daemon.synced("web")
        assert status.trouble == ""
        assert not daemon.engine._context.observations._troubles._owners, "nobody is asked any more"


class Counting:
    """Counts what is asked of a cluster."""

    def __init__(self, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times: list[float] = []
        ask, loop = daemon.cluster.list, asyncio.get_running_loop()

        async def count(kind: Any, namespace: str = "", *args: Any, **kwargs: Any) -> Any:
            if namespace and kind is not None and kind.kind == "Pod":
                self.times.append(loop.time())
            return await ask(kind, namespace, *args, **kwargs)

        monkeypatch.setattr(daemon.cluster, "list", count)


@virtual
async def test_rule_10_pods_are_asked_for_only_while_something_is_not_healthy_and_ever_more_rarely(tmp_path, monkeypatch):
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        counting = Counting(daemon, monkeypatch)
        clone.push({"web.yaml": workload("web:1")})
        await daemon.synced("web")
        await asyncio.sleep(600)
        assert not counting.times, "a rollout that goes well asks nothing"
        clone.push({"web.yaml": workload("never-ready")})
        await daemon.until(lambda: "ImagePullBackOff" in step_message(daemon))
        await asyncio.sleep(500)
        pauses = [later - earlier for earlier, later in zip(counting.times, counting.times[1:], strict=False)]
        assert min(pauses) >= 5
        assert len(counting.times) <= 9, "5, 10, 20 seconds and so on"


@virtual
async def test_rule_8a_a_cluster_that_does_not_say_why_holds_nobody(tmp_path, monkeypatch):
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        ask, asked = daemon.cluster.list, asyncio.Event()

        async def hang(kind: Any, namespace: str = "", *args: Any, **kwargs: Any) -> Any:
            if not namespace or kind is None or kind.kind != "Pod":
                return await ask(kind, namespace, *args, **kwargs)
            if asked.is_set():
                raise UnavailableError("the API server is away")
            asked.set()
            return await asyncio.get_running_loop().create_future()

        monkeypatch.setattr(daemon.cluster, "list", hang)
        clone.push({"web.yaml": workload("never-ready"), "other.yaml": config_map_app("other", "1")})
        async with asyncio.timeout(300):
            await asked.wait()
        assert daemon.idle()
        await daemon.synced("other")
        assert "0 of 1 available" in step_message(daemon)


@virtual
async def test_reasons_are_written_to_state_only_where_they_change(tmp_path):
    """Asking again and again costs no write: the words of a reason hold still while nothing changes."""
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": workload("crash-loop")})
        await daemon.until(lambda: "CrashLoopBackOff" in step_message(daemon))
        await asyncio.sleep(10)
        kind = (await daemon.cluster.lookup("configmap")).served
        before = (await daemon.cluster.list(kind)).version
        await asyncio.sleep(300)
        assert (await daemon.cluster.list(kind)).version == before

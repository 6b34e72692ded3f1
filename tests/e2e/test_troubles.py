"""Why something is not healthy, as a real control plane says it: its controllers, scheduler and quota, and nodes that tell how pods fare."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from reconciler.cluster.protocol import Cluster
from reconciler.daemon import SystemClock
from reconciler.engine.observations import Observations
from reconciler.model.identity import JsonObject, ObjectRef
from tests.control_plane import ControlPlane
from tests.e2e.place import Place
from tests.real_cluster import connected

OWNER = "the-owner"


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with connected(control_plane.kubeconfig) as cluster:
        yield cluster


def workload(kind: str, namespace: str, fares: str = "", /, *, requests: str = "", probe: bool = False, **spec: Any) -> JsonObject:
    """`fares`: what the node makes of its pods. `requests`: how many CPUs each needs."""
    container: JsonObject = {"name": "main", "image": "registry.example/shop:1"}
    if requests:
        container["resources"] = {"requests": {"cpu": requests}}
    if probe:
        container["readinessProbe"] = {"httpGet": {"path": "/", "port": 80}}
    pod: JsonObject = {"containers": [container]}
    selector: JsonObject = {"selector": {"matchLabels": {"app": "web"}}}
    if kind == "Job":
        pod["restartPolicy"], selector = "Never", {"backoffLimit": 0}
    template = {"metadata": {"labels": {"app": "web"}, "annotations": {"controlplane.test/pod": fares}}, "spec": pod}
    api = "batch/v1" if kind == "Job" else "apps/v1"
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "web", "namespace": namespace}, "spec": {**selector, "template": template, **spec}}


async def told(cluster: Cluster, applied: JsonObject, words: str) -> str:
    """What is said of an object, as soon as these words are in it."""
    ref, observations = ObjectRef.of(applied), Observations(cluster, SystemClock(), lambda _: None)
    message = ""
    try:
        async with asyncio.timeout(50):
            while words not in message:
                await observations.refresh([ref], cluster)
                for one in observations.unwell([ref]):
                    await observations.look(one, cluster)
                message = observations.health([ref])[1]
                await asyncio.sleep(0.3)
    except TimeoutError:
        raise AssertionError(f"never said: {words}; but: {message}") from None
    return message


@pytest.mark.parametrize(
    ("kind", "fares", "words"),
    [
        ("Deployment", "image-pull-back-off", "0 of 1 available: container main: ImagePullBackOff: image registry.example/shop:1: not found"),
        ("StatefulSet", "crash-loop", "0 of 1 ready: pod web-0: container main: CrashLoopBackOff: it ended with exit code 1"),
        ("Job", "fail", "container main: ended with exit code 1"),
        ("Deployment", "config-error", '0 of 1 available: container main: CreateContainerConfigError: secret "shop-token" not found'),
        ("Deployment", "failed-mount", '0 of 1 available: FailedMount: MountVolume.SetUp failed for volume "tls" : secret "shop-tls" not found'),
        ("StatefulSet", "oom-killed", "0 of 1 ready: pod web-0: container main: CrashLoopBackOff: it ended with exit code 137 (OOMKilled)"),
    ],
)
async def test_what_pods_wait_for_is_told_of_their_workload(cluster, namespace, kind, fares, words):
    applied = await cluster.apply(workload(kind, namespace, fares), "team")
    message = await told(cluster, applied, words)
    assert message.startswith(f"{kind} {namespace}/web: ")


async def test_a_probe_that_fails_is_told_from_the_events_of_the_pod(cluster, namespace):
    applied = await cluster.apply(workload("Deployment", namespace, "never-ready", probe=True), "team")
    await told(cluster, applied, "container main: its readiness probe fails: HTTP probe failed with statuscode: 503")


async def test_a_pod_that_fits_on_no_node_is_told_in_the_schedulers_words(cluster, namespace):
    applied = await cluster.apply(workload("StatefulSet", namespace, requests="1M"), "team")
    assert "Insufficient cpu" in await told(cluster, applied, "pod web-0: Unschedulable: 0/")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_a_quota_that_allows_no_pod_is_told(cluster, namespace, kind):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": namespace}, "spec": {"hard": {"pods": "0"}}}
    await cluster.create(quota)

    async def counted() -> bool:
        return "hard" in (await cluster.get(ObjectRef.of(quota))).get("status", {})

    async with asyncio.timeout(30):
        while not await counted():
            await asyncio.sleep(0.1)
    applied = await cluster.apply(workload(kind, namespace), "team")
    message = await told(cluster, applied, "FailedCreate: ")
    assert "exceeded quota: none" in message
    assert message.count("exceeded quota") == 1, "it is told once, and names no pod whose name is another with each try"


async def test_of_a_deployment_that_rolls_the_pods_of_its_newest_template_are_told(cluster, namespace):
    applied = await cluster.apply(workload("Deployment", namespace, "crash-loop"), "team")
    await told(cluster, applied, "CrashLoopBackOff")
    applied = await cluster.apply(workload("Deployment", namespace, "image-pull-back-off"), "team")
    assert "CrashLoopBackOff" not in await told(cluster, applied, "ImagePullBackOff")


def claim(namespace: str, storage: str) -> JsonObject:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": storage}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": namespace}, "spec": spec}


async def test_a_claim_says_why_it_is_not_bound(cluster, namespace):
    applied = await cluster.apply(claim(namespace, f"none-{namespace}"), "team")
    await told(cluster, applied, f'storageclass.storage.k8s.io "none-{namespace}" not found')


async def test_a_claim_that_waits_for_its_pod_says_so(cluster, namespace):
    late = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": f"late-{namespace}"}}
    await cluster.create({**late, "provisioner": "example.org/none", "volumeBindingMode": "WaitForFirstConsumer"})
    try:
        applied = await cluster.apply(claim(namespace, f"late-{namespace}"), "team")
        await told(cluster, applied, "WaitForFirstConsumer: waiting for first consumer")
    finally:
        await cluster.delete(ObjectRef.of(late))


async def test_a_namespace_that_goes_says_what_it_waits_for(cluster, namespace):
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "namespace": namespace, "finalizers": ["example.org/hold"]}}
    await cluster.create(held)
    ref = ObjectRef("v1", "Namespace", "", namespace)
    try:
        await cluster.delete(ref)
        message = await told(cluster, await cluster.get(ref), "example.org/hold in 1 resource instances")
        assert message.startswith(f"Namespace {namespace}: Terminating: ")
    finally:
        live = await cluster.get(ObjectRef.of(held))
        live["metadata"]["finalizers"] = []
        await cluster.replace(live)


def application(namespace: str, fares: str, name: str = "web") -> str:
    deployment = workload("Deployment", namespace, fares)
    deployment["metadata"]["name"] = name
    return json.dumps(
        {
            "apiVersion": "core.oam.dev/v1beta1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"components": [{"name": name, "type": "k8s-objects", "properties": {"objects": [deployment]}}]},
        }
    )


SAID = {
    "config-error": 'container main: CreateContainerConfigError: secret "shop-token" not found',
    "failed-mount": 'FailedMount: MountVolume.SetUp failed for volume "tls" : secret "shop-tls" not found',
    "oom-killed": "container main: CrashLoopBackOff: it ended with exit code 137 (OOMKilled)",
}


def test_what_keeps_pods_is_in_every_message_that_a_user_reads(place: Place) -> None:
    """In `why`, in the step that waits, and in the one line of `kubectl get applications`."""
    place.clone.push({f"{fares}.yaml": application(place.namespace, fares, fares) for fares in SAID})
    with place.daemon() as daemon:
        daemon.ready()
        for fares, said in SAID.items():
            daemon.until(fares, lambda status, said=said: said in str(status["run"]["steps"]) and said in status["trouble"], said)
            assert said in daemon.ask(f"/v1/applications/{place.namespace}/{fares}/why")["why"]
            daemon.wait_for(lambda fares=fares, said=said: said in column(place, fares), f"{said}, of {fares} in the mirror")


def column(place: Place, name: str) -> str:
    """What `kubectl get applications` shows of one under Message."""
    [mirror] = [one for one in place.state("applications") if one["metadata"]["name"] == f"{place.namespace}.{name}"]
    return str(next((one["message"] for one in mirror.get("status", {}).get("conditions") or [] if one["type"] == "Ready"), ""))


def test_a_daemon_says_it_and_asks_nothing_once_all_is_well(place: Place) -> None:
    said = "container main: ImagePullBackOff: image registry.example/shop:1: not found"
    place.clone.push({"web.yaml": application(place.namespace, "image-pull-back-off")})
    with place.daemon() as daemon:
        daemon.ready().until("web", lambda status: said in str(status["run"]["steps"]) and said in str(status["conditions"]), said)
        place.clone.push({"web.yaml": application(place.namespace, "")})
        daemon.until("web", lambda status: status["sync"] == "Synced" and status["health"] == "Healthy", "synced and healthy")
        time.sleep(1)  # what was being asked when it got healthy is answered
        before = asked_for_pods(place)
        assert 1 <= before <= 20
        time.sleep(6)
        assert asked_for_pods(place) == before


def asked_for_pods(place: Place) -> int:
    return sum(one.resource == "pods" for one in place.done_by_daemons("list"))

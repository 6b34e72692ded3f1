"""What only the simulation promises: images by name, a clock that is turned, limits."""

import pytest

from reconciler.cluster.embedded import events
from reconciler.cluster.embedded.controllers import replicaset
from reconciler.cluster.embedded.controllers.scope import MOST_PODS
from reconciler.cluster.health import assess
from reconciler.cluster.protocol import NotFoundError
from reconciler.cluster.reasons import explain_pods
from reconciler.model.identity import GVK, ObjectRef

POD, EVENT = GVK("", "v1", "Pod"), GVK("", "v1", "Event")


async def pods(turned):
    return {pod["metadata"]["name"]: pod for pod in (await turned.cluster.list(POD, "default")).items}


def reference(kind, name="web"):
    return ObjectRef("apps/v1", kind, "default", name)


async def status(turned, kind="StatefulSet"):
    return (await turned.cluster.get(reference(kind)))["status"]


async def test_a_pod_is_pending_then_running_then_ready(turned, workload):
    await turned.cluster.apply(workload("StatefulSet", replicas=1), "team")
    seen = []
    for _ in range(3):
        turned.turn(0.0)
        pod = (await pods(turned))["web-0"]
        seen.append((pod["status"]["phase"], assess(pod)[0]))
        turned.turn(0.5)
    assert seen == [("Pending", "Progressing"), ("Running", "Progressing"), ("Running", "Healthy")]


async def test_speed_divides_simulated_time(make_cluster, workload):
    fast = await make_cluster(speed=10)
    await fast.cluster.apply(workload("StatefulSet", replicas=1), "team")
    fast.turn(0.09)
    assert "readyReplicas" not in await status(fast)
    fast.turn(0.02)
    assert (await status(fast))["readyReplicas"] == 1
    fast.cluster.speed = 100
    await fast.cluster.apply(workload("StatefulSet", replicas=2), "team")
    fast.turn(0.011)
    assert (await status(fast))["readyReplicas"] == 2
    with pytest.raises(ValueError, match="more than zero"):
        fast.cluster.speed = 0


@pytest.mark.parametrize(
    ("image", "phase", "health", "told", "says"),
    [
        ("repo/never-ready:1", "Pending", "Degraded", "ImagePullBackOff: image repo/never-ready:1: not found", "Failed"),
        ("crash-loop", "Running", "Degraded", "CrashLoopBackOff: it ended with exit code 1", "BackOff"),
        ("out-of-memory", "Running", "Degraded", "CrashLoopBackOff: it ended with exit code 137 (OOMKilled)", "BackOff"),
        ("never-answers", "Running", "Progressing", "its readiness probe fails: HTTP probe failed with statuscode: 503", "Unhealthy"),
        ("never-fits", "Pending", "Progressing", "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.", "FailedScheduling"),
    ],
)
async def test_an_image_named_to_fail_says_why_it_waits(turned, workload, image, phase, health, told, says):
    await turned.cluster.apply(workload("StatefulSet", image=image, replicas=1), "team")
    turned.turn(60)
    pod = (await pods(turned))["web-0"]
    events = (await turned.cluster.list(EVENT, "default", fields={"involvedObject.uid": pod["metadata"]["uid"]})).items
    assert pod["status"]["phase"] == phase
    assert [event["reason"] for event in events if event["type"] == "Warning"] == [says]
    assert explain_pods("Deployment", [pod], events)[0].removeprefix("container main: ") == told
    assert assess(pod)[0] == health
    assert turned.cluster.delay() is None, "a stuck pod costs nothing"


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
async def test_a_statefulset_is_updated_from_the_highest_ordinal_one_at_a_time(turned, workload, policy):
    await turned.cluster.apply(workload("StatefulSet", replicas=3, podManagementPolicy=policy), "team")
    turned.turn(10)
    await turned.cluster.apply(workload("StatefulSet", image="nginx:2", replicas=3, podManagementPolicy=policy), "team")
    order = []
    for _ in range(100):
        turned.turn(0.1)
        current = await pods(turned)
        assert sum(assess(pod)[0] == "Healthy" for pod in current.values()) >= 2
        for name, pod in current.items():
            if pod["spec"]["containers"][0]["image"] == "nginx:2" and name not in order:
                order.append(name)
    assert order == ["web-2", "web-1", "web-0"]


async def test_a_broken_ordered_set_stays_stuck_until_its_pod_is_deleted_as_in_kubernetes(turned, workload):
    await turned.cluster.apply(workload("StatefulSet", replicas=2), "team")
    turned.turn(10)
    await turned.cluster.apply(workload("StatefulSet", image="never-ready", replicas=2), "team")
    turned.turn(60)
    await turned.cluster.apply(workload("StatefulSet", replicas=2), "team")
    turned.turn(60)
    assert (await status(turned))["readyReplicas"] == 1
    await turned.cluster.delete(ObjectRef("v1", "Pod", "default", "web-1"))
    turned.turn(10)
    assert (await status(turned))["readyReplicas"] == 2


async def test_ondelete_updates_no_pod_by_itself(turned, workload):
    await turned.cluster.apply(workload("StatefulSet", replicas=1, updateStrategy={"type": "OnDelete"}), "team")
    turned.turn(5)
    await turned.cluster.apply(workload("StatefulSet", image="nginx:2", replicas=1, updateStrategy={"type": "OnDelete"}), "team")
    turned.turn(30)
    assert (await pods(turned))["web-0"]["spec"]["containers"][0]["image"] == "nginx:1"


async def test_claims_of_a_statefulset_are_made_and_stay(turned, workload):
    claims = [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
    await turned.cluster.apply(workload("StatefulSet", replicas=1, volumeClaimTemplates=claims), "team")
    turned.turn(5)
    await turned.cluster.delete(reference("StatefulSet"))
    turned.turn(5)
    claim = await turned.cluster.get(ObjectRef("v1", "PersistentVolumeClaim", "default", "data-web-0"))
    assert claim["status"]["phase"] == "Bound"
    assert await pods(turned) == {}


async def test_a_rolling_update_stays_within_surge_and_unavailable(turned, workload):
    rolling = {"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}, "replicas": 5}
    await turned.cluster.apply(workload("Deployment", **rolling), "team")
    turned.turn(5)
    await turned.cluster.apply(workload("Deployment", image="nginx:2", **rolling), "team")
    for _ in range(100):
        turned.turn(0.1)
        living = [pod for pod in (await pods(turned)).values() if "deletionTimestamp" not in pod["metadata"]]
        assert len(living) <= 6
        assert sum(assess(pod)[0] == "Healthy" for pod in living) >= 4
    assert {pod["spec"]["containers"][0]["image"] for pod in living} == {"nginx:2"}


async def test_recreate_never_runs_two_templates_together(turned, workload):
    await turned.cluster.apply(workload("Deployment", replicas=2, strategy={"type": "Recreate"}), "team")
    turned.turn(5)
    await turned.cluster.apply(workload("Deployment", image="nginx:2", replicas=2, strategy={"type": "Recreate"}), "team")
    seen = set()
    for _ in range(60):
        turned.turn(0.1)
        images = {pod["spec"]["containers"][0]["image"] for pod in (await pods(turned)).values()}
        assert len(images) <= 1, "not even while the old ones stop"
        seen |= images
    assert seen == {"nginx:1", "nginx:2"}


async def test_a_paused_deployment_does_not_roll(turned, workload):
    await turned.cluster.apply(workload("Deployment", replicas=1), "team")
    turned.turn(5)
    await turned.cluster.apply(workload("Deployment", image="nginx:2", replicas=1, paused=True), "team")
    turned.turn(30)
    assert [pod["spec"]["containers"][0]["image"] for pod in (await pods(turned)).values()] == ["nginx:1"]


async def test_a_daemonset_runs_on_the_one_node(turned, workload):
    await turned.cluster.apply(workload("DaemonSet"), "team")
    turned.turn(5)
    await turned.cluster.apply(workload("DaemonSet", image="nginx:2"), "team")
    turned.turn(5)
    live = await turned.cluster.get(reference("DaemonSet"))
    assert assess(live)[0] == "Healthy"
    assert [pod["spec"]["containers"][0]["image"] for pod in (await pods(turned)).values()] == ["nginx:2"]


def job(image="task", **spec):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "task", "namespace": "default"}, "spec": {"template": template, **spec}}


async def test_a_failing_job_is_retried_up_to_its_limit_and_then_failed(turned):
    await turned.cluster.create(job("will-fail", backoffLimit=2))
    turned.turn(120)
    live = await turned.cluster.get(ObjectRef("batch/v1", "Job", "default", "task"))
    assert live["status"]["failed"] == 3
    assert assess(live)[0] == "Degraded"
    assert live["status"]["conditions"][0]["reason"] == "BackoffLimitExceeded"


async def test_a_job_never_runs_more_pods_at_once_than_its_parallelism(turned):
    await turned.cluster.create(job(completions=5, parallelism=2))
    for _ in range(60):
        turned.turn(0.1)
        assert sum(pod["status"]["phase"] in ("Pending", "Running") for pod in (await pods(turned)).values()) <= 2
    assert (await turned.cluster.get(ObjectRef("batch/v1", "Job", "default", "task")))["status"]["succeeded"] == 5


async def test_a_job_has_deadlines_of_its_own(turned):
    await turned.cluster.create(job("never-ready", activeDeadlineSeconds=30, ttlSecondsAfterFinished=60))
    turned.turn(31)
    live = await turned.cluster.get(ObjectRef("batch/v1", "Job", "default", "task"))
    assert live["status"]["conditions"][0]["reason"] == "DeadlineExceeded"
    turned.turn(61)
    with pytest.raises(NotFoundError):
        await turned.cluster.get(ObjectRef("batch/v1", "Job", "default", "task"))


async def test_a_manifest_that_asks_for_two_billion_pods_gets_a_bounded_number(turned, workload, monkeypatch):
    assert MOST_PODS <= 1000
    monkeypatch.setattr(replicaset, "MOST_PODS", 150)
    await turned.cluster.apply(workload("Deployment", replicas=2_000_000_000), "team")
    turned.turn(0.1)
    replica_sets = (await turned.cluster.list(GVK("apps", "v1", "ReplicaSet"), "default")).items
    assert replica_sets[0]["status"]["replicas"] == 150


async def test_only_the_newest_events_are_kept(turned, workload, monkeypatch):
    assert events.KEPT <= 1000
    monkeypatch.setattr(events, "KEPT", 20)
    await turned.cluster.apply(workload("StatefulSet", replicas=30, podManagementPolicy="Parallel"), "team")
    turned.turn(3)
    kept = (await turned.cluster.list(GVK("", "v1", "Event"))).items
    assert len(kept) == 20
    assert {event["reason"] for event in kept} == {"Started"}


async def test_rule_8b_one_broken_object_does_not_stop_the_others(turned, workload, monkeypatch):
    from reconciler.cluster.embedded.controllers import loop

    def fails(scope, obj):
        if obj["metadata"]["name"] == "bad":
            raise RuntimeError("broken")
        return original(scope, obj)

    original = loop.CONTROLLERS["apps", "StatefulSet"]
    monkeypatch.setitem(loop.CONTROLLERS, ("apps", "StatefulSet"), fails)
    await turned.cluster.apply(workload("StatefulSet", name="bad", replicas=1), "team")
    await turned.cluster.apply(workload("StatefulSet", replicas=1), "team")
    turned.turn(5)
    assert (await status(turned))["readyReplicas"] == 1


async def test_rule_10_a_tick_looks_only_at_what_changed(turned, workload, config_map, monkeypatch):
    for number in range(300):
        await turned.cluster.create(config_map(f"c{number}"))
        await turned.cluster.apply(workload("StatefulSet", name=f"s{number}", replicas=0), "team")
    turned.turn(5)
    reads = []
    objects = turned.cluster._objects
    monkeypatch.setattr(objects.storage, "_read", lambda *args, read=objects.storage._read: reads.append(args) or read(*args))
    turned.turn(60)
    assert reads == []
    await turned.cluster.apply(workload("StatefulSet", name="s7", replicas=1), "team")
    turned.turn(60)
    assert 0 < len(reads) < 100
    assert not any("COUNT" in str(statement).upper() for statement, _ in reads)

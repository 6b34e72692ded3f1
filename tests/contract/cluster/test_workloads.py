"""Workloads come to the state that was asked for, and say truly where they are."""

import pytest

from reconciler.cluster.health import assess
from reconciler.cluster.protocol import InvalidError
from reconciler.model.identity import GVK, ObjectRef

POD = GVK("", "v1", "Pod")


@pytest.fixture
def healthy(cluster, eventually):
    async def wait(obj):
        async def is_healthy():
            live = await cluster.get(ObjectRef.of(obj))
            return live if assess(live)[0] == "Healthy" else None

        return await eventually(is_healthy)

    return wait


@pytest.fixture
def pods(cluster, namespace):
    async def read():
        items = (await cluster.list(POD, namespace)).items
        return {pod["metadata"]["name"]: pod for pod in items if "deletionTimestamp" not in pod["metadata"]}

    return read


def images(pods):
    return {name: pod["spec"]["containers"][0]["image"] for name, pod in sorted(pods.items())}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
async def test_replicas_become_ready_and_follow_the_count(cluster, workload, healthy, pods, kind):
    applied = await cluster.apply(workload(kind, replicas=3), "team")
    assert assess(applied)[0] == "Progressing"
    live = await healthy(applied)
    assert (live["status"]["readyReplicas"], live["status"]["observedGeneration"]) == (3, 1)
    assert len(await pods()) == 3
    live = await healthy(await cluster.apply(workload(kind, replicas=1), "team"))
    assert live["status"]["readyReplicas"] == 1


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
async def test_a_new_template_replaces_every_pod(cluster, workload, healthy, pods, kind):
    await healthy(await cluster.apply(workload(kind, replicas=2), "team"))
    changed = await cluster.apply(workload(kind, image="nginx:2", replicas=2), "team")
    assert assess(changed)[0] == "Progressing"
    live = await healthy(changed)
    assert live["status"]["updatedReplicas"] == 2
    assert set(images(await pods()).values()) == {"nginx:2"}


async def test_a_deployment_whose_pods_never_get_ready_exceeds_its_deadline_and_keeps_the_old_ones(cluster, workload, healthy, eventually, pods):
    await healthy(await cluster.apply(workload("Deployment", replicas=2, progressDeadlineSeconds=20), "team"))
    broken = await cluster.apply(workload("Deployment", image="never-ready:1", replicas=2, progressDeadlineSeconds=20), "team")

    async def degraded():
        return assess(await cluster.get(ObjectRef.of(broken)))[0] == "Degraded"

    await eventually(degraded)
    assert list(images(await pods()).values()).count("nginx:1") == 2
    await healthy(await cluster.apply(workload("Deployment", replicas=2, progressDeadlineSeconds=20), "team"))


async def test_a_partition_holds_the_lower_ordinals_back(cluster, workload, healthy, pods):
    await healthy(await cluster.apply(workload("StatefulSet", replicas=3), "team"))
    rolling = {"updateStrategy": {"rollingUpdate": {"partition": 2}}}
    live = await healthy(await cluster.apply(workload("StatefulSet", image="nginx:2", replicas=3, **rolling), "team"))
    assert images(await pods()) == {"web-0": "nginx:1", "web-1": "nginx:1", "web-2": "nginx:2"}
    assert live["status"]["updatedReplicas"] == 1
    assert live["status"]["currentRevision"] != live["status"]["updateRevision"]
    live = await healthy(await cluster.apply(workload("StatefulSet", image="nginx:2", replicas=3), "team"))
    assert set(images(await pods()).values()) == {"nginx:2"}
    assert live["status"]["currentRevision"] == live["status"]["updateRevision"]


async def test_a_lost_pod_below_the_partition_comes_back_in_its_old_revision(cluster, namespace, workload, healthy, pods, eventually):
    await healthy(await cluster.apply(workload("StatefulSet", replicas=2), "team"))
    rolling = {"updateStrategy": {"rollingUpdate": {"partition": 1}}}
    applied = await cluster.apply(workload("StatefulSet", image="nginx:2", replicas=2, **rolling), "team")
    await healthy(applied)
    lost = (await pods())["web-0"]
    await cluster.delete(ObjectRef("v1", "Pod", namespace, "web-0"))

    async def returned():
        found = (await pods()).get("web-0")
        return found is not None and found["metadata"]["uid"] != lost["metadata"]["uid"]

    await eventually(returned)
    await healthy(applied)
    assert images(await pods()) == {"web-0": "nginx:1", "web-1": "nginx:2"}


async def test_ordered_pods_wait_for_the_one_before(cluster, workload, pods, eventually):
    await cluster.apply(workload("StatefulSet", image="never-ready:1", replicas=3), "team")
    await eventually(pods)

    async def stuck():
        found = await pods()
        return "web-0" in found and assess(found["web-0"])[0] == "Degraded"

    await eventually(stuck)
    assert list(await pods()) == ["web-0"]


async def test_parallel_pods_do_not_wait(cluster, workload, pods, eventually):
    await cluster.apply(workload("StatefulSet", image="never-ready:1", replicas=3, podManagementPolicy="Parallel"), "team")

    async def all_there():
        return len(await pods()) == 3

    await eventually(all_there)


def job(namespace, image, **spec):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "task", "namespace": namespace}, "spec": {"template": template, **spec}}


async def test_a_job_completes_with_as_many_pods_as_asked_for(cluster, namespace, healthy):
    live = await healthy(await cluster.create(job(namespace, "task:1", completions=3, parallelism=2)))
    assert live["status"]["succeeded"] == 3
    assert live["status"]["completionTime"]


async def test_deleting_a_workload_takes_its_pods_along(cluster, workload, healthy, pods, eventually, absent):
    applied = await cluster.apply(workload("Deployment", replicas=2), "team")
    await healthy(applied)
    await cluster.delete(ObjectRef.of(applied))
    await eventually(lambda: absent(ObjectRef.of(applied)))

    async def none_left():
        return not await pods()

    await eventually(none_left)


async def test_a_workload_says_what_happened_in_events(cluster, namespace, workload, healthy):
    await healthy(await cluster.apply(workload("Deployment", replicas=1), "team"))
    events = (await cluster.list(GVK("", "v1", "Event"), namespace)).items
    assert {"ScalingReplicaSet", "SuccessfulCreate"} <= {event["reason"] for event in events}


async def test_a_cronjob_makes_jobs_by_its_schedule(cluster, namespace, eventually):
    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": job(namespace, "task:1")["spec"]}}
    applied = await cluster.apply(
        {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick", "namespace": namespace}, "spec": spec}, "team"
    )
    assert assess(applied)[0] == "Healthy"

    async def made():
        return (await cluster.list(GVK("batch", "v1", "Job"), namespace)).items

    (first, *_) = await eventually(made)
    assert first["metadata"]["ownerReferences"][0]["uid"] == applied["metadata"]["uid"]
    assert first["metadata"]["name"].startswith("tick-")

    async def told():
        return (await cluster.get(ObjectRef.of(applied))).get("status", {}).get("lastScheduleTime")

    await eventually(told)


@pytest.mark.parametrize(
    ("spec", "message"), [({"schedule": "a b c d e"}, "schedule"), ({"schedule": "@daily", "timeZone": "Nowhere/Else"}, "timeZone")]
)
async def test_a_schedule_that_can_not_be_read_is_refused(cluster, namespace, spec, message):
    obj = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick", "namespace": namespace}}
    with pytest.raises(InvalidError, match=message):
        await cluster.create({**obj, "spec": {**spec, "jobTemplate": {"spec": job(namespace, "task:1")["spec"]}}})


async def test_rule_7g_an_autoscaler_owns_the_replicas_that_an_apply_leaves_out(cluster, namespace, workload, eventually):
    applied = await cluster.apply(workload("Deployment"), "team")
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 4}
    await cluster.apply(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "namespace": namespace}, "spec": spec}, "team"
    )

    async def scaled():
        return (await cluster.get(ObjectRef.of(applied)))["spec"]["replicas"] == 2

    await eventually(scaled)
    assert (await cluster.apply(workload("Deployment", image="nginx:2"), "team"))["spec"]["replicas"] == 2


async def test_a_daemonset_runs_on_every_node_and_follows_its_template(cluster, workload, healthy, pods):
    live = await healthy(await cluster.apply(workload("DaemonSet"), "team"))
    nodes = live["status"]["desiredNumberScheduled"]
    assert (live["status"]["numberAvailable"], len(await pods())) == (nodes, nodes)
    live = await healthy(await cluster.apply(workload("DaemonSet", image="nginx:2"), "team"))
    assert live["status"]["updatedNumberScheduled"] == nodes
    assert set(images(await pods()).values()) == {"nginx:2"}

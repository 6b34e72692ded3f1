import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cluster.health import STATUSES, assess, has_failed


def built(kind, spec=None, status=None, api="apps/v1", **metadata):
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "one", **metadata}, "spec": spec or {}, "status": status or {}}


def sts(updated, ready, replicas=3, partition=0, same=False, **strategy):
    spec = {"replicas": replicas, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}} | strategy}
    status = {
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "currentRevision": "b" if same else "a",
        "updateRevision": "b",
    }
    return built("StatefulSet", spec, status)


def condition(kind, status, reason="", message=""):
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": message}]}


FULL = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("expected", "obj"),
    [
        ("Progressing", sts(updated=0, ready=3, partition=2)),
        ("Healthy", sts(updated=1, ready=3, partition=2)),
        ("Progressing", sts(updated=1, ready=2, partition=2)),
        ("Progressing", sts(updated=3, ready=3)),
        ("Healthy", sts(updated=3, ready=3, same=True)),
        ("Healthy", sts(updated=0, ready=3, partition=7)),
        ("Healthy", sts(updated=0, ready=3, type="OnDelete")),
        ("Progressing", built("StatefulSet")),
        ("Progressing", built("Deployment")),
        ("Healthy", built("Deployment", {"replicas": 2}, FULL)),
        ("Healthy", built("Deployment", {"replicas": 0}, {"observedGeneration": 1}, generation=1)),
        ("Progressing", built("Deployment", {"replicas": 2}, FULL | {"observedGeneration": 1}, generation=2)),
        ("Progressing", built("Deployment", {"replicas": 2}, FULL | {"replicas": 3})),
        ("Progressing", built("Deployment", {"replicas": 1}, FULL)),
        ("Progressing", built("Deployment", {"replicas": 2}, FULL | {"updatedReplicas": 1})),
        ("Progressing", built("Deployment", {"replicas": 2}, FULL | {"availableReplicas": 1})),
        ("Progressing", built("Deployment", {"replicas": 2}, FULL | condition("Available", "False"))),
        ("Degraded", built("Deployment", {"replicas": 2}, FULL | condition("Progressing", "False", "ProgressDeadlineExceeded"))),
        ("Degraded", built("Deployment", {"replicas": 2}, condition("ReplicaFailure", "True"))),
        ("Healthy", built("ReplicaSet", {"replicas": 2}, FULL)),
        ("Progressing", built("ReplicaSet", {"replicas": 3}, FULL)),
        ("Progressing", built("DaemonSet")),
        ("Progressing", built("DaemonSet", {}, {"desiredNumberScheduled": 0, "currentNumberScheduled": 0, "numberReady": 0})),
        ("Progressing", built("DaemonSet", {}, {"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "numberReady": 1})),
        (
            "Healthy",
            built(
                "DaemonSet",
                {},
                dict.fromkeys(("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady"), 2),
            ),
        ),
        ("Progressing", built("Job", api="batch/v1")),
        ("Progressing", built("Job", {}, {"startTime": "t", "active": 1}, api="batch/v1")),
        ("Healthy", built("Job", {}, {"startTime": "t"} | condition("Complete", "True"), api="batch/v1")),
        ("Degraded", built("Job", {}, {"startTime": "t"} | condition("Failed", "True"), api="batch/v1")),
        ("Healthy", built("CronJob", {"schedule": "@daily"}, api="batch/v1")),
        ("Healthy", built("HorizontalPodAutoscaler", api="autoscaling/v2")),
        ("Healthy", built("HorizontalPodAutoscaler", {}, condition("ScalingActive", "False"), api="autoscaling/v2")),
        ("Progressing", built("HorizontalPodAutoscaler", {}, condition("AbleToScale", "False"), api="autoscaling/v2")),
        ("Healthy", built("Ingress", {}, {"loadBalancer": {}}, api="networking.k8s.io/v1")),
        ("Progressing", built("Pod", {}, {"phase": "Pending"}, api="v1")),
        ("Healthy", built("Pod", {}, {"phase": "Running"} | condition("Ready", "True"), api="v1")),
        ("Healthy", built("Pod", {}, {"phase": "Succeeded"}, api="v1")),
        ("Degraded", built("Pod", {}, {"phase": "Failed"}, api="v1")),
        ("Degraded", built("Pod", {}, {"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}, api="v1")),
        ("Progressing", built("PersistentVolumeClaim", {}, {"phase": "Pending"}, api="v1")),
        ("Healthy", built("PersistentVolumeClaim", {}, {"phase": "Bound"}, api="v1")),
        ("Degraded", built("PersistentVolumeClaim", {}, {"phase": "Lost"}, api="v1")),
        ("Healthy", built("Service", {"type": "ClusterIP"}, api="v1")),
        ("Progressing", built("Service", {"type": "LoadBalancer"}, api="v1")),
        ("Progressing", built("CustomResourceDefinition", api="apiextensions.k8s.io/v1")),
        ("Healthy", built("CustomResourceDefinition", {}, condition("Established", "True"), api="apiextensions.k8s.io/v1")),
        ("Degraded", built("CustomResourceDefinition", {}, condition("NamesAccepted", "False"), api="apiextensions.k8s.io/v1")),
        ("Healthy", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}),
        ("Healthy", built("Widget", {}, condition("Ready", "True"), api="example.com/v1")),
        ("Progressing", built("Widget", {}, condition("Ready", "False"), api="example.com/v1")),
        ("Progressing", built("Widget", {}, condition("Available", "Unknown"), api="example.com/v1")),
        ("Progressing", built("Widget", {}, condition("Reconciling", "True"), api="example.com/v1")),
        ("Degraded", built("Widget", {}, condition("Stalled", "True"), api="example.com/v1")),
        ("Degraded", built("Widget", {}, condition("Failed", "True"), api="example.com/v1")),
        ("Progressing", built("Widget", {}, {"observedGeneration": 1}, api="example.com/v1", generation=2)),
        ("Progressing", built("Widget", {}, {"observedGeneration": -1}, api="example.com/v1", generation=1)),
        ("Healthy", built("ReplicationController", {"replicas": 2}, FULL, api="v1")),
        ("Progressing", built("ReplicationController", {"replicas": 3}, FULL, api="v1")),
        ("Healthy", built("PersistentVolume", {}, {"phase": "Available"}, api="v1")),
        ("Progressing", built("PersistentVolume", api="v1")),
        ("Degraded", built("PersistentVolume", {}, {"phase": "Failed", "message": "gone"}, api="v1")),
        ("Progressing", built("APIService", api="apiregistration.k8s.io/v1")),
        ("Progressing", built("APIService", {}, condition("Available", "False"), api="apiregistration.k8s.io/v1")),
        ("Healthy", built("APIService", {}, condition("Available", "True"), api="apiregistration.k8s.io/v1")),
        ("Progressing", built("Node", api="v1")),
        ("Progressing", built("Node", {}, condition("Ready", "Unknown"), api="v1")),
        ("Healthy", built("Node", {"unschedulable": True}, condition("Ready", "True"), api="v1")),
        ("Healthy", built("Namespace", {}, {"phase": "Active"}, api="v1")),
    ],
)
def test_an_object_is_judged_by_what_it_says(expected, obj):
    status, message = assess(obj)
    assert status == expected, message


def test_an_object_that_is_being_deleted_is_terminating_whatever_else_it_says():
    assert assess(built("Deployment", {"replicas": 2}, FULL, deletionTimestamp="t")) == ("Progressing", "Terminating")


@pytest.mark.parametrize(
    ("told", "obj"),
    [
        (
            "Terminating: Some resources are remaining: pods. has 1 resource instances",
            built(
                "Namespace",
                {},
                condition("NamespaceContentRemaining", "True", "SomeResourcesRemain", "Some resources are remaining: pods. has 1 resource instances"),
                api="v1",
                deletionTimestamp="t",
            ),
        ),
        (
            "Terminating: waits for example.com/keep (finalizers)",
            built("Widget", api="example.com/v1", deletionTimestamp="t", finalizers=["example.com/keep"]),
        ),
        ("Terminating", built("Widget", {}, condition("NamespaceContentRemaining", "False"), api="v1", deletionTimestamp="t")),
    ],
)
def test_an_object_that_is_being_deleted_says_what_it_waits_for(told, obj):
    assert assess(obj) == ("Progressing", told)


def test_a_message_counts_as_people_do():
    assert assess(built("Deployment", {"replicas": 3}, {"replicas": 3, "updatedReplicas": 3}))[1] == "0 of 3 available"
    assert assess(sts(updated=1, ready=3, partition=1))[1] == "1 of 2 updated (partition 1)"


def test_only_a_job_that_failed_has_failed_for_good():
    assert has_failed(built("Job", {}, condition("Failed", "True"), api="batch/v1"))
    assert not has_failed(built("Job", {}, condition("Failed", "False"), api="batch/v1"))
    assert not has_failed(built("Widget", {}, condition("Failed", "True"), api="example.com/v1"))


def test_a_pod_that_is_a_hook_is_healthy_when_it_has_ended_well_and_has_failed_when_not():
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    for phase, healthy, failed in (
        (ready, "Progressing", False),
        ({"phase": "Succeeded"}, "Healthy", False),
        ({"phase": "Failed"}, "Degraded", True),
    ):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {}, "status": phase}
        hook = {**pod, "metadata": {"name": "a", "annotations": {"helm.sh/hook": "pre-upgrade"}}}
        assert (assess(hook)[0], has_failed(hook)) == (healthy, failed)
        assert (assess(pod)[0], has_failed(pod)) == ("Healthy" if phase is ready else healthy, False)


def test_rule_13e_messages_of_others_come_on_one_line():
    _, message = assess(built("Widget", {}, condition("Ready", "False", message="a\nSigned-off-by: b"), api="example.com/v1"))
    assert "\n" not in message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
kinds = st.sampled_from(
    [
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("batch/v1", "Job"),
        ("batch/v1", "CronJob"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("networking.k8s.io/v1", "Ingress"),
        ("v1", "Pod"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "Service"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("x/v1", "Y"),
    ]
)
statuses = json_values | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("replicas", "readyReplicas", "observedGeneration", "phase", "conditions", "containerStatuses"), json_values)
)


@given(kinds, json_values, statuses, json_values)
def test_any_object_has_an_answer(kind, spec, status, metadata):
    obj = {"apiVersion": kind[0], "kind": kind[1], "spec": spec, "status": status, "metadata": metadata}
    assert assess(obj)[0] in STATUSES
    assert has_failed(obj) in (True, False)

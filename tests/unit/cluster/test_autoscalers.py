"""Autoscalers without metrics: they keep the replicas within their bounds, own the field, and say that they know no more."""

import pytest

from reconciler.cluster.health import assess
from reconciler.cluster.protocol import InvalidError, fields_of
from reconciler.model.identity import ObjectRef

REF = ObjectRef("autoscaling/v2", "HorizontalPodAutoscaler", "default", "web")


def scaler(least=2, most=5, kind="Deployment"):
    target = {"apiVersion": "apps/v1", "kind": kind, "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "namespace": "default"}, "spec": spec}


async def replicas(turned, kind="Deployment"):
    return (await turned.cluster.get(ObjectRef("apps/v1", kind, "default", "web")))["spec"]["replicas"]


async def conditions(turned):
    live = await turned.cluster.get(REF)
    return {one["type"]: (one["status"], one["reason"]) for one in live["status"]["conditions"]}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
@pytest.mark.parametrize(("given", "expected"), [(1, 2), (3, 3), (9, 5), (0, 0)])
async def test_replicas_are_moved_into_the_bounds_and_no_further(turned, workload, kind, given, expected):
    await turned.cluster.apply(workload(kind, replicas=given), "team")
    await turned.cluster.apply(scaler(kind=kind), "team")
    turned.turn(60)
    assert await replicas(turned, kind) == expected
    status = (await turned.cluster.get(REF))["status"]
    assert (status["desiredReplicas"] if expected else status.get("desiredReplicas", 0)) == expected
    assert turned.cluster.delay() is None, "it costs nothing until something changes"


async def test_it_says_that_there_are_no_metrics(turned, workload):
    await turned.cluster.apply(workload("Deployment"), "team")
    await turned.cluster.apply(scaler(), "team")
    turned.turn(30)
    assert (await conditions(turned))["ScalingActive"] == ("False", "FailedGetResourceMetric")
    live = await turned.cluster.get(REF)
    assert "simulated" in next(one["message"] for one in live["status"]["conditions"] if one["type"] == "ScalingActive")
    assert live["status"]["currentReplicas"] == 2
    assert assess(live) == ("Healthy", "Replicas: 2")


async def test_a_change_of_the_target_or_of_the_bounds_is_followed(turned, workload):
    await turned.cluster.apply(scaler(), "team")
    turned.turn(1)
    assert (await conditions(turned))["AbleToScale"] == ("False", "FailedGetScale")
    assert assess(await turned.cluster.get(REF))[0] == "Progressing"
    await turned.cluster.apply(workload("Deployment", replicas=9), "team")
    turned.turn(1)
    assert await replicas(turned) == 5
    await turned.cluster.apply(scaler(6, 7), "team")
    turned.turn(1)
    assert await replicas(turned) == 6
    await turned.cluster.delete(REF)
    live = await turned.cluster.get(ObjectRef("apps/v1", "Deployment", "default", "web"))
    await turned.cluster.replace({**live, "spec": {**live["spec"], "replicas": 1}}, manager="people")
    turned.turn(1)
    assert await replicas(turned) == 1, "an autoscaler that is gone scales nothing"


async def test_an_autoscaler_whose_target_changes_leaves_the_old_one_alone(turned, workload):
    await turned.cluster.apply(workload("Deployment", replicas=3), "team")
    await turned.cluster.apply(scaler(), "team")
    turned.turn(1)
    await turned.cluster.apply(scaler(kind="StatefulSet"), "team")
    await turned.cluster.apply(workload("Deployment", replicas=9), "team")
    turned.turn(1)
    assert await replicas(turned) == 9


async def test_rule_7g_an_apply_without_replicas_neither_owns_nor_moves_them(turned, workload):
    await turned.cluster.apply(workload("Deployment"), "team")
    await turned.cluster.apply(scaler(), "team")
    turned.turn(5)
    live = await turned.cluster.apply(workload("Deployment", image="nginx:2"), "team", force=True)
    assert live["spec"]["replicas"] == 2
    assert "f:replicas" not in fields_of(live, "team")["f:spec"]


@pytest.mark.parametrize(("least", "most", "message"), [(0, 3, "minReplicas"), (3, 2, "maxReplicas")])
async def test_bounds_that_can_not_be_are_refused(turned, least, most, message):
    with pytest.raises(InvalidError, match=message):
        await turned.cluster.apply(scaler(least, most), "team")

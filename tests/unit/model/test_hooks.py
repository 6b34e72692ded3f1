"""Helm's hooks: which objects go when, and that what is no hook is never left out."""

import pytest

from reconciler.model.hooks import MOST_WAVES, WavesError, hook_of, is_hook_pod, plan_waves, runs_again
from reconciler.model.treatment import treatment_of


def obj(name, hook="", weight="", kind="ConfigMap", **more):
    annotations = {**({"helm.sh/hook": hook} if hook else {}), **({"helm.sh/hook-weight": weight} if weight else {})}
    return {"kind": kind, "metadata": {"name": name, "annotations": annotations}, **more}


ALL = [
    obj("plain"),
    obj("after", "post-install,post-upgrade"),
    obj("heavy", "pre-install, pre-upgrade", "5"),
    obj("light", "pre-install,pre-upgrade", "-5"),
    obj("alike", "pre-install,pre-upgrade", "5"),
    obj("once", "pre-install"),
    obj("later", "pre-upgrade"),
    obj("odd", "pre-upgrade", "many"),
    obj("crd", kind="CustomResourceDefinition"),
]


def names(*, first=False, restore=False, objects=ALL):
    return [[item["metadata"]["name"] for item in wave] for wave in plan_waves(objects, "web-v2", first=first, restore=restore)]


def test_hooks_go_by_weight_before_and_after_the_rest_and_definitions_before_all():
    assert names(first=True) == [["crd"], ["light"], ["once"], ["heavy", "alike"], ["plain"], ["after"]]
    assert names() == [["crd"], ["light"], ["later", "odd"], ["heavy", "alike"], ["plain"], ["after"]]


def test_a_restore_runs_no_hook():
    assert names(restore=True) == [["plain", "crd"]]


def test_what_has_no_hooks_is_one_wave_in_the_order_given():
    assert names(objects=[obj("b"), obj("crd", kind="CustomResourceDefinition"), obj("a")]) == [["b", "crd", "a"]]
    assert names(objects=[]) == [[]]


def test_a_job_of_an_upgrade_is_another_one_for_each_revision_and_the_objects_given_stay_as_they_are():
    job = obj("job", "pre-install,pre-upgrade", kind="Job", spec={"template": {"metadata": {"labels": {"a": "b"}}, "spec": {}}})
    (made,), _ = plan_waves([job, obj("plain")], "web-v2", first=False, restore=False)
    assert made["spec"]["template"] == {"metadata": {"labels": {"a": "b"}, "annotations": {"reconciler.dev/revision": "web-v2"}}, "spec": {}}
    assert "annotations" not in job["spec"]["template"]["metadata"]
    once = obj("job", "pre-install", kind="Job", spec={"template": {"spec": {}}})
    assert plan_waves([once], "web-v2", first=True, restore=False) == [[once]]


def test_more_weights_than_a_run_keeps_results_of_are_an_error():
    with pytest.raises(WavesError, match="more than 19 weights"):
        names(objects=[obj(f"h{weight}", "pre-upgrade", str(weight)) for weight in range(MOST_WAVES)] + [obj("plain")])


def test_an_object_without_the_annotation_is_no_hook():
    assert hook_of(obj("a")) is None
    assert hook_of({"metadata": {}}) is None
    assert hook_of(obj("a", " , ")) is None


def test_a_chart_keeps_an_object_by_helms_own_annotation_unless_ours_says_otherwise():
    kept = {"metadata": {"annotations": {"helm.sh/resource-policy": "keep"}}}
    assert treatment_of(kept).stays
    assert not treatment_of({"metadata": {"annotations": {"helm.sh/resource-policy": "other"}}}).stays
    assert not treatment_of({"metadata": {"annotations": {"helm.sh/resource-policy": "keep", "reconciler.dev/prune": "enabled"}}}).stays


@pytest.mark.parametrize(
    ("found", "pod", "again"),
    [
        (obj("a", "pre-upgrade", kind="Pod"), True, True),
        (obj("a", "post-install,post-upgrade", kind="Pod"), True, True),
        (obj("a", "pre-install", kind="Pod"), True, False),
        (obj("a", kind="Pod"), False, False),
        (obj("a", "pre-upgrade", kind="Job"), False, False),
    ],
)
def test_a_pod_that_is_a_hook_of_upgrades_runs_again_for_another_revision_alone(found, pod, again):
    found["metadata"]["annotations"]["reconciler.dev/revision"] = "web-v2"
    assert (is_hook_pod(found), runs_again(found, "web-v1"), runs_again(found, "web-v2")) == (pod, again, False)

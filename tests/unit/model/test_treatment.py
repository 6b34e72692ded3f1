"""What single objects say of how they want to be treated."""

import pytest

from reconciler.model.treatment import Treatment, fault_of_deletion, find_faults, treatment_of

D = "reconciler.dev/"


def obj(**annotations):
    return {"metadata": {"annotations": {D + name.replace("_", "-"): value for name, value in annotations.items()}}}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (obj(), Treatment()),
        ({"metadata": {"annotations": None}}, Treatment()),
        (obj(prune="disabled"), Treatment(prune=False)),
        (obj(prune="enabled", force="disabled", apply="always", reconcile="enabled"), Treatment()),
        (obj(force="with-data-loss"), Treatment(force="with-data-loss")),
        (obj(apply="if-absent"), Treatment(if_absent=True)),
        (obj(reconcile="ignore"), Treatment(ignored=True)),
        (obj(deletion_policy="wait"), Treatment(deletion="wait")),
        (obj(strip_fields="/spec/a, /spec/b"), Treatment(strip=("/spec/a", "/spec/b"))),
        (obj(adopt_fields=" /spec/a\n/spec/b "), Treatment(adopt=("/spec/a", "/spec/b"))),
    ],
)
def test_each_word_means_one_thing(said, meant):
    assert treatment_of(said) == meant
    assert not list(find_faults(said["metadata"]["annotations"] or {}))


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        (obj(prune="disable"), "write enabled or disabled; did you mean disabled"),
        (obj(force="yes"), "write disabled, enabled or with-data-loss"),
        (obj(deletion_policy="Orphan"), "did you mean orphan"),
        (obj(prun="disabled"), "nothing reads reconciler.dev/prun on an object; did you mean reconciler.dev/prune?"),
        ({"metadata": {"annotations": {"other.reconciler.dev/zzzzzzzzzzzzzzzzzzzz": "x"}}}, "known are reconciler.dev/prune"),
        (obj(strip_fields=""), "from 1 to 50"),
        (obj(strip_fields="spec.replicas"), "must be a JSON pointer"),
        *((obj(adopt_fields=text), "known by") for text in ("/kind", "/metadata/name", "/metadata/labels", "/metadata", "/status/x")),
        (obj(strip_fields="/metadata/labels/reconciler.dev~1application-uid"), "ours to write"),
    ],
)
def test_what_means_nothing_is_an_error_that_says_what_would_and_is_never_acted_on(said, hint):
    (fault,) = find_faults(said["metadata"]["annotations"])
    assert hint in fault[1]
    assert treatment_of(said) == Treatment()


def test_what_the_daemon_writes_and_what_others_write_is_no_mistake():
    assert not list(find_faults({"reconciler.dev/revision": "web-v1", "reconciler.dev/released-from": "a/b", "example.org/prune": "x"}))


def test_an_application_has_three_ways_to_go():
    assert [fault_of_deletion(value) for value in ("delete", "orphan", "wait")] == ["", "", ""]
    assert "did you mean delete" in fault_of_deletion("deleted")


@pytest.mark.parametrize("said", [obj(prune="disabled"), obj(reconcile="ignore"), obj(deletion_policy="orphan")])
def test_rule_1_what_is_kept_stays(said):
    assert treatment_of(said).stays

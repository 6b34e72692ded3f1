"""Rules for objects: which they select, and which of several counts."""

import pytest

from reconciler.model.rules import CollectRule, DriftRule, Origin, Rules, Selector, more_careful

CLAIM = Origin("store", "worker", "storage", "PersistentVolumeClaim", "store-data")
WORKLOAD = Origin("store", "worker", "", "Deployment", "store")


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (Selector(components=["store"]), {CLAIM, WORKLOAD}),
        (Selector(components=["other", "store"], kinds=["Deployment"]), {WORKLOAD}),
        (Selector(component_types=["webservice"]), set()),
        (Selector(sources=["TRAIT"]), {CLAIM}),
        (Selector(sources=["COMPONENT"]), {WORKLOAD}),
        (Selector(sources=["WORKLOAD"]), {WORKLOAD}),
        (Selector(sources=["TRAIT", "COMPONENT"]), {CLAIM, WORKLOAD}),
        (Selector(traits=["storage", "expose"]), {CLAIM}),
        (Selector(traits=[""]), set()),
        (Selector(names=["store"]), {WORKLOAD}),
        (Selector(components=["store"], traits=["storage"], names=["another"]), set()),
        (Selector(), set()),
    ],
)
def test_a_selector_wants_every_condition_that_it_has_and_one_at_least(selector, selected):
    assert {origin for origin in (CLAIM, WORKLOAD) if selector.selects(origin)} == selected


def test_of_several_rules_for_one_object_the_first_counts():
    first, second = CollectRule(Selector(kinds=["Deployment"]), "onAppDelete"), CollectRule(Selector(components=["store"]), "never")
    rules = Rules(collect=[first, second])
    assert rules.collects(WORKLOAD) == first
    assert rules.collects(CLAIM) == second


def test_without_a_rule_an_object_goes_with_the_update():
    assert Rules().collects(CLAIM).strategy == "onAppUpdate"


def test_of_two_strategies_the_one_that_deletes_less_is_more_careful():
    assert more_careful("onAppUpdate", "onAppDelete") == more_careful("onAppDelete", "onAppUpdate") == "onAppDelete"
    assert more_careful("never", "onAppDelete") == more_careful("onAppUpdate", "never") == "never"


@pytest.mark.parametrize(
    ("rules", "update", "keep"),
    [
        (Rules(), [], []),
        (Rules(unhealed=True), [], ["*"]),
        (Rules(drift=[DriftRule(Selector(kinds=["Deployment"]), ["spec.replicas"])]), ["spec.replicas"], ["spec.replicas"]),
        (Rules(drift=[DriftRule(Selector(kinds=["Deployment"]), ["a"], on_keep=False)]), ["a"], []),
        (Rules(drift=[DriftRule(Selector(kinds=["Deployment"]), ["a"], on_update=False)]), [], ["a"]),
        (Rules(drift=[DriftRule(Selector(kinds=["Service"]), ["a"])]), [], []),
        (Rules(unhealed=True, drift=[DriftRule(Selector(kinds=["Deployment"]), ["a"])]), ["a"], ["*"]),
    ],
)
def test_what_may_drift_of_an_object_when_it_is_updated_and_when_it_is_healed(rules, update, keep):
    assert rules.drifts(WORKLOAD) == (update, keep)

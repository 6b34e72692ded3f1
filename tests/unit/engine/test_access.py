"""Rule 13a as a table: which path may have what, refer to whom, and act in whose name."""

import pytest

from reconciler.engine.access import Access, DeniedError
from reconciler.model.identity import AppKey, ObjectRef
from reconciler.settings import Access as Rule

KEY = AppKey("a", "web")
ACCOUNT = "reconciler.dev/service-account"


def access(*rules, cluster_scoped=()):
    return Access(rules, cluster_scoped, "reconciler-system")


@pytest.mark.parametrize(
    ("rule", "pick", "account"),
    [
        (None, "", None),
        (None, "deployer", "a:deployer"),
        (Rule(), "", None),
        (Rule(), "deployer", "a:deployer"),
        (Rule(service_account="deployer"), "", "a:deployer"),
        (Rule(service_account="ops:deployer"), "", "ops:deployer"),
        (Rule(service_account="kube-system:deployer"), "", "kube-system:deployer"),
        (Rule(service_account="deployer"), "a:deployer", "a:deployer"),
        (Rule(service_account="deployer", service_accounts=["ci-*"]), "ci-7", "a:ci-7"),
        (Rule(service_accounts=["tools:ci"]), "tools:ci", "tools:ci"),
        (Rule(service_accounts=["*:ci"]), "b:ci", "b:ci"),
    ],
)
def test_rule_13a_an_application_acts_as_the_rule_says_or_as_it_picks_within_it(rule, pick, account):
    found = access(*([rule] if rule else [])).account("x.yaml", KEY, {ACCOUNT: pick} if pick else {})
    assert (str(found) if found else None) == account


@pytest.mark.parametrize(
    ("rule", "pick"),
    [
        (None, "b:deployer"),
        (None, "kube-system:deployer"),
        (Rule(path="elsewhere"), ""),
        (Rule(service_account="deployer"), "admin"),
        (Rule(service_account="deployer", service_accounts=["ci"]), "tools:ci"),
        (Rule(service_accounts=["tools:ci"]), "ci"),
        (Rule(service_accounts=["*:*"]), "kube-system:admin"),
        (Rule(service_accounts=["*:*"]), "reconciler-system:reconciler"),
        (Rule(service_accounts=["*"]), "b:ci"),
    ],
)
def test_rule_13a_an_account_beyond_the_rule_is_denied(rule, pick):
    with pytest.raises(DeniedError):
        access(*([rule] if rule else [])).account("x.yaml", KEY, {ACCOUNT: pick} if pick else {})


def role(namespace="a"):
    return ObjectRef("rbac.authorization.k8s.io/v1", "RoleBinding", namespace, "x")


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (Rule(), False),
        (Rule(kinds=["*.rbac.authorization.k8s.io"]), True),
        (Rule(kinds=["*"]), True),
        (Rule(kinds=["*"], deny_kinds=["*.rbac.authorization.k8s.io"]), False),
        (Rule(service_account="deployer"), True),
        (Rule(service_account="deployer", kinds=["ConfigMap"]), False),
        (Rule(service_account="deployer", deny_kinds=["RoleBinding"]), False),
    ],
)
def test_rule_13a_rights_are_given_where_they_are_named_or_by_an_account_that_has_them(rule, allowed):
    assert (access(rule).objection("x.yaml", role()) == "") is allowed


def test_rule_13a_the_longest_path_decides_however_slashes_are_written():
    rules = access(Rule(path="/a/b/"), Rule(path="a/b/c", kinds=["ConfigMap"]), Rule(path="a///", kinds=["Job"]))
    secret = ObjectRef("v1", "Secret", "a", "x")
    assert rules.objection("a/b/x.yaml", secret) == ""
    assert "may not use kind Secret" in rules.objection("a/b/c/x.yaml", secret)


def test_rule_13a_another_mapping_has_another_mark_and_the_same_one_the_same():
    one = access(Rule(path="a", namespaces=["x"])).mark
    assert one == access(Rule(path="a", namespaces=["x"])).mark
    others = [Rule(path="a", deny_namespaces=["x"]), Rule(path="a", namespaces=["x"], service_account="y"), Rule(path="b", namespaces=["x"])]
    assert len({one, access().mark, access(cluster_scoped=["Node"]).mark, *(access(rule).mark for rule in others)}) == 6


def test_rule_13a_nobody_gets_the_daemons_state_or_namespace_whatever_is_allowed():
    everything = access(Rule(namespaces=["*", "reconciler-system"], kinds=["*"], cluster_scoped=["*"]))
    for ref in (
        ObjectRef("reconciler.dev/v1alpha1", "Application", "a", "x"),
        ObjectRef("v1", "Secret", "reconciler-system", "x"),
        ObjectRef("v1", "Namespace", "", "reconciler-system"),
        ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "workflowruns.reconciler.dev"),
    ):
        assert everything.objection("x.yaml", ref), ref
    assert everything.objection("x.yaml", ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "", "x")) == ""

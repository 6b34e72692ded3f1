"""The one door to the cluster for an application: whatever is asked, it is asked of the rule, of where the manifest stands now (rule 13a)."""

from types import SimpleNamespace

import pytest

from reconciler.cluster.protocol import ForbiddenError, Kind
from reconciler.engine.access import Access, NotAllowedError
from reconciler.engine.reach import Reach
from reconciler.model.identity import GVK, AppKey, ObjectRef
from reconciler.settings import Access as Rule

APP = SimpleNamespace(key=AppKey("a", "web"), mirror=SimpleNamespace(path="platform/web.yaml", accounts={}))
CONFIG = GVK("", "v1", "ConfigMap")
RULES = (Rule(path="platform", namespaces=["*"], service_account="ops:admin"), Rule(path="teams/a", namespaces=["a"], service_account="deployer"))
REFUSAL = 'configmaps "x" is forbidden: User "u" cannot patch resource "configmaps" in API group "" in the namespace "a"'


class Asked:
    """A cluster that notes what it is asked; every answer is `answer`."""

    def __init__(self, answer=None):
        self.calls, self.answer = [], answer or {}

    def acting_as(self, user):
        self.calls.append(user)
        return self

    async def kind(self, gvk):
        return Kind(gvk, f"{gvk.kind.lower()}s", namespaced=True, served=gvk)

    def __getattr__(self, name):
        async def call(*words, **named):
            self.calls.append(name)
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return call


def reach(cluster, path="teams/a/web.yaml", annotations=None):
    return Reach(cluster, Access(RULES, (), "reconciler-system"), lambda key: SimpleNamespace(path=path, annotations=annotations or {}))


def obj(namespace):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": namespace}}


CALLS = {
    "get": lambda cluster, space: cluster.get(ObjectRef("v1", "ConfigMap", space, "x")),
    "list": lambda cluster, space: cluster.list(CONFIG, space),
    "create": lambda cluster, space: cluster.create(obj(space)),
    "replace": lambda cluster, space: cluster.replace(obj(space)),
    "replace_status": lambda cluster, space: cluster.replace_status(obj(space)),
    "apply": lambda cluster, space: cluster.apply(obj(space), "m", dry_run=True),
    "delete": lambda cluster, space: cluster.delete(ObjectRef("v1", "ConfigMap", space, "x")),
}


@pytest.mark.parametrize("call", CALLS)
async def test_rule_13a_every_call_is_made_in_the_name_of_where_the_manifest_stands_now_and_refused_beyond_it(call):
    cluster = Asked()
    await CALLS[call](reach(cluster).of(APP), "a")
    assert cluster.calls == ["system:serviceaccount:a:deployer", call]
    with pytest.raises(NotAllowedError, match="manifests below teams/a may not use namespace b"):
        await CALLS[call](reach(cluster).of(APP), "b")
    assert cluster.calls[2:] == ["system:serviceaccount:a:deployer"]


@pytest.mark.parametrize("call", CALLS)
async def test_rule_13a_who_picks_what_it_may_not_asks_nothing(call):
    cluster = Asked()
    with pytest.raises(NotAllowedError, match="may not act as service account ops:admin"):
        await CALLS[call](reach(cluster, annotations={"reconciler.dev/service-account": "ops:admin"}).of(APP), "a")
    assert cluster.calls == []


async def test_rule_13a_an_application_watches_nothing_lists_no_whole_cluster_and_acts_as_nobody_else():
    acting = reach(Asked()).of(APP)
    with pytest.raises(NotAllowedError):
        acting.watch(None)
    with pytest.raises(NotAllowedError):
        await acting.list(CONFIG)
    with pytest.raises(NotAllowedError):
        acting.acting_as("system:serviceaccount:ops:admin")


def test_rule_13a_secrets_are_looked_at_at_home_alone():
    looking = reach(Asked(), "platform/web.yaml")
    assert looking.look_objection(APP, ObjectRef("v1", "Secret", "b", "x"))
    assert looking.look_objection(APP, ObjectRef("v1", "Secret", "a", "x")) == ""
    assert looking.look_objection(APP, ObjectRef("v1", "ConfigMap", "b", "x")) == ""


@pytest.mark.parametrize(
    ("said", "told"),
    [(REFUSAL, "service account a:deployer may not patch configmaps in namespace a"), ("exceeded quota: small", "exceeded quota: small")],
)
async def test_a_lack_of_rights_is_told_with_the_command_that_shows_it_and_anything_else_as_it_was_said(said, told):
    with pytest.raises(ForbiddenError) as error:
        await reach(Asked(ForbiddenError(said))).of(APP).apply(obj("a"), "m")
    assert str(error.value).startswith(told)
    assert ("kubectl auth can-i patch configmaps --namespace a --as system:serviceaccount:a:deployer" in str(error.value)) is (said == REFUSAL)

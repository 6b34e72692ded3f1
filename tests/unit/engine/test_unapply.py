"""What undoing an apply deletes, and in which order: only what the run created, that is still ours, and that nobody else declares (rules 1b-1d)."""

from types import SimpleNamespace

import pytest

from reconciler.cluster.protocol import NotFoundError, UnavailableError
from reconciler.engine.access import Claims
from reconciler.engine.applications import Application
from reconciler.engine.unapply import Unapplier
from reconciler.model.identity import AppKey, ObjectRef
from reconciler.model.names import LABEL_UID
from reconciler.model.outcome import Effect
from reconciler.model.records import InventoryItem, Mirror
from reconciler.model.run import Run
from reconciler.workflow.facts import Order

KEY, OTHER = AppKey("shop", "flow"), AppKey("shop", "other")


class Objects:
    """A cluster that holds objects of one owner by name; `refuses`: names that it does not delete."""

    def __init__(self, *names, owner="mine", refuses=()):
        self.live = dict.fromkeys(names, owner)
        self.refuses = refuses
        self.deleted = []

    async def get(self, ref):
        if ref.name not in self.live:
            raise NotFoundError(str(ref))
        return {"metadata": {"uid": f"uid-{ref.name}", "resourceVersion": "7", "labels": {LABEL_UID: self.live[ref.name]}}}

    async def delete(self, ref, uid, version, propagation):
        if ref.name in self.refuses:
            raise UnavailableError("no")
        assert (uid, version) == (f"uid-{ref.name}", "7")
        del self.live[ref.name]
        self.deleted.append(ref.name)


class Declared:
    def __init__(self, *names):
        self.names = names

    def declaring(self, refs, keys):
        return [(key, ref) for key in keys for ref in refs if key == OTHER and ref.name in self.names]


class Clock:
    def __init__(self):
        self.slept = 0.0

    def now(self):
        return None

    async def sleep(self, seconds):
        self.slept += seconds


def item(name, run="flow-v2-1", component="object/one", kind="ConfigMap", **more):
    ref = ObjectRef("v1", kind, "shop", name).pack()
    return InventoryItem(ref, uid=more.pop("uid", f"uid-{name}"), component=component, run=run, **more)


async def undo(cluster, items, kind="deploy", declared=(), unplanned=(), clock=None):
    app = Application(Mirror("shop", "flow", uid="mine"))
    app.items = {one.object.identity: one for one in items}
    claims = Claims()
    for one in items:
        claims.claim(one.object, KEY)
    executor = Unapplier(SimpleNamespace(of=lambda app: cluster), Declared(*declared), claims, clock or Clock(), (KEY, OTHER), unplanned)
    run = Run("flow-v2-1", "shop/flow", "flow-v2", "digest", kind=kind)
    planned = await executor.prepare(app, run, Order("key", "one", "undo/unapply", Effect("unapply", {"component": "object/one"})))
    assert planned.written == []
    return await executor.execute(app, planned), claims


async def test_what_the_run_created_goes_in_the_reverse_order_and_nobody_claims_it_any_more():
    cluster = Objects("a", "b")
    result, claims = await undo(cluster, [item("a"), item("b")])
    assert (result.ok, cluster.deleted) == (True, ["b", "a"])
    assert result.value == {"deleted": [item("b").ref, item("a").ref], "kept": []}
    assert claims.owner(item("a").object) is None


@pytest.mark.parametrize(
    "other",
    [item("a", run="flow-v1-1"), item("a", run=""), item("a", component="object/two"), item("a", uid="")],
    ids=["another run created it", "it was there before", "another step applied it", "its answer was never heard"],
)
async def test_all_else_stays(other):
    cluster = Objects("a")
    result, _ = await undo(cluster, [other])
    assert (result.value, cluster.deleted) == ({"deleted": [], "kept": []}, [])


async def test_when_the_application_is_removed_what_any_of_its_runs_created_goes():
    cluster = Objects("a", "b", "c")
    await undo(cluster, [item("a", run="flow-v1-1"), item("b"), item("c", run="")], kind="undo")
    assert cluster.deleted == ["b", "a"]


async def test_rule_1b_what_another_application_declares_stays():
    cluster = Objects("a", "b")
    result, claims = await undo(cluster, [item("a"), item("b")], declared=["a"])
    assert cluster.deleted == ["b"]
    assert result.value["deleted"] == [item("b").ref]
    assert claims.owner(item("a").object) == KEY


async def test_rule_1b_nothing_goes_before_it_is_known_what_the_others_declare():
    cluster, clock = Objects("a"), Clock()
    result, _ = await undo(cluster, [item("a")], unplanned=[OTHER], clock=clock)
    assert (result.reason, result.retry, cluster.deleted) == ("OwnerUnsettled", "wait", [])
    assert 0 < clock.slept <= 10


async def test_rule_1c_what_is_not_ours_any_more_stays_and_counts_as_gone():
    cluster = Objects("a", owner="somebody")
    result, _ = await undo(cluster, [item("a")])
    assert (result.ok, cluster.deleted) == (True, [])


@pytest.mark.parametrize(("kind", "deleted"), [("deploy", []), ("undo", ["a"])])
async def test_rule_1d_what_can_not_be_made_again_stays_unless_the_removal_was_approved(kind, deleted):
    cluster = Objects("a")
    result, _ = await undo(cluster, [item("a", kind="StatefulSet")], kind=kind)
    assert cluster.deleted == deleted
    assert bool(result.value["kept"]) is not bool(deleted)


async def test_what_is_gone_already_counts_as_deleted():
    result, _ = await undo(Objects(), [item("a")])
    assert result.value["deleted"] == [item("a").ref]


async def test_the_first_refusal_ends_it_and_says_what_went_before():
    cluster = Objects("a", "b", "c", refuses=["b"])
    result, _ = await undo(cluster, [item("a"), item("b"), item("c")])
    assert (result.reason, result.value["deleted"], cluster.deleted) == ("Unavailable", [item("c").ref], ["c"])

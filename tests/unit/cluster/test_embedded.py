"""What the contract does not say: managers of plain writes, limits of watches, refusals, memory."""

import asyncio
import gc

import pytest

from reconciler.cluster.embedded import watch as watches
from reconciler.cluster.protocol import ExpiredError, InvalidError, NotFoundError, UnavailableError, fields_of
from reconciler.model.identity import GVK, ObjectRef
from reconciler.model.names import LABEL_UID

CONFIG_MAP = GVK("", "v1", "ConfigMap")


async def test_writes_are_recorded_under_their_manager(turned, config_map):
    made = await turned.cluster.create(config_map(color="green"), manager="kubectl-create")
    made["data"]["size"] = "big"
    edited = await turned.cluster.replace(made, manager="kubectl-edit")
    owned = {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in edited["metadata"]["managedFields"]}
    assert owned == {("kubectl-create", "Update"): {"f:data": {"f:color": {}}}, ("kubectl-edit", "Update"): {"f:data": {"f:size": {}}}}


async def test_the_time_of_an_entry_moves_only_when_its_fields_do(turned, config_map):
    first = await turned.cluster.apply(config_map(color="green"), "team")
    turned.clock.elapsed += 60
    assert await turned.cluster.apply(config_map(color="green"), "team") == first
    later = await turned.cluster.apply(config_map(color="blue"), "team")
    assert later["metadata"]["managedFields"][0]["time"] != first["metadata"]["managedFields"][0]["time"]


async def test_rule_10a_the_controllers_writes_leave_our_entry_as_it_was(turned, workload):
    applied = await turned.cluster.apply(workload("Deployment", replicas=2), "reconciler")
    turned.turn(10)
    live = await turned.cluster.get(ObjectRef.of(applied))
    assert live["status"]["readyReplicas"] == 2
    assert fields_of(live, "reconciler") == fields_of(applied, "reconciler")


async def test_state_objects_keep_their_nulls_and_any_field(turned):
    spec = {"steps": [{"value": None, "deep": {"any": [1, 2.5, None, True]}}], "none": None}
    name = {"name": "team.web-v1-1", "namespace": "reconciler-system"}
    made = await turned.cluster.create({"apiVersion": "reconciler.dev/v1alpha1", "kind": "WorkflowRun", "metadata": name, "spec": spec})
    assert (await turned.cluster.get(ObjectRef.of(made)))["spec"] == spec


@pytest.mark.parametrize(
    "broken",
    [
        {"spec": "text"},
        {"spec": {"selector": [], "template": {}}},
        {"spec": {"replicas": -1}},
        {"spec": {"replicas": "3"}},
        {"spec": {"template": {"spec": {"containers": {}}}}},
        {"spec": {"template": {"spec": {"containers": [None]}}}},
        {"metadata": {"name": "web", "namespace": "default", "labels": {"a": 1}}},
        {"metadata": {"name": "web", "namespace": "default", "labels": ["a"]}},
        {"metadata": {"name": "web", "namespace": "default", "annotations": {"a": 1}}},
        {"metadata": {"name": "web", "namespace": "default", "finalizers": "x"}},
        {"metadata": {"name": "web", "namespace": "default", "ownerReferences": [{}]}},
        {"metadata": {"name": "web", "namespace": 3}},
        {"metadata": {"name": "web", "namespace": "default", "resourceVersion": 3}},
        {"metadata": []},
    ],
)
async def test_a_malformed_object_is_refused_on_every_way_in(turned, workload, broken):
    given = workload("Deployment")
    if isinstance(broken.get("spec"), dict) and "selector" not in broken["spec"]:
        given["spec"] |= broken["spec"]
    else:
        given |= broken
    with pytest.raises(InvalidError):
        await turned.cluster.create(given)
    with pytest.raises(InvalidError):
        await turned.cluster.apply(given, "team")


def nested(depth):
    deep: dict = {}
    for _ in range(depth):
        deep = {"a": deep}
    container = {"name": "main", "image": "nginx:1", "deep": deep}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "deep", "namespace": "default"}, "spec": {"containers": [container]}}


async def test_an_object_nested_too_deeply_is_refused(turned):
    for write in (turned.cluster.create, lambda obj: turned.cluster.apply(obj, "team")):
        with pytest.raises(InvalidError, match="nested"):
            await write(nested(5000))
    first = await turned.cluster.apply(nested(200), "team")
    assert (await turned.cluster.apply(nested(200), "team"))["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_default_namespaces_stand_and_stay(turned):
    names = {item["metadata"]["name"] for item in (await turned.cluster.list(GVK("", "v1", "Namespace"))).items}
    assert names == {"default", "kube-system", "reconciler-system"}
    with pytest.raises(InvalidError, match="default"):
        await turned.cluster.delete(ObjectRef("v1", "Namespace", "", "default"))


async def test_a_kind_is_found_by_the_words_people_use(turned):
    for word in ("deployment", "Deployment", "deployments", "deploy", "deployments.apps"):
        assert (await turned.cluster.lookup(word)).gvk == GVK("apps", "v1", "Deployment")
    assert (await turned.cluster.lookup("applications.reconciler.dev")).gvk.group == "reconciler.dev"
    with pytest.raises(LookupError):
        await turned.cluster.lookup("gadget")


async def test_kinds_without_status_have_no_such_subresource(turned, config_map):
    made = await turned.cluster.create(config_map())
    with pytest.raises(NotFoundError):
        await turned.cluster.replace_status(made)


async def test_a_watcher_too_slow_is_expired_and_holds_no_memory(turned, config_map, monkeypatch):
    monkeypatch.setattr(watches, "_QUEUE_RECORDS", 10)
    slow = turned.cluster.watch(CONFIG_MAP)
    quick = turned.cluster.watch(CONFIG_MAP)
    for number in range(11):
        await turned.cluster.create(config_map(f"n{number}"))
        assert (await anext(quick)).object["metadata"]["name"] == f"n{number}"
    assert not slow._queue
    with pytest.raises(ExpiredError):
        await anext(slow)


@pytest.mark.parametrize("limit", ["_HISTORY_RECORDS", "_HISTORY_BYTES"])
async def test_history_is_bounded_by_count_and_by_bytes(turned, config_map, monkeypatch, limit):
    first = await turned.cluster.create(config_map("first"))
    monkeypatch.setattr(watches, limit, 10 if limit == "_HISTORY_RECORDS" else 4096)
    for number in range(40):
        await turned.cluster.create(config_map(f"n{number}", color="x" * 100))
    assert len(turned.cluster._objects.history._records) <= 30
    with pytest.raises(ExpiredError):
        await anext(turned.cluster.watch(CONFIG_MAP, since=first["metadata"]["resourceVersion"]))


async def test_a_watch_that_nobody_holds_is_forgotten(turned):
    turned.cluster.watch(CONFIG_MAP)
    gc.collect()
    assert len(turned.cluster._objects.history._watches) == 0


async def test_closing_ends_watches_and_refuses_calls(turned, config_map):
    watch = turned.cluster.watch(CONFIG_MAP)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    await turned.cluster.close()
    with pytest.raises(UnavailableError):
        await waiting
    with pytest.raises(UnavailableError):
        await turned.cluster.create(config_map())


async def test_a_page_token_of_someone_else_is_refused(turned):
    for token in ("x", "1", "1/2", "-1/a/b/c/d"):
        with pytest.raises(InvalidError):
            await turned.cluster.list(CONFIG_MAP, page=token)
    with pytest.raises(ExpiredError):
        await turned.cluster.list(CONFIG_MAP, page="99999////")


async def test_rule_10_objects_are_found_by_label_and_owner_through_an_index(turned):
    plans = []
    db = turned.cluster._objects.storage._db
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    await turned.cluster.list(CONFIG_MAP, labels={LABEL_UID: "u"})
    turned.cluster._objects.storage.owned("u")
    db.set_trace_callback(None)
    for statement in statements:
        plans += [row[-1] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert plans
    assert not any(plan.startswith("SCAN") for plan in plans), plans


async def test_the_definition_of_a_state_kind_leaves_the_built_in_one(turned):
    schema = {"type": "object", "properties": {"spec": {"type": "object"}}}
    versions = [{"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]
    spec = {"group": "reconciler.dev", "scope": "Namespaced", "names": {"plural": "workflowruns", "kind": "WorkflowRun"}, "versions": versions}
    ref = ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "workflowruns.reconciler.dev")
    await turned.cluster.create({"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"name": ref.name}, "spec": spec})
    run = {"apiVersion": "reconciler.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "r", "namespace": "default"}, "spec": {"any": 1}}
    assert (await turned.cluster.create(run))["spec"] == {"any": 1}
    await turned.cluster.delete(ref)
    turned.turn(1)
    assert (await turned.cluster.get(ObjectRef.of(run)))["spec"] == {"any": 1}

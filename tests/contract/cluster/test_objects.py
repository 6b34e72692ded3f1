"""Create, read, compare-and-swap, delete."""

import copy

import pytest

from reconciler.cluster.protocol import (
    AlreadyExistsError,
    ConflictError,
    ImmutableError,
    InvalidError,
    KindUnknownError,
    NamespaceMissingError,
    NotFoundError,
)
from reconciler.model.identity import GVK, ObjectRef


async def test_a_created_object_is_readable_with_uid_version_and_time(cluster, config_map):
    given = config_map(color="green")
    created = await cluster.create(given)
    assert created["metadata"]["uid"]
    assert created["metadata"]["resourceVersion"]
    assert created["metadata"]["creationTimestamp"].endswith("Z")
    assert await cluster.get(ObjectRef.of(created)) == created
    assert "uid" not in given["metadata"], "the caller's object is left alone"


async def test_rule_3c_a_second_create_of_one_name_is_refused(cluster, config_map):
    await cluster.create(config_map())
    with pytest.raises(AlreadyExistsError):
        await cluster.create(config_map(other="value"))


async def test_rule_3d_only_one_of_two_writers_with_one_version_wins(cluster, config_map):
    created = await cluster.create(config_map(color="green"))
    stale = copy.deepcopy(created)
    created["data"]["color"] = "blue"
    stored = await cluster.replace(created)
    assert int(stored["metadata"]["resourceVersion"]) > int(stale["metadata"]["resourceVersion"])
    stale["data"]["color"] = "red"
    with pytest.raises(ConflictError):
        await cluster.replace(stale)
    assert (await cluster.get(ObjectRef.of(stored)))["data"] == {"color": "blue"}


async def test_a_replace_of_another_objects_uid_is_a_conflict(cluster, config_map):
    created = await cluster.create(config_map())
    created["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(ConflictError):
        await cluster.replace(created)


async def test_a_replace_that_changes_nothing_keeps_the_version(cluster, config_map):
    created = await cluster.create(config_map(color="green"))
    assert (await cluster.replace(created))["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


async def test_replacing_what_is_not_there_says_so(cluster, config_map):
    missing = config_map()
    missing["metadata"]["resourceVersion"] = "1"
    with pytest.raises(NotFoundError):
        await cluster.replace(missing)


async def test_a_version_cannot_be_given_on_create(cluster, config_map):
    given = config_map()
    given["metadata"]["resourceVersion"] = "1"
    with pytest.raises(InvalidError):
        await cluster.create(given)


async def test_status_and_the_rest_are_written_apart(cluster, workload):
    created = await cluster.create({**workload("Deployment", replicas=0), "status": {"replicas": 7}})
    assert "replicas" not in created.get("status", {})
    for attempt in range(20):
        live = await cluster.get(ObjectRef.of(created))
        live["spec"]["replicas"] = 5
        live["status"] = {"observedGeneration": 1, "collisionCount": 3}
        try:
            await cluster.replace_status(live)
            break
        except ConflictError:
            assert attempt < 19
    live = await cluster.get(ObjectRef.of(created))
    assert live["spec"]["replicas"] == 0
    assert live["status"]["collisionCount"] == 3


async def test_the_generation_counts_changes_of_the_spec_alone(cluster, workload):
    created = await cluster.create(workload("Deployment", replicas=0, paused=True))
    assert created["metadata"]["generation"] == 1
    labelled = workload("Deployment", replicas=0, paused=True)
    labelled["metadata"]["labels"] = {"team": "a"}
    assert (await cluster.apply(labelled, "team", force=True))["metadata"]["generation"] == 1
    assert (await cluster.apply(workload("Deployment", replicas=2, paused=True), "team", force=True))["metadata"]["generation"] == 2


async def test_a_delete_holds_its_preconditions_on_uid_and_version(cluster, config_map):
    created = await cluster.create(config_map(color="green"))
    ref, uid, version = ObjectRef.of(created), created["metadata"]["uid"], created["metadata"]["resourceVersion"]
    with pytest.raises(ConflictError):
        await cluster.delete(ref, uid="00000000-0000-0000-0000-000000000000")
    created["data"]["color"] = "blue"
    await cluster.replace(created)
    with pytest.raises(ConflictError):
        await cluster.delete(ref, uid=uid, version=version)
    await cluster.delete(ref, uid=uid)
    with pytest.raises(NotFoundError):
        await cluster.get(ref)
    with pytest.raises(NotFoundError):
        await cluster.delete(ref)


async def test_a_finalizer_keeps_a_deleted_object_until_it_is_taken_off(cluster, config_map):
    given = config_map()
    given["metadata"]["finalizers"] = ["example.com/hold"]
    ref = ObjectRef.of(await cluster.create(given))
    await cluster.delete(ref)
    held = await cluster.get(ref)
    assert held["metadata"]["deletionTimestamp"]
    held["metadata"]["finalizers"] = ["example.com/hold", "example.com/late"]
    with pytest.raises(InvalidError):
        await cluster.replace(held)
    held["metadata"]["finalizers"] = []
    await cluster.replace(held)
    with pytest.raises(NotFoundError):
        await cluster.get(ref)


async def test_a_missing_namespace_is_told_from_other_errors(cluster, config_map):
    given = config_map()
    given["metadata"]["namespace"] = "never-made"
    with pytest.raises(NamespaceMissingError):
        await cluster.create(given)
    with pytest.raises(NamespaceMissingError):
        await cluster.apply(given, "team")


async def test_deleting_a_namespace_takes_its_contents_along(cluster, namespace, config_map, eventually, absent):
    ref = ObjectRef.of(await cluster.create(config_map()))
    await cluster.delete(ObjectRef("v1", "Namespace", "", namespace))
    await eventually(lambda: absent(ObjectRef("v1", "Namespace", "", namespace)))
    with pytest.raises(NotFoundError):
        await cluster.get(ref)
    with pytest.raises(NamespaceMissingError):
        await cluster.create(config_map())


async def test_unknown_kinds_wait_for_their_definition(cluster):
    with pytest.raises(KindUnknownError):
        await cluster.kind(GVK("example.com", "v1", "Nothing"))
    with pytest.raises(KindUnknownError):
        await cluster.get(ObjectRef("example.com/v1", "Nothing", "default", "one"))


@pytest.mark.parametrize("removed", ["apps/v1beta1", "apps/v1beta2", "extensions/v1beta1"])
async def test_a_removed_version_of_a_built_in_kind_maps_to_the_served_one(cluster, removed):
    group, _, version = removed.partition("/")
    kind = await cluster.kind(GVK(group, version, "Deployment"))
    assert (kind.served, kind.namespaced, kind.plural) == (GVK("apps", "v1", "Deployment"), True, "deployments")


@pytest.mark.parametrize("name", ["", "Upper", "under_score", "-dash", "a" * 254, "dot..dot", None, 7])
async def test_names_that_are_no_dns_names_are_refused(cluster, config_map, name):
    given = config_map()
    given["metadata"]["name"] = name
    with pytest.raises(InvalidError, match=r"metadata\.name|name"):
        await cluster.create(given)


async def test_an_object_too_large_to_store_is_refused(cluster, config_map):
    with pytest.raises(InvalidError):
        await cluster.create(config_map(blob="x" * (2 * 1024 * 1024)))


async def test_a_selector_that_misses_its_own_template_is_refused(cluster, workload):
    wrong = workload("Deployment")
    wrong["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    with pytest.raises(InvalidError, match="template"):
        await cluster.create(wrong)


async def test_an_immutable_field_is_refused_by_name(cluster, workload):
    await cluster.apply(workload("StatefulSet", replicas=0, serviceName="one"), "team")
    with pytest.raises(InvalidError, match="spec"):
        await cluster.apply(workload("StatefulSet", replicas=0, serviceName="two"), "team")
    await cluster.apply(workload("StatefulSet", replicas=0, image="nginx:2", serviceName="one"), "team")


async def test_the_template_of_a_job_can_not_be_changed_in_place(cluster, namespace):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "task:1"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "task", "namespace": namespace}, "spec": {"template": template}}
    await cluster.apply(job, "team")
    template["spec"]["containers"][0]["image"] = "task:2"
    with pytest.raises(ImmutableError, match="template"):
        await cluster.apply(job, "team")
    other = {**job, "metadata": {**job["metadata"], "name": "other"}}
    assert (await cluster.apply(other, "team", dry_run=True))["spec"]["template"]["spec"]["containers"][0]["image"] == "task:2"


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
async def test_data_marked_immutable_stays(cluster, namespace, kind):
    given = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "fixed", "namespace": namespace}, "data": {"a": "Zmlyc3Q="}, "immutable": True}
    await cluster.create(given)
    with pytest.raises(InvalidError, match="data") as refused:
        await cluster.apply({**given, "data": {"a": "c2VjcmV0"}}, "team", force=True)
    assert "c2VjcmV0" not in str(refused.value)


async def test_a_secrets_string_data_becomes_data(cluster, namespace):
    given = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": namespace}, "stringData": {"word": "hunter2"}}
    created = await cluster.apply(given, "team")
    assert created["data"] == {"word": "aHVudGVyMg=="}
    assert "stringData" not in created


async def test_defaults_are_filled_in(cluster, namespace, workload):
    created = await cluster.create(workload("StatefulSet", image="never-ready"))
    spec = created["spec"]
    assert (spec["replicas"], spec["podManagementPolicy"]) == (1, "OrderedReady")
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    ports = [{"port": 80}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": namespace}, "spec": {"ports": ports}}
    served = await cluster.create(service)
    assert served["spec"]["type"] == "ClusterIP"
    assert served["spec"]["clusterIP"].count(".") == 3
    assert served["spec"]["ports"][0]["protocol"] == "TCP"

"""Server-side apply and who owns which field."""

import pytest

from reconciler.cluster.managers import taken_over
from reconciler.cluster.protocol import ConflictError, InvalidError, NotFoundError, OwnershipError, fields_of
from reconciler.model.identity import ObjectRef


async def test_applying_the_same_again_changes_nothing_at_all(cluster, config_map):
    first = await cluster.apply(config_map(color="green"), "team")
    assert await cluster.apply(config_map(color="green"), "team") == first


async def test_an_applied_workload_stays_as_it_is_when_applied_again(cluster, workload):
    given = workload("Deployment", replicas=0)
    given["spec"]["template"]["spec"]["containers"][0] |= {"ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}]}
    first = await cluster.apply(given, "team")
    again = await cluster.apply(given, "team")
    assert again["metadata"]["generation"] == first["metadata"]["generation"]
    assert again["spec"] == first["spec"]
    assert fields_of(again, "team") == fields_of(first, "team")


async def test_rule_10a_the_fields_of_an_applier_stand_in_its_own_entry(cluster, config_map):
    applied = await cluster.apply(config_map(labels={"a": "1"}, color="green"), "team")
    assert fields_of(applied, "team") == {"f:metadata": {"f:labels": {"f:a": {}}}, "f:data": {"f:color": {}}}
    assert fields_of(applied, "other") is None


async def test_what_an_applier_no_longer_sends_is_removed(cluster, config_map):
    await cluster.apply(config_map(labels={"a": "1"}, color="green", size="big"), "team")
    applied = await cluster.apply(config_map(color="green"), "team")
    assert applied["data"] == {"color": "green"}
    assert not applied["metadata"].get("labels")


async def test_what_another_owns_too_stays(cluster, config_map):
    await cluster.apply(config_map(color="green", size="big"), "team")
    await cluster.apply(config_map(size="big"), "other")
    applied = await cluster.apply(config_map(color="green"), "team")
    assert applied["data"] == {"color": "green", "size": "big"}


async def test_a_field_of_another_is_a_conflict_that_names_both(cluster, config_map):
    await cluster.apply(config_map(color="green"), "team")
    with pytest.raises(OwnershipError, match=r"(?s)team.*color|color.*team"):
        await cluster.apply(config_map(color="blue"), "other")
    assert (await cluster.get(ObjectRef.of(config_map())))["data"] == {"color": "green"}


async def test_force_takes_the_field_over(cluster, config_map):
    await cluster.apply(config_map(color="green", size="big"), "team")
    applied = await cluster.apply(config_map(color="blue"), "other", force=True)
    assert applied["data"] == {"color": "blue", "size": "big"}
    assert fields_of(applied, "team") == {"f:data": {"f:size": {}}}
    assert fields_of(applied, "other") == {"f:data": {"f:color": {}}}


async def test_agreeing_on_a_value_shares_the_field(cluster, config_map):
    await cluster.apply(config_map(color="green"), "team")
    applied = await cluster.apply(config_map(color="green"), "other")
    assert fields_of(applied, "team") == fields_of(applied, "other") == {"f:data": {"f:color": {}}}


async def test_rule_10a_an_edit_of_a_field_takes_it_out_of_the_appliers_entry(cluster, config_map):
    applied = await cluster.apply(config_map(color="green", size="big"), "team")
    applied["data"]["color"] = "red"
    edited = await cluster.replace(applied)
    assert fields_of(edited, "team") == {"f:data": {"f:size": {}}}


async def test_rule_10a_a_removed_field_leaves_the_appliers_entry(cluster, config_map):
    applied = await cluster.apply(config_map(color="green", size="big"), "team")
    del applied["data"]["color"]
    edited = await cluster.replace(applied)
    assert fields_of(edited, "team") == {"f:data": {"f:size": {}}}


async def test_what_others_add_stays_when_applied_again(cluster, config_map):
    applied = await cluster.apply(config_map(color="green"), "team")
    applied["metadata"]["annotations"] = {"example.com/note": "mine"}
    await cluster.replace(applied)
    again = await cluster.apply(config_map(color="green"), "team")
    assert again["metadata"]["annotations"] == {"example.com/note": "mine"}


async def test_a_dry_run_answers_and_stores_nothing(cluster, config_map):
    planned = await cluster.apply(config_map(color="green"), "team", dry_run=True)
    assert planned["data"] == {"color": "green"}
    with pytest.raises(NotFoundError):
        await cluster.get(ObjectRef.of(config_map()))
    stored = await cluster.apply(config_map(color="green"), "team")
    planned = await cluster.apply(config_map(color="blue"), "team", dry_run=True)
    assert planned["data"] == {"color": "blue"}
    assert await cluster.get(ObjectRef.of(config_map())) == stored
    with pytest.raises(OwnershipError):
        await cluster.apply(config_map(color="blue"), "other", dry_run=True)


async def test_containers_env_and_ports_merge_by_their_keys(cluster, workload):
    ours = workload("Deployment", replicas=0)
    container = ours["spec"]["template"]["spec"]["containers"][0]
    container |= {"env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 80}]}
    await cluster.apply(ours, "team")
    theirs = workload("Deployment")
    theirs["spec"] = {
        "template": {"spec": {"containers": [{"name": "side", "image": "helper:1"}, {"name": "main", "env": [{"name": "B", "value": "2"}]}]}}
    }
    both = await cluster.apply(theirs, "injector")
    containers = {one["name"]: one for one in both["spec"]["template"]["spec"]["containers"]}
    assert containers.keys() == {"main", "side"}
    assert {one["name"]: one["value"] for one in containers["main"]["env"]} == {"A": "1", "B": "2"}
    container["env"] = []
    del container["ports"]
    later = await cluster.apply(ours, "team")
    containers = {one["name"]: one for one in later["spec"]["template"]["spec"]["containers"]}
    assert containers.keys() == {"main", "side"}, "what the other one added stays"
    assert containers["main"]["env"] == [{"name": "B", "value": "2"}]
    assert "ports" not in containers["main"]


async def test_a_container_that_is_no_longer_sent_goes_with_its_defaults(cluster, workload):
    two = workload("Deployment", replicas=0)
    two["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "helper:1", "ports": [{"containerPort": 90}]})
    await cluster.apply(two, "team")
    one = await cluster.apply(workload("Deployment", replicas=0), "team")
    assert [container["name"] for container in one["spec"]["template"]["spec"]["containers"]] == ["main"]


async def test_lists_without_keys_are_one_value(cluster, workload):
    ours = workload("Deployment", replicas=0)
    ours["spec"]["template"]["spec"]["containers"][0]["args"] = ["one", "two"]
    await cluster.apply(ours, "team")
    ours["spec"]["template"]["spec"]["containers"][0]["args"] = ["three"]
    later = await cluster.apply(ours, "team")
    assert later["spec"]["template"]["spec"]["containers"][0]["args"] == ["three"]


async def test_a_repeated_key_in_a_list_is_refused(cluster, workload):
    twice = workload("Deployment", replicas=0)
    twice["spec"]["template"]["spec"]["containers"] *= 2
    with pytest.raises(InvalidError, match="containers"):
        await cluster.apply(twice, "team")


async def test_managed_fields_cannot_be_applied(cluster, config_map):
    given = config_map()
    given["metadata"]["managedFields"] = [{"manager": "team", "operation": "Apply"}]
    with pytest.raises(InvalidError, match="managedFields"):
        await cluster.apply(given, "team")


async def test_an_update_can_clear_whose_the_fields_are_and_they_stay_so(cluster, config_map):
    await cluster.create(config_map(color="green"))
    live = await cluster.apply(config_map(color="red"), "team", force=True)
    live["metadata"]["managedFields"] = [{}]
    cleared = await cluster.replace(live)
    assert "managedFields" not in cleared["metadata"]
    cleared["data"] = {"color": "blue"}
    again = await cluster.replace(cleared)
    assert (again["data"], again["metadata"].get("managedFields")) == ({"color": "blue"}, None)


async def test_an_applied_version_is_a_precondition(cluster, config_map):
    first = await cluster.apply(config_map(color="green"), "team")
    await cluster.apply(config_map(color="blue"), "team")
    stale = config_map(color="red")
    stale["metadata"]["resourceVersion"] = first["metadata"]["resourceVersion"]
    with pytest.raises(ConflictError):
        await cluster.apply(stale, "team")


async def test_fields_are_handed_on_by_an_update_of_managed_fields(cluster, config_map):
    """So an applier has what another left, and what it does not send goes."""
    await cluster.apply(config_map(color="green", size="big"), "other")
    live = await cluster.apply(config_map(color="green"), "team")
    handed = taken_over(live, ["other"], "team")
    assert handed is not None
    replaced = await cluster.replace(handed)
    assert fields_of(replaced, "other") is None
    assert fields_of(replaced, "team") == {"f:data": {"f:color": {}, "f:size": {}}}
    applied = await cluster.apply(config_map(color="green"), "team")
    assert applied["data"] == {"color": "green"}


async def test_an_update_with_the_managed_fields_as_they_are_changes_nothing(cluster, config_map):
    live = await cluster.apply(config_map(color="green"), "team")
    assert await cluster.replace(live) == live

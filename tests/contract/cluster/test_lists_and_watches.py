import asyncio
from contextlib import aclosing

import pytest

from reconciler.cluster.protocol import ExpiredError, InvalidError
from reconciler.model.identity import GVK, ObjectRef
from reconciler.model.names import LABEL_APPLICATION

CONFIG_MAP = GVK("", "v1", "ConfigMap")


async def take(watch, count):
    """The next events that are no bookmarks, as (type, name)."""
    found = []
    async with asyncio.timeout(10):
        while len(found) < count:
            event = await anext(watch)
            if event.type != "BOOKMARK":
                found.append((event.type, event.object["metadata"]["name"]))
    return found


async def test_a_list_comes_in_pages_of_one_version(cluster, namespace, config_map):
    for number in range(7):
        await cluster.create(config_map(f"n{number}"))
    names, page, versions = [], "", set()
    while True:
        answer = await cluster.list(CONFIG_MAP, namespace, page=page, limit=3)
        names += [item["metadata"]["name"] for item in answer.items if item["metadata"]["name"].startswith("n")]
        versions.add(answer.version)
        page = answer.next
        if not page:
            break
    assert names == [f"n{number}" for number in range(7)]
    assert len(versions) == 1


async def test_a_list_selects_by_labels_and_namespace(cluster, namespace, config_map):
    await cluster.create(config_map("a", labels={LABEL_APPLICATION: "web", "tier": "front"}))
    await cluster.create(config_map("b", labels={LABEL_APPLICATION: "web", "tier": "back"}))
    await cluster.create(config_map("c", labels={"tier": "front"}))

    async def names(labels, where=namespace):
        return [item["metadata"]["name"] for item in (await cluster.list(CONFIG_MAP, where, labels)).items]

    assert await names({LABEL_APPLICATION: "web"}) == ["a", "b"]
    assert await names({LABEL_APPLICATION: None, "tier": "front"}) == ["a"]
    assert await names({"tier": "front"}) == ["a", "c"]
    assert await names({LABEL_APPLICATION: "web"}, "kube-system") == []
    assert await names({LABEL_APPLICATION: "other"}, "") == []


async def test_a_list_selects_by_the_fields_that_an_api_server_selects_by(cluster, namespace, config_map):
    """Events of one object are asked for by its uid: a busy namespace has thousands."""
    one, two = await cluster.create(config_map("a")), await cluster.create(config_map("b"))
    for number, about in enumerate((one, two, two)):
        kept = {name: about["metadata"][name] for name in ("name", "namespace", "uid")}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"said-{number}", "namespace": namespace},
            "reason": "Said",
            "type": "Normal",
        }
        await cluster.create({**event, "message": "a word", "involvedObject": {"apiVersion": "v1", "kind": "ConfigMap", **kept}})

    async def names(kind, fields):
        return [item["metadata"]["name"] for item in (await cluster.list(kind, namespace, fields=fields)).items]

    event = GVK("", "v1", "Event")
    assert await names(event, {"involvedObject.uid": two["metadata"]["uid"]}) == ["said-1", "said-2"]
    assert await names(event, {"involvedObject.uid": two["metadata"]["uid"], "metadata.name": "said-2"}) == ["said-2"]
    assert await names(CONFIG_MAP, {"metadata.name": "b"}) == ["b"]
    assert await names(CONFIG_MAP, {"metadata.name": "none"}) == []
    with pytest.raises(InvalidError):
        await names(CONFIG_MAP, {"data.color": "green"})


async def test_a_label_that_changes_moves_the_object_between_lists(cluster, namespace, config_map):
    made = await cluster.create(config_map(labels={LABEL_APPLICATION: "web"}))
    made["metadata"]["labels"] = {LABEL_APPLICATION: "shop"}
    await cluster.replace(made)
    assert (await cluster.list(CONFIG_MAP, namespace, {LABEL_APPLICATION: "web"})).items == []
    assert len((await cluster.list(CONFIG_MAP, namespace, {LABEL_APPLICATION: "shop"})).items) == 1


async def test_a_watch_from_a_lists_version_misses_nothing(cluster, namespace, config_map):
    await cluster.create(config_map("before"))
    start = (await cluster.list(CONFIG_MAP, namespace)).version
    made = await cluster.create(config_map("after", color="green", labels={"team": "a"}))
    made["data"]["color"] = "blue"
    await cluster.replace(made)
    await cluster.delete(ObjectRef.of(made))
    async with aclosing(cluster.watch(CONFIG_MAP, {"team": "a"}, since=start)) as watch:
        assert await take(watch, 3) == [("ADDED", "after"), ("MODIFIED", "after"), ("DELETED", "after")]


async def test_objects_enter_and_leave_a_watch_with_their_labels(cluster, namespace, config_map):
    start = (await cluster.list(CONFIG_MAP, namespace)).version
    async with aclosing(cluster.watch(CONFIG_MAP, {"watched": None}, since=start)) as watch:
        made = await cluster.create(config_map())
        made["metadata"]["labels"] = {"watched": "yes"}
        made = await cluster.replace(made)
        del made["metadata"]["labels"]
        await cluster.replace(made)
        assert await take(watch, 2) == [("ADDED", "one"), ("DELETED", "one")]


async def test_a_watch_of_one_namespace_tells_of_that_alone(cluster, namespace, config_map):
    start = (await cluster.list(CONFIG_MAP, namespace)).version
    async with aclosing(cluster.watch(CONFIG_MAP, since=start, namespace=namespace)) as watch:
        await cluster.create(
            {**config_map("elsewhere"), "metadata": {"name": "elsewhere", "namespace": "default", "labels": {"made-for": namespace}}}
        )
        await cluster.create(config_map("here"))
        assert await take(watch, 1) == [("ADDED", "here")]
    await cluster.delete(ObjectRef("v1", "ConfigMap", "default", "elsewhere"))


async def test_a_watch_of_all_kinds_leaves_out_state_events_and_leases(cluster, namespace, config_map):
    labels = {LABEL_APPLICATION: namespace}
    start = (await cluster.list(None, labels=labels)).version
    state = {
        "apiVersion": "reconciler.dev/v1alpha1",
        "kind": "WorkflowRun",
        "metadata": {"name": "a.b-v1-1", "namespace": namespace, "labels": labels},
        "spec": {"application": "b", "namespace": "a", "revision": "b-v1", "digest": "d"},
    }
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": namespace, "labels": labels}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace, "labels": labels}}
    async with aclosing(cluster.watch(None, labels, since=start)) as watch:
        for given in (state, lease, secret, config_map("last", labels=labels)):
            await cluster.create(given)
        assert sorted(await take(watch, 2)) == [("ADDED", "last"), ("ADDED", "s")]


async def test_a_list_of_all_kinds_has_what_such_a_watch_tells_of(cluster, namespace, config_map):
    labels = {LABEL_APPLICATION: namespace}
    state = {
        "apiVersion": "reconciler.dev/v1alpha1",
        "kind": "WorkflowRun",
        "metadata": {"name": "a.b-v1-1", "namespace": namespace, "labels": labels},
        "spec": {"application": "b", "namespace": "a", "revision": "b-v1", "digest": "d"},
    }
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace, "labels": labels}}
    for given in (state, secret, config_map("c", labels=labels)):
        await cluster.create(given)
    first = await cluster.list(None, labels=labels, limit=1)
    second = await cluster.list(None, labels=labels, limit=1, page=first.next)
    assert {item["kind"] for item in [*first.items, *second.items]} == {"ConfigMap", "Secret"}
    assert not second.next or not (await cluster.list(None, labels=labels, limit=1, page=second.next)).items


async def test_a_quiet_watch_brings_bookmarks_that_one_can_begin_at(cluster, namespace, config_map):
    start = (await cluster.list(CONFIG_MAP, namespace)).version
    async with aclosing(cluster.watch(CONFIG_MAP, {"team": "nobody"}, since=start)) as watch, asyncio.timeout(90):
        made = await cluster.create(config_map())
        event = await anext(watch)
    assert event.type == "BOOKMARK"
    assert int(event.object["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])


async def test_a_version_that_is_not_kept_expires(cluster):
    async with aclosing(cluster.watch(CONFIG_MAP, since="999999999999")) as watch:
        with pytest.raises(ExpiredError):
            async with asyncio.timeout(30):
                await anext(watch)


async def test_what_a_watcher_does_to_an_event_harms_no_one_else(cluster, namespace, config_map):
    start = (await cluster.list(CONFIG_MAP, namespace)).version
    async with (
        aclosing(cluster.watch(CONFIG_MAP, {"t": "1"}, since=start)) as one,
        aclosing(cluster.watch(CONFIG_MAP, {"t": "1"}, since=start)) as two,
    ):
        await cluster.create(config_map(labels={"t": "1"}, color="green"))
        (await anext(one)).object["data"]["color"] = "spoiled"
        assert (await anext(two)).object["data"]["color"] == "green"

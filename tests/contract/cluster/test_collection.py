"""Garbage collection by ownerReferences."""

import pytest

from reconciler.model.identity import ObjectRef


@pytest.fixture
async def family(cluster, config_map):
    """(owner, child, grandchild), each owned by the one before."""
    made = []
    for name in ("owner", "child", "grandchild"):
        given = config_map(name)
        if made:
            before = made[-1]
            given["metadata"]["ownerReferences"] = [
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "name": before["metadata"]["name"],
                    "uid": before["metadata"]["uid"],
                    "blockOwnerDeletion": True,
                }
            ]
        made.append(await cluster.create(given))
    return [ObjectRef.of(one) for one in made]


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_dependents_go_with_their_owner(cluster, family, eventually, absent, propagation):
    await cluster.delete(family[0], propagation=propagation)
    for ref in family:
        await eventually(lambda ref=ref: absent(ref))


async def test_orphans_stay_without_their_owner(cluster, family, eventually, absent):
    owner, child, grandchild = family
    await cluster.delete(owner, propagation="Orphan")
    await eventually(lambda: absent(owner))
    assert not (await cluster.get(child))["metadata"].get("ownerReferences")
    assert (await cluster.get(grandchild))["metadata"]["ownerReferences"]


async def test_foreground_keeps_the_owner_until_its_dependents_are_gone(cluster, family, eventually, absent):
    owner, child, grandchild = family
    held = await cluster.get(grandchild)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await cluster.replace(held)
    await cluster.delete(owner, propagation="Foreground")

    async def dying():
        return (await cluster.get(grandchild))["metadata"].get("deletionTimestamp")

    await eventually(dying)
    assert (await cluster.get(owner))["metadata"]["deletionTimestamp"]
    assert not await absent(child)
    held = await cluster.get(grandchild)
    held["metadata"]["finalizers"] = []
    await cluster.replace(held)
    await eventually(lambda: absent(owner))
    assert await absent(child)


async def test_a_dependent_with_another_living_owner_stays(cluster, config_map, eventually, absent):
    owners = [await cluster.create(config_map(name)) for name in ("a", "b")]
    shared = config_map("shared")
    shared["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": one["metadata"]["name"], "uid": one["metadata"]["uid"]} for one in owners
    ]
    ref = ObjectRef.of(await cluster.create(shared))
    await cluster.delete(ObjectRef.of(owners[0]))

    async def owner_names():
        return [one["name"] for one in (await cluster.get(ref))["metadata"]["ownerReferences"]] == ["b"]

    await eventually(owner_names)
    await cluster.delete(ObjectRef.of(owners[1]))
    await eventually(lambda: absent(ref))


async def test_an_object_whose_owner_never_was_goes(cluster, config_map, eventually, absent):
    given = config_map("stray")
    given["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "00000000-0000-0000-0000-000000000000"}
    ]
    ref = ObjectRef.of(await cluster.create(given))
    await eventually(lambda: absent(ref))

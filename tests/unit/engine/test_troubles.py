"""Asking why objects are not healthy: of which, how often, and what is made of the answers."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from reconciler.cluster.protocol import ForbiddenError, NotFoundError, Page
from reconciler.engine.troubles import Followed, Troubles
from reconciler.model.identity import ObjectRef
from reconciler.simulation.clock import VirtualClock
from tests.integration.harness import virtual


def ref(kind="Deployment", name="web", api="apps/v1"):
    return ObjectRef(api, kind, "shop", name)


def followed(one=None, fields="f1", status="Progressing", uid="u-web"):
    return Followed(one or ref(), uid, fields, status)


def obj(kind, name, owner="", template="1", api="apps/v1", **spec):
    owners = {"ownerReferences": [{"uid": owner, "controller": True}]} if owner else {}
    labels = {"app": "web", **({"pod-template-hash": "x"} if kind == "ReplicaSet" else {})}
    body = {"metadata": {"labels": labels}, "spec": {"image": template}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": body, **spec}
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": f"u-{name}", "labels": labels, **owners},
        "spec": spec,
    }


def deployment(template="1"):
    found = obj("Deployment", "web", template=template)
    found["spec"]["template"]["metadata"] = {"labels": {"app": "web"}}
    return found


def pod(name, owner, message="broken"):
    waits = {"name": "main", "state": {"waiting": {"reason": "CreateContainerError", "message": message}}}
    found = obj("Pod", name, owner, api="v1")
    return {**found, "spec": {}, "status": {"phase": "Pending", "containerStatuses": [waits]}}


def warning(uid, message):
    return {"kind": "Event", "metadata": {}, "type": "Warning", "reason": "FailedCreate", "message": message, "involvedObject": {"uid": uid}}


class World:
    """A cluster of some objects; says who asked for what, and when."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = list(objects)
        self.asked: list[tuple[float, str]] = []
        self.refuses = False

    async def get(self, wanted: ObjectRef) -> dict[str, Any]:
        self.asked.append((asyncio.get_running_loop().time(), wanted.kind))
        if self.refuses:
            raise ForbiddenError("no")
        for one in self.objects:
            if (one["kind"], one["metadata"]["name"]) == (wanted.kind, wanted.name):
                return one
        raise NotFoundError(str(wanted))

    async def list(self, kind, namespace="", labels=None, page="", limit=500, fields=None) -> Page:
        assert namespace == "shop"
        found = [one for one in self.objects if one["kind"] == kind.kind]
        if fields:
            found = [one for one in found if one["involvedObject"]["uid"] == fields["involvedObject.uid"]]
        return Page([one for one in found if (labels or {}).items() <= one["metadata"].get("labels", {}).items()], "1")

    def times(self) -> list[int]:
        return [round(when) for when, _ in self.asked]


class Asking:
    def __init__(self, *objects: dict[str, Any]) -> None:
        self.world, self.changed = World(*objects), []
        self.troubles = Troubles(VirtualClock(asyncio.get_running_loop()), self.changed.append)

    def follow(self, *found: Followed, owner: str = "o") -> None:
        self.troubles.follow(owner, found, self.world)

    def reason(self, one: Followed) -> str:
        return self.troubles.reason(one.ref, one.uid, one.fields)


@virtual
async def test_rule_10_an_object_is_asked_about_at_growing_pauses_and_its_owner_told_once():
    asking = Asking(deployment(), obj("ReplicaSet", "one", "u-web"), pod("p", "u-one"))
    asking.follow(followed())
    await asyncio.sleep(700)
    asking.follow()
    assert asking.world.times() == [2, 7, 17, 37, 77, 157, 317, 617]
    assert asking.changed == ["o"]
    await asyncio.sleep(700)
    assert len(asking.world.times()) == 8, "nobody is asked about what is healthy"


@virtual
async def test_rule_10_whatever_changes_it_is_not_asked_again_within_five_seconds():
    asking = Asking(deployment(), obj("ReplicaSet", "one", "u-web"), pod("p", "u-one"))
    for number in range(40):
        asking.follow(followed(status="Degraded" if number % 2 else "Progressing", fields=f"f{number // 4}"))
        await asyncio.sleep(0.9 if number % 3 else 3.1)
    times = [when for when, _ in asking.world.asked]
    assert len(times) > 5
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 4.99
    asking.follow()


@virtual
async def test_rule_10_at_most_three_objects_of_an_application_are_asked_about():
    found = [followed(ref(name=f"w{number}"), uid=f"u-w{number}") for number in range(9)]
    asking = Asking()
    asking.follow(*found)
    await asyncio.sleep(4)
    asking.follow()
    assert len(asking.world.asked) == 3


@virtual
async def test_a_reason_of_what_was_applied_before_is_not_told():
    asking = Asking(deployment(), obj("ReplicaSet", "one", "u-web"), pod("p", "u-one"))
    asking.follow(followed())
    await asyncio.sleep(3)
    assert asking.reason(followed()) == "container main: CreateContainerError: broken"
    assert asking.reason(followed(fields="f2")) == ""
    assert asking.reason(followed(uid="another")) == ""
    asking.follow(followed(ref(name="other")))
    assert asking.reason(followed()) == "", "it is healthy"
    asking.follow()


@virtual
async def test_what_cannot_be_asked_leaves_what_was_known():
    asking = Asking(deployment(), obj("ReplicaSet", "one", "u-web"), pod("p", "u-one"))
    asking.follow(followed())
    await asyncio.sleep(3)
    asking.world.refuses = True
    await asyncio.sleep(100)
    assert asking.reason(followed()) == "container main: CreateContainerError: broken"
    assert asking.changed == ["o"]
    asking.follow()


@virtual
async def test_rule_8a_what_never_answers_keeps_no_other_from_being_asked():
    asking = Asking(deployment(), obj("ReplicaSet", "one", "u-web"), pod("p", "u-one"))

    class Silent(World):
        async def get(self, _: ObjectRef) -> dict[str, Any]:
            return await asyncio.get_running_loop().create_future()

    for number in range(9):
        asking.troubles.follow(f"silent-{number}", [followed(ref(name=f"w{number}"))], Silent())
    await asyncio.sleep(3)
    asking.follow(followed())
    await asyncio.sleep(60)
    assert asking.changed == ["o"]
    asking.troubles.close()


async def ask(found, *objects):
    asking = Asking(*objects)
    await asking.troubles.look(found, asking.world)
    return asking.reason(found)


ROLLING = (obj("ReplicaSet", "old", "u-web", "0"), pod("p0", "u-old", "old"), obj("ReplicaSet", "new", "u-web"), pod("p1", "u-new", "new"))


@pytest.mark.parametrize(
    ("told", "found", "objects"),
    [
        ("container main: CreateContainerError: new", followed(), (deployment("1"), *ROLLING)),
        ("container main: CreateContainerError: old", followed(), (deployment("0"), *ROLLING)),
        ("", followed(), (deployment(), obj("ReplicaSet", "new", "u-web"), pod("p", "somebody else"))),
        (
            "FailedCreate: quota",
            followed(),
            (deployment(), obj("ReplicaSet", "new", "u-web", replicas=1), warning("u-new", "quota"), warning("u-x", "other")),
        ),
        ("", followed(), (deployment(), obj("ReplicaSet", "new", "u-web", replicas=0), warning("u-new", "quota"))),
        ("FailedCreate: quota", followed(ref("StatefulSet")), (obj("StatefulSet", "web"), warning("u-web", "quota"))),
        (
            "container main: CreateContainerError: broken",
            followed(ref("Rollout", api="argoproj.io/v1alpha1")),
            (obj("Rollout", "web", api="argoproj.io/v1alpha1"), pod("p", "u-of-a-set")),
        ),
        ("container main: CreateContainerError: broken", followed(ref("Pod", "p", "v1"), uid="u-p"), (pod("p", ""),)),
        (
            "FailedCreate: no class",
            followed(ref("PersistentVolumeClaim", api="v1")),
            ({"kind": "PersistentVolumeClaim", "metadata": {"name": "web"}}, warning("u-web", "no class")),
        ),
        ("", followed(), ()),
    ],
)
def test_a_workload_is_told_of_by_its_newest_pods_or_by_why_there_are_none(told, found, objects):
    loop = asyncio.new_event_loop()
    try:
        assert loop.run_until_complete(ask(found, *objects)) == told
    finally:
        loop.close()

"""
What networks and API servers do to a daemon: nothing is lost by it, and nothing is deleted in doubt.

`RECONCILER_PROOF=N`, N over 1: for longer.
"""

import asyncio
import os
import random
from contextlib import aclosing

import pytest

from reconciler.cluster.kubernetes.cluster import KubernetesCluster
from reconciler.cluster.kubernetes.connection import find_origin
from reconciler.cluster.kubernetes.watch import Pace
from reconciler.model.identity import GVK
from tests.e2e.place import Place, config_map_app
from tests.faults.effects import Receiver, flow
from tests.faults.proxy import Call, Fault, Proxy
from tests.integration.process import PATIENCE

PROOF = int(os.environ.get("RECONCILER_PROOF", "1"))
pytestmark = pytest.mark.timeout(240 * PROOF)


def synced(value: str, place: Place, name: str = "shop"):
    return lambda status: status["sync"] == "Synced" and place.value(name) == value


def names(requests) -> list[str]:
    return [f"{one.verb} {one.resource} {one.name}" for one in requests]


def test_rule_1_a_list_that_is_empty_where_objects_are_deletes_nothing(place: Place, proxy: Proxy):
    objects = ("shop", "two", "three")
    place.clone.push({"shop.yaml": config_map_app(place.namespace, *objects[:1], "first", *objects[1:])})
    empty = Fault(lambda call: call.lists, empty=True)
    with place.daemon() as daemon:
        daemon.ready().until("shop", synced("first", place), "synced")
        uids = {name: place.object("v1", "configmaps", name)["metadata"]["uid"] for name in objects}
        with proxy.having(empty):
            proxy.expire()
            place.plane.until(lambda: any(call.plural == "configmaps" for call in empty.met), "the daemon lists anew, and is lied to")
            place.clone.push({"shop.yaml": config_map_app(place.namespace, *objects[:1], "second", *objects[1:])})
            daemon.until("shop", synced("second", place), "what is pushed meanwhile is applied")

    def created(call: Call) -> bool:
        return call.method == "POST" and call.plural == "applications"

    beginning = len(proxy.calls)
    with proxy.having(empty), place.daemon() as daemon:
        daemon.ready()
        place.clone.push({"shop.yaml": config_map_app(place.namespace, *objects[:1], "third", *objects[1:])})
        daemon.wait_for(lambda: any(map(created, proxy.calls[beginning:])), "a daemon that begins among lies takes the application for new")
        assert place.value("shop") == "second"
        proxy.remove(empty)
        daemon.until("shop", synced("third", place), "all is well once the lists are true")
    assert {name: place.object("v1", "configmaps", name)["metadata"]["uid"] for name in objects} == uids
    assert names(place.deletions()) == []
    assert sorted(each["metadata"]["name"].rpartition(".")[2] for each in place.state("workflowruns")) == ["shop-v1-1", "shop-v2-1", "shop-v3-1"]


@pytest.mark.parametrize("how", ["cut", "expired", "expired at once"])
def test_what_changes_while_a_watch_is_broken_is_found_and_mended(place: Place, proxy: Proxy, how: str):
    place.clone.push({"shop.yaml": config_map_app(place.namespace, "shop", "first", "other")})

    def watched(call: Call) -> bool:
        return call.watch and call.plural == "configmaps"

    with place.daemon() as daemon:
        daemon.ready().until("shop", synced("first", place), "synced")
        daemon.wait_for(lambda: proxy.open_streams("configmaps"), "its objects are watched")
        with proxy.having(Fault(watched, status=503)) as closed:
            if how == "expired":
                assert proxy.expire("configmaps")
            else:
                assert proxy.cut("configmaps")
            place.plane.api("DELETE", place.path("v1", "configmaps", "other"))
            place.plane.apply(
                place.path("v1", "configmaps", "shop"), {"apiVersion": "v1", "kind": "ConfigMap", "data": {"value": "theirs"}}, "theirs"
            )
            daemon.wait_for(lambda: closed.met, "it asks for the watch again")
        with proxy.having(Fault(watched, status=410, times=2 if how == "expired at once" else 0)):
            daemon.wait_for(lambda: place.value("other") == "first", "what was deleted is there again")
            daemon.wait_for(lambda: place.value("shop") == "first", "what was changed is as it was")


@pytest.mark.timeout(600 * PROOF)
def test_pushes_arrive_and_effects_count_once_while_the_server_is_slow_refuses_and_loses_answers(place: Place, proxy: Proxy, receiver: Receiver):
    chance = random.Random(6)
    proxy.add(Fault(lambda call: not call.watch and chance.random() < 0.3, delay=0.1))
    proxy.add(Fault(lambda call: chance.random() < 0.04, status=429, retry_after=1))
    proxy.add(Fault(lambda call: chance.random() < 0.04, status=500))
    proxy.add(Fault(lambda call: not call.watch and chance.random() < 0.04, lost=True))
    apps = ("one", "two", "three")
    rounds = 3 * PROOF
    place.clone.push({"flow.yaml": flow(place.namespace, receiver.address)})
    with place.daemon("--allow-egress", receiver.address) as daemon:
        daemon.patience = 3 * PATIENCE  # who meets five faults in a row waits longer from one to the next
        daemon.ready()
        for number in range(rounds):
            place.clone.push({f"{name}.yaml": config_map_app(place.namespace, name, f"{number}") for name in apps})
            proxy.cut()
            daemon.wait_for(lambda number=number: place.value(apps[number % 3]) == f"{number}", f"round {number}")
        for name in apps:
            daemon.until(name, synced(f"{rounds - 1}", place, name), f"{name} is at the newest revision")
        daemon.until("flow", lambda status: (status["run"] or {}).get("phase") == "Succeeded", "the workflow is through")
    assert receiver.counts == {"/flow/a": 1, "/flow/b": 1, "/flow/c": 1}
    assert names(place.deletions()) == []
    runs = [run["metadata"]["name"] for run in place.state("workflowruns")]
    assert len(runs) == len(set(runs))


async def test_a_stream_that_falls_silent_and_stays_open_is_begun_anew(place: Place, proxy: Proxy):
    """By the client alone: the daemon waits a minute and a half before it takes silence for death."""
    cluster = KubernetesCluster(find_origin(str(place.kubeconfig), ""), Pace(silence=1.0))
    await cluster.start()
    maps = place.path("v1", "configmaps")
    try:
        async with aclosing(cluster.watch(GVK("", "v1", "ConfigMap"), {"test": place.namespace})) as watch, asyncio.timeout(40):
            following = asyncio.ensure_future(anext(watch))
            while not proxy.open_streams("configmaps"):
                await asyncio.sleep(0.01)
            labels = {"test": place.namespace}
            place.plane.api("POST", maps, {"metadata": {"name": "one", "labels": labels}})
            assert (await following).object["metadata"]["name"] == "one"
            proxy.silence("configmaps")
            place.plane.api("POST", maps, {"metadata": {"name": "two", "labels": labels}})
            event = await anext(watch)
            while event.type == "BOOKMARK":
                event = await anext(watch)
            assert (event.type, event.object["metadata"]["name"]) == ("ADDED", "two")
    finally:
        await cluster.close()

"""One request: patient with a busy server, and never done twice where that would be two things."""

import asyncio
from contextlib import suppress

import pytest
from aiohttp import web

from reconciler.cluster.kubernetes.calls import Places
from reconciler.cluster.protocol import InvalidError, KindUnknownError, UnavailableError
from reconciler.model.identity import GVK, ObjectRef
from tests.unit.cluster.kubernetes.server import APPS, config_map, eventually, group, page, resource, status

ONE = ObjectRef("v1", "ConfigMap", "default", "one")
MAPS, PATH = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/configmaps/one"


def new():
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "default"}}


def busy(code=429):
    answer = status(code, "Busy")
    answer.headers["Retry-After"] = "1"
    return answer


async def test_a_server_that_says_when_it_is_free_is_asked_again_then(server, cluster):
    server.reply("POST", MAPS, busy(), config_map())
    assert (await cluster.create(new()))["metadata"]["uid"] == "u-one"
    assert len(server.asked("POST")) == 2


async def test_a_busy_server_is_asked_until_the_deadline_and_no_longer(server, cluster):
    server.reply("GET", PATH, busy())
    with pytest.raises(UnavailableError):
        await cluster.get(ONE)
    assert 1 < len(server.asked("GET /api/v1")) < 5


async def test_a_create_that_may_have_been_done_is_not_done_again(server, cluster):
    server.reply("POST", MAPS, busy(503), config_map())
    with pytest.raises(UnavailableError):
        await cluster.create(new())
    assert len(server.asked("POST")) == 1


async def test_a_read_is_tried_again_where_the_server_is_not_ready(server, cluster):
    server.reply("GET", PATH, busy(503), config_map())
    assert await cluster.get(ONE) == config_map()


async def test_a_read_that_fails_is_tried_a_few_times_and_a_write_once(server, cluster):
    server.reply("GET", PATH, status(500, "InternalError"), status(502, "BadGateway"), config_map())
    assert await cluster.get(ONE) == config_map()
    server.reply("GET", PATH, status(500, "InternalError"))
    with pytest.raises(UnavailableError):
        await cluster.get(ONE)
    server.reply("POST", MAPS, status(500, "InternalError"), config_map())
    with pytest.raises(UnavailableError):
        await cluster.create(new())
    assert (len(server.asked("GET /api/v1")), len(server.asked("POST"))) == (3 + 4, 1)


async def test_an_answer_that_does_not_come_is_an_error_in_time(server, cluster):
    async def silent(request):
        await asyncio.sleep(30)
        return web.Response()

    server.on["GET", PATH] = silent
    with pytest.raises(UnavailableError, match="no answer within 3 s"):
        await cluster.get(ONE)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"metadata": 1}', b"<html>"])
async def test_what_is_no_object_is_no_answer(server, cluster, body):
    server.reply("GET", PATH, web.Response(body=body))
    with pytest.raises(UnavailableError):
        await cluster.get(ONE)


async def test_a_server_that_is_gone_is_unavailable_and_no_credential_is_told(server, cluster):
    cluster.connection.host = "http://127.0.0.1:1"
    with pytest.raises(UnavailableError) as told:
        await cluster.get(ONE)
    assert "127.0.0.1:1" in str(told.value)
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "%2e%2e", "", None, 7])
async def test_no_name_leads_to_another_path(server, cluster, name):
    asked = len(server.requests)
    for given in ({"name": name, "namespace": "default"}, {"name": "one", "namespace": name}):
        with pytest.raises(InvalidError, match="metadata"):
            await cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": given}, "team")
    assert len(server.requests) == asked


async def test_a_user_is_named_in_the_calls_that_are_made_for_it_and_in_no_others(server, cluster):
    server.reply("PATCH", PATH, config_map())
    await cluster.acting_as("system:serviceaccount:shop:deployer").apply(new(), "team")
    assert server.headers[-1]["Impersonate-User"] == "system:serviceaccount:shop:deployer"
    await cluster.apply(new(), "team")
    assert "Impersonate-User" not in server.headers[-1]


async def test_a_list_goes_on_where_a_continuation_is_too_old(server, cluster):
    gone = status(410, "Expired", "too old", metadata={"continue": "newer"})
    server.reply("GET", MAPS, page(config_map("a"), version="7", following="older"), gone, page(config_map("b"), version="9"))
    first = await cluster.list(GVK("", "v1", "ConfigMap"), "default", limit=1)
    second = await cluster.list(GVK("", "v1", "ConfigMap"), "default", page=first.next, limit=1)
    assert [obj["metadata"]["name"] for obj in (*first.items, *second.items)] == ["a", "b"]
    assert (first.version, second.version, second.next) == ("7", "7", "")
    assert server.requests[-1].endswith("continue=newer")


@pytest.mark.parametrize(
    "body", [b"", b'{"items": []}', b'{"metadata": {"resourceVersion": ""}, "items": []}', b'{"metadata": {"resourceVersion": "1"}}']
)
async def test_rule_1_an_answer_that_is_no_whole_list_is_not_an_empty_one(server, cluster, body):
    server.reply("GET", MAPS, web.Response(body=body))
    with pytest.raises(UnavailableError):
        await cluster.list(GVK("", "v1", "ConfigMap"), "default")


async def test_a_kind_that_is_not_known_is_asked_for_before_it_is_unknown(server, cluster):
    widget = GVK("example.com", "v1", "Widget")
    with pytest.raises(KindUnknownError):
        await cluster.kind(widget)
    server.groups = [group("apps", APPS), group("example.com", [resource("widgets", "Widget")])]

    async def known():
        with suppress(KindUnknownError):
            return await cluster.kind(widget)

    async with asyncio.timeout(20):
        while not (found := await known()):
            await asyncio.sleep(0.05)
    assert (found.plural, found.served) == ("widgets", widget)


async def test_a_kind_that_stays_unknown_does_not_make_a_request_each_time(server, cluster):
    asked = len(server.requests)
    for _ in range(50):
        with pytest.raises(KindUnknownError):
            await cluster.kind(GVK("example.com", "v1", "Widget"))
    assert len(server.requests) - asked <= 4


async def test_unchanged_kinds_are_answered_without_a_body(server, kubeconfig, cluster):
    server.etag = '"abc"'
    await cluster._discovery.refresh()
    await cluster._discovery.refresh()
    assert server.headers[-1]["If-None-Match"] == '"abc"'
    assert (await cluster.kind(GVK("apps", "v1", "Deployment"))).plural == "deployments"


async def test_a_group_whose_server_is_down_keeps_its_kinds(server, cluster):
    server.groups = [group("apps", [], freshness="Stale")]
    await cluster._discovery.refresh()
    assert (await cluster.kind(GVK("apps", "v1", "Deployment"))).plural == "deployments"


async def test_a_server_without_aggregated_discovery_is_asked_group_by_group(server, cluster):
    entry = {"name": "widgets", "singularName": "widget", "namespaced": True, "kind": "Widget", "verbs": ["get", "list"], "shortNames": ["wd"]}
    versions = [{"version": "v1beta1"}, {"version": "v1"}]
    server.reply("GET", "/api", {"kind": "APIVersions", "versions": []})
    server.reply("GET", "/apis", {"kind": "APIGroupList", "groups": [{"name": "example.com", "versions": versions, "preferredVersion": versions[1]}]})
    for version in versions:
        listed = [entry, {**entry, "name": "widgets/status"}]
        server.reply("GET", f"/apis/example.com/{version['version']}", {"kind": "APIResourceList", "resources": listed})
    await cluster._discovery.refresh()
    assert [kind.served for kind in await cluster.kinds()] == [GVK("example.com", "v1", "Widget")]
    assert (await cluster.lookup("wd.example.com")).plural == "widgets"
    assert (await cluster.kind(GVK("example.com", "v1beta1", "Widget"))).namespaced


async def test_rule_10_whoever_asks_what_charts_may_know_the_server_is_asked_once(server, cluster):
    server.reply("GET", "/version", {"major": "1", "minor": "36+", "gitVersion": "v1.36.3-eks-1234"})
    before = len(server.requests)
    told = await asyncio.gather(*(cluster.capabilities() for _ in range(20)))
    assert {found.kube_version for found in told} == {"v1.36.3-eks-1234"}
    assert told[0].api_versions == ("apps/v1", "apps/v1/Deployment", "v1", "v1/ConfigMap", "v1/Namespace", "v1/Secret")
    assert sorted(server.requests[before:]) == ["GET /api", "GET /apis", "GET /version"]


async def test_what_people_wait_for_goes_before_what_happens_in_the_background():
    places, order = Places(2), []
    free = asyncio.Event()

    async def take(name, background):
        async with places.take(background):
            order.append(name)
            await free.wait()

    tasks = [
        asyncio.create_task(take(name, background)) for name, background in (("b1", True), ("b2", True), ("b3", True), ("f1", False), ("f2", False))
    ]
    await eventually(lambda: len(order) == 2)
    assert order == ["b1", "f1"], "the background has half of the places at most"
    free.set()
    await asyncio.gather(*tasks)
    assert order == ["b1", "f1", "f2", "b2", "b3"]


async def test_a_place_is_not_lost_with_who_gave_up_waiting_for_it():
    places = Places(1)
    async with places.take(background=False):
        waiting = asyncio.create_task(places.take(background=False).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    for background in (True, False):
        async with asyncio.timeout(5), places.take(background=background):
            pass

"""A watch survives whatever happens to its connection, and says so when it can't go on."""

import asyncio
from contextlib import aclosing

import pytest
from aiohttp import web

from reconciler.cluster.protocol import ExpiredError, ForbiddenError, UnavailableError
from reconciler.model.identity import GVK
from tests.unit.cluster.kubernetes.server import config_map, eventually, group, line, page, resource, status

MAPS = "/api/v1/configmaps"
KIND = GVK("", "v1", "ConfigMap")
OURS = {"ours": None}


def bookmark(version):
    return line("BOOKMARK", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": version}})


def serve(server, *streams, path=MAPS, listed=()):
    """A list of that path answers `listed`; each watch gets the next stream: pieces, and an Event to hold it open. The last one stays silent."""
    left = list(streams)

    async def handle(request):
        if "watch" not in request.query:
            return web.json_response(page(*listed))
        pieces = left.pop(0) if left else [asyncio.Event()]
        if isinstance(pieces, web.Response):
            return pieces
        answer = web.StreamResponse()
        await answer.prepare(request)
        for piece in pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            else:
                await answer.write(piece)
        return answer

    server.on["GET", path] = handle


def watches(server, path=MAPS):
    return [request for request in server.asked(f"GET {path}") if "watch=1" in request]


async def take(watch, count, bookmarks=False):
    found = []
    async with asyncio.timeout(20):
        while len(found) < count:
            event = await anext(watch)
            if bookmarks or event.type != "BOOKMARK":
                found.append((event.type, event.object["metadata"].get("name", ""), event.object["metadata"]["resourceVersion"]))
    return found


async def test_a_watch_that_is_cut_goes_on_where_it_was(server, cluster):
    serve(server, [line("ADDED", config_map("a", "11")), line("ADDED", config_map("b", "12"))[:20]], [line("ADDED", config_map("b", "12"))])
    async with aclosing(cluster.watch(KIND, since="10")) as watch:
        assert await take(watch, 2) == [("ADDED", "a", "11"), ("ADDED", "b", "12")]
    assert "resourceVersion=10" in watches(server)[0]
    assert "resourceVersion=11" in watches(server)[1]


async def test_a_watch_that_falls_silent_is_taken_for_dead(server, cluster):
    serve(server, [bookmark("20"), asyncio.Event()], [line("ADDED", config_map("a", "21"))])
    async with aclosing(cluster.watch(KIND, since="10")) as watch:
        assert await take(watch, 1) == [("ADDED", "a", "21")]
    assert "resourceVersion=20" in watches(server)[1], "the bookmark moved its place"


async def test_a_server_that_was_set_back_expires_a_watch_that_would_be_silent_for_ever(server, cluster):
    serve(server)  # a list answers version 10
    async with aclosing(cluster.watch(KIND, since="99")) as watch:
        with pytest.raises(ExpiredError, match="of the future"):
            await take(watch, 1)


@pytest.mark.parametrize("how", ["status", "event"])
async def test_a_place_that_is_no_longer_kept_is_the_callers(server, cluster, how):
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    serve(server, status(410, "Expired") if how == "status" else [line("ERROR", gone)])
    async with aclosing(cluster.watch(KIND, since="10")) as watch:
        with pytest.raises(ExpiredError):
            await take(watch, 1)


async def test_a_watch_that_may_not_be_is_the_callers(server, cluster):
    serve(server, status(403, "Forbidden"))
    async with aclosing(cluster.watch(KIND, since="10")) as watch:
        with pytest.raises(ForbiddenError):
            await take(watch, 1)


async def test_errors_of_the_server_are_waited_for_with_growing_pauses(server, cluster):
    broken = [status(500, "InternalError") for _ in range(4)]
    serve(server, *broken, [line("ERROR", {"kind": "Status", "code": 500})], [b"not json\n"], [line("ADDED", config_map("a", "11"))])
    async with aclosing(cluster.watch(KIND, since="10")) as watch:
        assert await take(watch, 1) == [("ADDED", "a", "11")]
    assert len(watches(server)) >= 7


async def test_rule_8_an_object_that_is_nested_too_deeply_to_be_read_ends_a_watch_and_a_list_and_not_the_daemon(server, cluster):
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    serve(server, [b'{"type":"ADDED","object":' + deep + b"}\n"])
    async with aclosing(cluster.watch(KIND, since="10")) as watch:
        with pytest.raises(ExpiredError, match="nested too deeply"):
            await take(watch, 1)
    server.reply("GET", MAPS, web.Response(body=b'{"metadata":{"resourceVersion":"10"},"items":[' + deep + b"]}", content_type="application/json"))
    with pytest.raises(UnavailableError, match="nested too deeply"):
        await cluster.list(KIND)


async def test_a_watch_of_one_namespace_asks_for_that_alone(server, cluster):
    path = "/api/v1/namespaces/types/configmaps"
    serve(server, [line("ADDED", config_map("a", "11"))], path=path)
    async with aclosing(cluster.watch(KIND, namespace="types")) as watch:
        assert await take(watch, 1) == [("ADDED", "a", "11")]
    assert server.asked(f"GET {MAPS}") == []


async def test_an_event_of_any_length_comes_whole(server, cluster):
    large = config_map("a", "11")
    large["data"] = {"blob": "x" * 1_500_000}
    data = line("ADDED", large)
    serve(server, [data[start : start + 100_000] for start in range(0, len(data), 100_000)])
    async with aclosing(cluster.watch(KIND, since="10")) as watch, asyncio.timeout(20):
        assert (await anext(watch)).object == large


async def test_a_watch_without_a_place_begins_now(server, cluster):
    serve(server, [line("ADDED", config_map("a", "11"))], listed=[config_map("old", "3")])
    async with aclosing(cluster.watch(KIND)) as watch:
        assert await take(watch, 1) == [("ADDED", "a", "11")]
    assert "resourceVersion=10" in watches(server)[0]


async def test_only_kinds_that_hold_what_is_ours_are_watched(server, cluster):
    serve(server, [line("MODIFIED", config_map("a", "11"))], listed=[config_map("a", "5")])
    serve(server, path="/apis/apps/v1/deployments")
    serve(server, path="/api/v1/secrets")
    listed = await cluster.list(None, labels=OURS)
    assert [obj["metadata"]["name"] for obj in listed.items] == ["a"]
    async with aclosing(cluster.watch(None, OURS, since=listed.version)) as watch:
        assert await take(watch, 1) == [("MODIFIED", "a", "11")]
        assert watches(server, "/apis/apps") == watches(server, "/api/v1/secrets") == []


async def test_a_kind_is_watched_as_soon_as_an_object_of_it_is_applied(server, cluster):
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": {"ours": "yes"}, "resourceVersion": "30"},
    }
    server.reply("PATCH", "/apis/apps/v1/namespaces/default/deployments/web", deployment)
    changed = {**deployment, "metadata": {**deployment["metadata"], "resourceVersion": "31"}}
    for path in (MAPS, "/api/v1/secrets", "/api/v1/namespaces"):
        serve(server, path=path)
    serve(server, [line("MODIFIED", changed)], path="/apis/apps/v1/deployments", listed=[deployment])
    place = (await cluster.list(None, labels=OURS)).version
    async with aclosing(cluster.watch(None, OURS, since="{}")) as watch:
        first = asyncio.create_task(take(watch, 2))
        await asyncio.sleep(0)
        await cluster.apply(deployment, "team")
        assert await first == [("ADDED", "web", "30"), ("MODIFIED", "web", "31")]
    assert "Deployment" in place


async def test_kinds_that_may_not_be_listed_are_left_out_and_harm_no_other(server, cluster):
    server.reply("GET", "/api/v1/secrets", status(403, "Forbidden"))
    serve(server, listed=[config_map("a", "5")])
    assert [obj["metadata"]["name"] for obj in (await cluster.list(None, labels=OURS)).items] == ["a"]
    assert cluster.unwatched() == {("", "Secret")}
    server.reply("GET", "/api/v1/secrets", web.json_response(page()))
    await cluster.list(None, labels=OURS)
    assert cluster.unwatched() == set(), "since it may be listed"


async def test_rule_1_a_list_of_all_kinds_that_lacks_one_for_now_is_no_list(server, cluster):
    server.reply("GET", "/api/v1/secrets", status(500, "InternalError"))
    serve(server, listed=[config_map("a", "5")])
    with pytest.raises(Exception, match="500"):
        await cluster.list(None, labels=OURS)


async def test_a_group_whose_own_server_is_down_holds_up_no_other(server, cluster):
    server.groups = [group("apps", [], freshness="Stale")]
    server.reply("GET", "/apis/apps/v1/deployments", status(503, "ServiceUnavailable"))
    serve(server, listed=[config_map("a", "5")])
    assert [obj["metadata"]["name"] for obj in (await cluster.list(None, labels=OURS)).items] == ["a"]


async def test_a_kind_that_was_applied_goes_on_from_its_place_so_that_what_went_meanwhile_is_told(server, cluster):
    ours = config_map("a", "11", labels={"ours": "yes"})
    server.reply("PATCH", "/api/v1/namespaces/default/configmaps/a", ours)
    await cluster.apply(ours, "m")
    serve(server, [line("DELETED", config_map("a", "12"))], listed=[])
    async with aclosing(cluster.watch(None, OURS, since='{"ConfigMap": "11"}')) as watch:
        assert await take(watch, 1) == [("DELETED", "a", "12")]
    assert "resourceVersion=11" in watches(server)[0]
    assert server.asked(f"GET {MAPS}") == watches(server)


async def test_one_kind_that_lost_its_place_expires_the_whole(server, cluster):
    serve(server, [asyncio.Event()])
    serve(server, status(410, "Expired"), path="/api/v1/secrets")
    async with aclosing(cluster.watch(None, OURS, since='{"ConfigMap": "5", "Secret": "5"}')) as watch:
        with pytest.raises(ExpiredError):
            await take(watch, 1)


@pytest.mark.parametrize("since", ["12", "[]", '{"ConfigMap": 5}', "x"])
async def test_a_place_of_one_kind_is_none_among_all_kinds(server, cluster, since):
    async with aclosing(cluster.watch(None, OURS, since=since)) as watch:
        with pytest.raises(ExpiredError):
            await take(watch, 1)


async def test_of_a_secret_metadata_alone_is_asked_for(server, cluster):
    serve(server, path="/api/v1/secrets", listed=[{"metadata": config_map("s")["metadata"]}])
    serve(server)
    listed = await cluster.list(None, labels=OURS)
    assert [(obj["apiVersion"], obj["kind"]) for obj in listed.items] == [("v1", "Secret")]
    asked = dict(zip(server.requests, server.headers, strict=True))
    assert all("as=PartialObjectMetadataList" in headers["Accept"] for request, headers in asked.items() if "/secrets" in request)


async def test_nothing_of_a_watch_is_left_when_it_is_closed(server, cluster):
    serve(server, listed=[config_map("a", "5")])
    before = asyncio.all_tasks()
    async with aclosing(cluster.watch(None, OURS, since='{"ConfigMap": "5"}')) as watch:
        task = asyncio.create_task(anext(watch))
        await eventually(lambda: watches(server))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    left = {task for task in asyncio.all_tasks() - before if task.get_name().startswith("watch")}
    assert not left


async def test_a_kind_whose_definition_went_ends_its_watch_alone(server, cluster):
    server.groups = [*server.groups, group("example.com", [resource("widgets", "Widget")])]
    await cluster._discovery.refresh()
    serve(server, [line("ADDED", config_map("a", "11"))])
    async with aclosing(cluster.watch(None, OURS, since='{"Widget.example.com": "5", "ConfigMap": "5"}')) as watch:
        assert await take(watch, 1) == [("ADDED", "a", "11")]

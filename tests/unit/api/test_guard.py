"""Rule 13d: who may ask, and how."""

import asyncio
import json

import aiohttp
import pytest

from reconciler.api import routes
from reconciler.api.guard import is_loopback_name
from reconciler.api.problems import Code
from reconciler.api.server import SHUTDOWN_SECONDS, Server, create_app
from tests.unit.api.fakes import FakeReader


async def ask(session, url, method="GET", **options):
    async with session.request(method, url, **options) as answer:
        body = await answer.read()
        return answer, (json.loads(body)["error"]["code"] if answer.status >= 400 and body else "")


@pytest.mark.parametrize(
    "host", ["evil.example.com", "evil.example.com:7373", "127.0.0.1.evil.example.com", "localhost.evil.example.com", "10.0.0.1", ""]
)
async def test_rule_13d_a_name_that_is_made_to_resolve_to_loopback_is_refused(session, url, host):
    answer, code = await ask(session, f"{url}/v1/applications", headers={"Host": host})
    assert (answer.status, code) == (421, "HostNotAllowed")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "127.9.9.9:1", "[::1]:7373", "[::ffff:127.0.0.1]"])
async def test_rule_13d_the_machines_own_names_are_answered(session, url, host):
    answer, _ = await ask(session, f"{url}/v1/applications", headers={"Host": host})
    assert answer.status == 200


@pytest.mark.parametrize(
    "host", ["user@localhost", "localhost/x", "localhost#", " localhost", "[::1", "127.1", "0x7f.1", "localhost:port", "2130706433"]
)
def test_rule_13d_odd_spellings_of_loopback_are_not_taken(host):
    assert not is_loopback_name(host)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/v1/applications", "/v1/applications/prod/web", "/metrics", "/nowhere"])
async def test_rule_13d_the_api_only_reads(session, url, method, path):
    answer, code = await ask(session, url + path, method)
    assert (answer.status, code) == (405, "MethodNotAllowed")


HINT = "/v1/applications/prod/web/reconcile"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_rule_13d_a_hint_takes_a_post_and_nothing_else(session, url, reader, method):
    answer, _ = await ask(session, url + HINT, method, headers=JSON)
    assert answer.status == 405
    assert reader.wishes == []


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "http://evil.example.com"}, "OriginNotAllowed"),
        ({"Origin": "null"}, "OriginNotAllowed"),
        ({"Origin": "http://localhost:1"}, "OriginNotAllowed"),
        ({"Sec-Fetch-Site": "cross-site"}, "OriginNotAllowed"),
        ({"Sec-Fetch-Site": "same-site"}, "OriginNotAllowed"),
        ({"Host": "evil.example.com"}, "HostNotAllowed"),
        ({"Content-Type": "text/plain"}, "ContentTypeNotAllowed"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "ContentTypeNotAllowed"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "ContentTypeNotAllowed"),
    ],
)
async def test_rule_13d_what_a_foreign_page_can_send_is_no_hint(session, url, reader, headers, code):
    answer, told = await ask(session, url + HINT, "POST", headers=JSON | headers, data=b"{}")
    assert (answer.status, told) == (Code[code].status, code)
    assert reader.wishes == []


async def test_rule_13d_the_daemons_own_page_may_send_a_hint(session, url, reader):
    answer, _ = await ask(session, url + HINT, "POST", headers=JSON | {"Origin": url, "Sec-Fetch-Site": "same-origin"}, data=b"{}")
    assert answer.status == 200
    assert reader.wishes == [("prod/web", 30.0)]


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b'{"timeout": 0}', b'{"timeout": 301}', b'{"timeout": "1"}', b'{"wait": 1}', b"\xff", b'{"timeout": NaN}']
)
async def test_a_body_that_is_none_is_refused_with_the_form_of_one(session, url, reader, body):
    answer, code = await ask(session, url + HINT, "POST", headers=JSON, data=body)
    assert (answer.status, code) == (400, "InvalidRequest")
    assert reader.wishes == []


async def test_a_large_body_is_refused(session, url):
    answer, code = await ask(session, url + HINT, "POST", headers=JSON, data=b" " * 100_000)
    assert (answer.status, code) == (413, "BodyNotAllowed")


async def test_a_body_that_never_comes_holds_nothing_up(session, url, monkeypatch):
    monkeypatch.setattr(routes, "_BODY_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(f"POST {HINT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n".encode())
    assert (await reader.readline()).split()[1] == b"400"
    writer.close()


async def test_more_requests_than_can_wait_are_told_so_and_reads_go_on(session, url, reader, monkeypatch):
    monkeypatch.setattr(routes, "_MOST_WAITING", 2)
    end = asyncio.Event()

    async def wait(key, seconds):
        reader.wishes.append(key)
        await end.wait()

    monkeypatch.setattr(reader, "reconcile", wait)
    waiting = [asyncio.ensure_future(ask(session, url + HINT, "POST", headers=JSON)) for _ in range(2)]
    while len(reader.wishes) < 2:
        await asyncio.sleep(0)
    assert (await ask(session, url + HINT, "POST", headers=JSON))[1] == "Unavailable"
    assert (await ask(session, f"{url}/v1/applications"))[0].status == 200
    end.set()
    await asyncio.gather(*waiting)


async def test_rule_13d_a_body_is_refused_before_it_is_read(session, url):
    async def endless():
        while True:
            yield b"x" * 65536

    try:
        answer, code = await ask(session, f"{url}/v1/applications", data=endless())
    except aiohttp.ClientError:
        return  # the connection was closed on the sender, which is a refusal too
    assert (answer.status, code) == (413, "BodyNotAllowed")


async def test_head_is_answered_without_a_body(session, url):
    answer, _ = await ask(session, f"{url}/v1/applications", "HEAD")
    assert answer.status == 200
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/v1/applications", "/metrics", "/healthz", "/nowhere"])
async def test_rule_13d_every_answer_keeps_browsers_from_reading_more_into_it(session, url, path):
    answer, _ = await ask(session, url + path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"BREW / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/applications HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /v1/applications/%2e%2e/%2f HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET http://evil.example.com/v1/applications HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n",
    ],
)
async def test_nonsense_is_refused_and_the_next_request_answered(session, url, bytes_sent):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(bytes_sent)
    await writer.drain()
    head = await reader.read(64)
    writer.close()
    assert head.split(b" ")[1][:1] == b"4"
    answer, _ = await ask(session, f"{url}/healthz")
    assert answer.status == 200


async def test_a_client_that_holds_its_connection_does_not_hold_up_the_end():
    started, forever = asyncio.Event(), asyncio.Event()

    class Stuck(FakeReader):
        async def objects(self, kind, namespace, name):
            started.set()
            await forever.wait()

    server = Server(create_app(Stuck(), bytes))
    url = await server.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as session:
        request = asyncio.ensure_future(session.get(f"{url}/v1/objects?kind=event"))
        await started.wait()
        async with asyncio.timeout(2 * SHUTDOWN_SECONDS + 1):
            await server.stop()
        with pytest.raises(aiohttp.ClientError):
            await request


async def test_an_address_in_use_is_an_error_and_not_a_second_server(url):
    with pytest.raises(OSError):
        await Server(create_app(FakeReader(), bytes)).start("127.0.0.1", int(url.rpartition(":")[2]))

"""Rule 13b at the client: what is asked, what is refused before any connection, and what is said of it."""

import asyncio
import socket
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
from aiohttp import web

from reconciler.notify.client import BODY_LIMIT, GuardedClient, GuardedSocket
from reconciler.notify.egress import Egress
from reconciler.notify.protocol import (
    Answer,
    EgressRefusedError,
    NoAnswerError,
    RedirectRefusedError,
    Request,
    RequestInvalidError,
    UnreachableError,
)

SECONDS = 20.0


class Net:
    """What names lead to, and every socket that was opened."""

    def __init__(self, **names):
        self.names, self.asked, self.opened = {name.replace("_", "."): found for name, found in names.items()}, [], []

    async def lookup(self, host):
        self.asked.append(host)
        if host not in self.names:
            raise OSError("unknown")
        return [ip_address(text) for text in self.names[host]]

    def open_socket(self, info):
        self.opened.append(info[4][0])
        return socket.socket(info[0], info[1], info[2])


@asynccontextmanager
async def client(*openings, net=None, **more):
    net = net or Net()
    guarded = GuardedClient(Egress(openings), lookup=net.lookup, open_socket=net.open_socket, **more)
    try:
        yield guarded
    finally:
        await guarded.close()


@asynccontextmanager
async def serving(handler):
    """A server on loopback that hands every request to `handler`; its port."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def answers(*replies):
    """A handler that gives these answers in turn, the last one for ever, and what it was asked."""
    asked, left = [], list(replies)

    async def handle(request):
        asked.append((request.method, request.path_qs, {name.lower(): value for name, value in request.headers.items()}, await request.read()))
        status, headers = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=status, headers=headers, text="answer")

    return handle, asked


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f.1:8080/", "http://[::1]/", "http://[::ffff:127.0.0.1]/",
     "http://[fe80::1%25eth0]/", "http://169.254.169.254/latest", "https://10.0.0.1/", "http://１２７.0.0.1/", "http://0/", "http://[64:ff9b::7f00:1]/",
     "http://127.0.0.1./"],
)  # fmt: skip
async def test_rule_13b_an_address_in_any_spelling_is_refused_without_a_lookup_or_a_connection(url):
    net = Net()
    async with client(net=net) as guarded:
        with pytest.raises(EgressRefusedError, match="--allow-egress"):
            await guarded.send(Request("GET", url), SECONDS)
    assert (net.asked, net.opened) == ([], [])


@pytest.mark.parametrize("found", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["2606:4700::1111", "fd00::1"], ["::ffff:8.8.8.8"]])
async def test_rule_13b_a_name_that_leads_to_one_such_address_is_refused_without_a_connection(found):
    net = Net(hook_example=found)
    async with client(net=net) as guarded:
        with pytest.raises(EgressRefusedError) as caught:
            await guarded.send(Request("POST", "https://hook.example:8443/path?token=s3cret"), SECONDS)
    assert (net.asked, net.opened) == (["hook.example"], [])
    assert caught.value.opening == "hook.example:8443"
    assert str(caught.value).endswith("reached only where the daemon has --allow-egress hook.example:8443")
    assert caught.value.retry == "terminal"


async def test_rule_13b_a_public_address_is_tried_exactly_as_it_was_checked():
    class Refusing(Net):
        def open_socket(self, info):
            self.opened.append(info[4])
            raise OSError(101, "Network is unreachable")

    net = Refusing(hook_example=["1.1.1.1", "2606:4700::1111"])
    async with client(net=net) as guarded:
        with pytest.raises(UnreachableError, match=r"no connection to hook\.example:80: network is unreachable"):
            await guarded.send(Request("GET", "http://hook.example/"), SECONDS)
    assert {address[:2] for address in net.opened} == {("1.1.1.1", 80), ("2606:4700::1111", 80)}
    assert net.asked == ["hook.example"]


async def test_rule_13b_a_name_is_looked_up_and_checked_again_for_each_connection():
    handle, asked = answers((200, {"Connection": "close"}))
    async with serving(handle) as port:
        net = Net(hook_example=["127.0.0.1"])
        async with client(f"hook.example:{port}", net=net) as guarded:
            await guarded.send(Request("GET", f"http://hook.example:{port}/"), SECONDS)
            net.names["hook.example"] = ["127.0.0.1"]
            guarded._egress._open.clear()
            with pytest.raises(EgressRefusedError):
                await guarded.send(Request("GET", f"http://hook.example:{port}/"), SECONDS)
    assert len(asked) == 1


async def test_rule_13b_one_place_is_opened_by_host_and_port_or_by_host_alone():
    handle, asked = answers((200, {}))
    async with serving(handle) as port:
        url = f"http://localhost:{port}/abc"
        for opening, ok in ((f"localhost:{port}", True), ("LOCALHOST", True), (f"localhost:{port + 1}", False), ("127.0.0.1", False)):
            net = Net(localhost=["127.0.0.1"])
            async with client(opening, net=net) as guarded:
                if ok:
                    assert (await guarded.send(Request("POST", url, body=b"{}"), SECONDS)).status == 200
                else:
                    with pytest.raises(EgressRefusedError):
                        await guarded.send(Request("POST", url), SECONDS)
                assert bool(net.opened) is ok
        async with client("127.0.0.1") as guarded:
            assert (await guarded.send(Request("GET", f"http://2130706433:{port}/"), SECONDS)).status == 200
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("url", "why"),
    [("ftp://example.org/", "must begin with"), ("file:///etc/passwd", "must begin with"), ("//example.org", "must begin with"), ("http://", "must begin with"),
     ("http://me:s3cret@example.org/", "holds a user"), ("http://@example.org/", "holds a user"), ("http://exa mple.org/", "is no name"), ("http://exa%20mple.org/", "is no name"), ("http://a:99999/", "cannot be read"),
     ("http://1.2.3.999/", "looks like an address"), ("gopher://x", "must begin with"), ("", "must begin with")],
)  # fmt: skip
async def test_a_url_that_is_never_asked_says_why_and_shows_no_secret(url, why):
    net = Net()
    async with client(net=net) as guarded:
        with pytest.raises(RequestInvalidError, match=why) as caught:
            await guarded.send(Request("GET", url), SECONDS)
    assert "s3cret" not in str(caught.value)
    assert net.asked == []


async def test_rule_13b_a_redirect_is_checked_like_the_first_request():
    for location in ("http://169.254.169.254/latest", "http://10.0.0.1/", "//127.2/", "http://inside.example/"):
        handle, asked = answers((307, {"Location": location}))
        async with serving(handle) as port:
            net = Net(localhost=["127.0.0.1"], inside_example=["192.168.0.1"])
            async with client("localhost", net=net) as guarded:
                with pytest.raises(EgressRefusedError):
                    await guarded.send(Request("POST", f"http://localhost:{port}/"), SECONDS)
            assert len(asked) == len(net.opened) == 1


async def test_a_redirect_keeps_method_and_body_and_a_303_asks_elsewhere_for_the_answer():
    sent = {"Content-Type": "application/json", "Authorization": "Bearer t", "Idempotency-Key": "k"}
    for status, method, body in ((301, "POST", b"{}"), (302, "POST", b"{}"), (303, "GET", b""), (307, "POST", b"{}"), (308, "POST", b"{}")):
        handle, asked = answers((status, {"Location": "/second?x=1"}), (200, {}))
        async with serving(handle) as port, client("127.0.0.1") as guarded:
            answer = await guarded.send(Request("POST", f"http://127.0.0.1:{port}/first", sent, b"{}"), SECONDS, 100)
            assert answer == Answer(200, b"answer")
        assert [(asked[1][0], asked[1][1], asked[1][3])] == [(method, "/second?x=1", body)]
        assert asked[1][2]["authorization"] == "Bearer t"


async def test_a_redirect_to_another_host_takes_no_credentials_along():
    handle, asked = answers((200, {}))
    async with serving(handle) as port:
        first, _ = answers((307, {"Location": f"http://other.example:{port}/"}))
        async with serving(first) as start, client("other.example", "127.0.0.1", net=Net(other_example=["127.0.0.1"])) as guarded:
            headers = {"Authorization": "Bearer t", "X-Token": "t", "Idempotency-Key": "k", "Content-Type": "text/plain"}
            await guarded.send(Request("POST", f"http://127.0.0.1:{start}/", headers, b"x"), SECONDS)
    [(_, _, found, _)] = asked
    assert set(found) == {
        "host",
        "content-type",
        "idempotency-key",
        "user-agent",
        "accept-encoding",
        "content-length",
        "accept",
    }


async def test_it_is_sent_on_three_times_and_not_a_fourth():
    handle, asked = answers((302, {"Location": "/"}))
    async with serving(handle) as port, client("127.0.0.1") as guarded:
        with pytest.raises(RedirectRefusedError, match="more than 3 times"):
            await guarded.send(Request("GET", f"http://127.0.0.1:{port}/"), SECONDS)
    assert len(asked) == 4


async def test_no_redirect_leads_from_https_to_http():
    sent = []
    async with client() as guarded:

        async def ask(method, url, headers, body, limit):
            sent.append(str(url))
            return Answer(302), "http://example.org/"

        guarded._ask = ask
        with pytest.raises(RedirectRefusedError, match="from https to http"):
            await guarded.send(Request("GET", "https://example.org/"), SECONDS)
    assert sent == ["https://example.org/"]


async def test_tls_is_begun_with_the_name_of_the_url_whatever_address_was_checked():
    hello = asyncio.get_running_loop().create_future()

    async def listen(reader, writer):
        hello.set_result(await reader.read(4096))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client("hook.example", net=Net(hook_example=["127.0.0.1"])) as guarded:
        with pytest.raises(UnreachableError):
            await guarded.send(Request("GET", f"https://hook.example:{port}/"), SECONDS)
        assert b"hook.example" in await hello


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    handle, asked = answers((200, {}))
    async with serving(handle) as port, client("127.0.0.1") as guarded:
        assert (await guarded.send(Request("GET", f"http://127.0.0.1:{port}/"), SECONDS)).status == 200
    assert len(asked) == 1


async def test_a_request_ends_at_its_deadline_also_where_the_answer_never_ends():
    hang = asyncio.Event()

    async def handle(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await hang.wait()
        return response

    async with serving(handle) as port, client("127.0.0.1") as guarded:
        with pytest.raises(NoAnswerError, match=rf"127\.0\.0\.1:{port} gave no answer within 0\.05 s"):
            await guarded.send(Request("GET", f"http://127.0.0.1:{port}/?s3cret"), 0.05, 100)
        assert await guarded.send(Request("GET", f"http://127.0.0.1:{port}/"), SECONDS) == Answer(200)  # the status is all that was asked for
        hang.set()


async def test_an_answer_is_read_up_to_its_limit_and_a_body_is_sent_up_to_its_own():
    handle, asked = answers((200, {}))
    async with serving(handle) as port, client("127.0.0.1") as guarded:
        url = f"http://127.0.0.1:{port}/"
        assert await guarded.send(Request("GET", url), SECONDS, 6) == Answer(200, b"answer")
        assert await guarded.send(Request("GET", url), SECONDS, 5) == Answer(200, b"answe", whole=False)
        with pytest.raises(RequestInvalidError, match="at most"):
            await guarded.send(Request("POST", url, body=b"x" * (BODY_LIMIT + 1)), SECONDS)
        assert len((await guarded.send(Request("POST", url, body=b"x" * BODY_LIMIT), SECONDS)).body) == 0
    assert len(asked[-1][3]) == BODY_LIMIT


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "x"},
        {"Content-Length": "9"},
        {"Transfer-Encoding": "chunked"},
        {"Proxy-Authorization": "s3cret"},
        {"A": "s3cret\r\nB: c"},
        {"a b": "s3cret"},
    ],
)
async def test_a_header_that_changes_the_message_is_refused_and_its_value_is_not_shown(headers):
    handle, asked = answers((200, {}))
    async with serving(handle) as port, client("127.0.0.1") as guarded:
        with pytest.raises(RequestInvalidError) as caught:
            await guarded.send(Request("GET", f"http://127.0.0.1:{port}/", headers), SECONDS)
    assert "s3cret" not in str(caught.value)
    assert asked == []


async def test_what_goes_wrong_is_told_in_one_line_that_names_host_and_port_alone():
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    async with client("127.0.0.1") as guarded:
        with pytest.raises(UnreachableError) as refused:
            await guarded.send(Request("GET", f"http://127.0.0.1:{port}/p4th?s3cret", {"X": "s3cret"}), SECONDS)
        with pytest.raises(UnreachableError, match=r"no address is known for nowhere\.example:80"):
            await guarded.send(Request("GET", "http://nowhere.example/p4th?s3cret"), SECONDS)
    assert str(refused.value) == f"no connection to 127.0.0.1:{port}: connection refused"


@pytest.mark.parametrize("host", ["2130706433", "localhost", "127.1", ""])
def test_rule_13b_no_socket_is_opened_for_what_would_be_looked_up_once_more(host):
    net = Net()
    with pytest.raises(OSError, match="not an address"):
        GuardedSocket(net.open_socket)((socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 80)))
    assert net.opened == []


@pytest.mark.parametrize(
    ("opening", "url", "opened"),
    [("[::1]:443", "https://[::1]/", True), ("[::1]:443", "http://[::1]/", False), ("[::1]", "http://[0::0:1]:9/", True),
     ("10.0.0.1", "http://10.0.1/", True), ("10.0.0.1:80", "http://167772161:80/", True), ("10.0.0.2", "http://10.0.0.1/", False)],
)  # fmt: skip
def test_rule_13b_an_opening_is_an_address_in_any_spelling_with_or_without_a_port(opening, url, opened):
    egress = Egress([opening])
    if opened:
        assert egress.read(url).host in ("::1", "10.0.0.1")
    else:
        with pytest.raises(EgressRefusedError):
            egress.read(url)


async def test_a_list_of_hosts_is_all_that_may_be_asked():
    handle, asked = answers((200, {}))
    async with serving(handle) as port:
        net = Net(good_example=["127.0.0.1"], other_example=["127.0.0.1"])
        egress = Egress(["good.example", "other.example"], [f"good.example:{port}"], "--chart-host")
        guarded = GuardedClient(egress, lookup=net.lookup, open_socket=net.open_socket)
        try:
            await guarded.send(Request("GET", f"http://GOOD.example:{port}/"), SECONDS)
            with pytest.raises(EgressRefusedError, match=r"other\.example:.* is not among the hosts of --chart-host"):
                await guarded.send(Request("GET", f"http://other.example:{port}/"), SECONDS)
        finally:
            await guarded.close()
    assert len(asked) == 1


async def test_what_a_401_asks_for_is_answered():
    handle, _ = answers((401, {"WWW-Authenticate": 'Bearer realm="https://example.org/token"'}), (403, {"WWW-Authenticate": "Basic"}))
    async with serving(handle) as port, client("127.0.0.1") as guarded:
        answer = await guarded.send(Request("GET", f"http://127.0.0.1:{port}/"), SECONDS)
        assert answer == Answer(401, challenge='Bearer realm="https://example.org/token"')
        assert (await guarded.send(Request("GET", f"http://127.0.0.1:{port}/"), SECONDS)).challenge == ""

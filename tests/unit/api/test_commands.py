"""Commands over HTTP: who may order, what is sent and what is answered (RULES 7f, 13d)."""

import asyncio
import json

import msgspec
import pytest

from reconciler.api.server import Server, create_app
from reconciler.model.command import Commanded
from reconciler.model.status import Leader
from reconciler.model.workflow import RunLine, WorkflowView
from tests.unit.api.fakes import NOW, FakeReader, waiting

TOKEN = "a-token-that-nobody-guesses"
AUTH = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
BODY = {"author": "Ada <ada@example.org>", "reason": "it looks wrong"}
PLACE = "/v1/applications/prod/web/workflow"
VERBS = ["suspend", "resume", "terminate", "restart", "retry", "rollback"]


class FakeCommands:
    def __init__(self):
        self.wishes, self.result, self.gone = [], "Done", False

    async def command(self, key, wish, seconds):
        self.wishes.append((str(key), wish, seconds))
        answer = Commanded(key.name, key.namespace, wish.verb, self.result, "the sentence.", "web-v2-1", wish.step, "")
        return None if self.gone else answer


@pytest.fixture
def commands():
    return FakeCommands()


@pytest.fixture
def reader():
    return FakeReader(waiting("web", "prod"))


@pytest.fixture
async def url(reader, commands):
    server = Server(create_app(reader, lambda: b"", lambda: NOW, commands, TOKEN))
    yield await server.start("127.0.0.1", 0)
    await server.stop()


async def post(session, url, body=BODY, headers=AUTH):
    async with session.post(url, data=json.dumps(body) if isinstance(body, dict) else body, headers=headers) as answer:
        return answer, json.loads(await answer.read())


@pytest.mark.parametrize("verb", VERBS)
async def test_a_command_with_the_token_is_handed_on_as_it_was_sent(session, url, commands, verb):
    answer, told = await post(session, f"{url}{PLACE}/{verb}", BODY | {"step": "apply", "timeout": 5})
    assert answer.status == 200
    assert (told["verb"], told["result"], told["step"], told["message"]) == (verb, "Done", "apply", "the sentence.")
    [(key, wish, seconds)] = commands.wishes
    assert (key, wish.verb, wish.author, wish.reason, wish.step, seconds) == ("prod/web", verb, BODY["author"], BODY["reason"], "apply", 5)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "TokenNeeded"),
        ({"Authorization": ""}, 401, "TokenNeeded"),
        ({"Authorization": "Bearer"}, 401, "TokenNeeded"),
        ({"Authorization": f"Basic {TOKEN}"}, 401, "TokenNeeded"),
        ({"Authorization": TOKEN}, 401, "TokenNeeded"),
        ({"Authorization": "Bearer wrong"}, 403, "TokenWrong"),
        ({"Authorization": f"Bearer {TOKEN}x"}, 403, "TokenWrong"),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, 403, "TokenWrong"),
        ({"Authorization": f"Bearer {TOKEN.upper()}"}, 403, "TokenWrong"),
        ({"Authorization": "Bearer ünïcödé"}, 403, "TokenWrong"),
    ],
)
@pytest.mark.parametrize("verb", ["suspend", "rollback"])
async def test_rule_13d_without_the_token_nothing_is_ordered_on_loopback_either(session, url, commands, verb, headers, status, code):
    answer, told = await post(session, f"{url}{PLACE}/{verb}", headers={"Content-Type": "application/json"} | headers)
    assert (answer.status, told["error"]["code"]) == (status, code)
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)
    assert TOKEN not in json.dumps(told)
    assert commands.wishes == []


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "http://evil.example.com"}, "OriginNotAllowed"),
        ({"Origin": "null"}, "OriginNotAllowed"),
        ({"Sec-Fetch-Site": "cross-site"}, "OriginNotAllowed"),
        ({"Host": "evil.example.com"}, "HostNotAllowed"),
        ({"Content-Type": "text/plain"}, "ContentTypeNotAllowed"),
    ],
)
async def test_rule_13d_a_foreign_page_orders_nothing_even_with_the_token(session, url, commands, headers, code):
    _, told = await post(session, f"{url}{PLACE}/suspend", headers=AUTH | headers)
    assert told["error"]["code"] == code
    assert commands.wishes == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_a_command_is_a_post_and_nothing_else(session, url, commands, method):
    async with session.request(method, f"{url}{PLACE}/suspend", headers=AUTH) as answer:
        assert answer.status == 405
    assert commands.wishes == []


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("{}", "author"),
        ("[]", "object"),
        ("", "author"),
        ({"author": "Ada"}, "reason"),
        ({"author": "", "reason": "why"}, "author"),
        ({"author": "  ", "reason": "why"}, "blank"),
        (BODY | {"reason": "\n"}, "blank"),
        (BODY | {"reason": "x" * 1001}, "reason"),
        (BODY | {"author": "x" * 201}, "author"),
        (BODY | {"setp": "apply"}, "setp"),
        (BODY | {"timeout": 0}, "timeout"),
        (BODY | {"timeout": 301}, "timeout"),
        (BODY | {"step": 7}, "step"),
    ],
)
async def test_a_body_that_is_not_as_it_should_be_is_told_what_is_wrong_with_it(session, url, commands, body, word):
    answer, told = await post(session, f"{url}{PLACE}/suspend", body)
    assert (answer.status, told["error"]["code"]) == (400, "InvalidRequest")
    assert word in told["error"]["message"]
    assert commands.wishes == []


async def test_a_body_that_is_too_large_is_refused(session, url, commands):
    answer, told = await post(session, f"{url}{PLACE}/suspend", " " * 9000)
    assert (answer.status, told["error"]["code"]) == (413, "BodyNotAllowed")
    assert commands.wishes == []


@pytest.mark.parametrize(("result", "status"), [("Done", 200), ("Unchanged", 200), ("TimedOut", 200), ("Refused", 409), ("NotFound", 404)])
async def test_each_result_has_its_status_and_says_why(session, url, commands, result, status):
    commands.result = result
    answer, told = await post(session, f"{url}{PLACE}/terminate")
    assert answer.status == status
    assert "the sentence." in json.dumps(told)


async def test_an_application_that_is_not_there_is_not_found(session, url, commands):
    answer, _ = await post(session, f"{url}/v1/applications/prod/nobody/workflow/suspend")
    assert answer.status == 404
    assert commands.wishes == []
    commands.gone = True
    answer, _ = await post(session, f"{url}{PLACE}/suspend")
    assert answer.status == 404


async def test_reads_stay_open_and_an_unknown_verb_is_no_route(session, url):
    async with session.get(f"{url}/v1/workflows") as answer:
        assert answer.status == 200
    async with session.post(f"{url}{PLACE}/continue", headers=AUTH, data="{}") as answer:
        assert answer.status == 405


async def test_without_a_token_of_its_own_a_daemon_takes_no_commands(session, reader, commands):
    server = Server(create_app(reader, lambda: b"", lambda: NOW, commands, ""))
    url = await server.start("127.0.0.1", 0)
    try:
        async with session.post(f"{url}{PLACE}/suspend", headers=AUTH, data=json.dumps(BODY)) as answer:
            assert answer.status == 405
    finally:
        await server.stop()
    assert commands.wishes == []


async def test_too_many_who_wait_are_told_so(session, url, commands, monkeypatch):
    monkeypatch.setattr("reconciler.api.routes._MOST_WAITING", 1)
    release = asyncio.Event()

    async def slow(key, wish, seconds):
        await release.wait()
        return Commanded(key.name, key.namespace, wish.verb, "Done", "done.")

    commands.command = slow
    first = asyncio.create_task(post(session, f"{url}{PLACE}/suspend"))
    await asyncio.sleep(0.05)
    answer, told = await post(session, f"{url}{PLACE}/suspend")
    assert (answer.status, told["error"]["code"]) == (503, "Unavailable")
    release.set()
    assert (await first)[0].status == 200


def line(name="web", namespace="prod"):
    return RunLine(name, namespace, "kubevela", f"{name}-v2-1", f"{name}-v2", "deploy", "", "Waiting", "Gate", True, NOW)


def view(**fields):
    texts = {"application": "web", "namespace": "prod", "family": "kubevela", "run": "web-v2-1", "revision": "web-v2", "kind": "deploy"}
    more = {"phase": "Waiting", "reason": "Gate", "message": "", "queue": "", "mode": "DAG", "round": 0, "suspended": ""}
    return WorkflowView(**{**texts, **more, "steps": [], "decisions": [], "commands": [], **fields})


async def test_runs_are_listed_and_narrowed_by_name_and_namespace(session, url, reader):
    reader.lines = [line(), line("web", "dev"), line("shop")]
    async with session.get(f"{url}/v1/workflows?name=web&namespace=dev") as answer:
        assert [(run["namespace"], run["run"]) for run in await answer.json()] == [("dev", "web-v2-1")]


async def test_a_run_is_shown_by_its_name_or_the_newest_and_one_that_is_not_there_is_not_found(session, url, reader):
    reader.graphs = {("prod/web", ""): view(), ("prod/web", "web-v1-1"): view(run="web-v1-1")}
    for query, run in (("", "web-v2-1"), ("?run=web-v1-1", "web-v1-1")):
        async with session.get(f"{url}{PLACE}{query}") as answer:
            assert (await answer.json())["run"] == run
    async with session.get(f"{url}{PLACE}?run=web-v7-1") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(("theirs", "named"), [("b", "--shard b"), ("", "without --shard")])
async def test_a_command_or_hint_for_another_shards_application_names_who_acts_for_it(session, url, commands, reader, theirs, named):
    reader.lead = Leader(True, "", 0, shard="mine")
    reader.statuses = [msgspec.structs.replace(status, shard=theirs) for status in reader.statuses]
    for place in (f"{PLACE}/suspend", f"{PLACE.removesuffix('/workflow')}/reconcile"):
        answer, told = await post(session, f"{url}{place}", BODY if place.endswith("suspend") else {})
        assert (answer.status, told["error"]["code"]) == (421, "OtherShard")
        assert named in told["error"]["message"]
    assert (commands.wishes, reader.wishes) == ([], [])

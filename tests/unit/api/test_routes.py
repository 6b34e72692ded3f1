"""What each route answers."""

import pytest

from reconciler.api.problems import Code
from reconciler.model.status import Fault
from tests.unit.api.fakes import SINCE, FakeReader, history

DOCUMENTED = {"application", "namespace", "environment", "desired", "running", "sync", "health", "run", "gates", "gate", "conditions"}


async def fetch(session, url, status=200):
    async with session.get(url) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_applications_come_sorted_in_the_shape_that_scripts_rely_on(session, url):
    found = await fetch(session, f"{url}/v1/applications")
    assert [(status["namespace"], status["application"]) for status in found] == [("dev", "web"), ("prod", "shop"), ("prod", "web")]
    assert all(set(status) >= DOCUMENTED for status in found)
    web = found[2]
    assert set(web["desired"]) == {"revision", "digest", "commit"}
    assert web["run"]["steps"][1].items() >= {"name": "approve", "type": "suspend", "phase": "Waiting", "message": ""}.items()
    assert set(web["gate"]) >= {"step", "revision", "since", "key", "continue", "rollback", "end"}
    assert web["gates"] == [web["gate"]]
    assert found[1]["run"] is None
    assert found[1]["gate"] is None


async def test_applications_are_narrowed_by_name_and_namespace(session, url):
    assert len(await fetch(session, f"{url}/v1/applications?name=web")) == 2
    assert [found["application"] for found in await fetch(session, f"{url}/v1/applications?name=web&namespace=dev")] == ["web"]
    assert await fetch(session, f"{url}/v1/applications?name=nobody") == []


async def test_one_application_is_the_same_object_as_in_the_list(session, url):
    listed = await fetch(session, f"{url}/v1/applications")
    assert await fetch(session, f"{url}/v1/applications/prod/web") == listed[2]


async def test_why_tells_the_sentence_and_the_line(session, url):
    answer = await fetch(session, f"{url}/v1/applications/prod/web/why")
    assert answer["why"].startswith("prod/web is at web-v1, not web-v2, because gate approve of web-v2 waits")
    assert answer["commit"] == 'gates.reconciler.dev/approve: "continue@0123456789ab"'
    assert answer["path"] == "apps/web.yaml"
    assert (answer["help"], answer["since"]) == (answer["commit"], "2026-03-01T09:30:00Z")


async def test_diff_and_revisions_are_the_readers(session, url, reader):
    key = reader.statuses[1].key
    reader.diffs[key] = {"application": "web", "objects": []}
    reader.kept[key] = [{"revision": "web-v1"}]
    assert await fetch(session, f"{url}/v1/applications/prod/web/diff") == {"application": "web", "objects": []}
    assert await fetch(session, f"{url}/v1/applications/prod/web/revisions") == [{"revision": "web-v1"}]


async def test_history_is_the_readers_and_unknown_to_none(session, url, reader):
    key = reader.statuses[1].key
    reader.histories[key] = history(key.name, key.namespace)
    answer = await fetch(session, f"{url}/v1/applications/prod/web/history")
    assert [item["revision"] for item in answer["revisions"]] == ["web-v2", "web-v1"]
    assert answer["revisions"][0]["runs"][0]["restoredBy"] == "web-v1-2"
    assert answer["revisions"][0]["runs"][0]["decisions"][0]["message"] == "Errors went up"
    await fetch(session, f"{url}/v1/applications/prod/nobody/history", 404)
    await fetch(session, f"{url}/v1/applications/prod/web/history?limit=1", 400)


async def test_a_hint_is_the_readers_and_waits_as_long_as_was_asked(session, url, reader):
    async with session.post(f"{url}/v1/applications/prod/web/reconcile", json={"timeout": 2.5}) as answer:
        assert answer.status == 200
        assert (await answer.json()) == {
            "application": "web",
            "namespace": "prod",
            "result": "Unchanged",
            "message": "looked at commit 0123: nothing is new",
            "commit": "0123",
        }
    assert reader.wishes == [("prod/web", 2.5)]
    async with session.post(f"{url}/v1/applications/prod/nobody/reconcile", json={}) as answer:
        assert answer.status == 404


async def test_objects_need_a_kind_that_is_served(session, url, reader):
    reader.cluster = [{"kind": "Deployment", "metadata": {"name": name, "namespace": "prod"}} for name in ("a", "b")]
    assert len(await fetch(session, f"{url}/v1/objects?kind=deployment")) == 2
    assert [obj["metadata"]["name"] for obj in await fetch(session, f"{url}/v1/objects?kind=deployment&name=b&namespace=prod")] == ["b"]
    assert (await fetch(session, f"{url}/v1/objects", 400))["error"]["code"] == "InvalidRequest"
    assert (await fetch(session, f"{url}/v1/objects?kind=deploiment", 404))["error"]["message"] == "no kind is called deploiment"


async def test_problems_are_the_readers(session, url, reader):
    reader.findings = [{"path": "a.yaml", "line": 3, "message": "no"}]
    assert await fetch(session, f"{url}/v1/problems") == reader.findings


async def test_the_source_says_why_git_cannot_be_read_and_why_tells_it_too(session, url, reader):
    assert await fetch(session, f"{url}/v1/source") == {"fault": None}
    reader.unread = Fault("no such ref", SINCE)
    assert await fetch(session, f"{url}/v1/source") == {"fault": {"message": "no such ref", "since": "2026-03-01T09:30:00Z"}}
    assert "git cannot be read since 2026-03-01T09:30:00Z (2h30m): no such ref" in (await fetch(session, f"{url}/v1/applications/dev/web/why"))["why"]


async def test_metrics_come_as_exposition_text(session, url):
    async with session.get(f"{url}/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert await answer.read() == b"# EOF\n"


@pytest.mark.parametrize(("path", "field"), [("healthz", "liveness"), ("readyz", "readiness")])
async def test_health_and_readiness_say_why_not(session, url, reader, path, field):
    assert await fetch(session, f"{url}/{path}") == {"status": "ok"}
    setattr(reader, field, (False, "no look has succeeded"))
    assert (await fetch(session, f"{url}/{path}", 503))["error"] == {"code": "Unavailable", "message": "no look has succeeded"}


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/applications/prod", "/v1/applications/prod/nobody", "/v1/applications/prod/nobody/why", "/v2/x"])
async def test_what_is_not_there_is_404_in_the_one_shape(session, url, path):
    answer = await fetch(session, url + path, 404)
    assert set(answer) == {"error"}
    assert set(answer["error"]) == {"code", "message"}
    assert answer["error"]["code"] == "NotFound"


@pytest.mark.parametrize("query", ["nme=web", "name=web&name=shop", "name=a&namespace=b&namespace=c"])
async def test_a_parameter_that_would_narrow_nothing_unseen_is_refused(session, url, query):
    assert (await fetch(session, f"{url}/v1/applications?{query}", 400))["error"]["code"] == "InvalidRequest"


async def test_a_failure_inside_says_nothing_of_what_it_was(session, url, reader, monkeypatch):
    def fail():
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(reader, "applications", fail)
    async with session.get(f"{url}/v1/applications") as answer:
        assert answer.status == 500
        body = await answer.text()
    assert "hunter2" not in body
    assert '"Internal"' in body


def test_every_code_has_the_status_of_an_error():
    assert all(400 <= code.status < 600 for code in Code)


def test_the_fake_reader_is_a_reader():
    from reconciler.model.status import Reader
    from reconciler.model.workflow import WorkflowReader

    missing = [name for name in {**vars(Reader), **vars(WorkflowReader)} if not name.startswith("_") and not hasattr(FakeReader, name)]
    assert missing == []

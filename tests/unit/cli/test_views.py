"""The commands that only look: status, why, diff, cluster."""

import json

import click
import pytest

from reconciler.cli import status as status_module
from reconciler.cli.client import Client
from reconciler.model.status import Fault, MessageView
from tests.unit.api.fakes import SINCE, application, condition, waiting


@pytest.fixture(autouse=True)
def _applications(reader):
    reader.statuses = [waiting("web", "prod"), application("web", "dev"), application("shop", "prod")]


def test_status_is_a_table_with_the_line_to_commit(ask):
    answer = ask("status")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].split()[:4] == ["APPLICATION", "ENVIRONMENT", "SYNC", "HEALTH"]
    assert [line.split()[0] for line in lines[1:4]] == ["dev/web", "prod/shop", "prod/web"]
    assert "OutOfSync" in lines[3]
    assert lines[-1].strip() == 'gates.reconciler.dev/approve: "continue@0123456789ab"'
    assert "apps/web.yaml" in lines[-2]
    assert [line for line in lines if line != line.rstrip()] == []


def test_status_json_is_a_list_of_the_documented_shape(ask):
    found = ask("status", "--output", "json").json()
    assert [status["application"] for status in found] == ["web", "shop", "web"]
    web = found[2]
    assert web["desired"]["revision"] == "web-v2"
    assert web["running"]["revision"] == "web-v1"
    assert web["gate"]["key"] == "gates.reconciler.dev/approve"
    assert web["gate"]["continue"] == "continue@0123456789ab"
    assert found[1]["run"] is None
    assert found[1]["gates"] == []


def test_status_of_one_is_a_list_of_one(ask):
    assert [status["namespace"] for status in ask("status", "prod/web", "--output", "json").json()] == ["prod"]
    assert [status["namespace"] for status in ask("status", "shop", "--output", "json").json()] == ["prod"]


def test_a_name_that_several_have_is_refused_with_the_candidates(ask):
    answer = ask("status", "web")
    assert answer.code == 2
    assert "dev/web, prod/web" in answer.err
    assert answer.out == ""


@pytest.mark.parametrize(("name", "hint"), [("shp", "did you mean shop?"), ("prod/none", "no application prod/none"), ("a/b/c", "a/b/c")])
def test_a_name_that_nobody_has_is_not_found(ask, name, hint):
    answer = ask("why", name)
    assert answer.code == 4
    assert hint in answer.err


@pytest.mark.parametrize("name", ["/", "prod/", "/web", ""])
def test_half_a_name_is_a_mistake_of_the_caller(ask, name):
    answer = ask("why", name)
    assert answer.code == 2
    assert "write NAME or NAMESPACE/NAME" in answer.err


def test_status_of_one_says_why_it_is_there(ask):
    assert ask("status", "shop").out.splitlines()[-1] == "prod/shop is at web-v1, as git declares it, and healthy."


def test_status_of_one_tells_what_definitions_say_of_its_components(ask, reader):
    reader.statuses = [application("shop", "prod", messages=[MessageView("web", "2 of 2 ready"), MessageView("limits", "3 of 10")])]
    assert ask("status", "shop").out.splitlines()[-2:] == ["web: 2 of 2 ready", "limits: 3 of 10"]
    assert ask("status", "shop", "--output", "json").json()[0]["messages"][0] == {"component": "web", "message": "2 of 2 ready"}
    assert "2 of 2 ready" not in ask("status").out


def test_status_says_that_git_cannot_be_read(ask, reader):
    reader.unread = Fault("no such\nref", SINCE)
    assert ask("status").out.splitlines()[-1] == "git cannot be read since 2026-03-01 09:30:00Z: no such\\nref"
    assert "git cannot be read since 2026-03-01T09:30:00Z" in ask("status", "shop").out


def test_status_of_nothing_says_so(ask, reader):
    reader.statuses = []
    assert "No applications" in ask("status").out


def test_status_tells_what_needs_a_look(ask, reader):
    reader.statuses = [application(suspended="holidays", conditions=[condition("GitDiffers", "BranchCheckedOut"), condition("Ready", "AllGood")])]
    out = ask("status").out
    assert "suspended: holidays, BranchCheckedOut" in out
    assert "AllGood" not in out


def test_watch_prints_again_only_when_something_changed(ask, reader, monkeypatch):
    looks = []

    def change(_):
        looks.append(None)
        if len(looks) == 2:
            reader.statuses = [application("shop", "prod")]
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(status_module.time, "sleep", change)
    answer = ask("status", "--watch")
    assert answer.code == 130
    assert answer.out.count("APPLICATION") == 2


def test_rule_13e_a_table_keeps_untrusted_text_on_its_line_and_renders_no_markup(ask, reader):
    reader.statuses = [application(suspended="[red]a\nb\x1b[2J\u202e", environment="[bold]x[/bold]")]
    out = ask("status").out
    assert len(out.splitlines()) == 2
    assert "[red]a\\nb\\x1b[2J\\u202e" in out
    assert "[bold]x[/bold]" in out


def test_why_is_one_sentence_and_below_it_the_line_to_copy(ask):
    answer = ask("why", "prod/web")
    assert answer.code == 0
    sentence, line = answer.out.splitlines()
    assert sentence.startswith("prod/web is at web-v1, not web-v2, because gate approve of web-v2 waits for a decision (since 2026-")
    assert line == '    gates.reconciler.dev/approve: "continue@0123456789ab"'
    assert len(ask("why", "dev/web").out.splitlines()) == 1, "nothing is to be done"
    assert ask("why", "prod/web", "-o", "json").json()["commit"] == 'gates.reconciler.dev/approve: "continue@0123456789ab"'


DIFF = {
    "application": "web",
    "namespace": "prod",
    "from": "web-v1",
    "to": "web-v2",
    "objects": [
        {
            "object": "Deployment prod/web",
            "change": "changed",
            "fields": [{"path": "spec.replicas", "from": 2, "to": 3}, {"path": "spec.x", "to": "a\nb"}],
        },
        {"object": "Service prod/web", "change": "removed", "fields": []},
    ],
}


def test_diff_tells_objects_and_fields(ask, reader):
    reader.diffs[reader.statuses[0].key] = DIFF
    assert ask("diff", "prod/web").out.splitlines() == [
        "prod/web: web-v1 -> web-v2",
        "~ Deployment prod/web",
        "    spec.replicas: 2 -> 3",
        '    spec.x: (absent) -> "a\\nb"',
        "- Service prod/web",
    ]


def test_diff_json_is_what_the_daemon_said(ask, reader):
    reader.diffs[reader.statuses[0].key] = DIFF
    assert ask("diff", "prod/web", "--output", "json").json() == DIFF


def test_diff_ends_with_1_only_where_something_differs_and_a_script_asks(ask, reader):
    reader.diffs = {reader.statuses[0].key: DIFF, reader.statuses[1].key: DIFF | {"objects": []}}
    codes = {(name, options): ask("diff", name, *options).code for name in ("prod/web", "dev/web") for options in ((), ("--exit-code",))}
    assert codes == {("prod/web", ()): 0, ("prod/web", ("--exit-code",)): 1, ("dev/web", ()): 0, ("dev/web", ("--exit-code",)): 0}


def test_diff_of_the_same_says_so(ask, reader):
    reader.diffs[reader.statuses[1].key] = {"application": "web", "namespace": "dev", "from": None, "to": {"revision": "web-v1"}, "objects": []}
    assert ask("diff", "dev/web").out.splitlines() == ["dev/web: nothing -> web-v1", "No object differs."]


@pytest.fixture
def objects(reader):
    reader.cluster = [
        {
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"replicas": 3},
            "status": {"readyReplicas": 2, "updatedReplicas": 1},
        }
        for namespace, name in (("dev", "a"), ("dev", "b"), ("prod", "a"))
    ] + [
        {
            "kind": "Event",
            "metadata": {"name": str(n)},
            "lastTimestamp": f"2026-01-01T00:00:0{n}Z",
            "reason": f"Reason{n}",
            "involvedObject": {"kind": "Pod", "name": "p"},
        }
        for n in (3, 1, 2)
    ]


@pytest.mark.usefixtures("objects")
def test_cluster_get_lists_objects(ask):
    out = ask("cluster", "get", "deployment").out
    assert len(out.splitlines()) == 4
    assert "2/3 ready, 1 updated" in out
    assert len(ask("cluster", "get", "deployment", "-n", "dev", "-o", "json").json()) == 2


@pytest.mark.usefixtures("objects")
def test_cluster_get_of_a_name_is_that_object(ask):
    assert ask("cluster", "get", "Deployment", "b", "-o", "json").json()["metadata"]["name"] == "b"
    assert ask("cluster", "get", "Deployment", "a", "-n", "prod", "-o", "json").json()["metadata"]["namespace"] == "prod"
    several = ask("cluster", "get", "Deployment", "a")
    assert several.code == 2
    assert "dev, prod" in several.err


@pytest.mark.usefixtures("objects")
def test_cluster_get_of_what_is_not_there_is_not_found(ask):
    assert ask("cluster", "get", "Deployment", "z", "-n", "dev").code == 4
    unknown = ask("cluster", "get", "Deploiment")
    assert unknown.code == 4
    assert "no kind is called Deploiment" in unknown.err
    assert ask("cluster", "get", "Secret").out == "No Secret.\n"


@pytest.mark.usefixtures("objects")
def test_cluster_events_are_in_the_order_of_time(ask):
    assert [event["reason"] for event in ask("cluster", "events", "-o", "json").json()] == ["Reason1", "Reason2", "Reason3"]
    assert [line.split()[1] for line in ask("cluster", "events").out.splitlines()[1:]] == ["Reason1", "Reason2", "Reason3"]


def test_a_daemon_that_does_not_answer_is_told_with_what_to_do(call):
    answer = call("status", "--server", "http://127.0.0.1:1")
    assert answer.code == 3
    assert "start one with `reconciler run`" in answer.err


@pytest.mark.parametrize("server", ["127.0.0.1:7373", "file:///etc/passwd", "ftp://x", "http://", ""])
def test_a_server_that_is_no_address_is_a_mistake_of_the_caller(call, server):
    answer = call("status", "--server", server)
    assert answer.code == 2
    assert answer.err.startswith("Error: --server")


def test_the_server_comes_from_the_environment(call, url, monkeypatch):
    monkeypatch.setenv("RECONCILER_SERVER", url + "/")
    assert len(call("status", "--output", "json").json()) == 3


def test_no_proxy_is_asked_for_the_daemon(ask, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert ask("status").code == 0


def test_a_failing_daemon_is_told_in_its_own_words(ask, reader, monkeypatch):
    monkeypatch.setattr(reader, "applications", lambda: 1 / 0)
    answer = ask("status")
    assert answer.code == 3
    assert answer.err == "Error: the daemon failed to answer; its log says why\n"


def test_another_server_at_the_address_is_recognised_as_such(ask, monkeypatch):
    monkeypatch.setattr(Client, "get", lambda *_, **__: b"<html>")
    answer = ask("status")
    assert answer.code == 3
    assert "is not a reconciler" in answer.err


@pytest.mark.parametrize("command", ["status", "why", "diff", "history", "approve", "reject", "rollback", "suspend", "resume"])
def test_help_is_there_and_names_the_server(call, command):
    answer = call(command, "--help")
    assert answer.code == 0
    assert "RECONCILER_SERVER" in answer.out


@pytest.mark.parametrize("args", [["stauts"], ["status", "--outptu", "json"], ["why"], ["status", "-o", "xml"], ["cluster"], []])
def test_a_command_that_is_called_wrongly_ends_with_2(call, args):
    answer = call(*args)
    assert answer.code == 2
    assert "Traceback" not in answer.err


def test_json_has_no_control_characters_of_its_texts(ask, reader):
    reader.statuses = [application(suspended="a\x1b[2J")]
    out = ask("status", "-o", "json").out
    assert "\x1b" not in out
    assert json.loads(out)[0]["suspended"] == "a\x1b[2J"
    assert click.unstyle(out) == out


BROKEN = {"path": "lab/new.yaml", "line": 12, "object": "Application new", "field": "spec", "severity": "error", "message": "image is required"}


def test_status_tells_of_manifests_that_are_no_application_for_their_errors(ask, reader):
    reader.findings = [BROKEN, {**BROKEN, "severity": "warning", "message": "no name"}]
    lines = ask("status").out.splitlines()
    assert lines[-1] == "not applied: lab/new.yaml:12: Application new: spec: image is required"
    assert "no name" not in "".join(lines)
    assert "not applied" not in ask("status", "shop").out
    assert "not applied" not in ask("status", "-o", "json").out


def test_status_lists_the_first_ten_errors_and_counts_the_others(ask, reader):
    reader.findings = [{**BROKEN, "line": number} for number in range(1, 14)]
    lines = ask("status").out.splitlines()
    assert sum(line.startswith("not applied: ") for line in lines) == 10
    assert "3 more" in lines[-1]


@pytest.mark.parametrize("name", ["new", "lab/new"])
def test_a_name_that_only_a_broken_manifest_has_is_answered_with_what_is_wrong(ask, reader, name):
    reader.findings = [BROKEN]
    answer = ask("why", name)
    assert answer.code == 4
    assert "yet: lab/new.yaml:12: Application new: spec: image is required" in answer.err


def test_status_of_nothing_says_why_the_repository_is_not_read(ask, reader):
    reader.statuses, reader.readiness = [], (False, "origin.git has no commit yet")
    assert "not read yet: origin.git has no commit yet" in ask("status").out


@pytest.mark.parametrize(
    ("obj", "shown"),
    [
        (
            {"apiVersion": "batch/v1", "kind": "Job", "status": {"succeeded": 2, "conditions": [{"type": "Complete", "status": "True"}]}},
            "2 succeeded",
        ),
        ({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"suspend": True}}, "Suspended"),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, "-"),
    ],
)
def test_cluster_get_says_of_other_kinds_how_they_are(obj, shown):
    from reconciler.cli.cluster import _describe

    assert _describe({**obj, "metadata": {"name": "a"}}) == shown

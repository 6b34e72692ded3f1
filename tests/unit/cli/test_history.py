"""`history`: a table for people, the API's answer for scripts."""

import json

import pytest

from tests.unit.api.fakes import application, history


@pytest.fixture
def told(reader):
    reader.statuses = [application("web", "prod")]
    reader.histories[reader.statuses[0].key] = found = history("web", "prod")
    return found


def row(out, run):
    [line] = [line for line in out.splitlines() if f" {run} " in line]
    return line


def test_the_table_tells_runs_newest_first_and_who_decided_why(ask, told):
    answer = ask("history", "web")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0].split() == ["STARTED", "REVISION", "RUN", "COMMIT", "AUTHOR", "OUTCOME", "DECISIONS", "NOTES"]
    assert [line.split()[3] for line in lines[1:4]] == ["web-v1-2", "web-v2-1", "web-v1-1"]
    back = row(answer.out, "web-v2-1")
    assert back.startswith("2026-03-01 10:30:00Z  web-v2")
    assert "RolledBack" in back
    assert f"rollback at approve by Ann <ann@example.com> in {'b' * 12} (Errors went up), 2026-03-01 12:00:00Z" in back
    assert f"rejected; rolled back to web-v1 by web-v1-2; passed by on the way: commit 0123; commit to git Landed ({'c' * 12})" in back
    assert row(answer.out, "web-v1-2").endswith("runs; rollback of web-v2-1")
    assert row(answer.out, "web-v1-1").endswith("-"), "what is so now is told once, with the newest run"
    assert lines[4:] == [
        f"Commit {'c' * 12} (Ann <ann@example.com>: Roll back) declares the same as web-v1.",
        "Passed by since the last verdict: commit 4567.",
    ]


def test_what_was_superseded_failed_or_decided_by_a_timer_says_so(ask, told):
    run = told.revisions[0].runs[0]
    run.superseded_by, run.restored_by, run.kind, run.undoes = "web-v9", "", "restore", ["web-v8-1"]
    run.phase, run.reason, run.message, run.write_back = "Failed", "NoRollbackTarget", "nothing to go back to", None
    run.decisions[0].commit = run.decisions[0].author = ""
    run.decisions[0].by = "timer"
    line = row(ask("history", "web").out, "web-v2-1")
    assert "rollback at approve by timer, 2026-03-01" in line
    assert "git went back from web-v8-1; superseded by web-v9;" in line
    assert line.endswith("NoRollbackTarget: nothing to go back to")


def test_a_revision_without_a_run_is_a_line_too(ask, told):
    told.revisions[0].runs, told.revisions[0].kept = [], False
    lines = ask("history", "web").out.splitlines()
    assert [line.split()[2:4] for line in lines[1:4] if line.split()[2] == "web-v2"] == [["web-v2", "-"]]
    assert any(line.endswith("rejected; not kept") for line in lines)


def test_json_is_what_the_daemon_said(ask, told):
    found = ask("history", "prod/web", "--output", "json").json()
    assert (found["application"], found["namespace"], found["superseded"]) == ("web", "prod", ["commit 4567"])
    assert [item["revision"] for item in found["revisions"]] == ["web-v2", "web-v1"]
    assert found["revisions"][1]["sameCommits"][0]["id"] == "c" * 40
    assert found["revisions"][0]["runs"][0]["decisions"][0]["verb"] == "rollback"


def test_json_lines_are_one_for_each_revision_with_its_application(ask, told):
    whole = ask("history", "web", "--output", "json").json()
    lines = [json.loads(line) for line in ask("history", "web", "-o", "jsonl").out.splitlines()]
    assert lines == [{"application": "web", "namespace": "prod", **item} for item in whole["revisions"]]


def test_an_application_without_a_past_says_so(ask, told):
    told.revisions, told.superseded = [], []
    assert ask("history", "web").out == "No revision yet.\n"
    assert ask("history", "web", "-o", "jsonl").out == ""


def test_rule_13e_untrusted_text_stays_on_its_line(ask, told):
    told.revisions[0].runs[0].decisions[0].message = "a\nb\x1b[2J"
    told.revisions[1].same_commits[0].message = "c\nd\u202e"
    out = ask("history", "web").out
    assert len(out.splitlines()) == 6
    assert "a\\nb\\x1b[2J" in out
    assert "c\\nd\\u202e" in out
    assert "\x1b" not in ask("history", "web", "-o", "jsonl").out


def test_history_of_nobody_is_not_found(ask, told):
    assert ask("history", "prod/none").code == 4

"""`simulate`: wrong calls give a sentence, and what manifests say is text in every output."""

import html
import json
import re
import subprocess

import pytest

from reconciler.cli.simulation_markdown import quote, write_markdown
from reconciler.cli.simulation_text import offset
from reconciler.simulation.report import Application, ObjectChange, Report, Rollback, Row, Stop
from tests.integration.harness import Clone, config_map_app

HOSTILE = "</pre></details><script>x</script> | `a` **b** [c](http://evil.example) @everyone #1 <!-- \u202e \x1b[31m\nnext line"


@pytest.fixture
def clone(tmp_path):
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    return clone


def report(text="x", **parts):
    change = ObjectChange(text, "changed", applied=True, fields=[{"path": text, "from": text, "to": None}], note=text)
    gate = Stop(5, text, "web-v2", text, Rollback("web-v1", [change]))
    app = Application(
        text, "default", text, 1, "Waiting", message=text, before="web-v1", after="web-v2", gates=[gate], changes=[change], notes=[text]
    )
    row = Row(5, text, "default", "web-v2-1", text, "Waiting", text)
    problem = {"path": text, "line": 1, "message": text, "object": text, "field": text, "severity": "warning"}
    whole = {"commit": "c" * 40, "start": "d" * 40, "seconds": 5, "limit": "", "applications": [app], "unchanged": 2, "timeline": [row]}
    return Report(**{**whole, "problems": [problem], "warnings": [text], **parts})


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--decide", "approve"], 2, "STEP=continue"),
        (["--decide", "approve=maybe"], 2, "STEP=continue"),
        (["--until", "soon"], 2, "not a duration"),
        (["--path", "../elsewhere"], 2, "elsewhere"),
        (["--commit", "nobody"], 4, "'nobody' names no commit"),
        (["--from", "main~5"], 4, "'main~5' names no commit"),
        (["--output", "yaml"], 2, "markdown"),
    ],
)
def test_a_wrong_call_is_one_sentence(call, clone, args, code, message):
    answer = call("simulate", clone.path, *args)
    assert (answer.code, answer.out) == (code, "")
    assert message in answer.err
    assert answer.err.count("Error: ") == 1


def test_what_is_no_repository_or_has_no_commit_says_so(call, tmp_path):
    answer = call("simulate", tmp_path / "nowhere")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "does not exist" in answer.err
    subprocess.run(["git", "init", "-q", str(tmp_path / "empty")], check=True)
    answer = call("simulate", tmp_path / "empty")
    assert (answer.code, answer.err.count("\n")) == (4, 1)
    assert "no commit yet" in answer.err


def test_the_documented_shape_is_the_one_that_is_printed(call, clone):
    answer = call("simulate", clone.path, "--output", "json")
    assert answer.code == 0
    found = answer.json()
    assert set(found) == {"commit", "from", "seconds", "limit", "applications", "unchanged", "timeline", "problems", "warnings"}
    assert [(row["step"], row["phase"]) for row in found["timeline"] if not row["step"]] == [("", "Running"), ("", "Succeeded")]
    assert set(found["timeline"][0]) == {"at", "application", "namespace", "run", "step", "phase", "message"}


def test_a_failing_simulation_has_exit_code_1_in_each_output(call, clone):
    clone.push({"bad.yaml": "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: bad}\n"})
    for output in ("human", "json", "markdown"):
        answer = call("simulate", clone.path, "--output", output)
        assert answer.code == 1
        assert "bad.yaml" in html.unescape(answer.out)


def test_rule_13e_manifests_put_no_markup_into_the_comment_of_a_pull_request():
    text = "\n".join(write_markdown(report(HOSTILE)))
    markup = set(re.findall(r"</?[a-z]+>", text))
    assert markup == {"<code>", "</code>", "<pre>", "</pre>", "<details>", "</details>", "<summary>", "</summary>"}
    outside = re.sub(r"<code>.*?</code>|<pre>.*?</pre>", "", text, flags=re.DOTALL)
    for sign in ("@", "evil", "script", "`", "**", "\x1b", "\u202e", "<!--"):
        assert sign not in outside, sign
    assert all("@" not in inside and "://" not in inside for inside in re.findall(r"<code>(.*?)</code>", text))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row.count("|") for row in rows] == [6, 6, 6]
    assert "\nnext line" not in text


def test_the_option_that_answers_the_gate_that_waits_is_named(call, tmp_path):
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", gate=True)})
    assert "--decide default/web/approve=continue" in call("simulate", clone.path).out
    assert "--decide" not in call("simulate", clone.path, "--decide", "default/web/approve=continue").out


def test_what_is_quoted_reads_as_it_was_written():
    assert html.unescape(quote("a|b <c> *d* é")) == "<code>a|b <c> *d* é</code>"


def test_rule_13e_a_hostile_manifest_stays_on_its_lines_in_the_terminal(capsys):
    from reconciler.cli.simulation_text import print_report

    print_report(report(HOSTILE))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert not any(line.startswith("next line") for line in out.splitlines())


def test_a_comment_is_cut_before_it_is_refused_as_too_long():
    changes = [ObjectChange(f"ConfigMap default/c{number}", "added") for number in range(5000)]
    app = Application("web", "default", "web.yaml", 1, "Succeeded", after="web-v1", changes=changes)
    text = "\n".join(write_markdown(report(applications=[app])))
    assert len(text) < 20_000
    assert "more lines" in text
    assert "+5000" in text


@pytest.mark.parametrize(
    ("parts", "failed"),
    [({}, False), ({"limit": "until"}, True), ({"problems": [{"severity": "error"}]}, True), ({"problems": [{"severity": "warning"}]}, False)],
)
def test_a_limit_or_an_error_in_a_document_fails(parts, failed):
    assert report(**parts).failed is failed


@pytest.mark.parametrize(
    ("phase", "failed"),
    [
        *((phase, False) for phase in ("Succeeded", "Waiting", "RolledBack", "Terminated", "Removed", "InDoubt", "Suspended", "Held")),
        *((phase, True) for phase in ("Failed", "Running", "Pending", "Invalid", "Stalled", "RollingBack")),
    ],
)
def test_every_end_and_every_gate_is_good_and_nothing_else(phase, failed):
    assert report(applications=[Application("web", "default", "web.yaml", 1, phase)]).failed is failed


@pytest.mark.parametrize(("seconds", "shown"), [(0, "+00:00:00"), (59, "+00:00:59"), (600, "+00:10:00"), (604800, "+168:00:00")])
def test_time_is_told_as_an_offset(seconds, shown):
    assert offset(seconds) == shown


def test_the_logs_of_other_commands_are_as_before(call, clone):
    import structlog

    before = structlog.get_config()
    assert call("simulate", clone.path).code == 0
    assert structlog.get_config() == before


def test_a_decision_that_names_no_gate_is_said_in_each_output(call, clone):
    outs = [call("simulate", clone.path, "--decide", "aprove=continue", "-o", output).out for output in ("human", "json", "markdown")]
    assert "warning: aprove=continue named no gate that waited" in outs[0]
    assert json.loads(outs[1])["warnings"] == ["aprove=continue named no gate that waited"]
    assert "aprove=continue named no gate that waited" in html.unescape(outs[2])

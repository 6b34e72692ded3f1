"""`definition list|show`: what a repository defines, as people and scripts read it."""

import pytest

from reconciler.cli.errors import Exit
from tests.unit.dialects.test_definitions import TEMPLATE, application, definition

pytestmark = pytest.mark.timeout(600)  # the first of them on a machine compiles the module


@pytest.fixture
def repo(tmp_path):
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "put.yaml").write_text(definition())
    (tmp_path / "shop.yaml").write_text(f"{application()}---\n{definition('a: {', name='broken')}")
    return tmp_path


def test_definitions_are_listed_with_their_place_and_what_is_wrong(call, repo):
    found = call("definition", "list", "--repo", repo, "-o", "json").json()
    assert [(each["name"], each["path"], each["functions"]) for each in found] == [
        ("put", "definitions/put.yaml", ["#ApplyComponent"]),
        ("broken", "shop.yaml", []),
    ]
    assert found[1]["fault"].startswith("line 1 of the template: expected '}'")
    assert "put     step  definitions/put.yaml:1" in call("definition", "list", "--repo", repo).out


def test_parameters_are_shown_as_a_table(call, repo):
    rows = [line.split() for line in call("definition", "show", "put", "--repo", repo).out.splitlines()]
    assert rows[1] == ["PARAMETER", "TYPE", "DEFAULT", "MEANING"]
    assert rows[2] == ["component", "string", "required", "What", "is", "applied"]
    assert rows[3][0] == "times"
    assert rows[3][-2:] == ["3", "-"]
    assert [row["name"] for row in call("definition", "show", "put", "--repo", repo, "-o", "json").json()["parameters"]] == [
        "component",
        "times",
        "more",
    ]


def test_a_definition_that_there_is_not_is_told_with_the_nearest_name(call, repo):
    done = call("definition", "show", "puts", "--repo", repo)
    assert (done.code, "did you mean put?" in done.err) == (Exit.NOT_FOUND, True)
    assert TEMPLATE not in done.out


FLAGGED = """\
import "vela/kube"
import "vela/http"
import "vela/builtin"
parameter: value: string
made: kube.#Apply & {$params: value: {apiVersion: "v1", kind: "ConfigMap", metadata: name: context.name, data: value: parameter.value}}
flag: kube.#Read & {$params: value: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "flag"}}
wait: builtin.#ConditionalWait & {$params: {continue: flag.$returns.value.data.ready == "yes", message: "the flag is not up"}}
tell: http.#HTTPPost & {$params: url: "https://example.org/\\(made.$returns.value.data.value)"}
if parameter.value == "bad" {no: builtin.#Fail & {$params: message: "a bad one"}}
"""


@pytest.fixture
def played(call, repo, tmp_path):
    (repo / "definitions" / "flagged.yaml").write_text(definition(FLAGGED, name="flagged"))

    def play(value, *options, flag=""):
        (tmp_path / "values.txt").write_text(f"value: {value}")
        (tmp_path / "flag.txt").write_text(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: flag}}\ndata: {{ready: '{flag}'}}\n")
        return call(
            "definition", "test", "flagged", "--repo", repo, "--properties", tmp_path / "values.txt", "--objects", tmp_path / "flag.txt", *options
        )

    return play


def test_a_step_is_played_to_where_it_waits(played):
    found = played("one", "-o", "json").json()
    assert [(each["what"], each.get("of")) for each in found] == [
        ("applies", "ConfigMap default/example"),
        ("reads", "ConfigMap default/example"),
        ("reads", "ConfigMap default/flag"),
        ("waits", "the flag is not up"),
    ]
    assert found[0]["objects"][0]["data"] == {"value": "one"}


def test_a_step_is_played_to_its_end_where_what_it_waits_for_is_there(played):
    done = played("one", flag="yes")
    assert done.code == Exit.OK
    assert [line.split()[0] for line in done.out.splitlines()] == ["WHAT", "applies", "reads", "reads", "asks", "done"]
    assert "POST https://example.org/one" in done.out
    failed = played("bad", flag="yes")
    assert failed.code == Exit.REFUSED
    assert "a bad one" in failed.out


def test_what_is_wrong_is_told_before_anything_is_played(played, call, repo, tmp_path):
    assert "value: conflicting values" in played("3").err
    assert "value: is required" in call("definition", "test", "flagged", "--repo", repo).err
    assert "broken" in call("definition", "test", "brokn", "--repo", repo).err
    refused = call("definition", "test", "broken", "--repo", repo)
    assert (refused.code, "expected '}'" in refused.err) == (Exit.REFUSED, True)
    (tmp_path / "odd.txt").write_text("a: [")
    assert call("definition", "test", "put", "--repo", repo, "--properties", tmp_path / "odd.txt").code == Exit.USAGE

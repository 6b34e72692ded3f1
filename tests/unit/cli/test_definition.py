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

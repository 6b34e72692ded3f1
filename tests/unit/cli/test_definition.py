"""`definition list|show`: what a repository defines, as people and scripts read it."""

import pytest
import yaml

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


SITE = """\
apiVersion: core.oam.dev/v1beta1
kind: ComponentDefinition
metadata: {name: site}
spec:
  workload: {type: autodetects.core.oam.dev}
  schematic:
    cue:
      template: |
        output: {
          apiVersion: "apps/v1"
          kind: "Deployment"
          spec: {
            selector: matchLabels: app: context.name
            template: {
              metadata: labels: app: context.name
              spec: containers: [{name: context.name, image: parameter.image}]
            }
          }
        }
        outputs: told: {apiVersion: "v1", kind: "ConfigMap", data: {of: context.appName, at: context.namespace, with: context.clusterVersion.gitVersion}}
        parameter: {image: string, more?: {depth: int}}
"""
MARKED = """\
marked: {type: "trait", attributes: {}}
template: {
  patch: metadata: labels: mark: parameter.mark
  if parameter.mark == "twice" {
    outputs: note: {apiVersion: "v1", kind: "ConfigMap", data: of: context.output.metadata.name}
  }
  parameter: mark: string
}
"""


@pytest.fixture
def tried(call, tmp_path):
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "marked.cue").write_text(MARKED)

    def test(name, given, *options, **files):
        (tmp_path / "given.txt").write_text(given)
        for option, text in files.items():
            (tmp_path / f"{option}.txt").write_text(text)
            options += (f"--{option}", tmp_path / f"{option}.txt")
        return call("definition", "test", tmp_path / name, "--properties", tmp_path / "given.txt", *options)

    test.folder = tmp_path
    return test


def test_a_component_is_rendered_from_its_file_with_the_context_that_is_given(tried):
    assert [line.split() for line in tried("site.yaml", "image: nginx").out.splitlines()] == [
        ["WHAT", "OF", "FUNCTION"],
        ["makes", "Deployment", "default/example", "-"],
        ["makes", "ConfigMap", "default/example-told", "-"],
    ]
    said = "{name: web, appName: shop, namespace: prod, clusterVersion: {major: '1', minor: '30'}}"
    deployment, told = yaml.safe_load_all(tried("site.yaml", "image: nginx", "-o", "yaml", context=said).out)
    assert deployment["spec"]["template"]["spec"]["containers"] == [{"name": "web", "image": "nginx"}]
    assert told["data"] == {"of": "shop", "at": "prod", "with": "v1.30.0"}
    assert list(told)[:3] == ["apiVersion", "kind", "metadata"]


def test_a_trait_is_laid_on_a_small_deployment_or_on_the_workload_that_is_given(tried):
    found = tried("marked.cue", "mark: twice", "-o", "json").json()
    assert [(each["what"], each["of"]) for each in found] == [("changes", "Deployment default/example"), ("makes", "ConfigMap default/example-note")]
    assert found[0]["objects"][0]["metadata"]["labels"] == {"mark": "twice"}
    there = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"
    found = tried("marked.cue", "mark: once", "-o", "json", workload=there).json()
    assert [(each["what"], each["of"]) for each in found] == [("changes", "ConfigMap default/a"), ("leaves", "ConfigMap default/b")]


def test_a_policy_is_rendered_as_a_component_is(tried):
    text = SITE.replace("ComponentDefinition", "PolicyDefinition").replace("  workload: {type: autodetects.core.oam.dev}\n", "")
    (tried.folder / "site.yaml").write_text(text)
    deployment, told = tried("site.yaml", "image: nginx", "-o", "json", context="{name: limits, appName: shop}").json()
    assert (deployment["what"], deployment["of"], told["of"]) == ("makes", "Deployment default/limits", "ConfigMap default/limits")


def test_one_name_of_a_component_and_a_trait_is_asked_about(call, repo):
    (repo / "definitions" / "site.yaml").write_text(SITE + "---\n" + SITE.replace("ComponentDefinition", "TraitDefinition"))
    done = call("definition", "test", "site", "--repo", repo)
    assert (done.code, "component site (definitions/site.yaml:1), trait site (definitions/site.yaml:" in done.err) == (Exit.USAGE, True)
    assert "image: is required" in call("definition", "test", "site", "--repo", repo, "--kind", "component").err
    assert "site defines no step" in call("definition", "test", "site", "--repo", repo, "--kind", "step").err


def test_what_an_example_is_given_wrongly_is_told_before_it_is_rendered(tried, call, tmp_path):
    assert "more.depth: conflicting values" in tried("site.yaml", "{image: nginx, more: {depth: deep}}").err
    assert "more.depth: is required" in tried("site.yaml", "{image: nginx, more: {}}").err
    wrong = [
        tried("site.yaml", "image: nginx", context="{color: red}"),
        tried("site.yaml", "image: nginx", context="{appLabels: red}"),
        tried("site.yaml", "image: nginx", context="{appLabels: {a: [1]}}"),
        tried("site.yaml", "image: nginx", workload="{apiVersion: v1}"),
        tried("marked.cue", "mark: once", objects="{apiVersion: v1}"),
    ]
    assert {done.code for done in wrong} == {Exit.USAGE}
    assert [done.err.rstrip().rpartition("Error: ")[2][:42] for done in wrong] == [
        "context of a component has no color; it ha",
        "context: appLabels is a mapping",
        "context: appLabels is a mapping of texts",
        "--workload is for traits, and site is a co",
        "--objects is for steps, and marked is a tr",
    ]
    refused = tried("marked.cue", "mark: once", workload="{apiVersion: v1, kind: ConfigMap}")
    assert (refused.code, "metadata is no mapping" in refused.err) == (Exit.REFUSED, True)
    assert call("definition", "test", tmp_path / "none.cue").code == Exit.NOT_FOUND


def test_a_folder_stands_for_the_definition_in_it_and_names_them_where_there_are_several(tried, call, tmp_path):
    several = tried(".", "mark: once")
    assert (several.code, "trait marked (marked.cue:1), component site (site.yaml:1)" in several.err) == (Exit.USAGE, True)
    assert tried(".", "mark: once", "--kind", "trait").code == Exit.OK
    (tmp_path / "marked.cue").write_text(MARKED.replace("template:", "templates:"))
    broken = call("definition", "test", f"{tmp_path}/marked.cue")
    assert (broken.code, "marked.cue:" in broken.err) == (Exit.REFUSED, True)
    (tmp_path / "empty").mkdir()
    assert "there is no definition" in call("definition", "show", f"{tmp_path}/empty").err

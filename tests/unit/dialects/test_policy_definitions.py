"""Policy types that the repository defines: found by name, checked with who uses them, and a component of what they make."""

import re
import textwrap
from pathlib import Path

import pytest

from reconciler.dialects.registry import compile_file, dialects
from reconciler.engine.contents import NoFiles
from reconciler.model.application import Component
from reconciler.render.definitions import shared
from reconciler.render.engine import ComponentRenderer
from reconciler.render.protocol import RenderContext
from reconciler.revisions.digest import git_digest
from reconciler.steps.catalog import STEP_TYPES
from tests.unit.dialects.conftest import MemoryFiles

pytestmark = pytest.mark.timeout(600)  # the first of them on a machine compiles the module

SPLIT = """\
#Weight: {service: string, weight: int}
parameter: weights: [...#Weight]
output: {
  apiVersion: "split.smi-spec.io/v1alpha3"
  kind: "TrafficSplit"
  metadata: name: context.name
  spec: {service: context.name, backends: parameter.weights}
}
"""


def definition(name="split", template=SPLIT, more=""):
    head = f"apiVersion: core.oam.dev/v1beta1\nkind: PolicyDefinition\nmetadata: {{name: {name}}}\nspec:\n{more}  schematic:\n    cue:\n"
    return head + "      template: |\n" + textwrap.indent(template, "        ")


def application(properties="weights: [{service: web, weight: 80}]", kind="split", name="unified", steps=""):
    return (
        "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: shop}\nspec:\n"
        "  components: [{name: web, type: worker, properties: {image: web}}]\n"
        f"  policies:\n  - name: {name}\n    type: {kind}\n    properties: {{{properties}}}\n"
    ) + (f"  workflow: {{steps: [{steps}]}}\n" if steps else "")


def compiled(text, files=None, path="shop.yaml"):
    return compile_file(path, text, MemoryFiles(files or {}), dialects(STEP_TYPES, checker=shared()))


def said(result):
    return [f"{problem.path}:{problem.line}: {problem.field}: {problem.message}" for problem in result.problems]


FILES = {"definitions/split.yaml": definition()}
COMMAND_LINE = 'split: {\n\ttype: "policy"\n\tdescription: "Divides what comes in."\n}\ntemplate: {\n' + textwrap.indent(SPLIT, "\t") + "}\n"


@pytest.mark.parametrize(
    ("beside", "files"), [("", FILES), ("", {"definitions/split.cue": COMMAND_LINE}), (f"---\n{definition()}", {})], ids=["manifest", "cue", "beside"]
)
def test_a_policy_of_a_defined_type_is_a_component_that_stands_first_and_that_no_step_names(beside, files):
    result = compiled(application() + beside, files)
    (app,) = result.applications
    assert not result.problems
    assert [component.id for component in app.components] == ["policy/unified", "web"]
    properties = {"weights": [{"service": "web", "weight": 80}]}
    assert app.component("policy/unified") == Component("policy/unified", "unified", "split", properties, defined=True, kind="policy")
    assert (app.workflow.leading, [step.components for step in app.workflow.steps]) == (["policy/unified"], [["web"]])
    assert sorted(reference.path for reference in app.references) == sorted(files)
    context = RenderContext("shop", "prod", "", {}, definitions=tuple(app.definitions))
    (split,) = ComponentRenderer().render(app.component("policy/unified"), context, NoFiles())
    assert split["spec"] == {"service": "unified", "backends": [{"service": "web", "weight": 80}]}
    labels = {"app.oam.dev/name": "shop", "app.oam.dev/component": "unified"}
    assert split["metadata"] == {"name": "unified", "namespace": "prod", "labels": labels}


def test_rule_5a_a_policy_definition_is_part_of_the_digest_of_who_uses_it():
    (first,), (second,) = (
        compiled(application(), {"definitions/split.yaml": definition(template=template)}).applications for template in (SPLIT, f"{SPLIT}a: 1\n")
    )
    assert git_digest(first) != git_digest(second)


def test_a_definition_that_is_not_there_is_asked_for_by_name_and_its_coming_is_watched_for():
    assert "shop.yaml:8: spec.policies[0].type: unknown policy type splt (did you mean split?)" in said(compiled(application(kind="splt"), FILES))[0]
    assert "unknown policy type topolgy (did you mean topology?)" in said(compiled(application(kind="topolgy")))[0]
    (app,) = compiled(application(), FILES).applications
    assert {"definitions/split.yaml", "definitions/split.cue"} <= set(app.watched)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ("weights: [{service: web, weight: much}]", "shop.yaml:9: spec.policies[0].properties.weights[0].weight: conflicting values"),
        ("wights: []", "shop.yaml:9: spec.policies[0].properties.wights: unknown field wights (did you mean weights?)"),
        ("", "shop.yaml:9: spec.policies[0].properties: weights is required"),
    ],
)
def test_properties_of_policies_are_held_against_the_parameters(properties, expected):
    required = {"definitions/split.yaml": definition(template=SPLIT.replace("[...#Weight]", "[#Weight, ...#Weight]"))}
    found = said(compiled(application(properties), required))
    assert any(expected in line for line in found), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (definition(template="output: {}\na: 1\na: 2\n"), ":10: spec.schematic.cue.template: a: conflicting values 2 and 1"),
        (definition(template="parameter: {}\n"), "it makes nothing: there is none of output, outputs"),
        (definition(template="output: {}\nprocessing: {}\n"), "processing asks another server while it renders"),
        (definition(template='import "vela/op"\nx: op.#Read & {}\noutput: {}\n'), "only steps call functions: a policy is values alone"),
        (definition(more="  scope: Application\n"), "spec.scope: scope is not available: a policy makes objects here"),
        (definition(more="  manageHealthCheck: true\n"), "spec.manageHealthCheck: manageHealthCheck is not available"),
        (definition(more="  appliesToWorkloads: ['*']\n"), "unknown field appliesToWorkloads"),
        (definition().replace("cue:", "terraform:"), "no cloud is asked here"),
    ],
)
def test_what_is_wrong_with_a_definition_is_told_with_its_line_and_who_uses_it_is_refused(text, expected):
    found = said(compiled(text, path="definitions/split.yaml"))
    assert any(line.startswith("definitions/split.yaml:") and expected in line for line in found), found
    result = compiled(application(), {"definitions/split.yaml": text})
    assert not result.applications
    assert any(expected in line for line in said(result)), said(result)
    assert not any("unknown policy" in line for line in said(result))


@pytest.mark.parametrize("name", ["topology", "garbage-collect", "replication"])
def test_rule_13g_no_definition_replaces_a_policy_type_that_is_built_in(name):
    path = f"definitions/{name}.yaml"
    (problem,) = compiled(definition(name), path=path).problems
    assert (problem.severity, problem.message) == ("error", "this policy type is built in, and no definition replaces it")
    (described,) = compiled(definition(name, "parameter: {}\n"), path=path).problems  # KubeVela's own files of them make nothing
    assert described.severity == "warning"
    (app,) = compiled(application("namespace: blue", "topology"), {path: definition(name)}).applications
    assert (app.workflow.leading, app.definitions) == ([], [])


def test_a_definition_that_nobody_finds_is_told_and_so_is_a_policy_that_nothing_is_applied_with():
    assert "nobody finds it here" in said(compiled(definition(), path="other/split.yaml"))[0]
    (warning,) = said(compiled(application(steps="{type: suspend}"), FILES))
    assert warning == "shop.yaml:7: spec.policies[0]: no step applies anything: what it makes is not applied either"


def test_rules_select_what_a_policy_makes_by_its_name_and_type_and_naming_it_in_a_step_changes_nothing():
    rule = "  - {name: once, type: apply-once, properties: {enable: true, rules: [{selector: {componentNames: [unified], componentTypes: [split]}, strategy: {path: ['*']}}]}}\n"
    assert not said(compiled(application() + rule, FILES))
    (warning,) = said(compiled(application(steps="{type: deploy, properties: {policies: [unified]}}"), FILES))
    assert "the policy unified holds for the whole application; naming it changes nothing" in warning


def test_a_policy_may_have_the_name_of_a_component_and_its_own_policies_have_two():
    text = application(name="web") + "  - {name: second, type: split, properties: {weights: []}}\n"
    (app,) = compiled(text, FILES).applications
    assert [component.id for component in app.components] == ["policy/web", "policy/second", "web"]
    assert app.component("policy/web").title == "policy web"


def test_the_example_of_the_documentation_compiles_and_renders():
    text = (Path(__file__).parents[3] / "docs" / "definitions.md").read_text(encoding="utf-8").partition("## Policies")[2]
    result = compiled(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    assert not result.problems
    (app,) = result.applications
    context = RenderContext("shop", "default", "", {}, definitions=tuple(app.definitions))
    (quota,) = ComponentRenderer().render(app.component("policy/quota"), context, NoFiles())
    assert (quota["metadata"]["name"], quota["spec"]) == ("quota", {"hard": {"pods": "10"}})

"""Definitions of step types as the dialect reads them: found by name, checked with their steps, each problem at its place."""

import textwrap

import pytest

from reconciler.dialects.registry import compile_file, dialects
from reconciler.render.definitions import shared
from reconciler.revisions.digest import git_digest
from reconciler.steps.catalog import STEP_TYPES
from tests.unit.dialects.conftest import MemoryFiles

pytestmark = pytest.mark.timeout(600)  # the first of them on a machine compiles the module

TEMPLATE = """\
import "vela/op"
parameter: {
  // +usage=What is applied
  component: string
  times: *3 | int
  more?: {depth: int}
}
apply: op.#ApplyComponent & {component: parameter.component}
"""


def definition(template: str = TEMPLATE, name: str = "put") -> str:
    head = f"apiVersion: core.oam.dev/v1beta1\nkind: WorkflowStepDefinition\nmetadata: {{name: {name}}}\nspec:\n  schematic:\n    cue:\n"
    return head + "      template: |\n" + textwrap.indent(template, "        ")


def application(properties: str = "component: web", more: str = "") -> str:
    return (
        "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: shop}\nspec:\n  components:\n"
        "  - {name: web, type: k8s-objects, properties: {objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: web}}]}}\n"
        f"  workflow:\n    steps:\n    - {{name: put, type: put, properties: {{{properties}}}{more}}}\n"
    )


def compiled(text, files=None, path="shop.yaml"):
    return compile_file(path, text, MemoryFiles(files or {}), dialects(STEP_TYPES, checker=shared()))


def said(result):
    return [f"{problem.path}:{problem.line}: {problem.field}: {problem.message}" for problem in result.problems]


def test_a_definition_is_found_in_the_applications_file_and_in_the_folder_of_definitions_and_pinned_in_the_workflow():
    for text, files in ((f"{application()}---\n{definition()}", {}), (application(), {"definitions/put.yaml": definition()})):
        result = compiled(text, files)
        (app,) = result.applications
        assert app.workflow.definitions == {"put": TEMPLATE}
        assert app.workflow.steps[0].components == ["web"]
        assert [reference.path for reference in app.references] == list(files)
        assert set(files) <= set(app.watched)


def test_without_a_definition_the_step_type_is_unknown():
    assert "unknown step type put" in said(compiled(application()))[0]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ("component: 3", "spec.workflow.steps[0].properties.component: conflicting values string and 3"),
        ("componnt: web", "properties.componnt: unknown field componnt (did you mean component?)"),
        ("times: many, component: web", "properties.times: "),
        ("component: web, more: {depht: 1}", "properties.more.depht: unknown field"),
        ("times: 2", "properties: component is required"),
    ],
)
def test_properties_are_held_against_the_parameters_of_the_definition(properties, expected):
    found = said(compiled(application(properties), {"definitions/put.yaml": definition()}))
    assert any("shop.yaml:9: " in line and expected in line for line in found), found


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('import "vela/op"\nx: op.#Deploy\n', "9: spec.schematic.cue.template: #Deploy of vela/op is not available here; use a deploy step"),
        ('import "tool/exec"\nx: exec.#Run\n', '8: spec.schematic.cue.template: package "tool/exec" is not available in a definition'),
        ("a: 1\na: 2\n", "conflicting values 2 and 1"),
        ("a: {\n", "expected '}'"),
        ('import "vela/op"\nx: op.#Aply & {}\n', "9: spec.schematic.cue.template: vela/op has no #Aply"),
        ('import "vela/op"\nx: op.#Patch & {}\n', "#Patch of vela/op is not available here; join the patch to the whole object and #Apply that"),
    ],
)
def test_a_template_that_does_not_compile_is_told_with_its_line_of_the_file(template, expected):
    found = said(compiled(definition(template), path="definitions/put.yaml"))
    assert any(line.startswith("definitions/put.yaml:") and expected in line for line in found), found
    assert not compiled(application(), {"definitions/put.yaml": definition(template)}).applications


def test_rule_4g_no_definition_replaces_a_built_in_step_type():
    for name in ("suspend", "apply-object"):
        (problem,) = said(compiled(definition(name=name), path=f"definitions/{name}.yaml"))
        assert f"the step type {name} is built in, and no definition replaces it" in problem


def test_a_definition_where_nobody_finds_it_is_warned_of():
    (problem,) = compiled(definition(), path="elsewhere.yaml").problems
    assert problem.severity == "warning"
    assert "it stands in definitions/put.yaml" in problem.message


def test_rule_5a_the_template_is_part_of_the_digest_of_who_uses_it_and_of_nobody_else():
    def digest(template, text):
        (app,) = compiled(f"{text}---\n{definition(template)}").applications  # in its own file, which no reference names
        return git_digest(app)

    assert digest(TEMPLATE, application()) != digest(TEMPLATE + "b: 1\n", application())
    other = application().replace("type: put", "type: apply-component")
    assert digest(TEMPLATE, other) == digest(TEMPLATE + "b: 1\n", other)


def test_an_input_that_is_no_parameter_goes_into_the_component_and_an_output_may_be_an_expression():
    more = ", inputs: [{from: conn, parameterKey: mysqlConn}, {from: conn, parameterKey: component}], outputs: [{name: twice, valueFrom: parameter.times * 2}]"
    text = application(more=more).replace(
        "    - {name: put",
        "    - {name: first, type: apply-component, properties: {component: web}, outputs: [{name: conn, valueFrom: connection}]}\n    - {name: put",
    )
    (app,) = compiled(text, {"definitions/put.yaml": definition()}).applications
    step = app.workflow.steps[1]
    assert [item.target for item in step.inputs] == ["properties.mysqlConn", "component"]
    assert [item.value for item in step.outputs] == ["parameter.times * 2"]

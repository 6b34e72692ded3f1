"""Definitions in the form of KubeVela's command line: the document that their manifest would be, with problems at their own lines."""

import pytest

from reconciler.dialects.definitions import read_definitions
from reconciler.dialects.registry import compile_file, dialects
from reconciler.dialects.scope import in_scope
from reconciler.render.definitions import shared
from reconciler.steps.catalog import STEP_TYPES
from tests.unit.dialects.conftest import MemoryFiles

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("renderers")]

FILE = """\
import "vela/op"

"put": {
	type:        "workflow-step"
	description: "Applies one."
	labels: scope: "Application"
	annotations: "definition.oam.dev/example-url": "https://example.org"
	attributes: {}
}
template: {
	parameter: component: string
	apply: op.#ApplyComponent & {component: parameter.component}
}
"""
APPLICATION = (
    "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: shop}\nspec:\n  components:\n"
    "  - {name: web, type: k8s-objects, properties: {objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: web}}]}}\n"
    "  workflow:\n    steps:\n    - {name: put, type: put, properties: {component: web}}\n"
)


def read(text, path="definitions/put.cue"):
    return read_definitions(path, text, checker=shared())


def compiled(path, text, files=None):
    return compile_file(path, text, MemoryFiles({path: text, **(files or {})}), dialects(STEP_TYPES, checker=shared()))


def said(result):
    return [f"{problem.path}:{problem.line}: {problem.severity}: {problem.message}" for problem in result.problems]


def test_a_file_becomes_the_document_of_the_manifest():
    (document,), problems = read(FILE)
    assert problems == []
    template = document.content["spec"].pop("schematic")["cue"]["template"]
    assert document.content == {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "WorkflowStepDefinition",
        "metadata": {
            "name": "put",
            "annotations": {"definition.oam.dev/example-url": "https://example.org", "definition.oam.dev/description": "Applies one."},
            "labels": {"custom.definition.oam.dev/scope": "Application"},
        },
        "spec": {},
    }
    written = FILE.splitlines()
    assert [(number, line) for number, line in enumerate(template.splitlines()) if line.strip()] == [
        (number, line) for number, line in enumerate(written) if number in (0, 10, 11)
    ]


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("component", "ComponentDefinition"),
        ("trait", "TraitDefinition"),
        ("policy", "PolicyDefinition"),
        ("workflow-step", "WorkflowStepDefinition"),
    ],
)
def test_all_kinds_have_their_form_and_attributes_become_the_spec(type_, kind):
    text = f"""x: {{
	type: "{type_}"
	attributes: {{
		podDisruptive: true
		appliesToWorkloads: ["deployments.apps"]
		status: healthPolicy: #\"\"\"
			isHealth: context.output.status.ready
			\"\"\"#
	}}
}}
template: output: {{}}
"""
    (document,), problems = read(text)
    assert problems == []
    assert document.kind == ("core.oam.dev/v1beta1", kind)
    spec = document.content["spec"]
    assert spec["status"] == {"healthPolicy": "isHealth: context.output.status.ready"}
    assert spec["podDisruptive"] is True
    assert spec["appliesToWorkloads"] == ["deployments.apps"]
    assert spec["schematic"]["cue"]["template"].strip() == "output: {}"
    assert document.lines[("spec", "status", "healthPolicy")] == 6


def test_a_step_finds_its_definition_in_either_form():
    result = compiled("shop.yaml", APPLICATION, {"definitions/put.cue": FILE})
    (app,) = result.applications
    assert list(app.workflow.definitions) == ["put"]
    assert [reference.path for reference in app.references] == ["definitions/put.cue"]
    assert {"definitions/put.cue", "definitions/put.yaml"} <= set(app.watched)


def test_where_both_forms_stand_the_manifest_counts_and_the_other_is_told():
    other = "apiVersion: core.oam.dev/v1beta1\nkind: WorkflowStepDefinition\nmetadata: {name: put}\nspec: {schematic: {cue: {template: ''}}}\n"
    assert said(compiled("definitions/put.cue", FILE, {"definitions/put.yaml": other})) == [
        "definitions/put.cue:3: warning: nobody finds it here: definitions/put.yaml comes before it"
    ]
    assert said(compiled("definitions/putt.cue", FILE))[0].startswith("definitions/putt.cue:3: warning: nobody finds it here: it stands in")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("component: string", "component: strin"), '11: error: parameter.component: reference "strin" not found'),
        (("#ApplyComponent", "#AplyComponent"), "12: error: vela/op has no #AplyComponent"),
        (('type:        "workflow-step"', 'type: "workflow-stp"'), "4: error: unknown value workflow-stp (did you mean workflow-step?)"),
        (("labels: scope", "lables: scope"), "6: error: unknown field lables (did you mean labels?)"),
        (('"Application"', "string"), "6: error: put.labels.scope: incomplete value string"),
        (('description: "Applies one."', "description: 3"), "5: error: must be text, not a number; put it in quotes"),
        (("attributes: {}", "attributes: more: 1"), "8: error: unknown field more"),
        (("template: {", 'other: {type: "trait"}\ntemplate: {'), "10: error: a definition's file has its imports, one field"),
        (("template: {", "let x = 1\ntemplate: {"), "10: error: a definition's file has its imports, one field"),
        (("template: {", "tmplate: {"), "10: error: a definition's file has its imports, one field"),
        (('"put": {', '"suspend": {'), "3: error: the step type suspend is built in"),
        (('"vela/op"', '"vela/of"'), '1: error: package "vela/of" is not available'),
    ],
)
def test_what_is_wrong_is_told_at_its_line_of_the_file(change, expected):
    found = said(compiled("definitions/put.cue", FILE.replace(*change)))
    assert any(f"definitions/put.cue:{expected}" in line for line in found), found


@pytest.mark.parametrize("text", ["", "x: 1", "template: {}", 'x: {type: "trait"}\ntemplate: 3', b"\xff\xfe", b"a\0b", "a: " * 50_000, "{" * 50_000])
def test_whatever_a_file_holds_ends_in_problems(text):
    documents, problems = read(text)
    assert documents == []
    assert problems
    assert all(problem.path == "definitions/put.cue" for problem in problems)


def test_only_files_right_in_the_folder_of_definitions_count():
    assert in_scope("definitions/put.cue")
    assert not any(in_scope(path) for path in ("put.cue", "definitions/more/put.cue", "a/definitions/put.cue", "components/put.cue"))
    assert not in_scope("definitions/put.cue", {"definitions/"})

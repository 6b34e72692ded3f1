import pytest

from reconciler.dialects.scope import classify, in_scope

APP = "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: a}\nspec:\n  components: [{name: a, type: worker, properties: {image: a}}]\n"


@pytest.mark.parametrize("path", ["a.yaml", "a.yml", "a.json", "A.YAML", "x/y/a.Yml", "apps/components/a.yaml", ".github/a.yml"])
def test_rule_1a_manifests_are_in_scope_whatever_their_case(path):
    assert in_scope(path)


@pytest.mark.parametrize(
    "path", ["a.txt", "yaml", "a.yaml.bak", "environment.yaml", "x/environment.yaml", "components/T/n/_.yaml", ".reconciler/prune.yaml"]
)
def test_rule_1a_the_repositorys_own_files_are_out_of_scope(path):
    assert not in_scope(path)


def test_rule_1a_folders_that_components_refer_to_are_out_of_scope():
    assert not in_scope("base/a.yaml", ["base/"])
    assert in_scope("baseline/a.yaml", ["base/"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"apiVersion": "core.oam.dev/v1beta1", "kind": "Application"}, "application"),
        ({"apiVersion": "core.oam.dev/v1alpha2", "kind": "ApplicationConfiguration"}, "application"),
        ({"components": [{"revisionName": "a"}]}, "application"),
        ({"components": [{"revisionName": "a"}, {"name": "b"}]}, "foreign"),
        ({"components": []}, "foreign"),
        ({"components": {"revisionName": "a"}}, "foreign"),
        ({"services": {}}, "foreign"),
        ({"apiVersion": "v1", "kind": "Service"}, "foreign"),
        ({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}, "foreign"),
        ({"apiVersion": "core.oam.dev/v1beta1", "kind": "Aplication"}, "unrecognised"),
        ({"apiVersion": "core.oam.dev/v1beta1"}, "unrecognised"),
        ({"apiVersion": "core.oam.dev/v1alpha2", "kind": "Application"}, "unrecognised"),
        ({"apiVersion": "core.oam.dev/v1beta1", "kind": "ComponentDefinition"}, "definition"),
        ({"apiVersion": "workflow.example.com/v1alpha1", "kind": "Workflow"}, "application"),
        ({"apiVersion": "workflow.example.com/v1alpha1", "kind": "Step"}, "unrecognised"),
        ({"apiVersion": "workflow.example.com/v1", "kind": "Workflow"}, "unrecognised"),
        ({"apiVersion": "gates.reconciler.dev/v1", "kind": "X"}, "unrecognised"),
        ({"apiVersion": "reconciler.dev/v1alpha1", "kind": "Environment"}, "unrecognised"),
        ({"kind": "Application"}, "unrecognised"),
        ({"apiVersion": ["core.oam.dev/v1beta1"], "kind": {}}, "foreign"),
    ],
)
def test_rule_1a_documents_are_classified_by_group_and_kind(content, expected):
    assert classify("a.yaml", content) == expected


def test_rule_1a_an_environment_is_one_only_in_its_own_file():
    document = {"apiVersion": "reconciler.dev/v1alpha1", "kind": "Environment"}
    assert classify("x/environment.yaml", document) == "environment"


def test_rule_1a_foreign_documents_are_recognised_and_their_names_kept(compile_text):
    result = compile_text(f"apiVersion: v1\nkind: Service\nmetadata: {{name: shop}}\n---\nservices: {{}}\n---\n{APP}")
    assert result.recognised
    assert result.foreign == {"shop", ""}
    assert [application.index for application in result.applications] == [2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (APP.replace("kind: Application", "kind: Aplication"), "did you mean Application?"),
        (APP.replace("kind: Application", "kind: Policy"), "Policy is not available yet"),
        ("apiVersion: v1\nkind: List\nitems: []\n", "put each of its items in a document of its own"),
        ("apiVersion: reconciler.dev/v1alpha1\nkind: Environment\nmetadata: {name: a}\n", "stands in a file named environment.yaml"),
        (APP + "x: [\n", "not valid YAML"),
        (APP.replace("image: a", "imgae: a"), "did you mean image?"),
    ],
)
def test_rule_1a_a_file_with_anything_unread_or_wrong_is_not_recognised(compile_text, text, message):
    result = compile_text(text)
    assert not result.recognised
    assert message in str(result.problems)


def test_one_bad_document_does_not_harm_the_others(compile_text):
    result = compile_text(f"{APP}---\n{APP.replace('name: a}', 'name: b}').replace('worker', 'wroker')}---\n{APP.replace('name: a}', 'name: c}', 1)}")
    assert [application.name for application in result.applications] == ["a", "c"]
    assert not result.recognised


def test_a_group_that_looks_like_ours_is_warned_about(compile_text):
    (problem,) = compile_text(APP.replace("core.oam.dev", "core.oma.dev")).problems
    assert (problem.severity, "did you mean core.oam.dev?" in problem.message) == ("warning", True)


def test_an_environment_file_is_checked_by_itself(compile_text):
    good = compile_text("apiVersion: reconciler.dev/v1alpha1\nkind: Environment\nmetadata: {name: a}\n", path="environment.yaml")
    bad = compile_text("apiVersion: reconciler.dev/v1alpha1\nkind: Environment\nmetadata: {name: a}\nspec: {globals: {}}\n", path="environment.yaml")
    assert (good.problems, good.recognised) == ([], True)
    assert [(problem.line, problem.field) for problem in bad.problems] == [(4, "spec.globals")]

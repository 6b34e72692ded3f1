import pytest

from reconciler.dialects.kubevela import KubeVela
from reconciler.model.application import Output
from reconciler.model.identity import AppKey
from tests.unit.dialects.kubevela_texts import TWO, WEB, app, only, said, steps

FOLDER = "  components:\n  - {name: plain, type: manifests, properties: {path: PATH}}\n"
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


@pytest.mark.parametrize(("written", "place"), [("base/web", "base/web"), ("./web", "apps/web"), ("base/web/", "base/web"), ("./a/./b", "apps/a/b")])
def test_rule_5a_every_manifest_of_a_folder_is_a_reference_by_the_name_written(compile_text, written, place):
    files = {f"{place}/a.yaml": MAP, f"{place}/deep/b.YML": MAP, f"{place}/README.md": "no"}
    application = only(compile_text(app(FOLDER.replace("PATH", written)), files))
    top = written.rstrip("/")
    assert [(item.name, item.path) for item in application.references] == [
        (f"{top}/a.yaml", f"{place}/a.yaml"),
        (f"{top}/deep/b.YML", f"{place}/deep/b.YML"),
    ]
    assert f"{place}/" in application.watched
    assert application.component("plain").properties["path"] == place


@pytest.mark.parametrize("written", ["../x", "/x", ".", "./", "a/../../x", "x/..", "./../x"])
def test_a_folder_outside_or_the_top_is_refused(compile_text, written):
    result = compile_text(app(FOLDER.replace("PATH", written)), {"x/a.yaml": MAP}, path="shop.yaml")
    assert "must be a folder of the repository" in said(result)


def test_a_folder_without_manifests_is_an_error(compile_text):
    assert "there is no YAML file in the folder base" in said(compile_text(app(FOLDER.replace("PATH", "base")), {"base/readme.md": ""}))


def test_what_is_wrong_in_a_manifest_is_a_problem_of_its_own_file(compile_text):
    result = compile_text(app(FOLDER.replace("PATH", "base")), {"base/a.yaml": MAP + "data: {a: 1, a: 2}\n", "base/b.yaml": "kind: Service\n"})
    assert [(problem.path, problem.line) for problem in result.problems] == [("base/a.yaml", 4), ("base/b.yaml", 1), ("base/b.yaml", 1)]
    assert result.applications == []


# Environments ---------------------------------------------------------------------------------------------------------


def environment(name, namespace=""):
    return f"apiVersion: reconciler.dev/v1alpha1\nkind: Environment\nmetadata: {{name: {name}}}\nspec: {{namespace: '{namespace}', global: {{at: {name}}}}}\n".replace(
        "namespace: '', ", ""
    )


def test_the_nearest_environment_gives_name_namespace_and_values(compile_text):
    files = {"environment.yaml": environment("top", "one"), "apps/environment.yaml": environment("near", "two")}
    application = only(compile_text(app(WEB), files))
    assert application.key == AppKey("two", "shop")
    assert (application.environment.name, application.environment.values) == ("near", {"at": "near"})
    assert application.watched[-2:] == ["apps/environment.yaml", "environment.yaml"]


def test_the_label_names_the_environment_and_its_values_stay_the_nearest_files(compile_text):
    metadata = "{name: shop, labels: {reconciler.dev/environment: gray}}"
    application = only(compile_text(app(WEB, metadata), {"environment.yaml": environment("top", "one")}))
    assert (application.environment.name, application.namespace, application.environment.values) == ("gray", "one", {"at": "top"})


@pytest.mark.parametrize("name", ["B", "b.c", "b_c"])
def test_a_label_that_can_name_no_shard_is_an_error_at_its_place(compile_text, name):
    assert only(compile_text(app(WEB, "{name: shop, labels: {reconciler.dev/shard: b-2}}"))).shard == "b-2"
    result = compile_text(app(WEB, f"{{name: shop, labels: {{reconciler.dev/shard: {name}}}}}"))
    assert result.applications == []
    assert "reconciler.dev/shard" in result.problems[0].field
    assert "no shard is called so" in said(result)


def test_the_namespace_is_the_manifests_then_the_environments_then_default(compile_text):
    files = {"environment.yaml": environment("top", "one")}
    assert only(compile_text(app(WEB, "{name: a, namespace: own}"), files)).namespace == "own"
    assert only(compile_text(app(WEB, "{name: a}"), files)).namespace == "one"
    assert only(compile_text(app(WEB, "{name: a}"), {"environment.yaml": environment("top")})).namespace == "default"


def test_rule_1a_a_broken_environment_leaves_the_identity_open_and_compiles_nothing(compile_text):
    result = compile_text(app(WEB), {"environment.yaml": "kind: Environment\n"})
    assert "the environment file environment.yaml has errors" in said(result)
    assert result.applications == []
    assert not result.recognised


def test_the_dialect_recognises_its_own_kind_and_version_only(compile_text):
    result = compile_text(app(WEB).replace("v1beta1", "v1beta2"))
    assert "Application is read as apiVersion core.oam.dev/v1beta1" in said(result)
    assert KubeVela({}).family == "kubevela"


def test_a_step_that_waits_for_itself_is_an_error(compile_text):
    assert "which comes no earlier" in said(compile_text(steps("{type: suspend, name: a, dependsOn: [a]}")))


def test_a_component_with_outputs_may_be_applied_twice(compile_text):
    components = "  components:\n  - {name: db, type: worker, properties: {image: a}, outputs: [{name: host, valueFrom: connection.host}]}\n"
    twice = ["{type: apply-component, properties: {component: db}}"] * 2
    first, second = only(compile_text(steps(*twice, components=components))).workflow.steps
    assert (first.outputs, second.outputs) == ([Output("host", "connection.host")], [])


def test_steps_of_a_graph_come_after_those_for_the_components_that_theirs_depend_on(compile_text):
    components = TWO.replace("image: nginx}", "image: nginx}, dependsOn: [db]")
    web = "{type: apply-component, name: w, properties: {component: web}}"
    db = "{type: apply-component, name: d, properties: {component: db}}"
    found = only(compile_text(steps(web, db, components=components, mode="    mode: {steps: DAG}\n"))).workflow.steps
    assert [(step.name, step.depends_on) for step in found] == [("w", ["d"]), ("d", [])]

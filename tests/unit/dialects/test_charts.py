"""Components of type `helm`: what they may say, and what is made of it."""

import pytest

from reconciler.model.chart import ChartSource, source_of
from tests.unit.dialects.kubevela_texts import app, errors, only, said

REMOTE = "url: https://charts.example.org, chart: web, version: 1.2.3"
CHART = {"charts/web/Chart.yaml": "name: web\n", "charts/web/templates/a.yaml": "{{ if }}", "charts/web/values.yaml": "a: 1\n"}


def helm(properties):
    return app(f"  components:\n  - name: web\n    type: helm\n    properties: {{{properties}}}\n")


def test_a_remote_chart_is_a_source_with_its_version_and_the_secret_that_opens_it(compile_text):
    result = compile_text(
        helm(f"repoType: helm, {REMOTE}, releaseName: shop, secretRef: opener, values: {{a: {{b: 1}}}}, valuesFiles: [values-prod.yaml]")
    )
    component = only(result).component("web")
    assert result.problems == []
    assert source_of(component.properties) == ChartSource("https://charts.example.org", "web", "1.2.3", "opener")
    assert component.properties["values"] == {"a": {"b": 1}}
    assert component.properties["releaseName"] == "shop"
    assert only(result).references == []


def test_a_chart_in_a_registry_is_named_by_its_url_or_beside_it(compile_text):
    whole = only(compile_text(helm("url: 'oci://ghcr.io/org/web/', version: ^1"))).component("web")
    assert source_of(whole.properties) == ChartSource("oci://ghcr.io/org/web", "", "^1")
    beside = only(compile_text(helm("repoType: oci, url: oci://ghcr.io/org, chart: web, version: 1.0.0"))).component("web")
    assert source_of(beside.properties) == ChartSource("oci://ghcr.io/org", "web", "1.0.0")


def test_the_seeds_word_for_the_url_is_the_same_one(compile_text):
    component = only(compile_text(helm("repoUrl: https://charts.example.org, chart: web, version: 1.2.3"))).component("web")
    assert component.properties == {"url": "https://charts.example.org", "chart": "web", "version": "1.2.3"}


@pytest.mark.parametrize("written", ["path: charts/web", "chart: charts/web", "path: charts/web/, repoType: git"])
def test_rule_5a_every_file_of_a_chart_in_the_repository_is_a_reference_and_its_folder_is_watched(compile_text, written):
    application = only(compile_text(helm(written), CHART))
    assert [reference.path for reference in application.references] == sorted(CHART)
    assert application.component("web").properties == {"path": "charts/web"}
    assert "charts/web/" in application.watched


def test_a_chart_beside_the_manifest(compile_text):
    files = {f"apps/{path}": text for path, text in CHART.items()}
    assert only(compile_text(helm("chart: ./charts/web"), files)).component("web").properties == {"path": "apps/charts/web"}


def test_rule_5a_a_file_with_values_is_a_reference_and_its_values_stand_in_the_component(compile_text):
    files = {"values/prod.yaml": "a: {b: 1}\n"}
    sources = (
        "valuesFrom: [{kind: File, path: values/prod.yaml}, {kind: ConfigMap, name: web, valuesKey: v, optional: true}, {kind: ConfigMap, name: x}]"
    )
    application = only(compile_text(helm(f"{REMOTE}, {sources}"), files))
    assert application.component("web").properties["valuesFrom"] == [
        {"values": {"a": {"b": 1}}},
        {"configMap": "web", "key": "v", "optional": True},
        {"configMap": "x", "key": "values.yaml", "optional": False},
    ]
    assert [(reference.name, reference.path) for reference in application.references] == [("values/prod.yaml", "values/prod.yaml")]
    assert "values/prod.yaml" in application.watched


def test_a_target_namespace_is_where_its_objects_go_and_a_step_says_otherwise(compile_text):
    application = only(compile_text(helm(f"{REMOTE}, targetNamespace: data")))
    assert application.component("web").namespace == "data"
    steps = "  workflow:\n    steps:\n    - {name: a, type: apply-component, properties: {component: web, namespace: other}}\n"
    moved = only(compile_text(helm(f"{REMOTE}, targetNamespace: data") + steps))
    assert [component.namespace for component in moved.components] == ["other"]


@pytest.mark.parametrize(
    ("properties", "field", "message"),
    [
        ("chart: web", "chart", "there is no Chart.yaml in the folder web of this repository; a chart that is somewhere else has a url"),
        ("version: 1.0.0", "", "url (of a chart repository or a registry) or path (of a folder of this repository) is required"),
        ("url: https://charts.example.org", "", "chart is required: its name in the repository"),
        ("url: ftp://example.org, chart: a, version: 1.0.0", "url", "begins with https://, http:// or oci://"),
        ("url: 'https://me:s3cret@example.org', chart: a, version: 1.0.0", "url", "it holds a user or a password: put them into a Secret"),
        ("url: 'https://example.org?token=s3cret', chart: a, version: 1.0.0", "url", "it holds a query or a fragment"),
        ("repoType: oci, url: https://example.org, chart: a, version: 1.0.0", "url", "with repoType oci it begins with oci://"),
        ("repoType: git, url: https://example.org/x.git, chart: a", "repoType", "a chart of another git repository is not fetched"),
        ("repoType: hlem, url: https://example.org, chart: a, version: 1.0.0", "repoType", "did you mean helm?"),
        (f"{REMOTE}, path: charts/web", "path", "not both"),
        (f"{REMOTE}, repoUrl: https://example.org", "repoUrl", "another word for url"),
        ("url: https://charts.example.org, chart: web, version: latest", "version", "latest is no version range"),
        ("url: https://charts.example.org, chart: ../web, version: 1.0.0", "chart", "a folder of this repository has no url"),
        (f"{REMOTE}, vaules: {{}}", "vaules", "did you mean values?"),
        (f"{REMOTE}, values: [1]", "values", "must be a mapping"),
        (f"{REMOTE}, git: {{branch: main}}", "git", "not supported: a chart of another git repository is not fetched"),
        (f"{REMOTE}, releaseName: {'a' * 54}", "releaseName", "a release name"),
        (f"{REMOTE}, targetNamespace: Data", "targetNamespace", "a DNS-1123 label"),
        (f"{REMOTE}, valuesFrom: [{{kind: Secret}}]", "valuesFrom[0]", "name is required: of a Secret"),
        (f"{REMOTE}, valuesFrom: [{{kind: File, path: a.yaml, targetPath: b}}]", "valuesFrom[0].targetPath", "for one entry of a ConfigMap"),
        (f"{REMOTE}, valuesFrom: [{{kind: ConfigMap}}]", "valuesFrom[0]", "name is required"),
        (f"{REMOTE}, valuesFrom: [{{kind: File, path: ../a.yaml}}]", "valuesFrom[0].path", "of a YAML file of the repository"),
        (f"{REMOTE}, valuesFrom: [{{kind: ConfigMap, name: a, targetPath: 'b[0].c'}}]", "valuesFrom[0].targetPath", "with dots between them"),
        ("path: ../web", "path", "must be a folder of the repository"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(compile_text, properties, field, message):
    result = compile_text(helm(properties))
    found = [(line, place, text) for line, place, text in errors(result) if place == f"spec.components[0].properties{'.' if field else ''}{field}"]
    assert found, said(result)
    assert found[0][0] == 8
    assert message in found[0][2]
    assert "s3cret" not in said(result)
    assert result.applications == []


def test_a_version_that_nobody_names_and_what_nothing_reads_are_warnings(compile_text):
    result = compile_text(helm("url: https://charts.example.org, chart: web, pullInterval: 5m, upgradeCRD: true"))
    assert "the newest version is taken when a revision is made" in said(result)
    assert "nothing reads pullInterval here" in said(result)
    assert "nothing reads upgradeCRD here" in said(result)
    assert only(result).component("web").properties == {"url": "https://charts.example.org", "chart": "web"}
    assert "the newest version" not in said(compile_text(helm("url: https://charts.example.org, chart: web, version: ~1.2")))


def test_what_is_wrong_in_a_file_with_values_is_a_problem_of_that_file(compile_text):
    result = compile_text(helm(f"{REMOTE}, valuesFrom: [{{kind: File, path: values.yaml}}]"), {"values.yaml": "a: 1\na: 2\n"})
    assert [(problem.path, problem.line) for problem in result.problems] == [("values.yaml", 2)]

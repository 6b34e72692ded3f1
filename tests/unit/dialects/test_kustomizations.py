"""Components of type kustomize: which files belong to one, and what is refused."""

import pytest

from tests.unit.dialects.kubevela_texts import app, only, said

OVERLAY = "  components:\n  - {name: web, type: kustomize, properties: {path: PATH}}\n"
FILES = {
    "k/over/prod/kustomization.yaml": "resources: [../../base]\ncomponents: [../../parts/tls]\npatches: [{path: p.yaml}]\n",
    "k/over/prod/p.yaml": "kind: Deployment\n",
    "k/over/dev/kustomization.yaml": "resources: [../../base]\n",
    "k/base/kustomization.yaml": "resources: [d.yaml, nested]\nconfigMapGenerator: [{name: c, files: [c.properties]}]\n",
    "k/base/d.yaml": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: d}\n",
    "k/base/c.properties": "a=b",
    "k/base/nested/kustomization.yml": "resources: []\n",
    "k/parts/tls/Kustomization": "kind: Component\n",
    "k/parts/other/kustomization.yaml": "{}",
}


def compiled(compile_text, files, written="k/over/prod"):
    return compile_text(app(OVERLAY.replace("PATH", written)), files)


def test_rule_5a_every_file_that_an_overlay_may_rest_on_is_a_reference_and_no_other(compile_text):
    application = only(compiled(compile_text, FILES))
    assert {item.path for item in application.references} == {name for name in FILES if not name.startswith(("k/over/dev/", "k/parts/other/"))}
    assert {item.name for item in application.references} >= {"k/over/prod/p.yaml", "k/over/prod/../../base/d.yaml"}
    assert {"k/over/prod/", "k/base/", "k/parts/tls/"} <= set(application.watched)


def test_bases_that_take_each_other_in_a_circle_end_the_search(compile_text):
    files = {"a/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [../a]\n"}
    assert len(only(compiled(compile_text, files, "a")).references) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("resources: ['https://example.com/org/repo//base?ref=v1']", "nothing is fetched from elsewhere"),
        ("resources: [github.com/org/repo/base]", "nothing is fetched from elsewhere"),
        ("bases: ['git@example.com:org/repo']", "nothing is fetched from elsewhere"),
        ("components: ['git::https://example.com/org/repo']", "nothing is fetched from elsewhere"),
        ("resources: [../../../../elsewhere]", "leads out of the repository"),
        ("resources: [/etc]", "leads out of the repository"),
        ("resources: [../..]", "leads out of the repository, or to its top"),
        ("resources: [absent.yaml]", "there is no such file below"),
        ("resources: [../plain]", "there is no kustomization.yaml in the folder k/plain"),
        ("helmCharts: [{name: x}]", "need the helm command"),
        ("helmChartInflationGenerator: [{chartName: x}]", "need the helm command"),
        ("a: 1\na: 2", "duplicate key a"),
        ("a: 1\n---\nb: 2", "one YAML document"),
    ],
)
def test_what_is_not_fetched_or_not_there_is_a_problem_of_the_kustomization_that_names_it(compile_text, content, words):
    files = {"k/x/kustomization.yaml": f"{content}\n", "k/plain/a.yaml": "kind: A\n"}
    result = compiled(compile_text, files, "k/x")
    assert result.applications == []
    assert words in said(result)
    assert [problem.path for problem in result.problems] == ["k/x/kustomization.yaml"]


@pytest.mark.parametrize(
    ("files", "written", "words"),
    [
        ({}, "k/x", "there is no folder k/x"),
        ({"k/x/a.yaml": ""}, "k/x", "there is no kustomization.yaml in the folder k/x"),
        (FILES, "../k", "must be a folder of the repository"),
        (FILES, ".", "must be a folder of the repository"),
    ],
)
def test_a_path_without_a_kustomization_is_an_error_of_the_application(compile_text, files, written, words):
    result = compile_text(app(OVERLAY.replace("PATH", written)), files, path="shop.yaml")
    assert words in said(result)
    assert {problem.path for problem in result.problems} == {"shop.yaml"}


def test_two_kustomizations_in_one_folder_are_an_error(compile_text):
    files = {"k/x/kustomization.yaml": "{}", "k/x/kustomization.yml": "{}"}
    assert "one of them has to go" in said(compiled(compile_text, files, "k/x"))


def test_a_chain_of_bases_without_end_is_cut(compile_text):
    files = {f"k{number}/kustomization.yaml": f"resources: [../k{number + 1}]\n" for number in range(300)}
    assert "more than 100 folders" in said(compiled(compile_text, files, "k0"))

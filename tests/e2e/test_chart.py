"""The Helm chart, rendered by the real command: what it lets pass, what it makes, and that nothing else says the same twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reconciler import __version__
from reconciler.settings import describe_settings

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
CHART = MANIFESTS / "chart"
ALL = ["--set", "serviceMonitor.enabled=true,rbac.clusterAdmin=true,rbac.tenants[0].namespace=shop,rbac.tenants[0].serviceAccounts={deployer}"]


def template(helm, *words, name="reconciler"):
    """Exit code, objects, and what was said on stderr."""
    command = [helm, "template", name, CHART, "--namespace", "reconciler-system", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, [obj for obj in yaml.safe_load_all(done.stdout) if obj], done.stderr


def rendered(helm, *words):
    code, objects, said = template(helm, *words)
    assert code == 0, said
    return {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}


def test_the_chart_takes_in_the_definitions_and_the_plain_install_is_what_it_makes(helm):
    done = subprocess.run(
        [sys.executable, MANIFESTS / "assemble.py", "--check"], env={**os.environ, "HELM": str(helm)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_kustomization_names_files_that_are_there_and_no_object_twice():
    names = []
    for file in yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]:
        names += [(obj["kind"], obj["metadata"]["name"]) for obj in yaml.safe_load_all((MANIFESTS / file).read_text())]
    assert len(names) == len(set(names))
    assert {"Namespace", "CustomResourceDefinition", "Deployment", "ClusterRole"} <= {kind for kind, _ in names}


def test_the_chart_is_of_this_programs_version():
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


def paths(schema, at=()):
    for name, part in schema.get("properties", {}).items():
        yield (*at, name)
        if part.get("additionalProperties") is False:
            yield from paths(part, (*at, name))


def test_every_value_has_a_default_a_schema_and_nothing_that_is_not_a_value_has():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    known = {path for path in paths(schema) if path[0] not in ("settings", "global")} - {("resources", "claims")}

    def given(value, at=()):
        for name, part in value.items():
            yield (*at, name)
            if isinstance(part, dict) and (*at, name) in {path[:-1] for path in known}:
                yield from given(part, (*at, name))

    assert known == set(given(values)) - {("settings",)}


def test_settings_that_the_chart_refuses_are_settings():
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]["settings"]["properties"]) <= {setting.key for setting in describe_settings()}


WRONG = {
    "replicas=-1": "replicas",
    "replicas=two": "replicas",
    "image.tga=1": "tga",
    "image.digest=sha256:abc": "digest",
    "rbac.tenants[0].namespace=shop": "serviceAccounts",
    "rbac.tenants[0].namespace=*,rbac.tenants[0].serviceAccounts={x}": "namespace",
    "rbac.tenants[0].namespace=shop,rbac.tenants[0].serviceAccounts={}": "serviceAccounts",
    "rbac.clusterAdmin=yes please": "clusterAdmin",
    "settings.namespace=other": "namespace",
    "settings.clusterDefinitions=Vela": "clusterDefinitions",
    "repository.path=repo": "path",
    "networkPolicy.ports={70000}": "ports",
    "clusteradmin=true": "clusteradmin",
}


@pytest.mark.parametrize("value", WRONG)
def test_a_wrong_value_is_refused_by_name(helm, value):
    code, objects, said = template(helm, "--set", value)
    assert (code, objects) == (1, [])
    assert WRONG[value] in said
    assert "values don't meet the specifications of the schema" in said


def test_the_daemon_may_impersonate_only_who_is_named_and_is_cluster_admin_only_where_that_is_said(helm):
    plain = rendered(helm)
    assert not [key for key in plain if "impersonate" in key[1] or "admin" in key[1]]
    verbs = {verb for key, obj in plain.items() if key[0].endswith("Role") for rule in obj["rules"] for verb in rule["verbs"]}
    assert verbs == {"get", "list", "watch", "create", "update", "patch", "delete"}
    assert [obj["roleRef"]["name"] for key, obj in plain.items() if key[0] == "ClusterRoleBinding"] == ["reconciler", "view"]
    for key, obj in plain.items():
        if key[0] == "ClusterRole":
            assert all(set(rule["verbs"]) == {"get", "list", "watch"} and "secrets" not in rule["resources"] for rule in obj["rules"])
    full = rendered(helm, *ALL)
    role = full["Role", "reconciler-impersonate"]
    assert role["metadata"]["namespace"] == "shop"
    assert role["rules"] == [{"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["deployer"], "verbs": ["impersonate"]}]
    assert full["ClusterRoleBinding", "reconciler-cluster-admin"]["roleRef"]["name"] == "cluster-admin"
    assert ("ServiceMonitor", "reconciler") in full


def test_the_daemon_may_read_definitions_in_one_namespace_and_only_where_that_is_said(helm):
    assert not [key for key in rendered(helm) if "definitions" in key[1]]
    found = rendered(helm, "--set", "settings.clusterDefinitions=vela-system")
    role, binding = found["Role", "reconciler-definitions"], found["RoleBinding", "reconciler-definitions"]
    assert {role["metadata"]["namespace"], binding["metadata"]["namespace"]} == {"vela-system"}
    kinds = ["componentdefinitions", "traitdefinitions", "policydefinitions", "workflowstepdefinitions"]
    assert role["rules"] == [{"apiGroups": ["core.oam.dev"], "resources": kinds, "verbs": ["list", "watch"]}]
    assert binding["roleRef"]["name"] == "reconciler-definitions"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "reconciler", "namespace": "reconciler-system"}]


def test_the_definitions_of_state_outlive_the_release(helm):
    found = [obj for key, obj in rendered(helm).items() if key[0] == "CustomResourceDefinition"]
    assert len(found) == 3
    assert all(obj["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for obj in found)
    assert not [key for key in rendered(helm, "--set", "crds.install=false") if key[0] == "CustomResourceDefinition"]


def test_settings_reach_the_daemon_as_it_reads_them_and_what_the_chart_sets_stays(helm, tmp_path):
    from reconciler.settings import load_settings

    values = tmp_path / "values.yaml"
    values.write_text("settings:\n  branch: main\n  access:\n    - {path: teams/a, namespaces: [a], serviceAccount: deployer}\n")
    config = rendered(helm, "--values", values)["ConfigMap", "reconciler"]["data"]["settings.yaml"]
    (tmp_path / "settings.yaml").write_text(config)
    settings = load_settings({}, {}, tmp_path / "settings.yaml")
    assert (settings.cluster, settings.namespace, settings.repo, settings.branch) == ("kubernetes", "reconciler-system", "/repository", "main")
    assert settings.access[0].service_account == "deployer"


def test_every_selector_finds_the_pod_and_all_replicas_but_one_may_go(helm):
    found = rendered(helm, "--set", "replicas=3")
    labels = found["Deployment", "reconciler"]["spec"]["template"]["metadata"]["labels"]
    for kind, selector in (("Service", "selector"), ("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        wanted = found[kind, "reconciler"]["spec"][selector]
        assert (wanted.get("matchLabels") or wanted).items() <= labels.items()
    assert found["Deployment", "reconciler"]["spec"]["strategy"]["type"] == "RollingUpdate"
    assert found["PodDisruptionBudget", "reconciler"]["spec"]["maxUnavailable"] == 1

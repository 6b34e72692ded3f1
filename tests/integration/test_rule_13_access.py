"""Rule 13a through the whole engine: where a manifest may put what, and the sentence in status where it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.model.access import Access
from tests.integration.harness import Clone, Daemon, config_map_app, running


def app(name: str, obj: str, namespace: str = "") -> str:
    """An application of one object, written as flow YAML."""
    text = config_map_app(name, "x", namespace=namespace)
    return text[: text.index("          - apiVersion")] + f"          - {obj}\n"


def config_map(namespace: str) -> str:
    return f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: probe, namespace: {namespace}}}, data: {{a: b}}}}"


async def refused(daemon: Daemon, name: str, sentence: str, namespace: str = "default") -> None:
    """Its manifest is refused with that sentence, at a line of it; or, where only its rendered objects tell, its run failed with it and a
    condition shows it."""

    def told() -> Any:
        status = daemon.status(name, namespace)
        return daemon.engine.reader.problems() or (status and status.run and status.run.phase == "Failed")

    await daemon.until(told, f"{name} refused")
    status = daemon.status(name, namespace)
    if status is None:
        [problem] = daemon.engine.reader.problems()
        assert sentence in problem["message"]
        assert problem["line"] > 1
        assert problem["field"].startswith(("spec.components[0].properties.objects[0]", "metadata."))
        return
    assert status.run is not None
    assert any(sentence in step.message for step in status.run.steps), status.run
    assert any(sentence in item.message for item in status.conditions), status.conditions


FORBIDDEN = {
    "the daemon's own namespace": (config_map("reconciler-system"), "namespace reconciler-system is the daemon's own"),
    "kube-system": (config_map("kube-system"), "namespace kube-system belongs to the cluster"),
    "any namespace of the cluster": (config_map("kube-node-lease"), "namespace kube-node-lease belongs to the cluster"),
    "a cluster-scoped kind": (
        "{apiVersion: v1, kind: Namespace, metadata: {name: probe}}",
        "Namespace is cluster-scoped; the operator allows it with",
    ),
    "a cluster role": (
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: probe}, rules: []}",
        "ClusterRole is cluster-scoped; the operator allows it with --allow-cluster-scoped ClusterRole",
    ),
    "a mirror": (
        "{apiVersion: reconciler.dev/v1alpha1, kind: Application, metadata: {name: default.good}, spec: {}}",
        "Application of reconciler.dev is the daemon's own state",
    ),
    "a run": (
        "{apiVersion: reconciler.dev/v1alpha1, kind: WorkflowRun, metadata: {name: default.good-v1-1, namespace: default}, spec: {}}",
        "WorkflowRun of reconciler.dev is the daemon's own state",
    ),
    "a revision": (
        "{apiVersion: reconciler.dev/v1alpha1, kind: ApplicationRevision, metadata: {name: default.good-v9}, spec: {}}",
        "ApplicationRevision of reconciler.dev is the daemon's own state",
    ),
}


@pytest.mark.parametrize("what", FORBIDDEN)
async def test_rule_13a_without_a_mapping_it_is_refused_with_a_sentence_in_status(tmp_path: Path, what: str) -> None:
    obj, sentence = FORBIDDEN[what]
    clone = Clone(tmp_path)
    clone.push({"good.yaml": config_map_app("good", "1"), "bad.yaml": app("bad", obj)})
    async with running(clone) as daemon:
        await refused(daemon, "bad", sentence)
        await daemon.synced("good")
        assert await daemon.engine.reader.objects("configmap", "", "probe") == []


async def test_rule_13a_an_application_that_lives_in_the_daemons_namespace_gets_nothing_there(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"bad.yaml": config_map_app("bad", "x", namespace="reconciler-system")})
    async with running(clone) as daemon:
        await refused(daemon, "bad", "namespace reconciler-system is the daemon's own", "reconciler-system")
        assert await daemon.engine.reader.objects("configmap", "reconciler-system", "bad") == []


@pytest.mark.parametrize("allowed", ["ClusterRole", "ClusterRole.rbac.authorization.k8s.io"])
async def test_rule_13a_a_cluster_scoped_kind_that_the_operator_names_is_applied(tmp_path: Path, allowed: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app("web", FORBIDDEN["a cluster role"][0])})
    async with running(clone, cluster_scoped=(allowed,)) as daemon:
        await daemon.synced("web")
        assert await daemon.get("ClusterRole", "probe", "", "rbac.authorization.k8s.io/v1")


RULES = (
    Access(path="teams/a", namespaces=["a-*"], deny_kinds=["Secret", "Role.rbac.authorization.k8s.io"]),
    Access(path="teams/a/special", namespaces=["special"], kinds=["ConfigMap"]),
    Access(path="ops", namespaces=["kube-system"]),
    Access(path="all", namespaces=["*"]),
    Access(
        path="wide",
        namespaces=["*"],
        deny_namespaces=["b-*"],
        kinds=["*.apps", "ConfigMap"],
        cluster_scoped=["Namespace", "CustomResourceDefinition"],
    ),
)
ROLE = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: probe, namespace: a-one}, rules: []}"
MAPPED: dict[str, tuple[str, str, str, str]] = {
    "its namespace": ("teams/a/x.yaml", "a-one", config_map("a-one"), ""),
    "another's namespace": ("teams/a/x.yaml", "a-one", config_map("b-one"), "manifests below teams/a may not use namespace b-one"),
    "a denied kind": (
        "teams/a/x.yaml",
        "a-one",
        "{apiVersion: v1, kind: Secret, metadata: {name: probe, namespace: a-one}}",
        "manifests below teams/a may not use kind Secret",
    ),
    "a kind denied with its group": ("teams/a/x.yaml", "a-one", ROLE, "manifests below teams/a may not use kind Role"),
    "rights that nobody named": ("all/x.yaml", "a-one", ROLE, "rights are given by who has them. Name it in `kinds` of that rule"),
    "the longest path decides": ("teams/a/special/x.yaml", "special", config_map("special"), ""),
    "and not the shorter one": (
        "teams/a/special/x.yaml",
        "special",
        config_map("a-one"),
        "manifests below teams/a/special may not use namespace a-one",
    ),
    "a kind that is not named": (
        "teams/a/special/x.yaml",
        "special",
        "{apiVersion: v1, kind: Service, metadata: {name: probe, namespace: special}, spec: {ports: [{port: 80}]}}",
        "manifests below teams/a/special may not use kind Service",
    ),
    "a folder whose name only begins alike": (
        "teams/ab/x.yaml",
        "a-one",
        config_map("a-one"),
        "the operator's access mapping names no rule for teams/ab/x.yaml",
    ),
    "a folder that no rule names": ("x.yaml", "", config_map("default"), "the operator's access mapping names no rule for x.yaml"),
    "kube-system where it is named": ("ops/x.yaml", "kube-system", config_map("kube-system"), ""),
    "kube-system by a wildcard": ("all/x.yaml", "", config_map("kube-system"), "namespace kube-system belongs to the cluster"),
    "the daemon's namespace by a wildcard": ("all/x.yaml", "", config_map("reconciler-system"), "namespace reconciler-system is the daemon's own"),
    "a cluster-scoped kind below a rule": (
        "all/x.yaml",
        "",
        "{apiVersion: v1, kind: Namespace, metadata: {name: probe}}",
        "Namespace is cluster-scoped; the operator allows it below all by `clusterScoped`",
    ),
    "a cluster-scoped kind that the rule names": ("wide/x.yaml", "", "{apiVersion: v1, kind: Namespace, metadata: {name: probe}}", ""),
    "a Namespace that the rule denies": (
        "wide/x.yaml",
        "",
        "{apiVersion: v1, kind: Namespace, metadata: {name: b-one}}",
        "`denyNamespaces` of that rule names it",
    ),
    "the daemon's Namespace": (
        "wide/x.yaml",
        "",
        "{apiVersion: v1, kind: Namespace, metadata: {name: reconciler-system}}",
        "namespace reconciler-system is the daemon's own",
    ),
    "the definition of the daemon's state": (
        "wide/x.yaml",
        "",
        "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: applications.reconciler.dev}, spec: {}}",
        "the definition applications.reconciler.dev is of the daemon's own state",
    ),
    "a denied namespace": ("wide/x.yaml", "", config_map("b-one"), "may not use namespace b-one: `denyNamespaces` of that rule names it"),
    "a name in another's namespace": ("teams/a/x.yaml", "b-one", config_map("a-one"), "manifests below teams/a may not use namespace b-one"),
    "a name in no namespace": ("teams/a/x.yaml", "", config_map("a-one"), "manifests below teams/a may not use namespace default"),
    "an object that the daemon's state owns": (
        "teams/a/x.yaml",
        "a-one",
        (
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: probe, ownerReferences: "
            "[{apiVersion: reconciler.dev/v1alpha1, kind: Application, name: a-one.web, uid: x}]}}"
        ),
        "an object of reconciler.dev can't own it",
    ),
}


@pytest.mark.parametrize("what", MAPPED)
async def test_rule_13a_the_mapping_decides_by_the_manifests_path(tmp_path: Path, what: str) -> None:
    path, namespace, obj, sentence = MAPPED[what]
    clone = Clone(tmp_path)
    clone.push({path: app("web", obj, namespace)})
    async with running(clone, rules=RULES) as daemon:
        if sentence:
            await refused(daemon, "web", sentence, namespace or "default")
        else:
            await daemon.synced("web", namespace=namespace or "default")


async def test_rule_13a_a_mapping_that_forbids_what_runs_lets_no_drift_be_healed(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"teams/b/web.yaml": config_map_app("web", "1")})
    state = str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await daemon.synced("web")
    async with running(clone, state, rules=RULES) as daemon:
        await daemon.looked()
        live: dict[str, Any] = await daemon.get("ConfigMap", "web")
        await daemon.cluster.replace({**live, "data": {"value": "by hand"}}, manager="kubectl-edit")
        await daemon.looked()
        await daemon.looked()
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "by hand"}

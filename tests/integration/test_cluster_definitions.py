"""Definitions that stand in the cluster, where the operator names their namespace: used, changed, deleted, and refused."""

# mypy: disable-error-code="union-attr"  # a status that is not there fails the test

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.cluster.crds.families import oam_crds
from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.dialects.documents import parse
from reconciler.model.identity import AppKey, ObjectRef
from reconciler.simulation.clock import VirtualClock
from tests.integration.harness import Clone, Daemon, running, virtual
from tests.integration.test_defined_types import APPLICATION, NOTE, SITE, TEXT, WEB, definition, problem, read

pytestmark = pytest.mark.timeout(600)  # the first of them on a machine compiles the module

VELA = "vela-system"
GATED = """\
import "vela/op"
parameter: component: string
ask: op.#Suspend & {message: "may it?"}
apply: op.#ApplyComponent & {component: parameter.component}
"""
STEPS = """\
  workflow:
    steps:
    - {type: ask-and-apply, name: ask, properties: {component: web}}
"""


async def serve(cluster: EmbeddedCluster) -> None:
    for crd in oam_crds():
        await cluster.apply(crd, "tester")


async def put(cluster: EmbeddedCluster, kind: str, name: str, template: str, namespace: str = VELA) -> None:
    documents, _ = parse("definition.yaml", definition(kind, name, template))
    content = documents[0].content
    await cluster.apply({**content, "metadata": {"name": name, "namespace": namespace}}, "tester", force=True)


async def drop(cluster: EmbeddedCluster, kind: str, name: str) -> None:
    await cluster.delete(ObjectRef("core.oam.dev/v1beta1", f"{kind}Definition", VELA, name))


@asynccontextmanager
async def a_cluster(loop_clock: VirtualClock, *, bare: bool = False) -> AsyncIterator[EmbeddedCluster]:
    cluster = EmbeddedCluster(":memory:", loop_clock, speed=1000.0)
    await cluster.start()
    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": VELA}})
    if not bare:
        await serve(cluster)
        await put(cluster, "Component", "site", SITE)
        await put(cluster, "Trait", "note", TEXT)
    try:
        yield cluster
    finally:
        await cluster.close()


def a_clock() -> VirtualClock:
    loop: Any = asyncio.get_running_loop()
    return VirtualClock(loop)


def said(daemon: Daemon, words: Iterable[str]) -> bool:
    text = problem(daemon)
    return all(word in text for word in words)


async def promoted(daemon: Daemon, revision: str) -> None:
    await daemon.until(lambda: (found := daemon.status("shop")) and found.running and found.running.revision == revision, f"{revision} runs")


@virtual
async def test_rule_5a_a_type_that_only_the_cluster_defines_is_pinned_and_another_template_is_for_the_next_deploy(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with a_cluster(a_clock()) as cluster, running(clone, cluster=cluster, cluster_definitions=VELA) as daemon:
        clone.push({"shop.yaml": APPLICATION})
        await promoted(daemon, "shop-v1")
        assert (await read(daemon, NOTE))["data"] == {"text": "hello"}
        record = daemon.engine._context.apps[AppKey("default", "shop")].records[-1]
        assert {"definition/component/site", "definition/trait/note"} <= record.pins.keys()
        await put(cluster, "Trait", "note", TEXT.replace("parameter.text}", '"\\(parameter.text) again"}'))
        await daemon.looked()
        await daemon.looked()
        assert daemon.status("shop").running.revision == "shop-v1"
        assert daemon.status("shop").sync == "Synced"
        clone.push({"shop.yaml": APPLICATION.replace("web:1", "web:2")})
        await promoted(daemon, "shop-v2")
        assert (await read(daemon, NOTE))["data"] == {"text": "hello again"}
        clone.push({"shop.yaml": APPLICATION})
        await promoted(daemon, "shop-v1")
        assert (await read(daemon, NOTE))["data"] == {"text": "hello"}


@virtual
async def test_rule_1_a_definition_that_is_deleted_takes_nothing_along_over_restarts_too_and_one_that_comes_back_goes_on(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    words = ("unknown trait type note", f"neither the repository nor the namespace {VELA} of the cluster has a TraitDefinition of that name")
    async with a_cluster(a_clock()) as cluster:
        async with running(clone, cluster=cluster, cluster_definitions=VELA) as daemon:
            clone.push({"shop.yaml": APPLICATION})
            await promoted(daemon, "shop-v1")
            await drop(cluster, "Trait", "note")
            await daemon.until(lambda: said(daemon, words), "told")
        async with running(clone, cluster=cluster, cluster_definitions=VELA) as daemon:
            await daemon.until(lambda: said(daemon, words), "told again")
            await cluster.delete(NOTE)
            await daemon.until(lambda: daemon.idle() and said(daemon, words), "looked")
            clone.push({"shop.yaml": APPLICATION.replace("web:1", "web:2")})
            await daemon.looked()
            assert daemon.status("shop").running.revision == "shop-v1"
            assert await read(daemon, WEB) is not None
            await put(cluster, "Trait", "note", TEXT)
            await promoted(daemon, "shop-v2")
            assert (await read(daemon, NOTE))["data"] == {"text": "hello"}


@virtual
async def test_rule_13g_the_repository_comes_first_and_what_is_built_in_is_not_taken_from_the_cluster(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with a_cluster(a_clock()) as cluster, running(clone, cluster=cluster, cluster_definitions=VELA) as daemon:
        await put(cluster, "Trait", "scaler", "patch: spec: replicas: 7\nparameter: replicas: int\n")
        await put(cluster, "WorkflowStep", "apply-component", 'import "vela/op"\nparameter: component: string\nno: op.#Fail & {message: "no"}\n')
        clone.push({"shop.yaml": APPLICATION, "definitions/note.yaml": definition("Trait", "note", TEXT.replace("data: text", "data: own"))})
        await promoted(daemon, "shop-v1")
        assert (await read(daemon, NOTE))["data"] == {"own": "hello"}
        assert (await read(daemon, WEB))["spec"]["replicas"] == 2
        clone.push({"definitions/note.yaml": None})
        await promoted(daemon, "shop-v2")
        assert (await read(daemon, NOTE))["data"] == {"text": "hello"}


@virtual
async def test_rule_13g_without_the_setting_nothing_is_taken_from_the_cluster_and_what_would_be_needed_is_said(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with a_cluster(a_clock()) as cluster, running(clone, cluster=cluster) as daemon:
        clone.push({"shop.yaml": APPLICATION})
        await daemon.until(lambda: "--cluster-definitions" in str(daemon.engine.reader.problems()), "told")
        assert daemon.status("shop") is None


@virtual
async def test_rule_13g_definitions_of_another_namespace_do_not_count(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with a_cluster(a_clock()) as cluster, running(clone, cluster=cluster, cluster_definitions="platform") as daemon:
        await put(cluster, "Trait", "note", TEXT, namespace="default")
        clone.push({"shop.yaml": APPLICATION})
        await daemon.until(lambda: "the namespace platform of the cluster" in str(daemon.engine.reader.problems()), "told")
        assert daemon.status("shop") is None


@virtual
async def test_what_the_cluster_does_not_serve_or_may_not_be_listed_is_a_problem_until_it_is(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with a_cluster(a_clock(), bare=True) as cluster, running(clone, cluster=cluster, cluster_definitions=VELA) as daemon:
        clone.push({"shop.yaml": APPLICATION})
        await daemon.until(lambda: "does not serve traitdefinitions.core.oam.dev" in str(daemon.engine.reader.problems()), "told")
        problems = [str(found["message"]) for found in daemon.engine.reader.problems()]
        assert any(f"whether the namespace {VELA} of the cluster has a ComponentDefinition of that name is not known" in text for text in problems)
        await serve(cluster)
        await put(cluster, "Component", "site", SITE)
        await put(cluster, "Trait", "note", TEXT)
        await promoted(daemon, "shop-v1")
        assert not daemon.engine.reader.problems()


@virtual
async def test_a_policy_of_a_type_that_only_the_cluster_defines_is_applied_and_pinned(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = f"{APPLICATION}  policies:\n  - {{name: leaflet, type: paper, properties: {{text: first}}}}\n"
    made = TEXT.replace("outputs: note", "output")
    async with a_cluster(a_clock()) as cluster, running(clone, cluster=cluster, cluster_definitions=VELA) as daemon:
        clone.push({"shop.yaml": text})
        await daemon.until(lambda: "has a PolicyDefinition of that name" in str(daemon.engine.reader.problems()), "told")
        await put(cluster, "Policy", "paper", made)
        await promoted(daemon, "shop-v1")
        assert (await daemon.get("ConfigMap", "leaflet"))["data"] == {"text": "first"}
        assert "definition/policy/paper" in daemon.engine._context.apps[AppKey("default", "shop")].records[-1].pins


@virtual
async def test_rule_8_a_definition_with_errors_is_a_problem_of_who_uses_it_and_mended_it_runs_without_a_push(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    other = APPLICATION.replace("name: shop", "name: other").replace("name: web", "name: second").split("    traits:", maxsplit=1)[0]
    async with a_cluster(a_clock()) as cluster, running(clone, cluster=cluster, cluster_definitions=VELA) as daemon:
        await put(cluster, "Trait", "note", f"{TEXT}\nbroken: {{{{\n")
        clone.push({"shop.yaml": APPLICATION, "other.yaml": other})
        await daemon.synced("other")
        place = f"cluster://{VELA}/TraitDefinition/note"
        await daemon.until(
            lambda: any(found["path"] == place and found["line"] == 4 for found in daemon.engine.reader.problems()), "told at its line"
        )
        await put(cluster, "Trait", "note", f'{TEXT}errs: ["not today"]\n')
        await daemon.until(lambda: said(daemon, ["not today"]), "it compiles, and does not render")
        await put(cluster, "Trait", "note", TEXT)
        await promoted(daemon, "shop-v1")


@virtual
async def test_rule_4b_a_gate_of_a_clusters_definition_is_opened_though_the_template_changes_meanwhile(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with a_cluster(a_clock()) as cluster, running(clone, cluster=cluster, cluster_definitions=VELA) as daemon:
        await put(cluster, "WorkflowStep", "ask-and-apply", GATED)
        clone.push({"shop.yaml": APPLICATION + STEPS})
        status = await daemon.waiting("shop")
        await put(cluster, "WorkflowStep", "ask-and-apply", GATED.replace("may it?", "really?"))
        await daemon.looked()
        gate = f'{{name: shop, annotations: {{{status.gate.key}: "{status.gate.continue_}"}}}}'
        clone.push({"shop.yaml": (APPLICATION + STEPS).replace("{name: shop}", gate)})
        await promoted(daemon, "shop-v1")
        clone.push({"shop.yaml": (APPLICATION + STEPS).replace("web:1", "web:2")})
        await daemon.until(lambda: (found := daemon.status("shop")).gate and found.gate.step == "workflow-changed", "another gate is asked for first")


@virtual
async def test_rule_4g_no_definition_of_the_cluster_replaces_a_gate(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    steps = "  workflow:\n    steps:\n    - {type: suspend, name: ask}\n    - {type: apply-component, name: go, properties: {component: web}}\n"
    async with a_cluster(a_clock()) as cluster, running(clone, cluster=cluster, cluster_definitions=VELA) as daemon:
        await put(cluster, "WorkflowStep", "suspend", "parameter: {}\n")
        clone.push({"shop.yaml": APPLICATION + steps})
        await daemon.waiting("shop")
        assert await read(daemon, WEB) is None


@virtual
async def test_rule_13a_what_a_definition_of_the_cluster_makes_is_bounded_as_every_object(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    role = 'outputs: role: {apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: name: "all"}\nparameter: text: string\n'
    async with a_cluster(a_clock()) as cluster, running(clone, cluster=cluster, cluster_definitions=VELA) as daemon:
        await put(cluster, "Trait", "note", role)
        clone.push({"shop.yaml": APPLICATION})
        status = await daemon.until(lambda: (found := daemon.status("shop")) and found.run and found.run.phase == "Failed" and found, "refused")
        assert "cluster-scoped" in str(status)


@virtual
async def test_rule_3_what_was_read_before_a_restart_is_not_believed_of_a_definition_that_changed_meanwhile(tmp_path: Path) -> None:
    clone, options = Clone(tmp_path), {"cluster_definitions": VELA, "recall": tmp_path / "looks"}
    async with a_cluster(a_clock()) as cluster:
        async with running(clone, cluster=cluster, **options) as daemon:
            clone.push({"shop.yaml": APPLICATION})
            await promoted(daemon, "shop-v1")
            await daemon.looked()
        await put(cluster, "Trait", "note", TEXT.replace("text: string", "text: string\nparameter: more: string"))
        async with running(clone, cluster=cluster, **options) as daemon:
            await daemon.until(lambda: said(daemon, ["more is required"]), "checked anew")
            await put(cluster, "Trait", "note", TEXT)
            await daemon.until(lambda: not problem(daemon), "and again")
            assert daemon.status("shop").running.revision == "shop-v1"

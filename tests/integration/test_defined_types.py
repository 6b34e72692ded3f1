"""Component and trait types that the repository defines, from a push to the cluster, through new templates and back."""

# mypy: disable-error-code="union-attr"  # a status that is not there fails the test

import textwrap
from pathlib import Path
from typing import Any

import pytest

from reconciler.cluster.protocol import NotFoundError
from reconciler.model.identity import ObjectRef
from tests.integration.harness import Clone, Daemon, running, virtual

pytestmark = pytest.mark.timeout(600)  # the first of them on a machine compiles the module

WEB = ObjectRef("apps/v1", "Deployment", "default", "web")
NOTE = ObjectRef("v1", "ConfigMap", "default", "web-note")

APPLICATION = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: shop}
spec:
  components:
  - name: web
    type: site
    properties: {image: "web:1"}
    traits: [{type: note, properties: {text: hello}}, {type: scaler, properties: {replicas: 2}}]
"""
SITE = """
output: {
    apiVersion: "apps/v1"
    kind: "Deployment"
    spec: {
        selector: matchLabels: app: context.name
        template: {
            metadata: labels: app: context.name
            spec: containers: [{name: "main", image: parameter.image}]
        }
    }
}
parameter: image: string
"""
TEXT = 'outputs: note: {apiVersion: "v1", kind: "ConfigMap", data: text: parameter.text}\nparameter: text: string\n'


def definition(kind: str, name: str, template: str) -> str:
    head = f"apiVersion: core.oam.dev/v1beta1\nkind: {kind}Definition\nmetadata: {{name: {name}}}\nspec:\n  schematic:\n    cue:\n"
    return head + "      template: |\n" + textwrap.indent(template, "        ")


FILES = {"definitions/site.yaml": definition("Component", "site", SITE), "definitions/note.yaml": definition("Trait", "note", TEXT)}


async def read(daemon: Daemon, ref: ObjectRef) -> Any:
    try:
        return await daemon.cluster.get(ref)
    except NotFoundError:
        return None


def problem(daemon: Daemon, name: str = "shop") -> str:
    status = daemon.status(name)
    return "; ".join(condition.message for condition in status.conditions if condition.type == "ManifestInvalid") if status is not None else ""


@virtual
async def test_a_defined_component_with_defined_and_built_in_traits_runs_and_another_template_is_another_revision(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"shop.yaml": APPLICATION, **FILES})
        await daemon.synced("shop")
        web, note = await read(daemon, WEB), await read(daemon, NOTE)
        assert (web["spec"]["replicas"], web["metadata"]["labels"]["workload.oam.dev/type"], note["data"]) == (2, "site", {"text": "hello"})
        clone.push({"definitions/note.yaml": definition("Trait", "note", TEXT.replace("parameter.text}", '"\\(parameter.text) again"}'))})
        await daemon.until(lambda: daemon.status("shop").running.revision == "shop-v2", "the new template runs")
        assert (await read(daemon, NOTE))["data"] == {"text": "hello again"}
        clone.push({"definitions/note.yaml": FILES["definitions/note.yaml"]})
        await daemon.until(lambda: daemon.status("shop").running.revision == "shop-v1", "back")
        assert (await read(daemon, NOTE))["data"] == {"text": "hello"}


@virtual
async def test_a_definition_that_comes_takes_the_place_of_the_built_in_type_and_one_that_goes_leaves_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = APPLICATION.replace("type: site", "type: worker").split("    traits:", maxsplit=1)[0]
    async with running(clone) as daemon:
        clone.push({"shop.yaml": text})
        await daemon.synced("shop")
        assert (await read(daemon, WEB))["spec"]["template"]["spec"]["containers"][0]["name"] == "web"
        clone.push(
            {"definitions/worker.yaml": definition("Component", "worker", SITE.replace("app: context.name", '"app.oam.dev/component": context.name'))}
        )
        await daemon.until(lambda: daemon.status("shop").running.revision == "shop-v2", "the definition is used")
        assert (await read(daemon, WEB))["spec"]["template"]["spec"]["containers"][0]["name"] == "main"


@virtual
async def test_hooks_are_those_of_charts_and_not_of_a_defined_type_that_has_their_name(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    hook = 'metadata: annotations: {"helm.sh/hook": "pre-install", "helm.sh/hook-delete-policy": "hook-succeeded"}'
    template = f'output: {{apiVersion: "v1", kind: "ConfigMap", {hook}, data: image: parameter.image}}\nparameter: image: string\n'
    text = APPLICATION.replace("type: site", "type: helm").split("    traits:", maxsplit=1)[0]
    async with running(clone) as daemon:
        clone.push({"shop.yaml": text, "definitions/helm.yaml": definition("Component", "helm", template)})
        await daemon.synced("shop")
        assert (await read(daemon, ObjectRef("v1", "ConfigMap", "default", "web")))["data"] == {"image": "web:1"}


@virtual
async def test_rule_8_a_template_that_runs_away_or_does_not_render_is_a_problem_of_its_application_alone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    endless = 'import "list"\noutput: {apiVersion: "v1", kind: "X", spec: {for a in list.Range(0, 100000, 1) for b in list.Range(0, 100000, 1) {"\\(a)-\\(b)": a}}}\n'
    other = APPLICATION.replace("name: shop", "name: other").replace("name: web", "name: second")
    async with running(clone) as daemon:
        clone.push(
            {
                "shop.yaml": APPLICATION,
                "other.yaml": other,
                **FILES,
                "definitions/note.yaml": definition("Trait", "note", f"{TEXT}errs: ['no']\n".replace("'", '"')),
            }
        )
        await daemon.until(lambda: "the definition of note: no" in problem(daemon), "told")
        clone.push({"shop.yaml": f"{APPLICATION}---\n{definition('Component', 'site', endless + 'parameter: image: string')}", **FILES})
        await daemon.synced("other")
        await daemon.until(lambda: "no answer within" in problem(daemon) or "memory" in problem(daemon), "stopped")
        assert await read(daemon, WEB) is None
        assert await read(daemon, WEB._replace(name="second")) is not None


@virtual
async def test_rule_13a_what_a_definition_makes_is_bounded_as_every_object(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    role = 'outputs: role: {apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: name: "all"}\nparameter: text: string\n'
    async with running(clone) as daemon:
        clone.push({"shop.yaml": APPLICATION, **FILES, "definitions/note.yaml": definition("Trait", "note", role)})
        status = await daemon.until(lambda: (found := daemon.status("shop")) and found.run and found.run.phase == "Failed" and found, "refused")
        assert "cluster-scoped" in str(status)


@virtual
async def test_an_input_goes_into_the_parameters_of_a_defined_component(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: shop}
spec:
  components:
  - name: first
    type: k8s-objects
    properties: {objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: first}}]}
    outputs: [{name: made, valueFrom: "objects[0].name"}]
  - name: web
    type: site
    inputs: [{from: made, parameterKey: image}]
    dependsOn: [first]
"""
    async with running(clone) as daemon:
        clone.push({"shop.yaml": text, **FILES})
        await daemon.synced("shop")
        assert (await read(daemon, WEB))["spec"]["template"]["spec"]["containers"][0]["image"] == "first"


JOB = """
outputs: job: {
    apiVersion: "batch/v1"
    kind: "Job"
    metadata: name: parameter.name
    spec: template: spec: {restartPolicy: "Never", containers: [{name: "main", image: "job:1"}]}
}
parameter: name: string
"""


STAGED = {
    f"definitions/{name}.yaml": definition("Trait", name, JOB).replace("\nspec:\n", f"\nspec:\n  stage: {stage}\n")
    for name, stage in (("before", "PreDispatch"), ("after", "PostDispatch"))
}
STAGED_TRAITS = "traits: [{type: after, properties: {name: after}}, {type: before, properties: {name: before}}, "


@virtual
async def test_a_step_that_a_definition_makes_applies_all_of_a_component_that_has_stages(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    step = 'import "vela/op"\nparameter: component: string\nput: op.#ApplyComponent & {component: parameter.component}\n'
    text = APPLICATION.replace("traits: [", STAGED_TRAITS) + "  workflow: {steps: [{name: put, type: put, properties: {component: web}}]}\n"
    async with running(clone) as daemon:
        clone.push({"shop.yaml": text, **FILES, **STAGED, "definitions/put.yaml": definition("WorkflowStep", "put", step)})
        await daemon.synced("shop")
        assert all([await read(daemon, ref) for ref in (WEB, *(ObjectRef("batch/v1", "Job", "default", name) for name in ("before", "after")))])


@virtual
async def test_what_a_trait_makes_goes_before_or_after_the_component_where_its_stage_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    applied: list[str] = []
    async with running(clone) as daemon:
        apply = type(daemon.cluster).apply

        async def recorded(self: Any, obj: Any, *args: Any, **options: Any) -> Any:
            applied.append(obj["metadata"]["name"])
            return await apply(self, obj, *args, **options)

        monkeypatch.setattr(type(daemon.cluster), "apply", recorded)
        clone.push({"shop.yaml": APPLICATION.replace("traits: [", STAGED_TRAITS), **FILES, **STAGED})
        await daemon.synced("shop")
        assert [name for name in applied if name in ("before", "web", "after")] == ["before", "web", "after"]
        assert [event.fields["kind"] for event in daemon.sink.events if event.kind == "effect"] == ["apply"] * 3

"""Definitions of component and trait types as the dialect reads them: found by name, before what is built in, and checked with who uses them."""

import re
import textwrap
from pathlib import Path

import pytest

from reconciler.dialects.in_cluster import InCluster
from reconciler.dialects.registry import compile_file, dialects
from reconciler.engine.contents import NoFiles
from reconciler.model.health_policy import HealthPolicy
from reconciler.render.definitions import shared
from reconciler.render.engine import ComponentRenderer
from reconciler.render.protocol import RenderContext
from reconciler.revisions.digest import git_digest
from reconciler.steps.catalog import STEP_TYPES
from reconciler.steps.plugin import UncheckedStep
from tests.unit.dialects.conftest import MemoryFiles

pytestmark = pytest.mark.timeout(600)  # the first of them on a machine compiles the module

SITE = """\
output: {apiVersion: "apps/v1", kind: "Deployment", spec: template: spec: containers: [{name: context.name, image: parameter.image}]}
parameter: {
  // +usage=What it runs
  image: string
  ports?: [...{port: int, name?: string}]
}
"""
NOTE = "patch: metadata: annotations: note: parameter.note\nparameter: note: string\n"


def definition(kind="Component", name="site", template=SITE, more=""):
    head = f"apiVersion: core.oam.dev/v1beta1\nkind: {kind}Definition\nmetadata: {{name: {name}}}\nspec:\n{more}  schematic:\n    cue:\n"
    return head + "      template: |\n" + textwrap.indent(template, "        ")


def trait(name="note", template=NOTE, more=""):
    return definition("Trait", name, template, more)


def application(properties="image: web", traits="", kind="site"):
    return (
        "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: shop}\nspec:\n  components:\n"
        f"  - name: web\n    type: {kind}\n    properties: {{{properties}}}\n    traits: [{traits}]\n"
    )


def compiled(text, files=None, path="shop.yaml"):
    return compile_file(path, text, MemoryFiles(files or {}), dialects(STEP_TYPES, checker=shared()))


def said(result):
    return [f"{problem.path}:{problem.line}: {problem.field}: {problem.message}" for problem in result.problems]


NOTED = '{type: note, properties: {note: "1"}}'


def test_types_are_found_in_the_applications_file_and_in_the_folder_of_definitions_and_pinned():
    beside, files = f"{definition()}---\n{trait()}", {"definitions/site.yaml": definition(), "definitions/note.yaml": trait()}
    for text, found in ((f"{application(traits=NOTED)}---\n{beside}", {}), (application(traits=NOTED), files)):
        result = compiled(text, found)
        (app,) = result.applications
        assert not result.problems
        assert [(each.kind, each.name, each.template) for each in app.definitions] == [("component", "site", SITE), ("trait", "note", NOTE)]
        assert sorted(reference.path for reference in app.references) == sorted(found)
        assert app.component("web").defined
        assert app.definition("trait", "note") is not None


def test_a_definition_takes_the_place_of_a_built_in_type_and_its_coming_is_watched_for():
    files = {"definitions/webservice.yaml": definition(name="webservice"), "definitions/labels.yaml": trait("labels")}
    text = application(traits='{type: labels, properties: {note: "1"}}', kind="webservice")
    (app,) = compiled(text, files).applications
    assert [each.name for each in app.definitions] == ["webservice", "labels"]
    (plain,) = compiled(text).applications
    assert plain.definitions == []
    assert set(files) <= set(plain.watched)
    assert git_digest(plain) != git_digest(app)


def test_helm_can_be_defined_too_and_is_no_chart_then():
    (app,) = compiled(application(kind="helm"), {"definitions/helm.yaml": definition(name="helm")}).applications
    assert app.component("web").defined


def test_what_is_defined_nowhere_is_unknown():
    assert "unknown component type site" in said(compiled(application()))[0]
    assert "unknown trait type note" in said(compiled(application(kind="webservice", traits=NOTED)))[0]
    files = {"definitions/site.yaml": definition()}
    assert "unknown component type siet (did you mean site?)" in said(compiled(application(kind="siet"), files))[0]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ("image: 3", "shop.yaml:8: spec.components[0].properties.image: conflicting values string and 3"),
        ("imag: web", "shop.yaml:8: spec.components[0].properties.imag: unknown field imag (did you mean image?)"),
        ("ports: [{port: 80}]", "shop.yaml:8: spec.components[0].properties: image is required"),
        ("image: web, ports: [{port: 1}, {name: x}]", "shop.yaml:8: spec.components[0].properties.ports[1].port: is required"),
        ("image: web, ports: [{port: many}]", "shop.yaml:8: spec.components[0].properties.ports[0].port: conflicting values"),
    ],
)
def test_properties_of_components_are_held_against_the_parameters(properties, expected):
    found = said(compiled(application(properties), {"definitions/site.yaml": definition()}))
    assert any(expected in line for line in found), found


def test_properties_of_traits_are_held_against_the_parameters():
    found = said(
        compiled(application(traits="{type: note, properties: {note: 3}}"), {"definitions/site.yaml": definition(), "definitions/note.yaml": trait()})
    )
    assert any("shop.yaml:9: spec.components[0].traits[0].properties.note: conflicting values string and 3" in line for line in found), found


def test_what_an_input_supplies_may_be_missing():
    text = application("ports: []") + "    inputs: [{from: made, parameterKey: image}]\n"
    text += "  - {name: other, type: site, properties: {image: a}, outputs: [{name: made, valueFrom: connection}]}\n"
    assert not said(compiled(text, {"definitions/site.yaml": definition()}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (definition(template="a: 1\na: 2\noutput: {}\n"), ":9: spec.schematic.cue.template: a: conflicting values 2 and 1"),
        (definition(template="parameter: {}\n"), "it makes nothing: there is none of output, outputs"),
        (trait(template="parameter: {}\n"), "it makes nothing: there is none of outputs, patch, patchOutputs"),
        (trait(template='processing: http: {method: "GET"}\npatch: {}\n'), "processing asks another server while it renders"),
        (definition(template='import "vela/op"\nx: op.#Read & {}\noutput: {}\n'), "it calls #Read, and only steps call functions"),
        (trait(more="  manageWorkload: true\n"), "a trait does not take over the component here"),
        (trait(more="  stage: Never\n"), "spec.stage: unknown value Never"),
        (definition(more="  schemtic: {}\n"), "unknown field schemtic (did you mean schematic?)"),
        (definition().replace("cue:", "terraform:"), "no cloud is asked here"),
        (definition().replace("cue:", "helm:"), "use a component of type helm"),
        (definition().replace("cue:", "kube:"), "KubeVela has given it up"),
    ],
)
def test_what_is_wrong_with_a_definition_is_told_with_its_line_and_who_uses_it_is_refused(text, expected):
    name = "note" if "TraitDefinition" in text else "site"
    found = said(compiled(text, path=f"definitions/{name}.yaml"))
    assert any(line.startswith(f"definitions/{name}.yaml:") and expected in line for line in found), found
    files = {"definitions/site.yaml": definition(), "definitions/note.yaml": trait()} | {f"definitions/{name}.yaml": text}
    result = compiled(application(traits=NOTED), files)
    assert not result.applications
    assert any(expected in line for line in said(result)), said(result)
    assert not any("unknown" in line and " type " in line for line in said(result)), said(result)


@pytest.mark.parametrize(
    ("fits", "kind", "good"),
    [
        ('["*"]', "site", True),
        ('["*.apps"]', "site", True),
        ('["deployments.apps"]', "site", True),
        ("[site]", "site", True),
        ("[webservice, statefulsets.apps]", "site", False),
        ("[statefulsets.apps]", "webservice", False),
        ("[deployments.apps]", "webservice", True),
        ("[jobs.batch]", "k8s-objects", True),  # nobody knows what they are
    ],
)
def test_a_trait_stands_on_the_workloads_that_it_applies_to(fits, kind, good):
    properties = "image: web" if kind != "k8s-objects" else "objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]"
    files = {"definitions/site.yaml": definition(), "definitions/note.yaml": trait(more=f"  appliesToWorkloads: {fits}\n")}
    found = said(compiled(application(properties, NOTED, kind), files))
    assert not found if good else any("traits[0].type: a note applies to" in line and "makes deployments.apps" in line for line in found), found


def test_a_definition_says_itself_what_its_workload_is():
    more = "  workload: {definition: {apiVersion: example.org/v1, kind: Proxy}}\n"
    files = {"definitions/site.yaml": definition(more=more), "definitions/note.yaml": trait(more="  appliesToWorkloads: [proxies.example.org]\n")}
    assert not said(compiled(application(traits=NOTED), files))
    files["definitions/site.yaml"] = definition(more="  workload: {type: autodetects.core.oam.dev}\n")
    assert "makes deployments.apps" in said(compiled(application(traits=NOTED), files))[0]


@pytest.mark.parametrize("pattern", ["labels", "lab*"])
@pytest.mark.parametrize("first", [True, False])
def test_traits_that_conflict_do_not_stand_on_one_component(pattern, first):
    files = {"definitions/site.yaml": definition(), "definitions/note.yaml": trait(more=f"  conflictsWith: ['{pattern}']\n")}
    other = "{type: labels, properties: {a: b}}"
    text = application(traits=", ".join([NOTED, other] if first else [other, NOTED]))
    found = said(
        compiled(text, files | {"definitions/labels.yaml": trait("labels", "patch: metadata: labels: parameter\nparameter: [string]: string\n")})
    )
    assert any("conflicts with a" in line for line in found), found


def test_rule_5a_a_definition_is_part_of_the_digest_of_who_uses_it_and_of_nobody_else():
    def digest(template, text):
        (app,) = compiled(f"{text}---\n{definition(template=template)}").applications  # in its own file, which no reference names
        return git_digest(app)

    assert digest(SITE, application()) != digest(SITE + "b: 1\n", application())
    other = application(kind="webservice")
    assert digest(SITE, other) == digest(SITE + "b: 1\n", other)


def test_an_override_can_use_defined_types():
    text = application() + (
        "  policies:\n  - name: more\n    type: override\n    properties:\n      components:\n"
        "      - {name: second, type: site, properties: {image: 3}}\n      - {name: web, traits: [{type: note, properties: {note: 3}}]}\n"
    )
    found = said(compiled(text, {"definitions/site.yaml": definition(), "definitions/note.yaml": trait()}))
    assert any("shop.yaml:15: " in line and "image: conflicting values string and 3" in line for line in found), found
    assert any("shop.yaml:16: " in line and "note: conflicting values string and 3" in line for line in found), found


@pytest.mark.parametrize(
    ("status", "line", "place"),
    [
        ("    healthPolicy: |\n      ready: 1\n      isHealth: ready ==\n", 8, "spec.status.healthPolicy: expected operand"),
        ("    customStatus: 'message: 1'\n", 6, "spec.status.customStatus: message has to be string"),
        ("    healthPolicy: 'healthy: true'\n", 6, "spec.status.healthPolicy: it has no isHealth"),
        ("    health: 'isHealth: true'\n", 6, "spec.status.health: unknown field"),
    ],
)
@pytest.mark.parametrize("kind", ["Component", "Trait"])
def test_a_health_policy_that_does_not_compile_is_told_with_its_line(kind, status, line, place):
    name, template = ("site", SITE) if kind == "Component" else ("note", NOTE)
    found = said(compiled(definition(kind, name, template, f"  status:\n{status}"), path=f"definitions/{name}.yaml"))
    assert any(one.startswith(f"definitions/{name}.yaml:{line}: {place}") for one in found), found


def test_a_health_policy_is_part_of_what_is_pinned():
    text = definition(more="  status: {healthPolicy: 'isHealth: true', customStatus: 'message: \"a\"'}\n")
    (app,) = compiled(f"{application()}---\n{text}").applications
    assert app.definition("component", "site").health == HealthPolicy("isHealth: true", 'message: "a"')


def test_the_example_of_the_documentation_compiles_and_renders():
    text = (Path(__file__).parents[3] / "docs" / "definitions.md").read_text(encoding="utf-8").partition("## Components and traits")[2]
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]
    traits = "{type: variables, properties: {COLOUR: blue}}"
    result = compiled(f"{application('image: web, port: 80', traits)}---\n{example}")
    assert not result.problems
    (app,) = result.applications
    context = RenderContext("shop", "default", "", {}, definitions=tuple(app.definitions))
    web, service = ComponentRenderer().render(app.component("web"), context, NoFiles())
    assert web["spec"]["template"]["spec"]["containers"] == [{"name": "web", "image": "web", "env": [{"name": "COLOUR", "value": "blue"}]}]
    assert (service["metadata"]["name"], service["spec"]["ports"]) == ("web-service", [{"port": 80}])


def test_what_a_template_makes_may_stand_under_a_condition_and_parameters_without_a_field_take_all():
    template = "if context.output.spec != _|_ {\n  patch: spec: parameter\n}\nparameter: {}\n"
    files = {"definitions/site.yaml": definition(), "definitions/note.yaml": trait(template=template)}
    assert not said(compiled(application(traits=NOTED), files))


def in_cluster(text, served, files=None, **more):
    """Compiled beside definitions that the cluster has, by `KIND/NAME`."""
    there = {f"cluster://vela-system/{place}": data for place, data in served.items()}
    return compile_file(
        "shop.yaml", text, MemoryFiles({**(files or {}), **there}), dialects(STEP_TYPES, checker=shared(), cluster=InCluster("vela-system", **more))
    )


def test_rule_5a_what_the_cluster_defines_is_pinned_and_no_part_of_what_git_declares():
    text, place = application(), "ComponentDefinition/site"
    (app,) = in_cluster(text, {place: definition()}).applications
    (other,) = in_cluster(text, {place: definition(template=SITE.replace("What it runs", "The image"))}).applications
    assert app.references == []
    assert list(app.served) == ["definition/component/site"]
    assert app.served != other.served
    assert git_digest(app) == git_digest(other)
    (own,) = in_cluster(text, {place: definition()}, {"definitions/site.yaml": definition()}).applications
    assert own.served == {}
    assert git_digest(own) != git_digest(app)
    shown = text.replace("{name: shop}", "{name: shop, annotations: {app.oam.dev/publishVersion: v2}}")
    (published,) = in_cluster(shown, {place: definition()}).applications
    assert git_digest(published) != git_digest(app)


def test_rule_5a_who_does_not_ask_the_cluster_finds_the_same_digest_as_who_does():
    steps = "  workflow:\n    steps: [{type: put, name: put}]\n"
    text = application(traits=NOTED) + steps
    put = definition("WorkflowStep", "put", 'import "vela/op"\nput: op.#Message & {message: "x"}\n')
    served = {"ComponentDefinition/site": definition(), "TraitDefinition/note": trait(), "WorkflowStepDefinition/put": put}
    (asked,) = in_cluster(text, served).applications
    result = in_cluster(text, {}, unchecked=UncheckedStep)
    (believed,) = result.applications
    assert {problem.severity for problem in result.problems} == {"warning"}
    assert believed.served == dict.fromkeys(asked.served, "")
    assert git_digest(believed) == git_digest(asked)


def test_a_definition_of_the_cluster_with_errors_is_told_where_it_stands_with_the_line_of_its_template():
    broken = definition(template=f"{SITE}x: {{{{\n")
    (problem, *_) = said(in_cluster(application(), {"ComponentDefinition/site": broken}))
    assert problem.startswith("cluster://vela-system/ComponentDefinition/site:7: spec.schematic.cue.template: ")
    (problem,) = said(in_cluster(application(), {"ComponentDefinition/site": definition(more="  surprise: 1\n")}))
    assert problem.startswith("cluster://vela-system/ComponentDefinition/site:0: spec.surprise: unknown field")


def test_no_definition_of_the_cluster_is_read_as_a_file_of_cue_whatever_its_name():
    (app,) = in_cluster(application(kind="site.cue"), {"ComponentDefinition/site.cue": definition(name="site.cue")}).applications
    assert app.component("web").defined


@pytest.mark.parametrize("kind", ["deploy2env", "vela-cli", "sleep", "suspend"])
def test_rule_4g_no_step_type_that_is_known_here_is_asked_of_the_cluster(kind):
    put = definition("WorkflowStep", kind, "parameter: {}\n")
    text = f"{application(kind='webservice')}  workflow:\n    steps: [{{type: {kind}, name: one}}]\n"
    found = in_cluster(text, {f"WorkflowStepDefinition/{kind}": put})
    assert all(not app.served for app in found.applications)
    assert bool(found.applications) is (kind == "suspend")
    assert not any("cluster://" in problem for problem in said(found))


def test_no_manifest_reads_a_definition_of_the_cluster_as_a_file():
    place = "cluster://vela-system/ComponentDefinition/site"
    for component in (
        f"{{name: web, type: manifests, properties: {{path: '{place}'}}}}",
        f"{{name: web, type: kustomize, properties: {{path: '{place}'}}}}",
        f"{{name: web, type: helm, properties: {{url: 'https://charts.example.org', chart: x, version: '1', valuesFrom: [{{kind: File, path: '{place}'}}]}}}}",
    ):
        text = f"apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {{name: shop}}\nspec:\n  components: [{component}]\n"
        assert in_cluster(text, {"ComponentDefinition/site": definition()}).applications == []

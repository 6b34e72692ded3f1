import hashlib

import pytest

from reconciler.dialects.catalog import LATER_STEP_TYPES
from reconciler.model.application import Input, Output
from reconciler.steps.catalog import STEP_TYPES
from tests.unit.dialects.kubevela_texts import MANY_MISTAKES, TWO, WEB, app, errors, only, said, steps

# The Application of seed 001, with `helm` components.
SEED = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
spec:
  components:
    - name: database
      type: helm
      properties:
        repoUrl: chart-repo-url
        chart: mysql
    - name: web
      type: helm
      properties:
        repoUrl: chart-repo-url
        chart: my-web
  workflow:
    steps:
      - name: deploy-database
        type: apply-and-wait
        outputs:
          - name: db-conn
            exportKey: dbConn
        properties:
          component: database
          resourceType: StatefulSet
          resourceAPIVersion: apps/v1beta2
          names:
            - mysql
      - name: deploy-web
        type: apply-and-wait
        inputs:
          - from: db-conn
            parameterKey: mysqlConn
        properties:
          component: web
          resourceType: Deployment
          resourceAPIVersion: apps/v1
          names:
            - my-web
"""


def test_the_seeds_application_has_only_the_errors_of_the_url_that_it_leaves_open(compile_text):
    result = compile_text(SEED)
    assert [(problem.severity, problem.line, problem.field) for problem in result.problems] == [
        ("warning", 1, "metadata"),
        ("warning", 7, "spec.components[0].properties"),
        ("error", 8, "spec.components[0].properties.repoUrl"),
        ("warning", 12, "spec.components[1].properties"),
        ("error", 13, "spec.components[1].properties.repoUrl"),
        ("warning", 21, "spec.workflow.steps[0].outputs[0].exportKey"),
        ("warning", 25, "spec.workflow.steps[0].properties.resourceAPIVersion"),
    ]
    assert "a chart's URL begins with https://" in said(result)
    assert result.applications == []
    assert not result.recognised


def test_the_seeds_application_compiles_with_the_url_of_a_repository(compile_text):
    application = only(compile_text(SEED.replace("chart-repo-url", "https://charts.example.org")))
    assert application.component("database").properties == {"url": "https://charts.example.org", "chart": "mysql"}
    first, second = application.workflow.steps
    assert application.name == "shop"
    assert application.workflow.mode == "StepByStep"
    assert (first.key, first.components, first.outputs) == ("deploy-database", ["database"], [Output("db-conn", "connection")])
    assert (second.components, second.inputs) == (["web"], [Input("db-conn", "properties.mysqlConn")])


def test_a_removed_api_version_becomes_the_served_one_in_steps_and_objects(compile_text):
    objects = "  components:\n  - name: o\n    type: k8s-objects\n    properties: {objects: [{apiVersion: extensions/v1beta1, kind: Deployment, metadata: {name: a}}]}\n"
    wait = "{type: apply-and-wait, properties: {component: o, resourceType: CronJob, resourceAPIVersion: batch/v1beta1, names: [a]}}"
    put = "{type: apply-object, name: put, properties: {value: {apiVersion: apps/v1beta1, kind: StatefulSet, metadata: {name: b}}}}"
    result = compile_text(steps(wait, put, components=objects))
    application = only(result)
    assert application.component("o").properties["objects"][0]["apiVersion"] == "apps/v1"
    assert application.workflow.steps[0].properties["resourceAPIVersion"] == "batch/v1"
    assert application.workflow.steps[1].properties["value"]["apiVersion"] == "apps/v1"
    assert application.component("object/put").properties["objects"][0]["apiVersion"] == "apps/v1"
    assert [problem.severity for problem in result.problems] == ["warning"] * 3
    assert application.spec["components"][0]["properties"]["objects"][0]["apiVersion"] == "extensions/v1beta1"


def test_without_a_workflow_each_component_is_a_step_after_those_that_it_depends_on(compile_text):
    workflow = only(
        compile_text(
            app(
                "  components:\n  - {name: web, type: webservice, properties: {image: a}, dependsOn: [db]}\n  - {name: db, type: worker, properties: {image: a}}\n"
            )
        )
    ).workflow
    assert workflow.mode == "DAG"
    assert [(step.name, step.type, step.components, step.depends_on, step.given) for step in workflow.steps] == [
        ("web", "apply-component", ["web"], ["db"], False),
        ("db", "apply-component", ["db"], [], False),
    ]


def test_every_error_is_found_in_one_pass(compile_text):
    found = errors(compile_text(MANY_MISTAKES))
    assert [(line, field) for line, field, _ in found] == [
        (4, "metadata.name"),
        (5, "metadata.lables"),
        (7, "metadata.annotations.approved"),
        (11, "spec.components[0].type"),
        (14, "spec.components[1].scopes"),
        (15, "spec.components[1].properties"),
        (16, "spec.components[1].properties.imgae"),
        (18, "spec.components[1].properties.env[0].value"),
        (20, "spec.components[1].traits[0].type"),
        (21, "spec.components[2].name"),
        (21, "spec.components[2].properties"),
        (24, "spec.workflow.stpes"),
        (27, "spec.workflow.steps[0].properties.component"),
        (28, "spec.workflow.steps[1].type"),
        (29, "spec.workflow.steps[1].timeout"),
        (31, "spec.workflow.steps[2].name"),
        (32, "spec.workflow.steps[2].properties.colour"),
        (32, "spec.workflow.steps[2].properties.duration"),
        (35, "spec.workflow.steps[3].dependsOn[0]"),
        (36, "spec.workflow.steps[3].inputs[0].from"),
    ]
    for word in ("webservice", "labels", "image", "scaler", "suspend", "steps", "web"):
        assert f"did you mean {word}?" in "\n".join(message for _, _, message in found)


def test_a_problem_names_file_line_object_and_field(compile_text):
    result = compile_text(app("  components:\n  - {name: web, type: webservice, properties: {image: 1}}\n"))
    assert said(result) == "apps/shop.yaml:6: Application shop: spec.components[0].properties.image: must be text, not a number; put it in quotes"


@pytest.mark.parametrize("value", ["true", "1", "yes", "1.5", "~", "[a]"])
def test_an_annotation_that_is_no_text_is_told_to_be_quoted(compile_text, value):
    result = compile_text(app(WEB, f"{{name: shop, annotations: {{a: {value}}}}}"))
    assert "put it in quotes" in said(result)
    assert result.applications == []


def test_annotations_over_the_limit_of_kubernetes_are_refused(compile_text):
    small = compile_text(app(WEB, f"{{name: shop, annotations: {{a: {'x' * 262_143}}}}}"))
    large = compile_text(app(WEB, f"{{name: shop, annotations: {{a: {'x' * 262_144}}}}}"))
    assert errors(small) == []
    assert "262145 bytes" in said(large)


@pytest.mark.parametrize(
    "metadata",
    [
        *(
            "[]",
            "{name: 1}",
            "{name: a_b}",
            "{name: A}",
            "{name: -a}",
            "{generateName: a}",
            "{name: a, namespace: a.b}",
            "{name: a, annotations: []}",
        ),
        *("{name: a, labels: {a: b c}}", "{name: a, labels: {'a b': c}}", f"{{name: {'a' * 64}}}", "{name: ''}"),
    ],
)
def test_metadata_that_kubernetes_would_refuse_is_an_error(compile_text, metadata):
    result = compile_text(app(WEB, metadata))
    assert errors(result) != []
    assert result.applications == []


def test_a_file_whose_name_can_be_no_name_needs_one_in_the_manifest(compile_text):
    assert "set metadata.name" in said(compile_text(SEED, path="apps/My_Shop.yaml"))


# Steps ----------------------------------------------------------------------------------------------------------------


def test_rule_4f_unnamed_steps_are_counted_from_zero_and_are_not_given(compile_text):
    found = only(compile_text(steps("{type: suspend}", "{type: suspend, name: go}", "{type: suspend}"))).workflow.steps
    assert [(step.name, step.key, step.given) for step in found] == [("step-0", "step-0", False), ("go", "go", True), ("step-2", "step-2", False)]


@pytest.mark.parametrize("name", ["go", "a.b_c-D9", "x" * 63, "0"])
def test_rule_4f_a_name_that_is_valid_as_an_annotation_name_is_the_key(compile_text, name):
    assert only(compile_text(steps(f"{{type: suspend, name: '{name}'}}"))).workflow.steps[0].key == name


@pytest.mark.parametrize(("name", "slug"), [("go live!", "go-live-"), ("上线", ""), ("a/b", "a-b-"), ("x" * 64, "x" * 54 + "-"), ("-a", "a-")])
def test_rule_4f_any_other_name_gives_a_slug_with_eight_hex_digits(compile_text, name, slug):
    key = slug + hashlib.sha256(name.encode()).hexdigest()[:8]
    assert only(compile_text(steps(f"{{type: suspend, name: '{name}'}}"))).workflow.steps[0].key == key


@pytest.mark.parametrize("name", ["run", "workflow-changed", "state-lost"])
def test_rule_4f_reserved_names_are_refused(compile_text, name):
    assert "is a reserved name" in said(compile_text(steps(f"{{type: suspend, name: {name}}}")))


def test_rule_4f_a_component_of_a_reserved_name_gets_another_key_where_the_step_is_generated(compile_text):
    step = only(compile_text(app("  components:\n  - {name: run, type: worker, properties: {image: a}}\n"))).workflow.steps[0]
    assert step.name == "run"
    assert step.key.startswith("run-")


def test_two_steps_of_one_name_are_an_error_also_with_a_generated_one(compile_text):
    assert "duplicate step name go" in said(compile_text(steps("{type: suspend, name: go}", "{type: suspend, name: go}")))
    assert "duplicate step name step-1" in said(compile_text(steps("{type: suspend, name: step-1}", "{type: suspend}")))


def test_two_names_of_one_key_are_an_error(compile_text):
    key = only(compile_text(steps("{type: suspend, name: a/b}"))).workflow.steps[0].key
    assert f"the gate key {key}" in said(compile_text(steps("{type: suspend, name: a/b}", f"{{type: suspend, name: {key}}}")))


@pytest.mark.parametrize("step_type", LATER_STEP_TYPES)
def test_a_step_type_of_kubevela_that_is_none_here_says_what_to_use_instead(compile_text, step_type):
    assert f"step type {step_type} is not available" in said(compile_text(steps(f"{{type: {step_type}}}")))
    assert step_type not in STEP_TYPES


def test_a_component_in_another_namespace_takes_the_place_of_the_one_at_home(compile_text):
    application = only(compile_text(steps("{type: apply-component, properties: {component: web, namespace: blue}}")))
    assert [(component.id, component.namespace) for component in application.components] == [("db", ""), ("web@blue", "blue")]
    assert application.workflow.steps[0].components == ["web@blue"]


def test_deploy_applies_all_components_after_those_that_they_depend_on(compile_text):
    text = "  components:\n  - {name: web, type: worker, properties: {image: a}, dependsOn: [db]}\n  - {name: db, type: worker, properties: {image: a}}\n"
    assert only(compile_text(steps("{type: deploy}", components=text))).workflow.steps[0].components == ["db", "web"]


def test_apply_components_takes_components_by_name_and_type(compile_text):
    good = "{type: apply-components, properties: {components: [{name: db, type: statefulset}], rollout: {type: partition, properties: {partition: '1'}}}}"
    assert only(compile_text(steps(good))).workflow.steps[0].components == ["db"]
    assert "is of type statefulset, not worker" in said(compile_text(steps(good.replace("type: statefulset", "type: worker"))))


def test_a_partition_without_a_stateful_set_is_an_error(compile_text):
    text = (
        "{type: apply-components, properties: {components: [{name: web, type: webservice}], rollout: {type: partition, properties: {partition: 1}}}}"
    )
    assert "a partition needs a StatefulSet" in said(compile_text(steps(text)))


def test_an_object_of_a_step_is_a_component_that_the_step_applies(compile_text):
    value = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"
    application = only(compile_text(steps(f"{{type: apply-object, name: put it, properties: {{value: {value}}}}}")))
    (step,) = application.workflow.steps
    made = application.component(f"object/{step.key}")
    assert step.components == [made.id]
    assert (made.type, made.properties["objects"][0]["kind"]) == ("k8s-objects", "ConfigMap")


# Data and order -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("cmd", "properties.cmd"),
        ("properties.cmd", "properties.cmd"),
        ("traits[0].properties.replicas", "traits[0].properties.replicas"),
        ("env[0].value", "properties.env[0].value"),
    ],
)
def test_inputs_of_apply_steps_are_full_paths_of_the_component(compile_text, written, target):
    text = steps("{type: apply-component, name: a, properties: {component: db}, outputs: [{name: o, valueFrom: connection.host}]}",
                 f"{{type: apply-component, properties: {{component: web}}, inputs: [{{from: o, parameterKey: '{written}'}}]}}")  # fmt: skip
    assert only(compile_text(text)).workflow.steps[1].inputs == [Input("o", target)]


def test_a_field_that_an_input_fills_may_be_missing_until_then(compile_text):
    text = steps("{type: apply-component, properties: {component: db}, outputs: [{name: o, exportKey: connection.host}]}",
                 "{type: apply-component, properties: {component: web}, inputs: [{from: o, parameterKey: image}]}",
                 components=TWO.replace("image: nginx", ""))  # fmt: skip
    assert only(compile_text(text)).component("web").properties == {}


def test_inputs_and_outputs_of_components_move_to_the_steps_that_apply_them(compile_text):
    text = """  components:
  - {name: db, type: statefulset, properties: {image: a}, outputs: [{name: host, valueFrom: connection.host}]}
  - {name: web, type: webservice, properties: {image: a}, inputs: [{from: host, parameterKey: "env[0].value"}]}
"""
    db, web = only(compile_text(app(text))).workflow.steps
    assert db.outputs == [Output("host", "connection.host")]
    assert web.inputs == [Input("host", "properties.env[0].value")]


def test_an_unknown_value_from_is_an_error(compile_text):
    text = steps("{type: apply-component, properties: {component: db}, outputs: [{name: o, valueFrom: result.status}]}")
    assert "must be a path into what a step exports" in said(compile_text(text))


def test_steps_in_order_may_not_wait_for_later_ones(compile_text):
    text = steps("{type: suspend, name: a, dependsOn: [b]}", "{type: suspend, name: b}")
    assert "which comes no earlier" in said(compile_text(text))


def test_a_cycle_of_steps_is_named(compile_text):
    text = steps(
        "{type: suspend, name: a, dependsOn: [c]}",
        "{type: suspend, name: b, dependsOn: [a]}",
        "{type: suspend, name: c, dependsOn: [b]}",
        mode="    mode: {steps: DAG}\n",
    )
    assert "these steps wait for each other: a → c → b → a" in said(compile_text(text))


def test_a_cycle_through_data_is_found(compile_text):
    one = "{type: apply-component, name: a, properties: {component: web}, outputs: [{name: x, valueFrom: connection}], inputs: [{from: z, parameterKey: cmd}]}"
    two = "{type: apply-component, name: b, properties: {component: db}, outputs: [{name: z, valueFrom: connection}], inputs: [{from: x, parameterKey: cmd}]}"
    assert "wait for each other" in said(compile_text(steps(one, two, mode="    mode: {steps: DAG}\n")))


def test_components_that_depend_on_each_other_are_an_error(compile_text):
    text = "  components:\n  - {name: a, type: worker, properties: {image: a}, dependsOn: [b]}\n  - {name: b, type: worker, properties: {image: a}, dependsOn: [a]}\n"
    assert "these components depend on each other: a → b → a" in said(compile_text(app(text)))


# Manifests ------------------------------------------------------------------------------------------------------------

"""The workflow of an ApplicationConfiguration: its mode, its context, and what is wrong with it (research B4)."""

import pytest

from tests.unit.dialects.test_sreworks import errors, one, only, parameter, said


def workflow(*steps, parameters="", **fields):
    more = "".join(f"    {name}: {value}\n" for name, value in fields.items())
    return one(parameters, "  workflow:\n" + more + "    steps:\n" + "".join(f"    - {step}\n" for step in steps))


def applying(name, more="", properties=""):
    extra = f", {more}" if more else ""
    return f"{{type: apply-components, name: {name}, properties: {{components: [{{type: K8S_MICROSERVICE, name: web}}]{properties}}}{extra}}}"


WEIGHT = "outputs: [{name: w, valueFrom: weight}]"


def test_the_context_of_every_task_begins_with_what_the_manifest_says(compile_text):
    text = workflow(applying("a"), initContext="{weight: 5, tag: '{{ Global.t }}'}")
    found = only(compile_text(text.replace("spec:\n", "spec:\n  parameterValues: [{name: t, value: v1}]\n"))).workflow
    assert (found.parameters, found.contexts, found.mode) == ({"weight": 5, "tag": "v1"}, True, "StepByStep")


def test_overwritten_parameters_win_over_the_documents_and_the_environments(compile_text):
    text = workflow(applying("a"), parameters=parameter("'{{ Global.tag }}'"), initContext="{_internal_overwrite_parameters: {Global: {tag: v3}}}")
    environment = "apiVersion: reconciler.dev/v1alpha1\nkind: Environment\nmetadata: {name: e}\nspec: {global: {tag: v1}}\n"
    text = text.replace("spec:\n", "spec:\n  parameterValues: [{name: tag, value: v2}]\n")
    application = only(compile_text(text, {"environment.yaml": environment}))
    assert application.components[0].properties["values"]["image"]["tag"] == "v3"


def test_in_a_dag_the_edges_lead_from_outputs_to_inputs(compile_text):
    steps = [
        applying("a", "outputs: [{name: w, valueFrom: 'objects[0].name'}]"),
        applying("b", "inputs: [{from: w, parameterKey: spec.name}]"),
        applying("c"),
    ]
    found = only(compile_text(workflow(*steps, mode="DAG"))).workflow
    assert (found.mode, [step.depends_on for step in found.steps]) == ("DAG", [[], ["a"], []])


def test_without_a_mode_steps_run_in_the_order_written(compile_text):
    assert only(compile_text(workflow(applying("a"), mode="STEP_BY_STEP"))).workflow.mode == "StepByStep"


def test_outputs_of_every_step_read_the_context_also_with_the_root_sign(compile_text):
    text = workflow("{type: suspend, outputs: [{name: w, valueFrom: '$.weight.now[0]'}]}", initContext="{weight: {now: [5]}}")
    assert only(compile_text(text)).workflow.steps[0].outputs[0].value == "weight.now[0]"


def test_a_step_waits_for_another_application(compile_text):
    application = only(compile_text(workflow("{type: depends-on-app, properties: {name: db, namespace: platform}}", applying("a"))))
    assert [str(key) for key in application.awaited] == ["platform/db"]
    assert "10002: name is required" in said(compile_text(workflow("{type: depends-on-app}", applying("a"))))


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("rollout.properties.partition", "rollout.properties.partition"),
        ("timeout", "timeout"),
        ("spec.rollout.type", "properties.rollout.type"),
        ("values.replicaCount", "properties.values.replicaCount"),
        ("properties.values.env[0].value", "properties.values.env[0].value"),
    ],
)
def test_an_input_goes_into_the_step_where_the_step_has_that_property_and_else_into_its_components(compile_text, key, target):
    rollout = ", rollout: {type: partition, properties: {partition: 1}}"
    steps = [applying("a", WEIGHT), applying("b", f"inputs: [{{from: w, parameterKey: '{key}'}}]", rollout)]
    assert only(compile_text(workflow(*steps, initContext="{weight: 1}"))).workflow.steps[1].inputs[0].target == target


DEEP = ".".join("abcdefghijk")


@pytest.mark.parametrize(
    ("steps", "fields", "message"),
    [
        ([applying("a"), applying("a")], {}, "10002: duplicate step name a (steps[0] has it)"),
        ([applying("a", WEIGHT), applying("b", WEIGHT)], {"initContext": "{weight: 1}"}, "10002: the step a has an output w already"),
        ([applying("a", "inputs: [{from: nobody, parameterKey: x}]")], {}, "10002: no step has an output nobody"),
        ([applying("a", WEIGHT), applying("b", f"inputs: [{{from: w, parameterKey: {DEEP}}}]")], {"initContext": "{weight: 1}"}, "more than 10 parts"),
        ([applying("a", "outputs: [{name: w, valueFrom: wieght}]")], {"initContext": "{weight: 1}"}, "or into the context (did you mean weight?)"),
        ([applying("a", WEIGHT)], {}, "10002: must be a path into what a step exports"),
        ([applying("a", WEIGHT), applying("b", "inputs: [{from: w, parameterKey: 'policies[0]'}]")], {"initContext": "{weight: p}"}, "no input can fill it"),
        (
            [applying("a", WEIGHT), "{type: suspend, inputs: [{from: w, parameterKey: duration}]}"],
            {"initContext": "{weight: 1s}"},
            "10002: duration says how a gate opens: no input can fill it",
        ),
        (
            [applying("a", WEIGHT), "{type: deploy, properties: {auto: false}, inputs: [{from: w, parameterKey: auto}]}"],
            {"initContext": "{weight: true}"},
            "10002: auto says how a gate opens: no input can fill it",
        ),
        ([applying("a")], {"mode": "dag"}, "10002: unknown value dag"),
        ([applying("a")], {"initContext": "{continueRollout: true}"}, "10002: continueRollout decides a gate"),
        ([applying("a")], {"initContext": "{rollback: false}"}, "10002: rollback decides a gate"),
        ([applying("a")], {"initContext": "{_internal_quiet_mode: true}"}, "10002: unknown internal key _internal_quiet_mode"),
        ([applying("a")], {"initContext": "{_internal_overwrite_parameters: {tag: v1}}"}, "must be a mapping with Global"),
        ([applying("a")], {"initContext": f"{{a: {'x' * 17_000}}}"}, "more than the limit of 16384"),
        (["{type: remoteDeploy}"], {}, "10002: remoteDeploy deploys into another cluster, and there are no targets yet; use deploy"),
        (["{type: apply-components, properties: {components: [{type: K8S_MICROSERVICE, name: web}], policies: [p]}}"], {}, "10002: unknown policy p"),
        (["{type: apply-components, properties: {components: []}}"], {}, "10002: must not be empty"),
        ([applying("a", "", ", rollout: {type: canary, properties: {partition: 1}}")], {}, "10002: must be partition"),
        (
            [applying("a", "outputs: [{name: one, valueFrom: component}], inputs: [{from: two, parameterKey: v}]"), applying("b", "outputs: [{name: two, valueFrom: component}], inputs: [{from: one, parameterKey: v}]")],
            {"mode": "DAG"},
            "10002: these steps wait for each other",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_workflow_carries_the_number_of_sreworks(compile_text, steps, fields, message):
    result = compile_text(workflow(*steps, **fields))
    assert message in said(result)
    assert all("10002: " in problem.message for problem in errors(result))
    assert result.applications == []


def test_mistakes_elsewhere_carry_no_number(compile_text):
    assert "10002" not in said(compile_text(one(parameter("x", "spec.nowhere"))))

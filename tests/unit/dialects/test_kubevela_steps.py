"""KubeVela's steps: groups, conditions, timeouts, modes, and the names and keys of all of them (rule 4f, research A3)."""

import pytest

from reconciler.model.application import Input, Retry
from tests.unit.dialects.kubevela_texts import errors, only, said, steps

GROUP = "{name: g, type: step-group, subSteps: [{name: a, type: suspend}, {name: b, type: apply-component, properties: {component: web}}]}"


def workflow(compile_text, *items, mode=""):
    return only(compile_text(steps(*items, mode=mode))).workflow


def one(compile_text, *items, mode=""):
    (found,) = errors(compile_text(steps(*items, mode=mode)))
    return found


def test_the_steps_of_a_group_stand_right_behind_it_with_keys_of_their_own(compile_text):
    found = workflow(compile_text, GROUP, "{name: last, type: suspend}").steps
    assert [(step.name, step.key, step.group, step.components) for step in found] == [
        ("g", "g", "", []),
        ("a", "g.a", "g", []),
        ("b", "g.b", "g", ["web"]),
        ("last", "last", "", []),
    ]


def test_steps_without_a_name_are_counted_from_0_in_groups_too(compile_text):
    found = workflow(compile_text, "{type: suspend}", "{type: step-group, subSteps: [{type: suspend}, {type: suspend}]}").steps
    assert [(step.name, step.key, step.given) for step in found] == [
        ("step-0", "step-0", False),
        ("step-1", "step-1", False),
        ("step-1-0", "step-1.step-1-0", False),
        ("step-1-1", "step-1.step-1-1", False),
    ]


def test_a_key_that_is_no_annotation_name_is_made_from_the_path_of_group_and_step(compile_text):
    group, member = workflow(compile_text, "{name: a group, type: step-group, subSteps: [{name: ok, type: suspend}]}").steps
    assert group.key.startswith("a-group-")
    assert member.key.startswith("a-group.ok-")


@pytest.mark.parametrize(
    ("mode", "modes"),
    [
        ("", ("StepByStep", "DAG", "DAG")),
        ("    mode: {steps: DAG}\n", ("DAG", "DAG", "DAG")),
        ("    mode: {subSteps: StepByStep}\n", ("StepByStep", "StepByStep", "StepByStep")),
    ],
)
def test_modes_default_as_upstreams(compile_text, mode, modes):
    found = workflow(compile_text, GROUP, mode=mode)
    assert (found.mode, found.group_mode, found.steps[0].mode) == modes


def test_a_group_may_have_a_mode_of_its_own(compile_text):
    assert workflow(compile_text, GROUP.replace("type: step-group", "type: step-group, mode: StepByStep")).steps[0].mode == "StepByStep"


def test_failures_are_visited_and_tried_ten_times(compile_text):
    found = workflow(compile_text, "{type: suspend}")
    assert (found.on_failure, found.usual) == ("visit", Retry(9, 1.0, 2.0, 300.0))


def test_condition_timeout_and_alias_are_read(compile_text):
    found = workflow(compile_text, "{name: a, type: suspend, if: always, timeout: 1h30m, meta: {alias: A}}").steps[0]
    assert (found.condition, found.timeout) == ("always", 5400.0)


@pytest.mark.parametrize(
    ("items", "field", "message"),
    [
        (["{name: a, type: suspend}", GROUP], "steps[1].subSteps[0].name", "duplicate step name a (steps[0] has it)"),
        ([GROUP, "{name: g.a, type: suspend}"], "steps[1].name", "the gate key g.a of this step is also that of steps[0].subSteps[0]"),
        (["{type: suspend, subSteps: [{type: suspend}]}"], "steps[0].subSteps", "only a step-group has subSteps"),
        (["{type: step-group, subSteps: [{type: step-group}]}"], "steps[0].subSteps[0].type", "a step-group can't be a step of another"),
        (["{type: step-group, subSteps: [{type: suspnd}]}"], "steps[0].subSteps[0].type", "unknown step type suspnd (did you mean suspend?)"),
        (["{type: step-group, subSteps: []}"], "steps[0].subSteps", "must not be empty"),
        (["{type: step-group, properties: {a: 1}, subSteps: [{type: suspend}]}"], "steps[0].properties.a", "unknown field a"),
        (["{type: suspend, timeout: soon}"], "steps[0].timeout", "not a duration: 'soon'"),
        (["{type: suspend, if: true}"], "steps[0].if", "must be text, not true or false; put it in quotes"),
        (["{type: suspend, if: status.}"], "steps[0].if", "can't be read: after status. comes the end, which is no name"),
        (["{type: suspend, if: 'not true'}"], "steps[0].if", "can't be read: true is not expected there"),
        (["{type: suspend, if: Always}"], "steps[0].if", "unknown name Always (did you mean always?)"),
        (["{name: verify, type: suspend}", "{type: suspend, if: status.verfy.failed}"], "steps[1].if", "unknown step verfy (did you mean verify?)"),
        (
            ["{name: ab, type: suspend}", "{type: suspend, if: status.ab.faild}"],
            "steps[1].if",
            "unknown field faild of a step's status (did you mean failed?)",
        ),
        (["{type: suspend, if: inputs.x == 1}"], "steps[0].if", "unknown input x"),
        (["{type: suspend, if: context.appNme == ''}"], "steps[0].if", "' means nothing here; a text stands in double quotes"),
        (["{type: suspend, if: context.appNme == null}"], "steps[0].if", "unknown name in context: appNme (did you mean appName?)"),
        (
            ["{type: read-object, properties: {name: a}, outputs: [{name: x, valueFrom: 'outptu.value + \"a\"'}]}"],
            "steps[0].outputs[0].valueFrom",
            "must be a path into what a step exports: output (did you mean output?)",
        ),
        (
            ["{type: read-object, properties: {name: a}, outputs: [{name: x, valueFrom: 'list.Sort(output)'}]}"],
            "steps[0].outputs[0].valueFrom",
            "can't be read: list.Sort() can't be called here",
        ),
        (
            ["{type: print-message-in-status, inputs: [{from: context.appNme, parameterKey: message}]}"],
            "steps[0].inputs[0].from",
            "unknown name in context: appNme (did you mean appName?)",
        ),
        (["{type: suspend, if: context.appAnnotations.a == null}"], "steps[0].if", "annotations are no part of a revision"),
        (["{name: my-gate, type: suspend}", '{type: suspend, if: "my.failed"}'], "steps[1].if", "unknown name my"),
        (["{name: gate, type: suspend}", "{type: suspend, if: gate.timeout}"], "steps[1].if", "how a step stands is status.gate"),
        (["{type: suspend, if: 'strings.Contains(context.name, \"a\")'}"], "steps[0].if", "the only function is len()"),
        (["{type: suspend, if: status.b.failed}", "{name: b, type: suspend}"], "steps[0].if", "it waits for the step b, which comes no earlier"),
        (["{name: a, type: suspend, dependsOn: [g]}", GROUP.replace("name: a", "name: c")], "steps[0].dependsOn[0]", "which comes no earlier"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_the_nearest_word(compile_text, items, field, message):
    _, place, text = one(compile_text, *items)
    assert place == f"spec.workflow.{field}"
    assert message in text


def test_a_name_with_a_dash_is_told_how_to_stand_in_a_condition(compile_text):
    result = compile_text(steps("{name: smoke-test, type: suspend}", "{type: suspend, if: status.smoke-test.failed}"))
    assert 'status["my-step"]' in said(result)


def test_an_input_may_come_from_the_context(compile_text):
    items = "{type: print-message-in-status, inputs: [{from: context.appLabels.tier, parameterKey: message}]}"
    assert workflow(compile_text, items).steps[0].inputs == [Input("context.appLabels.tier", "message")]


@pytest.mark.parametrize(
    ("items", "chain"),
    [
        ([GROUP.replace("{name: a,", "{name: a, dependsOn: [last],"), "{name: last, type: suspend}"], "a → g → last → a"),
        ([GROUP.replace("{name: a,", "{name: a, dependsOn: [g],")], "a → g → a"),
        ([GROUP.replace("{name: a,", "{name: a, dependsOn: [b],").replace("{name: b,", "{name: b, dependsOn: [a],")], "a → b → a"),
    ],
)
def test_steps_that_wait_for_each_other_are_named_across_groups(compile_text, items, chain):
    _, _, message = one(compile_text, *items)
    names = message.removeprefix("these steps wait for each other: ").split(" → ")
    turned = chain.split(" → ")[:-1]
    assert names[0] == names[-1]
    assert sorted(names[:-1]) == sorted(turned)


def test_a_condition_may_ask_about_the_group_that_it_stands_in(compile_text):
    workflow(compile_text, GROUP.replace("{name: a,", "{name: a, if: '!status.g.timeout',"))


def test_steps_of_a_group_follow_the_order_of_their_components(compile_text):
    text = steps(
        "{name: g, type: step-group, subSteps: [{name: b, type: apply-component, properties: {component: web}}, "
        "{name: a, type: apply-component, properties: {component: db}}]}"
    ).replace("{name: web, type: webservice,", "{name: web, type: webservice, dependsOn: [db],")
    assert [step.depends_on for step in only(compile_text(text)).workflow.steps] == [[], ["a"], []]


def test_defect_a6_15_the_seeds_step_type_is_built_in(compile_text):
    item = "{type: apply-and-wait, properties: {component: db, resourceType: StatefulSet, resourceAPIVersion: apps/v1, names: [db]}}"
    assert workflow(compile_text, item).steps[0].components == ["db"]


def test_defect_a6_01_a_duration_in_minutes_as_upstream_documents_it_is_read(compile_text):
    assert workflow(compile_text, "{type: suspend, properties: {duration: 1min, message: hold}}").steps[0].properties["duration"] == "1min"

"""Workflow and WorkflowRun of `core.oam.dev/v1alpha1`, and who refers to them (research A3, A4, rule 5a)."""

import pytest

from reconciler.revisions.digest import git_digest
from tests.unit.dialects.kubevela_texts import TWO, app, errors, only, said

FLOW = """\
apiVersion: core.oam.dev/v1alpha1
kind: Workflow
metadata: {name: canary}
mode: {steps: DAG, subSteps: StepByStep}
steps:
- {name: verify, type: suspend}
- {name: web, type: apply-component, dependsOn: [verify], properties: {component: web}}
"""
REF = "  workflow: {ref: canary}\n"


def run(spec):
    return f"apiVersion: core.oam.dev/v1alpha1\nkind: WorkflowRun\nmetadata: {{name: release}}\nspec:\n{spec}"


def referring(compile_text, flow=FLOW, place="apps/canary.yaml", more=REF):
    return compile_text(app(TWO + more), {place: flow} if flow else {})


@pytest.mark.parametrize("place", ["apps/canary.yaml", "workflows/canary.yaml"])
def test_an_application_takes_the_workflow_beside_it_or_in_the_folder_for_them(compile_text, place):
    application = only(referring(compile_text, place=place))
    assert [(step.name, step.key, step.components, step.depends_on) for step in application.workflow.steps] == [
        ("verify", "verify", [], []),
        ("web", "web", ["web"], ["verify"]),
    ]
    assert (application.workflow.mode, application.workflow.group_mode, application.workflow.on_failure) == ("DAG", "StepByStep", "visit")
    assert [(reference.name, reference.path) for reference in application.references] == [("canary", place)]
    assert application.watched[-2:] == ["apps/canary.yaml", "workflows/canary.yaml"]


def test_a_mode_beside_the_reference_wins(compile_text):
    assert only(referring(compile_text, more="  workflow: {ref: canary, mode: {steps: StepByStep}}\n")).workflow.mode == "StepByStep"


def test_the_workflow_beside_it_comes_first(compile_text):
    other = FLOW.replace("verify", "other")
    application = only(compile_text(app(TWO + REF), {"workflows/canary.yaml": other, "apps/canary.yaml": FLOW}))
    assert application.workflow.steps[0].name == "verify"


def test_rule_5a_what_the_workflow_says_is_part_of_the_digest_and_where_it_lies_is_not(compile_text):
    one, moved = (only(referring(compile_text, place=place)) for place in ("apps/canary.yaml", "workflows/canary.yaml"))
    changed = only(referring(compile_text, FLOW + "- {type: suspend}\n"))
    assert git_digest(one) == git_digest(moved) != git_digest(changed)


@pytest.mark.parametrize(
    ("flow", "line", "field", "message"),
    [
        ("", 8, "spec.workflow.ref", "there is no Workflow canary: neither apps/canary.yaml nor workflows/canary.yaml is there"),
        (FLOW.replace("name: canary", "name: canry"), 8, "spec.workflow.ref", "apps/canary.yaml has no Workflow canary (did you mean canry?)"),
        (FLOW.replace("suspend", "suspnd"), 6, "steps[0].type", "unknown step type suspnd (did you mean suspend?)"),
        (FLOW.replace("[verify]", "[verfy]"), 7, "steps[1].dependsOn[0]", "unknown step verfy (did you mean verify?)"),
        (FLOW.replace("dependsOn: [verify]", "if: status.verfy.failed"), 7, "steps[1].if", "unknown step verfy (did you mean verify?)"),
        (FLOW.replace("component: web", "component: wbe"), 8, "spec.workflow.ref.steps[1].properties.component", "unknown component wbe"),
        (FLOW.replace("steps:", "stpes:"), 5, "stpes", "unknown field stpes (did you mean steps?)"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(compile_text, flow, line, field, message):
    result = referring(compile_text, flow)
    assert not result.applications
    assert any(found[0] == line and found[1] == field and message in found[2] for found in errors(result)), said(result)


def test_a_workflow_that_can_not_be_read_is_said(compile_text):
    assert "apps/canary.yaml" in said(referring(compile_text, "steps: ["))


@pytest.mark.parametrize("name", ["../canary", "a/b", "", "Canary"])
def test_a_reference_is_a_name_and_no_path(compile_text, name):
    assert compile_text(app(TWO + f'  workflow: {{ref: "{name}"}}\n'), {"apps/canary.yaml": FLOW}).applications == []


def test_a_workflow_refers_or_has_steps_and_not_both(compile_text):
    assert "not both" in said(referring(compile_text, more="  workflow: {ref: canary, steps: [{type: suspend}]}\n"))


def test_a_workflow_by_itself_is_no_application_but_is_checked(compile_text):
    result = compile_text(FLOW)
    assert (result.applications, result.problems, result.recognised) == ([], [], True)
    broken = compile_text(FLOW.replace("type: suspend", "tipe: suspend"))
    assert [(line, field) for line, field, _ in errors(broken)] == [(6, "steps[0]"), (6, "steps[0].tipe")]
    assert not broken.recognised


def test_a_run_is_an_application_without_components(compile_text):
    text = run("  context: {colour: green}\n  workflowSpec:\n    steps:\n    - {name: a, type: suspend, if: 'context.colour == \"green\"'}\n")
    application = only(compile_text(text))
    assert (application.kind, application.name, application.components, application.family) == ("WorkflowRun", "release", [], "kubevela")
    assert (application.workflow.parameters, [step.key for step in application.workflow.steps]) == ({"colour": "green"}, ["a"])


def test_conditions_may_ask_for_the_applications_labels(compile_text):
    text = run("  workflowSpec:\n    steps:\n    - {name: a, type: suspend, if: 'context.appLabels.tier != _|_'}\n")
    text = text.replace("metadata: {", "metadata: {labels: {tier: shop}, ", 1)
    assert only(compile_text(text)).workflow.labels == {"tier": "shop"}


def test_a_run_applies_objects_of_its_own(compile_text):
    value = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}"
    application = only(compile_text(run(f"  workflowSpec:\n    steps:\n    - {{name: a, type: apply-object, properties: {{value: {value}}}}}\n")))
    assert [component.id for component in application.components] == ["object/a"]


def test_a_run_may_refer_to_a_workflow_and_have_a_mode_of_its_own(compile_text):
    flow = FLOW.replace("apply-component", "print-message-in-status").replace("component: web", "message: m")
    application = only(compile_text(run("  workflowRef: canary\n  mode: {steps: StepByStep}\n"), {"workflows/canary.yaml": flow}))
    assert ([step.name for step in application.workflow.steps], application.workflow.mode) == (["verify", "web"], "StepByStep")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("  workflowRef: canary\n  workflowSpec: {steps: [{type: suspend}]}\n", "needs exactly one of workflowRef, workflowSpec"),
        ("  mode: {steps: DAG}\n", "needs exactly one of workflowRef, workflowSpec"),
        ("  workflowSpec: {steps: [{type: deploy}]}\n", "unknown step type deploy"),
        ("  workflowSpec: {steps: [{type: suspend, if: context.color == null}]}\n  context: {colour: x}\n", "did you mean colour?"),
        ("  workflowSpec: {steps: [{type: suspend}]}\n  context: {appName: x}\n", "appName is the run's own"),
        (f"  workflowSpec: {{steps: [{{type: suspend}}]}}\n  context: {{a: {'x' * 20000}}}\n", "has more than 16384 bytes"),
    ],
)
def test_what_is_wrong_with_a_run_is_said(compile_text, spec, message):
    result = compile_text(run(spec), {"apps/canary.yaml": FLOW})
    assert not result.applications
    assert message in said(result)

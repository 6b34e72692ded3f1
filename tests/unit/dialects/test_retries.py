"""`retryPolicy` and `healthTimeout` of the families with components, and what a family does where nobody says."""

import pytest

from reconciler.model.application import Retry
from reconciler.workflow.retrying import merge
from tests.unit.dialects.kubevela_texts import TWO, app, errors, only

POLICY = "{limit: 5, periodSeconds: 10, factor: 1.5, capSeconds: 120}"
WRITTEN = Retry(5, 10.0, 1.5, 120.0)
VELA = app(
    f"{TWO}  workflow:\n    retryPolicy: {POLICY}\n    healthTimeout: 20m\n    steps:\n"
    "    - {name: web, type: apply-component, properties: {component: web}, retryPolicy: {limit: 0}}\n"
)
WORKS = f"""\
apiVersion: core.oam.dev/v1alpha2
kind: ApplicationConfiguration
metadata: {{name: shop}}
spec:
  components:
  - revisionName: "K8S_MICROSERVICE|shop|_"
    parameterValues: [{{name: values, value: {{image: {{repository: nginx}}}}, toFieldPaths: [spec.values]}}]
  workflow:
    retryPolicy: {POLICY}
    healthTimeout: 20m
    steps:
    - {{name: web, type: deploy, retryPolicy: {{limit: 0}}}}
"""


@pytest.mark.parametrize("text", [VELA, WORKS], ids=["kubevela", "sreworks"])
def test_a_workflow_and_its_steps_say_how_they_try_again_and_wait(compile_text, text):
    workflow = only(compile_text(text)).workflow
    assert workflow.retry == WRITTEN
    assert workflow.health == 1200.0
    assert workflow.steps[0].retry == Retry(limit=0)
    assert merge(workflow.steps[0].retry, workflow.retry, Retry(), workflow.usual) == Retry(0, 10.0, 1.5, 120.0)


def test_it_may_stand_beside_no_steps_at_all(compile_text):
    workflow = only(compile_text(app(f"{TWO}  workflow: {{retryPolicy: {POLICY}, healthTimeout: 90s}}\n"))).workflow
    assert (workflow.retry, workflow.health, len(workflow.steps)) == (WRITTEN, 90.0, 2)


REFERRED = f"apiVersion: core.oam.dev/v1alpha1\nkind: Workflow\nmetadata: {{name: flow}}\nretryPolicy: {POLICY}\nhealthTimeout: 20m\nsteps: [{{type: suspend}}]\n"


def test_what_stands_beside_a_reference_wins_over_the_workflow_that_it_names(compile_text):
    text = app(f"{TWO}  workflow: {{ref: flow, healthTimeout: 1m}}\n")
    workflow = only(compile_text(text, {"apps/flow.yaml": REFERRED})).workflow
    assert (workflow.retry, workflow.health) == (WRITTEN, 60.0)


@pytest.mark.parametrize(
    ("written", "field", "message"),
    [
        ("retryPolicy: {limt: 3}", "spec.workflow.retryPolicy.limt", "unknown field limt (did you mean limit?)"),
        ("retryPolicy: {limit: -2}", "spec.workflow.retryPolicy.limit", "must be from -1 to 2147483647"),
        ("retryPolicy: {factor: 0.5}", "spec.workflow.retryPolicy.factor", "must be from 1 to 100"),
        ("retryPolicy: {periodSeconds: 0}", "spec.workflow.retryPolicy.periodSeconds", "must be from 0.001 to 86400"),
        ("retryPolicy: {capSeconds: 10s}", "spec.workflow.retryPolicy.capSeconds", "must be a number, not text"),
        ("healthTimeout: 5", "spec.workflow.healthTimeout", "not a duration: 5 (write for example 30s, 5m or 1h30m)"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(compile_text, written, field, message):
    found = errors(compile_text(app(f"{TWO}  workflow:\n    {written}\n")))
    assert [(place, text) for _, place, text in found] == [(field, message)]


def test_the_daemon_wins_over_what_a_family_does_where_nobody_says(compile_text):
    workflow = only(compile_text(app(TWO))).workflow
    assert merge(Retry(), workflow.retry, Retry(), workflow.usual) == Retry(9, 1.0, 2.0, 300.0)
    assert merge(Retry(), workflow.retry, Retry(limit=2, cap=9.0), workflow.usual) == Retry(2, 1.0, 2.0, 9.0)
    flow = (
        "apiVersion: workflow.example.com/v1alpha1\nkind: Workflow\nmetadata: {name: f}\nspec:\n  steps: [{name: a, stepTemplate: {type: random}}]\n"
    )
    workflow = only(compile_text(flow)).workflow
    assert merge(workflow.steps[0].retry, workflow.retry, Retry(), workflow.usual) == Retry(3, 60.0, 1.0, 60.0)
    assert merge(workflow.steps[0].undo_retry, workflow.undo_retry, Retry(limit=1), workflow.usual).limit == 1

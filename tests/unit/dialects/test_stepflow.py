"""Workflows of the step flow as they are written (seed 004), and every mistake in one with its line and the word that was meant."""

import pytest

from reconciler.dialects.words import stepflow
from reconciler.model.application import Callback, Component, Need, Retry
from reconciler.model.run import Phase, Run, Shared, StepState
from reconciler.revisions.digest import git_digest
from tests.integration.flows import SEED

HEAD = "apiVersion: workflow.example.com/v1alpha1\nkind: Workflow\nmetadata: {name: flow}\nspec:\n"
ONE = "  steps:\n  - name: one\n    stepTemplate: {type: random}\n"


@pytest.fixture
def compile_flow(compile_text):
    def compile_flow(spec):
        result = compile_text(HEAD + spec)
        assert not [problem for problem in result.problems if problem.severity == "error"], result.problems
        return result.applications[0]

    return compile_flow


@pytest.fixture
def complain(compile_text):
    """(line, field, message) of each error."""

    def complain(spec, severity="error"):
        result = compile_text(HEAD + spec)
        assert bool(result.applications) is (severity == "warning")
        return [(problem.line, problem.field, problem.message) for problem in result.problems if problem.severity == severity]

    return complain


def test_the_seeds_example_is_compiled_as_it_stands(compile_text):
    result = compile_text(SEED)
    assert result.problems == []
    (app,) = result.applications
    assert (str(app.key), app.family, app.kind, app.components) == ("default/example", "stepflow", "Workflow", [])
    flow = app.workflow
    assert (flow.mode, flow.on_failure, flow.queue, flow.callback) == ("DAG", "undo", "default", Callback("http://locahost:8080/abc", True))
    assert (flow.retry, flow.undo_retry, flow.usual) == (Retry(), Retry(), Retry(3, 60.0, 1.0, 60.0))
    one, two, three = flow.steps
    assert [(step.name, step.type, step.depends_on, step.needs, step.properties) for step in flow.steps] == [
        ("step1", "random", [], [], {"sleepSeconds": "20"}),
        ("step2", "random", ["step1"], [], {"sleepSeconds": "20"}),
        ("step3", "random", [], [], {"sleepSeconds": "20"}),
    ]
    assert (one.retry, one.undo_retry) == (Retry(3, 10.0, 1.0, 10.0), Retry(3, 3.0, 1.0, 3.0))
    assert two.retry == three.retry == Retry(None, None, 1.0)


def test_every_field_of_the_spec_comes_into_the_model(compile_flow):
    app = compile_flow(
        "  queue: fast\n  rollbackPolicy: Always\n  parameters: {region: north}\n  callback: {url: https://hooks.example.org/a, ignoreNotFound: false}\n"
        + ONE
    )
    flow = app.workflow
    assert (flow.queue, flow.always_removed, flow.parameters) == ("fast", True, {"region": "north"})
    assert flow.callback == Callback("https://hooks.example.org/a", False)


@pytest.mark.parametrize(
    ("policy", "run", "undo"),
    [
        ("", Retry(None, None, 1.0), Retry(None, None, 1.0)),
        ("runRetryLimit: 0", Retry(0, None, 1.0), Retry(None, None, 1.0)),
        ("runRetryLimit: -1", Retry(0, None, 1.0), Retry(None, None, 1.0)),
        ("rollbackRetryLimit: 0", Retry(None, None, 1.0), Retry(-1, None, 1.0)),
        ("rollbackRetryLimit: -1", Retry(None, None, 1.0), Retry(-1, None, 1.0)),
        ("runRetryPeriodSeconds: 0, rollbackRetryPeriodSeconds: 300", Retry(None, 1.0, 1.0, 1.0), Retry(None, 300.0, 1.0, 300.0)),
    ],
)
def test_retries_are_read_with_upstreams_meaning_of_none_and_never_without_a_pause(compile_flow, policy, run, undo):
    (step,) = compile_flow(ONE.replace("{type: random}", f"{{type: random, retryPolicy: {{{policy}}}}}")).workflow.steps
    assert (step.retry, step.undo_retry) == (run, undo)


@pytest.mark.parametrize(("written", "seconds"), [("30", 30.0), ("0", 0.0), ("-1", 0.0)])
def test_finished_steps_are_looked_at_each_period_that_is_not_none(compile_flow, written, seconds):
    assert compile_flow(ONE.replace("random}", f"random, syncPeriodSeconds: {written}}}")).workflow.steps[0].sync == seconds


def test_a_step_waits_for_a_phase_and_for_the_status_of_a_resource_in_our_words(compile_flow):
    needs = "[{name: one}, {name: two, phase: Running}, {name: three, phase: Success, resourceStatus: Healthy}]"
    others = "".join(f"  - {{name: {name}, stepTemplate: {{type: random}}}}\n" for name in ("two", "three"))
    step = compile_flow(f"{ONE}{others}  - {{name: last, dependOns: {needs}, stepTemplate: {{type: random}}}}\n").workflow.steps[-1]
    assert step.depends_on == ["one", "two", "three"]
    assert step.needs == [Need("two", "Running"), Need("three", "Succeeded", "Healthy")]


MANIFEST = """\
  steps:
  - name: one
    stepTemplate:
      type: apply
      parameters:
        timeout: 1m
        manifest: |
{}
"""


def objects(text):
    return MANIFEST.format("".join(f"          {line}\n" for line in text.splitlines()))


OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
WRITTEN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (WRITTEN, [OBJECT]),
        (f"{WRITTEN}\n---\n{WRITTEN}", [OBJECT, OBJECT]),
        ("- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}", [OBJECT]),
        ("[{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]", [OBJECT]),
    ],
)
def test_the_objects_of_an_apply_step_become_a_component(compile_flow, text, found):
    app = compile_flow(objects(text))
    assert app.components == [Component("object/one", "object/one", "k8s-objects", {"objects": found})]
    (step,) = app.workflow.steps
    assert (step.components, step.properties) == (["object/one"], {"timeout": "1m"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: ConfigMap\nmetadata: {name: a}", "in line 1 of it: apiVersion: apiVersion is required and is text"),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels: {a: 1}\n  name: a",
            "in line 4 of it: metadata.labels.a: the value must be text, not a number: put it in quotes",
        ),
        ("- apiVersion: v1\n  kind: ConfigMap\n  metadata: {}", "in line 3 of it: objects[0].metadata.name: name is required and is text"),
        ("- text", "must be an object with apiVersion, kind and metadata.name, not text"),
        ("just text", "it holds no object"),
        ("a: [", "in line 2 of it: not valid YAML"),
    ],
)
def test_mistakes_in_the_objects_name_the_line_within_the_text(complain, text, message):
    (found, *_) = complain(objects(text))
    assert found[0] == 11
    assert found[1] == "spec.steps[0].stepTemplate.parameters.manifest"
    assert message in found[2]


@pytest.mark.parametrize(
    ("spec", "line", "field", "message"),
    [
        ("  step: []\n", 5, "spec.step", "unknown field step (did you mean steps?)"),
        ("  steps: []\n", 5, "spec.steps", "must not be empty"),
        ("  queue: a b\n" + ONE, 5, "spec.queue", "must be the name of a queue"),
        ("  rollbackPolicy: Allways\n" + ONE, 5, "spec.rollbackPolicy", "unknown value Allways (did you mean Always?)"),
        ("  parameters: {a: 1}\n" + ONE, 5, "spec.parameters.a", "must be text, not a number; put it in quotes"),
        ("  callback: {}\n" + ONE, 5, "spec.callback", "url is required"),
        ("  callback: {url: ftp://x}\n" + ONE, 5, "spec.callback.url", "must be a URL that begins with http:// or https://"),
        ("  callback: {url: http://x, ignoreNotfound: true}\n" + ONE, 5, "spec.callback.ignoreNotfound", "did you mean ignoreNotFound?"),
        (ONE.replace("random", "randm"), 7, "spec.steps[0].stepTemplate.type", "unknown step type randm (did you mean random?)"),
        (ONE.replace("random", "suspend"), 7, "spec.steps[0].stepTemplate.type", "unknown step type suspend"),
        (
            ONE.replace("random}", "random, parameters: {sleepSeconds: 20}}"),
            7,
            "spec.steps[0].stepTemplate.parameters.sleepSeconds",
            "put it in quotes",
        ),
        (
            ONE.replace("random}", 'random, parameters: {sleepSecond: "20"}}'),
            7,
            "spec.steps[0].stepTemplate.parameters.sleepSecond",
            "did you mean sleepSeconds?",
        ),
        (
            ONE.replace("random}", "random, parameters: {result: good}}"),
            7,
            "spec.steps[0].stepTemplate.parameters.result",
            "must be one of success, failure, fatal",
        ),
        (ONE.replace("random}", "sleep}"), 7, "spec.steps[0].stepTemplate.parameters", "seconds is required"),
        (
            ONE.replace("random}", "random, retryPolicy: {runRetryLimits: 1}}"),
            7,
            "spec.steps[0].stepTemplate.retryPolicy.runRetryLimits",
            "did you mean runRetryLimit?",
        ),
        (ONE.replace("stepTemplate: {type: random}", "stepTemplat: {type: random}"), 6, "spec.steps[0]", "stepTemplate is required"),
        (ONE + ONE.partition("\n")[2], 8, "spec.steps[1].name", "duplicate step name one (steps[0] has it)"),
        (ONE.replace("name: one", "name: run"), 6, "spec.steps[0].name", "run is a reserved name"),
        (ONE + "    dependOns: [{name: oen}]\n", 8, "spec.steps[0].dependOns[0].name", "unknown step oen (did you mean one?)"),
        (ONE + "    dependOns:\n    - name: one\n", 5, "spec.steps", "these steps wait for each other: one → one"),
        (
            ONE + "    dependOns: [{name: one, phase: Succes}]\n",
            8,
            "spec.steps[0].dependOns[0].phase",
            "unknown value Succes (did you mean Success?)",
        ),
    ],
)
def test_every_mistake_names_its_line_its_field_and_the_nearest_word(complain, spec, line, field, message):
    found = complain(spec)
    assert [(one[0], one[1]) for one in found if message in one[2]] == [(line, field)], found


TWO = "  - name: two\n    stepTemplate: {type: random}\n    dependOns:\n    - {name: one, phase: PHASE}\n"


@pytest.mark.parametrize("phase", ["RollingBack", "RollBacked", "Failed"])
def test_a_phase_that_never_comes_while_steps_still_begin_is_an_error(complain, phase):
    assert complain(ONE + TWO.replace("PHASE", phase)) == [
        (11, "spec.steps[1].dependOns[0].phase", f"it would wait for ever: once a step is {phase}, what was done is undone and nothing new begins")
    ]


def test_a_phase_that_is_there_from_the_start_is_a_warning(complain):
    assert complain(ONE + TWO.replace("PHASE", "Pending"), "warning")[0][2] == "every step is Pending from the start: it waits for nothing"


def test_a_step_is_named_once_in_a_list_of_what_is_waited_for(complain):
    found = complain(ONE + TWO.replace("PHASE", "Running") + "    - {name: one}\n")
    assert found == [(12, "spec.steps[1].dependOns[1].name", "one stands twice in this list; of one step one phase is waited for")]


def test_a_cycle_is_shown_as_one(complain):
    spec = ONE + "    dependOns: [{name: two}]\n" + TWO.replace("PHASE", "Running")
    assert complain(spec)[0][2] in ("these steps wait for each other: one → two → one", "these steps wait for each other: two → one → two")


def test_another_rollback_policy_of_a_step_does_nothing_and_says_so(complain, compile_text):
    spec = ONE.replace("random}", "random, rollbackPolicy: Always}")
    assert complain(spec, "warning") == [
        (7, "spec.steps[0].stepTemplate.rollbackPolicy", "it does nothing: the workflow's own rollbackPolicy counts for all of its steps")
    ]
    assert compile_text(f"{HEAD}  rollbackPolicy: Always\n{spec}").problems == []


def test_rule_5a_the_spec_is_the_revision_and_decisions_are_not(compile_text):
    def digest(text):
        return git_digest(compile_text(text).applications[0])

    assert digest(SEED) == digest(SEED.replace("  name: example", "  name: example\n  annotations: {gates.reconciler.dev/run: rollback}"))
    assert digest(SEED) != digest(SEED.replace("queue: default", "queue: other"))
    assert digest(SEED) != digest(SEED.replace('"20"', '"21"', 1))


@pytest.mark.parametrize("kind", ["random", "sleep", "fail", "apply"])
def test_no_other_family_has_these_kinds_of_steps(compile_text, kind):
    text = f"""\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{name: shop}}
spec:
  components: [{{name: web, type: worker, properties: {{image: a}}}}]
  workflow: {{steps: [{{type: {kind}, name: one}}]}}
"""
    assert any(f"unknown step type {kind}" in problem.message for problem in compile_text(text).problems)


@pytest.mark.parametrize(
    ("api_version", "kind", "message"),
    [
        ("workflow.example.com/v1", "Workflow", "Workflow is read as apiVersion workflow.example.com/v1alpha1, not workflow.example.com/v1"),
        ("workflow.example.com/v1alpha1", "Workfow", "unknown kind Workfow of workflow.example.com/v1alpha1 (did you mean Workflow?)"),
        ("workflow.exmple.com/v1alpha1", "Workflow", "did you mean workflow.example.com?"),
    ],
)
def test_a_misspelled_version_kind_or_group_is_said(compile_text, api_version, kind, message):
    text = SEED.replace("workflow.example.com/v1alpha1", api_version).replace("kind: Workflow", f"kind: {kind}")
    assert message in compile_text(text).problems[0].message


# Words --------------------------------------------------------------------------------------------------------------------


def status(phase, *steps, **more):
    return stepflow(Run("flow-v1-1", "default/flow", "flow-v1", "digest", phase=phase, steps=list(steps), **more))


def state(name, phase, **more):
    return StepState(name=name, type="random", key=name, phase=phase, **more)


def test_rule_3e_of_attributes_the_names_are_shown_and_no_value():
    told = status(Phase.RUNNING, state("a", Phase.SUCCEEDED), shared=[Shared("a", {"token": "s3cret"})])
    assert told["attributes"] == {"token": "***"}
    assert "s3cret" not in str(told)


def test_a_step_that_only_failed_to_run_is_rolled_back_with_the_others_in_upstreams_words():
    steps = (state("a", Phase.ROLLING_BACK), state("b", Phase.FAILED, error="no"))
    assert status(Phase.ROLLING_BACK, *steps, undo_cause="failure")["stepPhases"] == {"a": "RollingBack", "b": "RollingBack"}
    done = status(Phase.ROLLED_BACK, state("a", Phase.ROLLED_BACK), steps[1], undo_cause="failure")
    assert (done["stepPhases"], done["phase"], done["runError"]) == ({"a": "RollBacked", "b": "RollBacked"}, "RollBacked", "no")


def test_a_step_that_could_not_be_rolled_back_is_failed_in_upstreams_words():
    told = status(Phase.FAILED, state("a", Phase.FAILED, undo_error="stuck"), state("b", Phase.SUCCEEDED, sync_error="gone"), undo_cause="failure")
    assert told["stepPhases"] == {"a": "Failed", "b": "Success"}
    assert (told["phase"], told["rollbackError"], told["syncError"]) == ("Failed", "stuck", "gone")

"""What the harness for plug-ins promises, and plug-ins in whole workflows."""

import asyncio
import threading

import msgspec
import pytest

from reconciler.engine.plugins.loading import PluginError
from reconciler.model.outcome import Failed
from reconciler.plugin import Done, Final, NotReady, Retryable
from reconciler.testing import Bench, Call, call_step
from reconciler.testing.calls import Notes

ENDED = threading.Event()


class Note:
    """Shares and exports its text."""

    class Parameters(msgspec.Struct):
        text: str

    def run(self, context):
        return Done({"length": len(context.parameters.text)}, attributes={context.step: context.parameters.text})

    def rollback(self, context):
        return Done(message=f"took back {context.made.attributes}")

    def sync(self, context):
        return Done(resource={"status": context.parameters.text})


class Count:
    """Takes an input; async."""

    class Parameters(msgspec.Struct):
        number: int

    seconds = 300

    async def run(self, context):
        await asyncio.sleep(0)
        return Done(message=f"{context.parameters.number} of {dict(context.attributes)}")

    async def rollback(self, context): ...


class Hang:
    seconds = 60

    def run(self, context):
        ENDED.wait(20)

    def rollback(self, context): ...


@pytest.fixture(autouse=True)
def _let_go():
    ENDED.clear()
    yield
    ENDED.set()


def manifest(*steps, name="web", kind="ConfigMap"):
    lines = "\n".join(f"      - {step}" for step in steps)
    return f"""\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{name: {name}}}
spec:
  components:
    - name: settings
      type: k8s-objects
      properties: {{objects: [{{apiVersion: v1, kind: {kind}, metadata: {{name: {name}}}}}]}}
  workflow:
    steps:
{lines}
      - {{name: deploy, type: deploy}}
"""


NOTE = "{name: note, type: note, properties: {text: hello}, outputs: [{name: size, valueFrom: length}]}"
COUNT = "{name: count, type: count, inputs: [{from: size, parameterKey: number}]}"


def messages(run):
    return {step.name: step.message for step in run.steps}


def test_outputs_and_attributes_go_from_one_plug_in_to_the_next():
    with Bench({"note": Note, "count": Count}) as bench:
        bench.commit({"web.yaml": manifest(NOTE, COUNT)})
        run = bench.run("web")
        assert (run.phase, messages(run)["count"]) == ("Succeeded", "5 of {'note': 'hello'}")
        assert bench.object("ConfigMap", "web") is not None


def test_an_input_that_does_not_fit_fails_the_step_before_its_code_runs():
    wrong = "{name: count, type: count, inputs: [{from: size, parameterKey: number}]}"
    with Bench({"note": Note, "count": Count}) as bench:
        bench.fail("note", AssertionError("never called"), method="rollback")
        bench.commit({"web.yaml": manifest(NOTE.replace("valueFrom: length", "valueFrom: nowhere"), wrong)})
        run = bench.run("web")
        assert (run.phase, run.reason) == ("Failed", "InvalidProperties")
        assert [call.plugin for call in bench.calls] == ["note"]


def test_rule_8b_a_plug_in_that_hangs_harms_its_own_step_only():
    with Bench({"hang": Hang, "note": Note}, patience=0.05) as bench:
        bench.commit({"bad.yaml": manifest("{name: hang, type: hang}", name="bad"), "good.yaml": manifest(NOTE, name="good")})
        assert bench.run("good").phase == "Succeeded"
        run = bench.finish("bad")
        assert (run.phase, run.reason) == ("Failed", "Timeout")
        assert "hang gave no answer in 60 s" in run.message


def test_time_passes_only_when_the_test_says_so_and_nobody_waits_for_it():
    with Bench({"note": Note}) as bench:
        bench.commit({"web.yaml": manifest("{name: wait, type: suspend, properties: {duration: 24h}}", NOTE)})
        start = bench.now()
        assert bench.run("web").phase == "Waiting"
        bench.pass_time(3600)
        assert (bench.now() - start).total_seconds() == pytest.approx(3600, abs=1)
        assert bench.run("web").phase == "Waiting"
        assert bench.finish("web", seconds=90000).phase == "Succeeded"
        assert (bench.now() - start).total_seconds() == pytest.approx(86400, abs=10)


def test_a_gate_is_decided_by_a_commit():
    with Bench({"note": Note}) as bench:
        bench.commit({"web.yaml": manifest(NOTE, "{name: approve, type: suspend}")})
        with pytest.raises(AssertionError, match="waits for a person"):
            bench.finish("web")
        bench.decide("web", "continue")
        assert bench.run("web").phase == "Succeeded"
        assert [call.step for call in bench.calls] == ["note"]


def test_failures_are_raised_in_place_of_calls_and_count():
    with Bench({"note": Note}) as bench:
        bench.fail("note", Retryable("busy"), times=2)
        bench.commit({"web.yaml": manifest(NOTE)})
        run = bench.finish("web")
        assert run.phase == "Succeeded"
        assert [(call.attempt, type(call.error)) for call in bench.calls] == [(0, Retryable), (1, Retryable), (2, type(None))]
        assert len({call.key for call in bench.calls}) == 1
        bench.check_keys()


def test_rule_9a_what_is_not_ready_is_asked_again_with_the_same_key_and_no_attempt_is_counted():
    with Bench({"note": Note}) as bench:
        bench.fail("note", NotReady("later", after=30), times=3)
        bench.commit({"web.yaml": manifest(NOTE)})
        assert len(bench.calls) == 1
        bench.pass_time(15)
        assert len(bench.calls) == 1
        bench.pass_time(16)
        assert len(bench.calls) == 2
        assert bench.finish("web").phase == "Succeeded"
        assert [call.attempt for call in bench.calls] == [0, 0, 0, 0]
        bench.check_keys()


def test_a_final_error_ends_the_run_with_its_reason():
    with Bench({"note": Note}) as bench:
        bench.fail("note", Final("no quota left", "QuotaGone"))
        bench.commit({"web.yaml": manifest(NOTE)})
        run = bench.finish("web")
        assert (run.phase, run.reason, run.message) == ("Failed", "QuotaGone", "step note: no quota left")


@pytest.mark.parametrize("landed", [True, False])
def test_rule_9a_wherever_the_daemon_dies_the_run_ends_the_same_and_no_key_is_misused(landed):
    write, lives = 0, 2
    while lives > 1:
        write += 1
        with Bench({"note": Note, "count": Count}) as bench:
            bench.die_at(write, landed=landed)
            bench.commit({"web.yaml": manifest(NOTE, COUNT)})
            run, lives = bench.finish("web"), bench.lives
            assert (run.phase, messages(run)["count"]) == ("Succeeded", "5 of {'note': 'hello'}"), f"died at write {write}"
            bench.check_keys()
            assert {call.key.rpartition("/")[0].rpartition("/")[2] for call in bench.calls} == {"note", "count"}
    assert write > 6


def test_a_crash_between_two_steps_makes_no_call_again():
    with Bench({"note": Note}) as bench:
        bench.commit({"web.yaml": manifest(NOTE, "{name: approve, type: suspend}", NOTE.replace("note", "second", 1).replace("size", "more"))})
        bench.crash()
        assert bench.lives == 2
        bench.decide("web", "continue")
        assert bench.finish("web").phase == "Succeeded"
        assert [call.step for call in bench.calls] == ["note", "second"]


def noted(*calls):
    notes = Notes()
    notes.calls = [Call("p", "run", "s", "w", "key", 0, **{"parameters": 1, "attributes": {}, **call}) for call in calls]
    return notes


@pytest.mark.parametrize("second", [{}, {"parameters": 2, "life": 1}, {"life": 0, "answer": Done()}])
def test_rule_9_misuse_of_a_key_is_found(second):
    with pytest.raises(AssertionError, match="key"):
        noted({}, second).check_keys()


@pytest.mark.parametrize("calls", [[{}, {"life": 1}], [{"error": NotReady("x")}, {}]])
def test_a_key_that_has_a_reason_to_come_again_may(calls):
    noted(*calls).check_keys()


def test_one_call_gives_what_a_workflow_would_take():
    assert call_step(Note, parameters={"text": "ab"}) == Done({"length": 2}, attributes={"step": "ab"})
    made = Done(attributes={"step": "ab"})
    assert call_step(Note, "rollback", {"text": "ab"}, made=made).message == "took back {'step': 'ab'}"
    assert call_step(Note, "sync", {"text": "ab"}, made=made) == Done(resource={"status": "ab"})
    assert call_step(Count, "sync", {"number": 1}) == Done(), "without a sync it is well"
    failed = call_step(Note, parameters={"text": 1})
    assert isinstance(failed, Failed)
    assert failed.reason == "InvalidProperties"


def test_a_class_that_is_no_plug_in_is_refused_at_once():
    with pytest.raises(PluginError, match="no method rollback"):
        Bench({"x": type("X", (), {"run": print})})


FLOW = """\
apiVersion: workflow.example.com/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  steps:
    - name: one
      stepTemplate: {type: note, parameters: {text: first}, syncPeriodSeconds: 30}
    - name: two
      dependOns: [{name: one, phase: Success}]
      stepTemplate: {type: note, parameters: {text: second}}
    - name: three
      dependOns: [{name: two, phase: Success}]
      stepTemplate: {type: note, parameters: {text: third}, retryPolicy: {runRetryLimit: 1, runRetryPeriodSeconds: 5}}
"""


class Break(Note):
    def run(self, context):
        raise Final("it can't be")


def test_rule_9_in_the_step_flow_undoing_goes_back_in_order_is_tried_again_under_its_key_and_told_what_was_made():
    flow = FLOW.replace("type: note, parameters: {text: third}", "type: break, parameters: {text: third}")
    with Bench({"note": Note, "break": Break}) as bench:
        bench.fail("note", Retryable("busy"), method="rollback")
        bench.commit({"flow.yaml": flow})
        run = bench.finish("flow")
        assert run.phase == "RolledBack"
        undone = [(call.step, call.attempt) for call in bench.calls if call.method == "rollback"]
        assert undone == [("two", 0), ("two", 1), ("one", 0)]
        assert messages(run)["one"] == "took back {'one': 'first'}"
        bench.check_keys()


def test_what_a_finished_step_made_is_looked_at_again_and_a_final_fault_undoes_it():
    waits = FLOW.replace("type: note, parameters: {text: third}", "type: wait, parameters: {text: third}")
    with Bench({"note": Note, "wait": Note}) as bench:
        bench.fail("wait", NotReady("not yet", after=100), times=10)
        bench.commit({"flow.yaml": waits})
        bench.pass_time(95)
        looks = [call.key.rpartition("/sync/")[2] for call in bench.calls if call.method == "sync"]
        assert looks == ["0/sync", "1/sync", "2/sync"]
        assert next(step for step in bench.run("flow").steps if step.name == "one").resource == {"status": "first"}
        bench.fail("note", Final("it is gone"), method="sync")
        run = bench.finish("flow")
        assert run.phase == "RolledBack"
        assert "it is gone" in run.message
        assert [call.step for call in bench.calls if call.method == "rollback"] == ["two", "one"]


def test_rule_3e_what_a_plug_in_answers_is_kept_in_a_secret_and_not_in_the_run():
    with Bench({"note": Note, "count": Count}) as bench:
        bench.commit({"web.yaml": manifest(NOTE.replace("hello", "a-private-word"), "{name: approve, type: suspend}", COUNT)})
        stored = bench.object("WorkflowRun", "default.web-v1-1", "reconciler-system", "reconciler.dev/v1alpha1")
        assert "a-private-word" not in str(stored)
        bench.crash()
        assert bench.run("web").step("note").results["run"].value["attributes"] == {"note": "a-private-word"}
        bench.decide("web", "continue")
        assert messages(bench.finish("web"))["count"] == "14 of {'note': 'a-private-word'}"


TASKS = """\
apiVersion: core.oam.dev/v1alpha2
kind: ApplicationConfiguration
metadata: {name: web, annotations: {appId: web}}
spec:
  components:
    - {revisionName: K8S_MICROSERVICE|web|_, parameterValues: [{name: values, value: {image: {repository: nginx}}, toFieldPaths: [spec.values]}]}
  workflow:
    steps:
      - {name: first, type: note, properties: {text: hello}}
      - {name: second, type: note, properties: {text: again}}
"""


def test_in_sreworks_a_plug_in_is_told_its_tasks_context_and_adds_to_that_of_the_next():
    with Bench({"note": Note}) as bench:
        bench.commit({"web.yaml": TASKS})
        run = bench.finish("web")
        assert run.phase == "Succeeded"
        first, second = bench.calls
        assert "first" not in first.attributes
        assert second.attributes == {**first.attributes, "first": "hello"}
        assert [call.attributes for call in bench.calls] == [run.told(step) for step in run.steps]

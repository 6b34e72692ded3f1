"""
What reads as a defect in SREWorks' workflow engine and concerns an engine, in the order of the research's parts B1 to B4, and how ours behaves.

b_01 `apply-components` means to apply in order, but every component depends on the first.
b_02 an override's `dependencies` end up among the `dataOutputs`.
b_03 only `apply-components` looks whether the run was called off.
b_04 a rollback that fails never wakes the instance that waits for it.
b_05 a terminated instance can still be paused, finished or failed.
b_06 the row of a running task is written every five seconds.
b_07 an event whose write loses to another is dropped, and never comes again.
b_08 a document without `workflow` is an internal error.
b_09 an older value, handed on by a parent, wins over what a person put in.
b_10 the second decision of a workflow with two gates is lost.
b_11 `retry` answers success and does nothing.
b_12 `retryFromTask` does nothing.
b_13 a task that waits can't be suspended.

That upstream answers success for what it drops (B3) is told by the state tables' own test, the seed's key `p` by that of contexts. b_04, b_10,
b_11 and b_12 are told once more from end to end in tests/integration/test_sreworks_gates.py.
"""

import msgspec
import pytest

from reconciler.dialects.registry import compile_file, dialects
from reconciler.dialects.sreworks_states import instance_state, task_state
from reconciler.model.application import Step
from reconciler.model.outcome import Health
from reconciler.model.run import Command, Phase
from reconciler.steps.catalog import STEP_TYPES
from reconciler.workflow.commands import Refused, obey
from tests.unit.workflow.machines import START, SUCCEEDED, Driver, apply, decision, step
from tests.unit.workflow.test_contexts import CANCELED, again, driver, put, sharing


class NoFiles:
    def oid(self, path):
        return None

    def folder(self, path):
        return {}

    def read(self, path):
        raise FileNotFoundError(path)


def compiled(more, component=""):
    """A document of three components and, below its spec, `more`."""
    lines = ["apiVersion: core.oam.dev/v1alpha2", "kind: ApplicationConfiguration", "metadata: {name: a}", "spec:", "  components:"]
    for name in ("one", "two", "three"):
        lines += [f"  - revisionName: K8S_MICROSERVICE|{name}|_", *([f"    {component}"] if component and name == "two" else [])]
        lines += ["    parameterValues:", "    - {name: v, value: {image: {repository: nginx}}, toFieldPaths: [spec.values]}"]
    return compile_file("a.yaml", "\n".join([*lines, more, ""]).encode(), NoFiles(), dialects(STEP_TYPES))


NAMED = ", ".join(f"{{type: K8S_MICROSERVICE, name: {name}}}" for name in ("three", "one", "two"))


def test_defect_b_01_components_are_applied_in_the_order_listed_each_when_the_one_before_it_is_healthy():
    [application] = compiled(f"  workflow: {{steps: [{{type: apply-components, properties: {{components: [{NAMED}]}}}}]}}").applications
    found = Driver(*application.workflow.steps).look()
    seen = {}
    order = []
    for name in ("three", "one", "two"):
        [ordered] = found.orders
        order.append(ordered.effect.params["component"])
        ref = f"apps/v1|StatefulSet|default|{name}"
        found.finish(value={"objects": [{"ref": ref, "uid": name}]})
        [query] = found.queries
        assert (isinstance(query, Health), found.orders) == (True, []), "the next one waits for the health of this one, not of the first"
        seen |= {query: {"status": "Healthy", "message": ""}}
        found.look(1, seen=dict(seen))
    assert order == ["K8S_MICROSERVICE|three", "K8S_MICROSERVICE|one", "K8S_MICROSERVICE|two"]
    assert found.ended == SUCCEEDED


@pytest.mark.parametrize("field", ["dependencies", "dataOutputs", "traits"])
def test_defect_b_02_what_an_override_can_not_do_is_refused_and_never_taken_for_something_else(field):
    item = f"{{revisionName: K8S_MICROSERVICE|two|_, {field}: [{{component: K8S_MICROSERVICE|one|_}}]}}"
    result = compiled(f"  policies: [{{name: o, type: override, properties: {{components: [{item}]}}}}]")
    assert result.applications == []
    assert [problem.message for problem in result.problems] == [f"{field} is not available yet"]


@pytest.mark.parametrize("kind", ["apply-components", "deploy", "remoteDeploy", "suspend", "rollout-promotion"])
def test_defect_b_03_a_run_that_was_called_off_begins_no_step_of_whatever_type(kind):
    found = driver(sharing("a", **CANCELED), Step("b", kind, "b", components=["web"])).look()
    assert (found.run.phase, found.ordered, found.phases[1]) == (Phase.TERMINATED, [], "Skipped")


@pytest.mark.parametrize("failure", ["user", "internal"])
def test_defect_b_04_a_rollback_that_fails_fails_the_run_that_asked_for_it_with_its_reason(failure):
    found = Driver(step("verify")).look(target="web-v1").decide(decision("rollback"))
    found.look(restored="Failed", restore_message="web-v1-2: step web: not healthy in time", restore_failure=failure)
    assert (found.ended, found.run.failure) == ((Phase.FAILED, "RestoreFailed"), failure)
    assert "(web-v1-2: step web: not healthy in time)" in found.run.message
    assert instance_state(found.run) == ("FAILURE" if failure == "user" else "EXCEPTION")


@pytest.mark.parametrize("ending", ["end", "rollback"])
def test_defect_b_05_nothing_leads_out_of_terminated_but_a_retry(ending):
    found = Driver(step("verify"), apply("b")).look(target="web-v1").decide(decision(ending)).look(restored="Succeeded")
    before = msgspec.json.encode(found.run)
    assert instance_state(found.run) == "TERMINATED"
    for facts in ({"held": "x"}, {"held": ""}, {"decisions": [decision("continue", value="late")]}, {"newer": "web-v3"}, {"removed": True}):
        found.look(60, **facts)
    assert msgspec.json.encode(found.run) == before


def test_defect_b_06_a_run_that_waits_is_the_same_run_at_every_look_so_that_it_is_not_written():
    found = Driver(step("verify")).look()
    before = msgspec.json.encode(found.run)
    for _ in range(100):
        found.look(5)
    assert msgspec.json.encode(found.run) == before


def test_defect_b_07_what_a_lost_write_would_have_done_is_done_by_the_next_look():
    found = Driver(step("verify"), apply("b")).look()
    stored = msgspec.json.encode(found.run)
    found.decide(decision("continue"), seconds=1)
    kept = msgspec.json.encode(found.run)
    found.run = msgspec.json.decode(stored, type=type(found.run))  # somebody else wrote: what this look found is thrown away
    found.decide(decision("continue"))
    assert msgspec.json.encode(found.run) == kept


@pytest.mark.parametrize("more", ["", "  workflow:", "  workflow: {}", "  workflow: {steps: []}", "  workflow: {steps: null}"])
def test_defect_b_08_without_a_workflow_one_step_deploys_all(more):
    [application] = compiled(more).applications
    [only] = application.workflow.steps
    assert (only.type, only.name, len(only.components)) == ("deploy", "deploy-0", 3)


def test_defect_b_09_what_a_person_puts_in_wins_over_what_is_handed_on():
    found = driver(sharing("a", weight=1), step("gate"), sharing("b"), sharing("c"), parameters={"weight": 0}).look()
    put(found, weight=50)
    found.decide(decision("continue", "gate"), seconds=1)
    assert [found.told[name]["weight"] for name in "abc"] == [0, 50, 50]


def test_defect_b_10_each_gate_of_a_workflow_takes_a_decision_of_its_own():
    gates = [step(name, kind) for name, kind in (("s1", "suspend"), ("p1", "rollout-promotion"), ("s2", "suspend"), ("p2", "rollout-promotion"))]
    found = driver(*gates[:2], sharing("half"), *gates[2:], sharing("all")).look()
    assert put(found, continueRollout=True, rollback=False) == "continue"
    found.decide(decision("continue", "p1"), seconds=1)
    assert found.phases == ["Succeeded", "Succeeded", "Succeeded", "Waiting", "Pending", "Pending"], "the first decision opens the first gate alone"
    assert not {"continueRollout", "rollback"} & found.told["half"].keys()
    assert put(found, continueRollout=False, rollback=False) == "end"
    found.decide(decision("end", "p2"), seconds=1)
    assert (found.run.phase, "all" in found.told) == (Phase.TERMINATED, False)


FINAL = {
    "SUCCESS": lambda found: found.finish().finish(),
    "FAILURE": lambda found: found.finish().finish(error="no", reason="Invalid"),
    "TERMINATED": lambda found: found.finish().decide(decision("end", "run"), seconds=1).finish(),
}


def finished(state):
    found = FINAL[state](driver(apply("a"), apply("b"), parameters={"w": 1}).look())
    assert instance_state(found.run) == state
    found.ordered = []
    return found


@pytest.mark.parametrize("state", FINAL)
def test_defect_b_11_a_retry_runs_every_task_again_with_the_parameters_it_had_at_first(state):
    found = finished(state)
    before = {order: intent.digest for one in found.run.steps for order, intent in one.intents.items()}
    keys = {intent.key for one in found.run.steps for intent in one.intents.values()}
    again(found).finish().finish()
    assert (found.ended, found.ordered) == (SUCCEEDED, ["a", "b"])
    assert before.items() <= {order: intent.digest for one in found.run.steps for order, intent in one.intents.items()}.items()
    assert not keys & {intent.key for one in found.run.steps for intent in one.intents.values()}
    assert found.run.snapshots == [{"w": 1}]


def test_defect_b_11_a_run_that_has_not_ended_is_not_retried():
    found = driver(step("gate")).look()
    with pytest.raises(Refused, match="has not ended"):
        obey(found.run, found.workflow, Command(verb="retry", at=START, author="Ada"), "", START)


@pytest.mark.parametrize("state", FINAL)
def test_defect_b_12_a_retry_from_a_task_runs_it_and_those_behind_it_and_leaves_what_came_before(state):
    found = finished(state)
    before = msgspec.json.encode(found.state("a"))
    again(found, "b").finish()
    assert (found.ended, found.ordered) == (SUCCEEDED, ["b"])
    assert msgspec.json.encode(found.state("a")) == before


def test_defect_b_12_a_retry_from_a_task_begins_with_the_snapshot_that_was_kept_for_it():
    found = driver(sharing("a", x=1), step("gate"), sharing("b"), sharing("c")).look()
    put(found, x=2)
    found.decide(decision("continue", "gate"), seconds=1)
    found.told.clear()
    again(found, "b")
    assert found.ended == SUCCEEDED
    assert found.told == {"b": {"x": 2}, "c": {"x": 2}}


def test_defect_b_13_a_task_that_waits_is_suspended_and_goes_on():
    found = Driver(step("a", "apply-component", components=["web"], component="web")).look()
    found.finish(value={"objects": [{"ref": "apps/v1|Deployment|default|web", "uid": "u"}]})
    assert task_state(found.run, found.state("a")) == "WAITING"
    found.run = obey(found.run, found.workflow, Command(verb="suspend", at=START, author="Ada", step="a"), "", found.now)
    assert task_state(found.look(1).run, found.state("a")) == "WAITING_SUSPEND"
    found.run = obey(found.run, found.workflow, Command(verb="resume", at=START, author="Ada", step="a"), "", found.now)
    assert task_state(found.look(1).run, found.state("a")) == "WAITING"

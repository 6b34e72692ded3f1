"""SREWorks' state tables against the machine: each pair of state and event, and what our machine does with that event (research B3)."""

import pytest

from reconciler.dialects.sreworks_states import FINAL, INSTANCE, INSTANCE_EVENTS, TASK, TASK_EVENTS, after, instance_state, task_state, words
from reconciler.model.outcome import Do, Done, Effect, Failed, Gate, Result, Wait
from reconciler.model.run import Command, Decision, Phase, Run, StepState
from reconciler.steps.catalog import STEP_TYPES
from reconciler.workflow.commands import Needless, Refused, obey
from tests.unit.workflow.machines import START, Driver, decision, step


class Task:
    """A handler by hand: it starts one thing (upstream's child), and `mode` says what comes then."""

    name, params, required = "task", {}, ()
    mode = "wait"

    def next(self, call, results, seen, now):
        if self.mode == "break":
            raise RuntimeError
        if self.mode == "gate" and call.decision != "continue" and call.begun <= results.keys():
            return Gate("")
        if "child" not in results:
            return Do({"child": Effect("apply", {})})
        if not results["child"].ok:
            return Failed("Child", "it failed")
        return {"wait": Wait(None, "waits"), "gate": Wait(None, "waits"), "done": Done(), "fail": Failed("Child", "it failed")}[self.mode]


class Instance(Driver):
    """One workflow of one task, whose states are asked for in SREWorks' words."""

    def __init__(self):
        self.task = Task()
        super().__init__(step("a", "task"), types={**STEP_TYPES, "task": self.task})

    @property
    def instance_state(self):
        return instance_state(self.run)

    @property
    def task_state(self):
        return task_state(self.run, self.state("a"))

    def say(self, mode):
        self.task.mode = mode
        return self.look(1)

    def order(self, verb, name="a"):
        """A person's order; one that is refused changes nothing."""
        try:
            told = Command(verb=verb, author="Ada", reason="because", at=self.now, step=name if verb in ("suspend", "resume") else "")
            self.run = obey(self.run, self.workflow, told, f"run={verb}", self.now)
        except (Refused, Needless):
            pass
        return self.look(1)

    def answer(self, **result):
        """What was started comes back, perhaps once more."""
        for intent in self.state("a").intents.values():
            self.results[intent.key] = Result(at=self.now, **result)
        return self.look(1)


def pending():
    return Instance().look(admitted=False)


def running():
    return Instance().look()


def waiting():
    return running().answer()


def ended(mode):
    return running().answer().say(mode)


TASKS = {
    "PENDING": pending,
    "RUNNING": running,
    "RUNNING_SUSPEND": lambda: running().order("suspend"),
    "WAITING": waiting,
    "WAITING_SUSPEND": lambda: waiting().order("suspend"),
    "SUCCESS": lambda: ended("done"),
    "FAILURE": lambda: ended("fail"),
    "EXCEPTION": lambda: ended("break"),
    "TERMINATED": lambda: waiting().order("terminate"),
}
INSTANCES = {
    "PENDING": pending,
    "PREPROCESSING": lambda: Instance().look(held="freeze"),
    "RUNNING": running,
    "SUSPEND": lambda: Instance().say("gate"),
    **{state: TASKS[state] for state in sorted(FINAL)},
}


def retry(found):
    found.task.mode = "wait" if found.run.phase.final else found.task.mode
    return found.order("retry")


TASK_DOES = {
    "START": lambda found: found.look(1, admitted=True),
    "PAUSE": lambda found: found.order("suspend"),
    "RESUME": lambda found: found.order("resume"),
    "PROCESS_FINISHED": lambda found: found.answer(),
    "PROCESS_SUSPEND": lambda found: found.say("gate").answer(),
    "PROCESS_FAILED": lambda found: found.answer(error="no", reason="Invalid"),
    "WAITING_FINISHED": lambda found: found.say("done"),
    "WAITING_FAILED": lambda found: found.say("fail"),
    "TRIGGER_UPDATE": lambda found: found.look(1),
    "OP_TERMINATE": lambda found: found.order("terminate").answer(),
    "OP_RETRY": retry,
    "UNKNOWN_ERROR": lambda found: found.say("break"),
}
INSTANCE_DOES = {
    "START": TASK_DOES["START"],
    "PREPROCESS_FINISHED": lambda found: found.look(1, held=""),
    "PAUSE": TASK_DOES["PAUSE"],
    "RESUME": lambda found: found.decide(decision("continue", "a"), seconds=1),
    "PROCESS_FINISHED": lambda found: found.decide(decision("continue", "a"), seconds=1).answer().say("done"),
    "PROCESS_FAILED": lambda found: found.decide(decision("continue", "a"), seconds=1).answer(error="no", reason="Invalid"),
    "OP_TERMINATE": TASK_DOES["OP_TERMINATE"],
    "OP_RETRY": retry,
    "UNKNOWN_ERROR": TASK_DOES["UNKNOWN_ERROR"],
}

# Where no handler is asked, none can break: an error of the daemon itself is its turn's, which is tried again (rule 8b).
UNASKED = {("PENDING", "UNKNOWN_ERROR"), ("WAITING_SUSPEND", "UNKNOWN_ERROR")}
# Upstream drops what comes back while a task stands still, and what it drops never comes again. Here it is taken in.
NOT_LOST = {("RUNNING_SUSPEND", event): "WAITING_SUSPEND" for event in ("PROCESS_FINISHED", "PROCESS_SUSPEND", "PROCESS_FAILED")}
# A handler has spoken before its task waits, so these can't come about.
SPOKEN = {("WAITING", "PROCESS_SUSPEND")}


@pytest.mark.parametrize("state", TASK)
def test_every_state_of_a_task_is_told(state):
    assert TASKS[state]().task_state == state


@pytest.mark.parametrize("state", INSTANCE)
def test_every_state_of_an_instance_is_told(state):
    assert INSTANCES[state]().instance_state == state


@pytest.mark.parametrize("event", TASK_EVENTS)
@pytest.mark.parametrize("state", TASK)
def test_each_event_does_to_a_task_what_the_table_says_and_what_stands_in_no_table_changes_nothing(state, event):
    expected = NOT_LOST.get((state, event), state if (state, event) in UNASKED else after(TASK, state, event))
    if (state, event) not in SPOKEN:
        assert TASK_DOES[event](TASKS[state]()).task_state == expected


@pytest.mark.parametrize("event", INSTANCE_EVENTS)
@pytest.mark.parametrize("state", INSTANCE)
def test_each_event_does_to_an_instance_what_the_table_says(state, event):
    found = INSTANCE_DOES[event](INSTANCES[state]()).instance_state
    expected = after(INSTANCE, state, event)
    if event == "UNKNOWN_ERROR" and state in ("PENDING", "PREPROCESSING"):
        expected = state
    # Preprocessing is over in the look in which it begins.
    assert found == ("RUNNING" if expected == "PREPROCESSING" and event == "START" and state == "PENDING" else expected)


def test_terminated_is_final_but_for_a_retry():
    assert [INSTANCE["TERMINATED"], TASK["TERMINATED"]] == [{"OP_RETRY": "RUNNING"}] * 2


@pytest.mark.parametrize("table", [INSTANCE, TASK])
def test_every_state_that_an_event_leads_to_has_a_row(table):
    assert {after for events in table.values() for after in events.values()} <= set(table)
    assert set(table) >= FINAL


def test_a_gate_suspends_the_task_and_the_instance_and_a_decision_lets_both_go_on():
    found = Instance().say("gate")
    assert (found.instance_state, found.task_state) == ("SUSPEND", "WAITING_SUSPEND")
    found.decide(decision("continue", "a"), seconds=1).answer()
    assert (found.instance_state, found.task_state) == ("RUNNING", "WAITING")


@pytest.mark.parametrize(("build", "task"), [(running, "RUNNING"), (waiting, "WAITING")])
def test_a_suspended_application_suspends_its_tasks_and_its_instance(build, task):
    found = build().look(1, held="freeze")
    assert (found.instance_state, found.task_state) == ("SUSPEND", f"{task}_SUSPEND")
    found.look(1, held="")
    assert (found.instance_state, found.task_state) == ("RUNNING", task)


def test_the_message_of_a_person_who_suspends_a_task_is_told_until_it_goes_on():
    found = waiting().order("suspend")
    assert words(found.run)["tasks"][0]["taskErrorMessage"] == "suspended by Ada: because"
    assert words(found.order("resume").run)["tasks"][0]["taskErrorMessage"] == ""


def test_a_task_that_is_tried_again_is_running():
    found = running()
    found.task.next = lambda *_: Failed("Busy", "not now", retryable=True)
    assert (found.look(1).state("a").phase, found.task_state) == (Phase.PENDING, "RUNNING")


def run(phase, *steps, reason="", message="", **more):
    return Run(name="r", app="n/a", revision="a-v1", digest="d", phase=phase, reason=reason, message=message, steps=list(steps), **more)


@pytest.mark.parametrize(
    ("phase", "state"), [("Failed", "PENDING"), ("Terminated", "TERMINATED"), ("RolledBack", "TERMINATED"), ("Superseded", "TERMINATED")]
)
def test_a_task_that_never_began_stays_pending_in_a_failure_and_is_terminated_with_its_instance(phase, state):
    never = StepState("b", "deploy", "b", Phase.SKIPPED)
    assert task_state(run(Phase(phase), never), never) == state


def test_the_gate_that_decided_a_rollback_waits_for_it_until_it_is_done():
    gate = StepState("gate", "rollout-promotion", "gate", Phase.TERMINATED)
    found = run(Phase.ROLLING_BACK, gate, decisions=[Decision("gate", "rollback", "x", START)])
    assert [instance_state(found), task_state(found, gate)] == ["RUNNING", "WAITING"]
    found.phase = Phase.ROLLED_BACK
    assert [instance_state(found), task_state(found, gate)] == ["TERMINATED", "TERMINATED"]


def test_errors_that_are_a_persons_carry_upstreams_number_and_others_carry_none():
    failed = StepState("a", "apply-components", "a", Phase.FAILED, reason="InvalidProperties", message="rollout.type: must be partition")
    found = words(run(Phase.FAILED, failed, reason="NoRollbackTarget", message="there is nothing to go back to"))
    assert found["workflowErrorMessage"] == "10002: there is nothing to go back to"
    assert found["tasks"][0]["taskErrorMessage"] == "10002: rollout.type: must be partition"
    assert words(run(Phase.FAILED, reason="HealthTimeout", message="late"))["workflowErrorMessage"] == "late"
    assert words(run(Phase.RUNNING, message="at work"))["workflowErrorMessage"] == ""

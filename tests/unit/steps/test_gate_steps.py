from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model.identity import AppKey
from reconciler.model.names import GATE_STEP_TYPES
from reconciler.model.outcome import Call, Done, Gate, Ready, Wait
from reconciler.steps.catalog import STEP_TYPES

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def ask(kind, properties=None, **more):
    return STEP_TYPES[kind].next(Call(AppKey("d", "a"), "s", kind, properties or {}, since=NOW, **more), {}, {}, NOW + timedelta(days=9))


def test_a_suspend_without_duration_waits_for_a_decision_and_for_nothing_else():
    assert ask("suspend", {"message": "ask the\nteam"}) == Gate("ask the\\nteam", None)


def test_rule_4c_a_duration_is_a_deadline_that_the_step_itself_never_acts_on():
    assert ask("suspend", {"duration": "2m15s"}, paused=timedelta(seconds=5)).deadline == NOW + timedelta(seconds=140)


@pytest.mark.parametrize("kind", sorted(GATE_STEP_TYPES))
def test_a_gate_opens_by_continue_only(kind):
    assert isinstance(ask(kind), Gate)
    assert ask(kind, decision="continue") == Done()


def test_a_printed_message_is_one_line():
    assert ask("print-message-in-status", {"message": "a\u202eb"}) == Done(message="a\\u202eb")


def test_every_gate_type_is_a_step_type():
    assert set(STEP_TYPES) >= GATE_STEP_TYPES
    assert all(name == step_type.name for name, step_type in STEP_TYPES.items())


def test_required_properties_are_known_ones():
    for step_type in STEP_TYPES.values():
        assert set(step_type.required) <= set(step_type.params)


DB = Ready(AppKey("d", "db"))


@pytest.mark.parametrize("namespace", [{}, {"namespace": "d"}])
def test_depends_on_app_asks_how_the_other_stands_and_waits_until_it_is_ready(namespace):
    kind, properties = STEP_TYPES["depends-on-app"], {"name": "db", **namespace}
    call = Call(AppKey("d", "a"), "s", "depends-on-app", properties)
    assert kind.next(call, {}, {}, NOW) == Wait(None, "waiting for d/db", (DB,))
    seen = {DB: {"ready": False, "message": "is Degraded"}}
    assert kind.next(call, {}, seen, NOW) == Wait(None, "waiting for d/db, which is Degraded", (DB,))
    assert kind.next(call, {}, {DB: {"ready": True, "message": ""}}, NOW) == Done()


def test_rule_7a_a_restore_run_waits_for_no_other_application():
    assert ask("depends-on-app", {"name": "db"}, restore=True) == Done()

"""The kinds of steps of the step flow: one effect each of its own kind, time that passes in the run, and what undoing them means."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.engine.standins import KINDS, StandIn
from reconciler.model.identity import AppKey
from reconciler.model.outcome import Call, Do, Done, Effect, Failed, Health, Result, Wait
from reconciler.model.run import Run
from reconciler.steps.catalog import STEP_TYPES
from reconciler.workflow.facts import Order
from tests.unit.steps.test_apply_steps import HEALTHY, WEB, applied

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def call(kind, properties=None, **more):
    return Call(AppKey("shop", "flow"), "step", kind, properties or {}, since=NOW, **more)


def ask(kind, properties=None, results=None, now=NOW, method="next", seen=None, **more):
    return getattr(STEP_TYPES[kind], method)(call(kind, properties, **more), results or {}, seen or {}, now)


BAD = Result(error="bad luck", reason="Unlucky", retry="backoff", at=NOW)


@pytest.mark.parametrize(
    ("kind", "properties", "effect"),
    [
        ("random", {}, Effect("random", {"result": ""})),
        ("random", {"result": "fatal"}, Effect("random", {"result": "fatal"})),
        ("sleep", {"seconds": "20"}, Effect("sleep")),
        ("fail", {"message": "a\nb"}, Effect("fail", {"message": "a\\nb", "retryable": False})),
        ("fail", {"retryable": "true"}, Effect("fail", {"message": "it was asked to fail", "retryable": True})),
    ],
)
def test_running_it_is_one_effect_of_its_own_kind(kind, properties, effect):
    assert ask(kind, properties) == Do({"run": effect})
    assert effect.kind in KINDS


@pytest.mark.parametrize(("kind", "field"), [("random", "sleepSeconds"), ("sleep", "seconds")])
def test_the_time_it_takes_passes_in_the_run_after_the_result_and_stands_still_with_it(kind, field):
    properties, results = {field: "20"}, {"run": Result(at=NOW)}
    assert ask(kind, properties, results) == Wait(NOW + timedelta(seconds=20), "takes 20 s")
    assert ask(kind, properties, results, NOW + timedelta(seconds=20)) == Done()
    assert isinstance(ask(kind, properties, results, NOW + timedelta(seconds=20), paused=timedelta(seconds=5)), Wait)


def test_a_try_that_fails_takes_its_time_too():
    results = {"run": BAD}
    assert isinstance(ask("random", {"sleepSeconds": "20"}, results), Wait)
    assert ask("random", {"sleepSeconds": "20"}, results, NOW + timedelta(seconds=20)) == Failed("Unlucky", "bad luck", retryable=True)


@pytest.mark.parametrize(("method", "field"), [("undo", "rollbackResult"), ("sync", "syncResult")])
def test_undoing_random_and_looking_at_it_come_out_as_running_it_did_unless_they_are_told_otherwise(method, field):
    assert ask("random", {"result": "success"}, method=method) == Do({"run": Effect("random", {"result": "success"})})
    assert ask("random", {"result": "success", field: "fatal"}, method=method) == Do({"run": Effect("random", {"result": "fatal"})})


@pytest.mark.parametrize("kind", ["sleep", "fail"])
def test_there_is_nothing_to_undo_of_what_did_nothing(kind):
    assert ask(kind, method="undo") == Done()


def test_objects_are_applied_and_waited_for_and_their_health_is_the_status_of_the_resource():
    components, results = ("object/step",), {"apply/object/step": applied(WEB)}
    assert ask("apply", components=components) == Do({"apply/object/step": Effect("apply", {"component": "object/step"})})
    assert isinstance(ask("apply", {}, results, components=components, seen={Health((WEB,)): {"status": "Progressing"}}), Wait)
    done = ask("apply", {}, results, components=components, seen={Health((WEB,)): HEALTHY})
    assert done.resource == {"status": "Healthy", "id": "uid-web", "name": "Deployment shop/web"}


def test_undoing_objects_is_one_effect_and_says_what_it_kept():
    components, made = ("object/step",), {"apply/object/step": applied(WEB)}
    assert ask("apply", components=components, method="undo", made=made) == Do({"unapply": Effect("unapply", {"component": "object/step"})})
    kept = {"unapply": Result({"deleted": [], "kept": [WEB.pack()]}, at=NOW)}
    assert ask("apply", {}, kept, components=components, method="undo").message.endswith("what can't be made again: Deployment shop/web")
    refused = {"unapply": Result(error="no", reason="Forbidden", retry="backoff")}
    assert ask("apply", {}, refused, components=components, method="undo") == Failed("Forbidden", "no", retryable=True)


# The executor -------------------------------------------------------------------------------------------------------------


class Still:
    def now(self):
        return NOW


async def carry_out(effect, key="uid/flow-v1-1/0/step/run/0"):
    run = Run("flow-v1-1", "shop/flow", "flow-v1", "digest")
    executor = StandIn(Still())
    return await executor.execute(None, await executor.prepare(None, run, Order(key, "step", "run", effect)))


@pytest.mark.parametrize(
    ("effect", "error", "retry"),
    [
        (Effect("random", {"result": "success"}), "", "terminal"),
        (Effect("random", {"result": "failure"}), "it failed by chance", "backoff"),
        (Effect("random", {"result": "fatal"}), "it failed for good", "terminal"),
        (Effect("sleep"), "", "terminal"),
        (Effect("fail", {"message": "broken", "retryable": True}), "broken", "backoff"),
        (Effect("fail", {"message": "broken", "retryable": False}), "broken", "terminal"),
    ],
)
async def test_what_is_asked_for_comes_of_it_at_once(effect, error, retry):
    result = await carry_out(effect)
    assert (result.error, result.retry, result.at) == (error, retry, NOW)


async def test_chance_follows_from_the_key_is_the_same_for_another_cluster_and_favours_nobody():
    def of(number, owner="uid"):
        return carry_out(Effect("random", {"result": ""}), f"{owner}/flow-v1-{number}/0/step/run/0")

    found = [(await of(number)).ok for number in range(400)]
    assert 150 < sum(found) < 250
    assert found == [(await of(number, "another")).ok for number in range(400)]

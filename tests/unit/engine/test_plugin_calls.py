"""Rule 8b for plug-ins: whatever one does, its own step has an outcome, others go on, and no secret is told."""

import asyncio
import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import structlog

import reconciler
from reconciler.engine.plugins.executor import PluginExecutor
from reconciler.engine.plugins.loading import read_plugin
from reconciler.engine.plugins.threads import Threads
from reconciler.model.identity import AppKey
from reconciler.model.outcome import Effect, Result
from reconciler.model.run import Run, Shared, StepState
from reconciler.plugin import Done, Final, NotReady, Retryable, StepError
from reconciler.workflow.facts import Order

NOW = datetime(2024, 5, 1, tzinfo=UTC)
APP = SimpleNamespace(key=AppKey("shop", "web"))
CLOCK = SimpleNamespace(now=lambda: NOW)


def plugin_of(run=None, *, rollback=None, sync=None, seconds=20.0, parameters=None, name="mine"):
    members = {"run": run or (lambda self, context: None), "rollback": rollback or (lambda self, context: None), "seconds": seconds}
    members |= {"sync": sync} if sync else {}
    members |= {"Parameters": parameters} if parameters else {}
    return read_plugin(name, type("Mine", (), members))


async def call(plugin, method="run", executor=None, key="uid/web-v1-1/0/warm/run/2", shared=(), context=None, **params):
    executor = executor or PluginExecutor({plugin.name: plugin}, CLOCK.now)
    effect = Effect("plugin", {"plugin": plugin.name, "method": method, **params})
    run = Run("web-v1-1", "shop/web", "web-v1", "d", shared=list(shared), steps=[StepState("warm", plugin.name, "warm")])
    if context is not None:
        run.snapshots, run.steps[0].context = [context], 0
    prepared = await executor.prepare(APP, run, Order(key, "warm", method, effect))
    return prepared if isinstance(prepared, Result) else await executor.execute(APP, prepared)


def raising(error):
    def run(self, context):
        raise error

    return run


async def test_what_a_call_answers_is_stored_and_nothing_that_is_empty():
    done = Done({"size": 3}, "3 pages", {"site": "shop"}, {"status": "Ready", "id": "7"})
    result = await call(plugin_of(lambda self, context: done))
    assert result.ok
    assert result.value == {"outputs": {"size": 3}, "message": "3 pages", "attributes": {"site": "shop"}, "resource": {"status": "Ready", "id": "7"}}
    assert (await call(plugin_of())).value == {}


async def test_rule_9b_the_key_of_a_call_is_the_same_for_each_attempt_and_the_context_says_all_that_is_promised():
    class Parameters(msgspec.Struct):
        site: str

    seen = []
    plugin = plugin_of(lambda self, context: seen.append(context), parameters=Parameters)
    more = {"properties": {"site": "a"}, "parameters": {"zone": "b"}, "shared": [Shared("x", {"url": "c"})]}
    await call(plugin, **more)
    await call(plugin, key="uid/web-v1-1/0/warm/run/3", **more)
    first, second = seen
    assert first.key == second.key == "uid/web-v1-1/0/warm/run"
    assert (first.attempt, second.attempt) == (2, 3)
    assert (first.workflow, first.step, first.parameters.site, first.workflow_parameters, first.attributes) == (
        "shop/web", "warm", "a", {"zone": "b"}, {"url": "c"}
    )  # fmt: skip
    assert (first.deadline - NOW).total_seconds() == 20
    assert first.made is None


async def test_a_task_that_began_with_a_context_is_told_that_and_not_what_was_shared_since():
    seen = []
    plugin = plugin_of(lambda self, context: seen.append(context.attributes))
    await call(plugin, shared=[Shared("x", {"zone": "later"})], context={"zone": "first"})
    assert seen == [{"zone": "first"}]


async def test_rollback_and_sync_are_told_what_run_made():
    seen = []
    plugin = plugin_of(rollback=lambda self, context: seen.append(context.made), sync=lambda self, context: seen.append(context.made))
    made = {"outputs": {"a": 1}, "attributes": {"own": 1}, "resource": {"id": "7"}}
    await call(plugin, "rollback", made=made)
    await call(plugin, "sync", made=made)
    assert seen == [Done({"a": 1}, attributes={"own": 1}, resource={"id": "7"})] * 2


OUTCOMES = {
    "retryable": (Retryable("busy"), ("busy", "StepFailed", "backoff")),
    "not ready": (NotReady("later", after=3), ("later", "NotReady", "wait")),
    "final": (Final("never"), ("never", "StepFailed", "terminal")),
    "with a reason": (Final("never", "QuotaGone"), ("never", "QuotaGone", "terminal")),
    "with what is no reason": (Final("never", "a b\n"), ("never", "StepFailed", "terminal")),
    "of no kind": (StepError("hm"), ("hm", "StepFailed", "backoff")),
    "several lines": (Final("one\ntwo\x1b[31m"), ("one\\ntwo\\x1b[31m", "StepFailed", "terminal")),
}


@pytest.mark.parametrize(("error", "expected"), OUTCOMES.values(), ids=OUTCOMES)
async def test_what_a_plug_in_raises_says_how_it_goes_on_and_is_one_line(error, expected):
    result = await call(plugin_of(raising(error)))
    assert (result.error, result.reason, result.retry) == expected


@pytest.mark.parametrize(("after", "expected"), [(3, 3), (0, 1), (-5, 1), (float("nan"), 10), (float("inf"), 10), ("soon", 10), (1e12, 86400)])
async def test_when_to_ask_again_stays_within_sense(after, expected):
    assert (await call(plugin_of(raising(NotReady("later", after=after))))).value == {"after": expected}


class EvilError(Exception):
    def __str__(self):
        raise RuntimeError("even this")


@pytest.mark.parametrize(
    "error",
    [KeyError("hunter2"), SystemExit("hunter2"), KeyboardInterrupt("hunter2"), EvilError(), MemoryError(), GeneratorExit()],
    ids=lambda error: type(error).__name__,
)
async def test_rule_8b_any_other_exception_is_a_failure_that_is_tried_again_and_told_by_its_type_alone(error):
    result = await call(plugin_of(raising(error)))
    assert (result.reason, result.retry) == ("PluginBroken", "backoff")
    assert type(error).__name__ in result.error
    assert "test_plugin_calls.py" in result.error
    assert "hunter2" not in result.error


async def test_rule_8b_a_step_error_that_breaks_when_it_is_shown_is_a_failure_too():
    result = await call(plugin_of(raising(Retryable(EvilError()))))
    assert (result.reason, result.retry) == ("PluginBroken", "backoff")


async def test_rule_8b_sys_exit_in_a_plug_in_ends_its_call_alone():
    assert (await call(plugin_of(lambda self, context: sys.exit(0)))).reason == "PluginBroken"


class Odd:
    pass


def nested():
    value = []
    for _ in range(5000):
        value = [value]
    return value


NONSENSE = {
    "a text": ("yes", "BadAnswer"),
    "true": (True, "BadAnswer"),
    "a class": (Done, "BadAnswer"),
    "outputs that are no mapping": (Done([1]), "BadAnswer"),
    "a message that is no text": (Done(message={}), "BadAnswer"),
    "an object": (Done({"a": Odd()}), "BadAnswer"),
    "a lone surrogate": (Done({"a": "\ud800"}), "BadAnswer"),
    "too deep": (Done({"a": nested()}), "BadAnswer"),
    "too large": (Done({"a": "x" * 40_000}), "AnswerTooLarge"),
    "too many attributes": (Done(attributes={str(number): number for number in range(5000)}), "AnswerTooLarge"),
    "an unknown part of a resource": (Done(resource={"state": "x"}), "BadAnswer"),
}


@pytest.mark.parametrize(("answer", "reason"), NONSENSE.values(), ids=NONSENSE)
async def test_rule_3e_an_answer_that_can_not_be_stored_fails_the_step_for_good(answer, reason):
    result = await call(plugin_of(lambda self, context: answer))
    assert (result.reason, result.retry) == (reason, "terminal")
    assert len(result.error) < 600
    assert result.value == {}


async def test_what_is_stored_is_plain_data():
    result = await call(plugin_of(lambda self, context: Done({"at": NOW, "set": {1}, "pair": (1, 2)})))
    assert json.loads(json.dumps(result.value)) == result.value


async def test_async_methods_have_a_loop_of_their_own_and_may_block_it():
    async def run(self, context):
        time.sleep(0.05)
        await asyncio.sleep(0)
        return Done({"thread": threading.current_thread().name})

    ticks = []
    task = asyncio.create_task(call(plugin_of(run)))
    while not task.done():
        ticks.append(1)
        await asyncio.sleep(0.005)
    assert (await task).value["outputs"]["thread"] == "plugin-mine"
    assert len(ticks) > 3, "the daemon's loop went on"


@pytest.mark.parametrize("kind", ["sync", "async", "a coroutine that swallows its end"])
async def test_rule_8b_a_call_that_hangs_is_given_up_at_its_deadline_and_may_be_tried_again(kind):
    ended = threading.Event()

    async def stubborn(self, context):
        while not ended.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    async def waiting(self, context):
        await asyncio.Event().wait()

    run = {"sync": lambda self, context: ended.wait(), "async": waiting}.get(kind, stubborn)
    result = await call(plugin_of(run, seconds=0.1))
    ended.set()
    assert (result.reason, result.retry) == ("Timeout", "backoff")


async def test_rule_8b_calls_that_hang_take_no_place_from_other_plug_ins_and_are_bounded():
    ended, begun = threading.Event(), []

    def hang(self, context):
        begun.append(1)
        ended.wait()

    bad, good = plugin_of(hang, seconds=0.2, name="bad"), plugin_of(name="good")
    executor = PluginExecutor({"bad": bad, "good": good}, CLOCK.now, lambda name: Threads(name, 2))
    calls = [asyncio.create_task(call(bad, executor=executor, key=f"k/{number}")) for number in range(5)]
    assert (await call(good, executor=executor)).ok
    assert {result.reason for result in await asyncio.gather(*calls)} == {"Timeout"}
    assert len(begun) == 2, "no more than the places that it has"
    ended.set()
    good_again = plugin_of(name="bad")
    executor._plugins["bad"] = good_again
    assert (await call(good_again, executor=executor)).ok, "the places are free again"


def test_rule_8b_a_call_that_hangs_does_not_hold_the_end_of_the_process(tmp_path):
    import subprocess

    script = tmp_path / "hang.py"
    script.write_text(
        "import asyncio, threading\n"
        "from reconciler.engine.plugins.threads import Threads\n"
        "async def main():\n"
        "    try:\n"
        "        await Threads('bad').call(threading.Event().wait, 0.1)\n"
        "    except TimeoutError:\n"
        "        print('given up')\n"
        "asyncio.run(main())\n"
    )
    top = str(Path(reconciler.__file__).parents[1])
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=30, env={**os.environ, "PYTHONPATH": top}, check=False)
    assert (done.stdout, done.returncode) == ("given up\n", 0)


async def test_rule_12_known_secrets_and_the_user_part_of_urls_are_taken_out_of_all_that_a_plug_in_says():
    class Parameters(msgspec.Struct):
        password: str
        auth: dict[str, str]

    def run(self, context):
        said = "log " + context.parameters.password
        context.log.info(said, url="https://me:pw@x/")
        sys.stdout.write("printed " + context.parameters.auth["token"])
        raise Final(f"{context.parameters.password} {context.parameters.auth['token']} https://me:pw@x/ {context.attributes['apiKey']}")

    plugin = plugin_of(run, parameters=Parameters)
    with structlog.testing.capture_logs() as logs:
        result = await call(plugin, properties={"password": "hunter2", "auth": {"token": "s3cret!"}}, shared=[Shared("x", {"apiKey": "abcdefgh"})])
    assert result.error == "*** *** https" + "://***@x/ ***"
    told = str(logs)
    assert "printed" in told
    assert "hunter2" not in told
    assert "s3cret!" not in told
    assert "me:pw" not in told


async def test_what_a_plug_in_prints_goes_to_the_log_bounded_and_what_others_print_where_it_went(capsys):
    def run(self, context):
        sys.stdout.write("first\n")
        sys.stderr.write("second\x1b[31m\n" + "x" * 100_000)

    with structlog.testing.capture_logs() as logs:
        await call(plugin_of(run))
    sys.stdout.write("outside\n")
    assert capsys.readouterr().out == "outside\n"
    lines = [entry["said"]["line"] for entry in logs if entry["event"] == "printed"]
    assert lines[:2] == ["first", "second\\x1b[31m"]
    assert sum(map(len, lines)) < 5000


async def test_a_plug_in_that_is_not_loaded_any_more_is_a_failure_with_its_name():
    result = await call(plugin_of(name="other"), executor=PluginExecutor({}, CLOCK.now))
    assert (result.reason, result.retry) == ("PluginMissing", "terminal")
    assert "other" in result.error


async def test_parameters_that_do_not_hold_are_refused_before_anything_of_the_class_is_called():
    class Parameters(msgspec.Struct):
        size: int

    called = []
    plugin = plugin_of(lambda self, context: called.append(1), parameters=Parameters)
    result = await call(plugin, properties={"size": "large"})
    assert (result.reason, result.retry) == ("InvalidProperties", "terminal")
    assert "size" in result.error
    assert called == []

"""Rule 11: a template that runs in the sandbox reaches nothing, ends within its bounds, and harms no other."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler.render import precompiled
from reconciler.render.protocol import RenderError
from reconciler.render.sandbox import Limits, Sandbox, SandboxError
from tests.unit.render import modules

LIMITS = Limits(seconds=0.2, memory=32 << 20, input=4096, output=1 << 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return modules.write(tmp_path_factory.mktemp("modules"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache") / "modules"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def sandbox(folder, cache):
    return Sandbox(folder, cache, LIMITS, workers=2)


@pytest.mark.parametrize(
    ("module", "reason", "words"),
    [
        ("endless", "deadline", "no answer within 0.2 s"),
        ("greedy", "crash", "crashed"),
        ("large", "output", "1048576 bytes of output"),
        ("deep", "crash", "calls itself too deeply"),
        ("trap", "crash", "crashed"),
        ("exit", "crash", "crashed"),
        ("outside", "crash", "can't be read"),
        ("nowhere", "crash", "crashed"),
        ("garbage", "crash", "can't be read"),
        ("wild", "crash", "crashed"),
        ("absent", "missing", "not part of this installation"),
    ],
)
def test_rule_11_whatever_a_module_does_is_an_error_of_that_call_and_the_next_one_works(sandbox, module, reason, words):
    for number in range(2):
        with pytest.raises(SandboxError, match=words) as caught:
            sandbox.call(module, "f", number)
        assert caught.value.reason == reason
        assert isinstance(caught.value, RenderError)
        assert len(sandbox.call("seen", "f", number)) == 3


def test_rule_11_a_module_has_no_files_and_no_environment_and_pointers_outside_its_memory_are_refused(sandbox):
    opened, variables, polled = (number - 10_000_000 for number in sandbox.call("refused", "f", {}))
    assert opened == 52  # there is no such function
    assert variables == 0
    assert polled == 21  # a fault


def test_rule_11_clock_and_randomness_follow_from_the_input_alone(sandbox, folder, cache):
    first, again, other = (sandbox.call("seen", "f", value)[:2] for value in ("a", "a", "b"))
    assert first == again == Sandbox(folder, cache, LIMITS).call("seen", "f", "a")[:2]
    assert first[0] != other[0]
    assert first[1] != other[1]


def test_more_input_than_allowed_is_refused_before_anything_runs(sandbox):
    with pytest.raises(SandboxError, match="bytes of input") as caught:
        sandbox.call("seen", "f", "x" * 5000)
    assert caught.value.reason == "input"


def test_one_that_never_ends_does_not_keep_another_thread_from_its_answer(sandbox):
    failed: list[str] = []

    def block() -> None:
        with pytest.raises(SandboxError) as caught:
            sandbox.call("endless", "f", {})
        failed.append(caught.value.reason)

    thread = threading.Thread(target=block)
    thread.start()
    answers = [sandbox.call("seen", "f", number) for number in range(20)]
    thread.join()
    assert failed == ["deadline"]
    assert len(answers) == 20


def test_errors_of_many_threads_at_once_stay_with_the_call_that_made_them(folder, cache):
    sandbox = Sandbox(folder, cache, LIMITS, workers=8)
    wanted = {"endless": "deadline", "exit": "crash", "trap": "crash", "large": "output"}

    def call(asked: tuple[int, str]) -> str:
        number, name = asked
        try:
            sandbox.call(name, "f", number)
        except SandboxError as error:
            return error.reason
        return "none"

    names = [*wanted, "seen"] * 8
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, enumerate(names))) == [wanted.get(name, "none") for name in names]


def test_a_call_finds_nothing_that_an_earlier_one_left(sandbox):
    assert [sandbox.call("seen", "f", number)[2] for number in range(3)] == [10_000_001] * 3


def test_rule_10_what_was_answered_is_answered_again_without_an_evaluation_as_long_as_it_is_not_crowded_out(sandbox):
    first, again, other = (sandbox.call("seen", "f", value) for value in ("a", "a", "b"))
    assert first == again != other
    assert sandbox.evaluated == 2
    again.append("changed by who asked")
    assert sandbox.call("seen", "f", "a") == first


def test_files_are_part_of_what_was_asked(sandbox):
    answers = [sandbox.call("seen", "f", {}, files) for files in ({}, {"a": b"1"}, {"a": b"2"}, {"b": b"1"}, {"a": b"1"})]
    assert sandbox.evaluated == 4
    assert answers[1] == answers[4]
    assert len({tuple(answer[:2]) for answer in answers}) == 4


@pytest.mark.parametrize(("module", "times"), [("large", 1), ("trap", 2), ("endless", 2)])
def test_a_bound_that_is_met_again_by_the_same_is_remembered_and_what_may_pass_is_not(sandbox, module, times):
    for _ in range(2):
        with pytest.raises(SandboxError) as caught:
            sandbox.call(module, "f", {})
    assert sandbox.evaluated == times
    assert caught.value.reason in ("output", "crash", "deadline")


def counting(monkeypatch) -> list[str]:
    """Names of the modules that are compiled from now on, here or in a process of its own."""
    made: list[str] = []
    here, apart = precompiled._compile, precompiled._compile_apart
    monkeypatch.setattr(precompiled, "_compile", lambda engine, name, data: made.append(name) or here(engine, name, data))
    monkeypatch.setattr(precompiled, "_compile_apart", lambda source, target: made.append(source.stem) or apart(source, target))
    return made


def test_what_compiling_takes_of_memory_is_another_process_s(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(precompiled, "_compile", None)
    assert len(Sandbox(folder, tmp_path / "modules", LIMITS).call("seen", "f", {})) == 3


def test_where_no_process_can_be_started_it_is_compiled_here(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(precompiled.sys, "executable", str(tmp_path / "nothing"))
    assert len(Sandbox(folder, tmp_path / "modules", LIMITS).call("seen", "f", {})) == 3


def test_a_module_is_compiled_once_and_then_read_from_the_cache(folder, tmp_path, monkeypatch):
    made = counting(monkeypatch)
    cache = tmp_path / "modules"
    for _ in range(2):
        Sandbox(folder, cache, LIMITS).call("seen", "f", {})
    assert made == ["seen"]
    assert cache.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("harm", ["truncated", "changed", "writable by others", "undigested", "foreign folder"])
def test_a_cache_that_is_broken_or_not_ours_alone_is_not_used_and_the_module_works_all_the_same(folder, tmp_path, monkeypatch, harm):
    cache = tmp_path / "modules"
    Sandbox(folder, cache, LIMITS).call("seen", "f", {})
    [path] = cache.glob("*.compiled")
    if harm == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif harm == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    elif harm == "writable by others":
        path.chmod(0o666)
    elif harm == "undigested":
        path.with_suffix(".sha256").unlink()
    else:
        cache.chmod(0o777)
    made = counting(monkeypatch)
    assert len(Sandbox(folder, cache, LIMITS).call("seen", "f", {})) == 3
    assert made == ["seen"]


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(folder, tmp_path):
    (tmp_path / "file").touch()
    assert len(Sandbox(folder, tmp_path / "file" / "below", LIMITS).call("seen", "f", {})) == 3

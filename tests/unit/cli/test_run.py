"""`run`: flags to settings, and nothing started for a mistake."""

import subprocess
import sys

import pytest

from reconciler.cluster.embedded.storage import StateLockedError
from reconciler.engine.store import StateError as StoreError
from reconciler.settings import Settings, describe_settings
from reconciler.source.protocol import NotARepositoryError, RefMissingError, UnreadableError


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for setting in describe_settings():
        monkeypatch.delenv(setting.variable, raising=False)


def test_run_hands_the_settings_to_the_daemon_and_its_answer_back(call):
    started = []

    def serve(settings):
        started.append(settings)
        return 7

    answer = call("run", "repo", "--path", "a", "--path", "b", "--write-back", "off", "--listen", "127.0.0.1:0", "--speed", "10", serve=serve)
    assert answer.code == 7
    assert started == [Settings(repo="repo", paths=["a", "b"], write_back=False, listen="127.0.0.1:0", speed=10.0, create_namespaces="all")]


def test_the_repository_may_stand_in_the_file(call, tmp_path):
    (tmp_path / "c.yaml").write_text("repo: elsewhere\nbranch: main\n")
    started = []
    assert call("run", "--config", tmp_path / "c.yaml", "--branch", "next", serve=lambda settings: started.append(settings) or 0).code == 0
    assert (started[0].repo, started[0].branch) == ("elsewhere", "next")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "no repository: name the top of one"),
        (["repo", "--cluster", "kubernetes", "--state", "here.db"], "with --cluster kubernetes the state is in the cluster"),
        (["repo", "--kubeconfig", "here"], "--kubeconfig needs --cluster kubernetes"),
        (["repo", "--context", "here"], "--context needs --cluster kubernetes"),
        (["repo", "--listen", "x"], "--listen: not HOST:PORT"),
        (["repo", "--write-back", "perhaps"], "--write-back: 'perhaps' is neither on nor off"),
        (["repo", "--create-namespaces", "some"], "is not one of all, asked, none"),
        (["repo", "--speed", "fast"], "--speed: "),
        (["repo", "--config", "/nonexistent.yaml"], "/nonexistent.yaml: cannot be read"),
        (["repo", "--wirte-back", "on"], "--write-back"),
        (["repo", "another"], "another"),
    ],
)
def test_a_mistake_ends_with_2_and_starts_nothing(call, args, message):
    answer = call("run", *args, serve=lambda _: pytest.fail("started"))
    assert answer.code == 2
    assert message in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotARepositoryError("repo is not the top of a git repository"), 2),
        (RefMissingError("no branch main"), 1),
        (StateLockedError("the state file is in use"), 5),
        (StoreError("the state is of a newer version"), 1),
        (OSError("address already in use"), 1),
        (ExceptionGroup("work", [ExceptionGroup("more", [UnreadableError("repo cannot be read")])]), 1),
    ],
)
def test_what_a_user_can_mend_ends_the_daemon_with_a_sentence(call, error, code):
    def serve(_):
        raise error

    answer = call("run", "repo", serve=serve)
    assert answer.code == code
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert answer.err == f"Error: {error}\n"


def test_a_mistake_of_our_own_keeps_its_trace(call):
    def serve(_):
        raise ExceptionGroup("work", [OSError("no"), ZeroDivisionError()])

    with pytest.raises(ExceptionGroup):
        call("run", "repo", serve=serve)


def test_every_setting_with_a_flag_is_one_of_run(call):
    text = call("run", "--help").out
    assert [setting.flag for setting in describe_settings() if setting.flag and setting.flag not in text] == []


@pytest.mark.parametrize(
    "module", ["aiohttp", "pygit2", "kubernetes", "yaml", "deepdiff", "prometheus_client", "reconciler.engine", "reconciler.source"]
)
def test_a_view_starts_without_what_only_the_daemon_needs(module):
    code = f"import sys, reconciler.cli.main as m; m.group.get_command(None, 'status'); sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""`reconciler demo` as a process: by itself to the end, by a person's own git commands, by the Enter key, left and resumed."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from reconciler.cli.demonstration.folder import open_folder
from reconciler.cli.demonstration.play import AUTO_SECONDS
from reconciler.cli.demonstration.stations import STATIONS
from reconciler.cli.errors import Exit
from reconciler.source.edit import set_annotation

# Several starts of a daemon each, and nothing but a broken one takes long.
pytestmark = pytest.mark.timeout(300)
PATIENCE = AUTO_SECONDS + 60
ANSI = "\x1b"


def environment(**more: str) -> dict[str, str]:
    """Nobody's git configuration, and no name to commit by."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RECONCILER_", "GIT_", "NO_COLOR"))}
    return {**kept, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "TERM": "xterm", **more}


def command(folder: Path, *words: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "reconciler",
        "demo",
        "--folder",
        str(folder),
        *([] if "--listen" in words else ["--listen", "127.0.0.1:0"]),
        *words,
    ]


def run(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, *words), env=environment(**more), capture_output=True, text=True, timeout=PATIENCE, check=False)


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], env=environment(), capture_output=True, text=True, check=True).stdout


class Demo:
    """A demo that a person leads; `said` is what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process, self._output = process, output

    @property
    def said(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    @property
    def url(self) -> str:
        return re.findall(r"http://127\.0\.0\.1:\d+", self.said)[0]

    def wait_for(self, predicate: Callable[[str], Any], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not predicate(self.said):
            assert self.process.poll() is None, f"ended with {self.process.returncode} before {what}:\n{self.said}"
            assert time.monotonic() < end, f"never came: {what}\n{self.said}"
            time.sleep(0.02)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(15)


@contextmanager
def led(folder: Path, *words: str, terminal: int | None = None) -> Iterator[Demo]:
    """A demo with nothing on its input, or with that terminal's end."""
    output = folder.parent / "said.txt"
    with output.open("wb") as out:
        process = subprocess.Popen(command(folder, *words), stdin=subprocess.DEVNULL if terminal is None else terminal, stdout=out, env=environment())
    try:
        yield Demo(process, output)
    finally:
        process.terminate()
        process.wait(15)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A demo's folder where nothing has been played yet."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return open_folder(tmp_path / "demo").root


def station(number: int) -> Callable[[str], bool]:
    return lambda said: f"{number} of {len(STATIONS)} · " in said


def answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/healthz", timeout=5):
            return True
    except URLError:
        return False


def test_it_plays_itself_reaches_every_station_and_leaves_true_git_behind(tmp_path: Path) -> None:
    done = run(tmp_path / "demo", "--auto")
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    assert re.findall(r"^(\d) of 8 · ", done.stdout, re.MULTILINE) == list("12345678")
    assert ANSI not in done.stdout
    log = git(tmp_path / "demo/origin.git", "log", "--reverse", "--format=%an: %s", "main").splitlines()
    assert log == [
        "You: The example repository",
        "You: Approve shop-v1",
        "You: shop: nginx:1.28",
        "You: Approve shop-v2 of shop/shop at gate approve",
        "You: shop: mysql:8.5",
        "You: Roll back shop-v3 of shop/shop at gate approve",
        "Reconciler: Roll back shop in shop to shop-v2",
    ]
    manifest = git(tmp_path / "demo/origin.git", "show", "main:shop/shop.yaml")
    assert "image: mysql:8.4" in manifest
    assert "image: nginx:1.28" in manifest

    again = run(tmp_path / "demo", "--auto")
    assert again.returncode == Exit.OK, again.stdout + again.stderr
    assert "the first 7 of 8 stations lie behind" in again.stdout
    assert len(git(tmp_path / "demo/origin.git", "rev-list", "main").splitlines()) == len(log)


def test_it_goes_on_by_a_persons_own_commit_survives_ctrl_c_and_resumes_where_git_and_the_daemon_are(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with led(folder) as demo:
        demo.wait_for(lambda said: station(2)(said) and "git push" in said, "the first gate's instructions")
        assert ANSI not in demo.said
        assert demo.end(signal.SIGINT) == Exit.OK
        assert f"demo --folder {folder}" in demo.said
        assert not answers(demo.url)
    with led(folder) as demo:
        demo.wait_for(lambda said: "the first 1 of 8 stations lie behind" in said and "git push" in said, "the same station again")
        [value] = re.findall(r"continue@[0-9a-f]{12}", demo.said)
        manifest = folder / "clone/shop/shop.yaml"
        manifest.write_text(set_annotation(manifest.read_text(), 0, "gates.reconciler.dev/approve", value))
        git(folder / "clone", "commit", "-qam", "Good")
        git(folder / "clone", "push", "-q")
        demo.wait_for(station(3), "the promotion")
        assert demo.end(signal.SIGTERM) == Exit.OK
        assert not answers(demo.url)


def test_enter_does_the_step_and_the_terminal_is_left_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    try:
        with led(folder, terminal=theirs) as demo:
            demo.wait_for(lambda said: station(2)(said) and "press Enter" in said, "the first gate's instructions")
            os.write(ours, b"x")
            os.write(ours, b"\n")
            demo.wait_for(station(3), "the promotion")
            assert git(folder / "origin.git", "log", "-1", "--format=%s", "main").strip() == "Approve shop-v1"
            os.write(ours, b"\x04")
            assert demo.process.wait(15) == Exit.OK
            assert not answers(demo.url)
        assert termios.tcgetattr(theirs) == before
    finally:
        os.close(ours)
        os.close(theirs)


def test_enter_first_finishes_what_was_edited_and_not_committed(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    ours, theirs = pty.openpty()
    try:
        with led(folder, terminal=theirs) as demo:
            demo.wait_for(lambda said: station(2)(said) and "press Enter" in said, "the first gate's instructions")
            manifest = folder / "clone/shop/shop.yaml"
            manifest.write_text(f"# mine\n{manifest.read_text()}")
            os.write(ours, b"\n")
            demo.wait_for(lambda said: "git push" in said.partition("$ git commit")[2], "the commit of the edit")
            demo.wait_for(lambda _: git(folder / "origin.git", "show", "main:shop/shop.yaml").startswith("# mine"), "the push")
            assert "gates.reconciler.dev" not in manifest.read_text()
    finally:
        os.close(ours)
        os.close(theirs)


def refused(done: subprocess.CompletedProcess[str], code: Exit, *words: str) -> None:
    assert done.returncode == code, done.stdout + done.stderr
    [line] = done.stderr.splitlines()
    for word in words:
        assert word in line


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    refused(run(tmp_path, "--auto"), Exit.USAGE, str(tmp_path), "is not empty, and no demo was begun there", "--folder")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    refused(run(tmp_path / "notes.txt", "--auto"), Exit.USAGE, "notes.txt", "--folder")


def test_a_port_that_is_taken_is_one_sentence_and_the_demo_can_be_resumed_with_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:{1}".format(*taken.getsockname())
        refused(run(tmp_path / "demo", "--listen", address), Exit.REFUSED, "address already in use")
    with led(tmp_path / "demo") as demo:
        demo.wait_for(station(1), "the first station")


def test_without_git_it_says_so_in_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    refused(run(tmp_path / "demo", PATH=str(bare)), Exit.REFUSED, "the git command is not installed")
    assert list((tmp_path / "demo").iterdir()) == []


def test_a_station_that_is_not_reached_fails_with_its_name_and_the_reason(folder: Path) -> None:
    hook = folder / "origin.git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    git(folder / "origin.git", "config", "--unset", "core.hooksPath")
    refused(run(folder, "--auto"), Exit.REFUSED, "station 2 (A commit promotes) was not reached", "not today")


@pytest.mark.parametrize("damage", ["origin.git", "clone"])
def test_a_demo_that_lost_a_part_is_refused_in_one_sentence(folder: Path, damage: str) -> None:
    shutil.rmtree(folder / damage)
    refused(run(folder, "--auto"), Exit.USAGE, "no demo was begun there")


def test_a_demo_that_was_moved_is_refused_and_goes_on_where_it_was_made(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "elsewhere")
    refused(run(tmp_path / "elsewhere", "--auto"), Exit.USAGE, "was moved or copied")
    (tmp_path / "elsewhere").rename(folder)
    assert open_folder(folder).root == folder


def test_a_person_whom_git_knows_commits_by_their_own_name(tmp_path: Path) -> None:
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n\tname = Author\n\temail = author@example.org\n[commit]\n\tgpgSign = true\n[core]\n\thooksPath = /nonexistent\n")
    done = run(tmp_path / "demo", "--auto", GIT_CONFIG_GLOBAL=str(config))
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    assert set(git(tmp_path / "demo/origin.git", "log", "--format=%an", "main").splitlines()) == {"Author", "Reconciler"}

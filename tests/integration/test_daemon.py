"""The daemon as a process: plain git in front, signals, mistakes of a user, and kill -9 at any instant."""

from __future__ import annotations

import random
import signal
import socket
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.errors import Exit
from tests.integration.harness import Clone, config_map_app
from tests.integration.process import Process

GATE = "gates.reconciler.dev/approve"


def app(text: int, decision: str = "") -> str:
    return config_map_app("web", str(text), gate=True, annotations={GATE: decision} if decision else None)


def gate_at(revision: str = "") -> Any:
    return lambda status: status["gate"] and revision in ("", status["gate"]["revision"])


def synced(commit: str) -> Any:
    return lambda status: status["sync"] == "Synced" and status["running"] and status["desired"]["commit"] == commit


def value(process: Process) -> str:
    [found] = process.ask("/v1/objects?kind=configmap&namespace=default&name=web")
    text: str = found["data"]["value"]
    return text


def test_push_approve_and_roll_back_through_plain_git(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app(1)})
    with Process(tmp_path, clone.origin).ready() as process:
        gate = process.until("web", gate_at(), "the first gate")["gate"]
        clone.push({"web.yaml": app(1, gate["continue"])}, "Approve 1")
        process.until("web", lambda status: status["sync"] == "Synced", "1 promoted")
        assert value(process) == "1"
        clone.push({"web.yaml": app(2)})
        gate = process.until("web", gate_at("web-v2"), "the gate of 2")["gate"]
        clone.push({"web.yaml": app(2, gate["rollback"])}, "Back to 1")
        status = process.until("web", lambda status: status["sync"] == "Synced", "back to 1")
        assert status["running"]["revision"] == "web-v1"
        assert value(process) == "1"
        clone.pull()
        assert 'value: "1"' in clone.read("web.yaml")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_while_a_gate_waits_and_a_client_holds_a_connection(tmp_path: Path, number: signal.Signals) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app(1)})
    with Process(tmp_path, clone.origin).ready() as process:
        process.until("web", gate_at(), "the gate")
        host, _, port = process.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as half, socket.create_connection((host, int(port)), timeout=5) as idle:
            half.sendall(b"GET /v1/applications HTTP/1.1\r\nHost: localhost\r\n")
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(64).startswith(b"HTTP/1.1 200")
            process.signal(number)
            assert process.ended(5) == Exit.OK, process.said
        assert "Traceback" not in process.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_while_the_repository_has_no_commit(tmp_path: Path, number: signal.Signals) -> None:
    clone = Clone(tmp_path)
    with Process(tmp_path, clone.origin).listening() as process:
        process.signal(number)
        assert process.ended(5) == Exit.OK, process.said
        assert "Traceback" not in process.said


def refused(process: Process, code: Exit, *words: str) -> None:
    """It ended with that code and one line that holds the words."""
    with process:
        assert process.ended() == code
        [line] = process.said.splitlines()
        assert line.startswith("Error: ")
        for word in words:
            assert word in line


def test_what_is_no_repository_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    refused(Process(tmp_path, tmp_path / "plain"), Exit.USAGE, str(tmp_path / "plain"), "is not a git repository")
    refused(Process(tmp_path, tmp_path / "nothing"), Exit.USAGE, str(tmp_path / "nothing"), "does not exist")


def test_a_folder_inside_a_repository_is_refused_with_the_top_to_name(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.commit({"apps/web.yaml": app(1)})
    refused(Process(tmp_path, clone.path / "apps"), Exit.USAGE, f"name its top, {clone.path}", "--path")


@pytest.mark.parametrize("branch", ["a..b", "refs/heads/", "x\ny"])
def test_what_can_be_no_branch_is_refused_in_one_line(tmp_path: Path, branch: str) -> None:
    refused(Process(tmp_path, Clone(tmp_path).origin, f"--branch={branch}"), Exit.REFUSED, "cannot be a branch")


def test_a_path_out_of_the_repository_is_refused_in_one_line(tmp_path: Path) -> None:
    refused(Process(tmp_path, Clone(tmp_path).origin, "--path", "../other"), Exit.USAGE, "../other")


def test_rule_3h_a_second_daemon_on_the_same_state_refuses(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    state = tmp_path / "state.db"
    (tmp_path / "second").mkdir()
    with Process(tmp_path, clone.origin, "--state", state).listening() as first:
        refused(Process(tmp_path / "second", clone.origin, "--state", state), Exit.CONFLICT, str(state), "in use by another reconciler")
        assert first.status_of("/healthz") == 200


def test_an_occupied_port_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:{1}".format(*taken.getsockname())
        refused(Process(tmp_path, Clone(tmp_path).origin, "--listen", address), Exit.REFUSED, "address already in use")


def test_a_file_that_is_no_state_is_refused_in_one_line_and_kept(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    state.write_text("notes of a user\n" * 100)
    refused(Process(tmp_path, Clone(tmp_path).origin, "--state", state), Exit.REFUSED, str(state))
    assert state.read_text() == "notes of a user\n" * 100


def test_rule_3g_state_of_a_newer_version_is_refused_in_one_line(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    state = tmp_path / "state.db"
    clone.push({"web.yaml": app(1)})
    with Process(tmp_path, clone.origin, "--state", state).ready() as process:
        process.signal(signal.SIGTERM)
        assert process.ended(5) == Exit.OK
    with sqlite3.connect(state) as db:
        changed = db.execute("""UPDATE objects SET body = replace(body, '"stateVersion":"1"', '"stateVersion":"99"')""").rowcount
    db.close()
    assert changed
    with Process(tmp_path, clone.origin, "--state", state) as process:
        assert process.ended() == Exit.REFUSED
        assert process.said.splitlines()[-1].startswith("Error: the state is of version 99")
        assert "Traceback" not in process.said


def test_a_branch_that_appears_later_is_followed_from_then_on(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"README.md": "nothing of ours"})
    with Process(tmp_path, clone.origin, "--branch", "production").listening() as process:
        process.wait_for(lambda: "refs/heads/production is not in" in process.said, "the missing branch named")
        assert process.status_of("/readyz") == 503
        assert process.status_of("/healthz") == 200
        commit = clone.commit({"web.yaml": config_map_app("web", "1")})
        clone.git("push", "-q", "origin", "HEAD:production")
        process.until("web", synced(commit), "the new branch's application")
        assert value(process) == "1"
        assert "Traceback" not in process.said


class Killed:
    """Pushes, approvals and rollbacks of one application, each followed by kill -9 at a random instant and a new start on the same state."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._chance, self._folder = random.Random(seed), folder
        self._clone = Clone(folder)
        self._clone.push({"README.md": "nothing of ours"})
        self._process = Process(folder, self._clone.origin, "--state", folder / "state.db")
        self.digests: dict[str, set[str]] = {}
        self.decisions: dict[str, list[tuple[str, str]]] = {}
        self.made: list[tuple[str, str]] = []
        self.rollbacks, self.desired, self.promoted = 0, 0, 0

    def push(self) -> None:
        self.desired += 1
        commit = self._act(app(self.desired))
        self._settle(lambda status: status["gate"] and status["desired"]["commit"] == commit, f"{self.desired} at its gate")

    def decide(self, verb: str) -> None:
        gate = self._process.ready().status("web")["gate"]
        commit = self._act(app(self.desired, gate[verb]))
        self.made.append((verb, commit))
        if verb == "continue":
            self.promoted = self.desired
        else:
            self.rollbacks += 1
        self._settle(lambda status: not status["gate"] and status["sync"] == "Synced", f"{verb} done")
        self.desired = self.promoted
        assert value(self._process) == str(self.promoted)

    def play(self, rounds: int) -> None:
        try:
            self.push()
            self.decide("continue")
            for _ in range(rounds):
                self.push()
                self.decide(self._chance.choice(["continue", "rollback"]))
            self._clone.pull()
            self.log = self._clone.git("log", "--format=%an").splitlines()
            self.file = self._clone.read("web.yaml")
            self.status = self._process.status("web")
            self.revisions = self._process.ask("/v1/applications/default/web/revisions")
        finally:
            self._process.kill()

    def _act(self, text: str) -> str:
        """Pushes the text; the daemon dies within 150 ms and is started again."""
        self._process.ready()
        self._clone.pull()
        commit = self._clone.push({"web.yaml": text})
        time.sleep(self._chance.uniform(0, 0.15))  # the instant of the kill; nothing below depends on it
        self._process.kill()
        self._process = Process(self._folder, self._clone.origin, "--state", self._folder / "state.db")
        return commit

    def _settle(self, predicate: Any, what: str) -> None:
        self._process.ready().until("web", predicate, what)
        for run in self._process.ask("/v1/objects?kind=workflowrun"):
            self.decisions[run["metadata"]["uid"]] = [(item["verb"], item["commit"]) for item in run["status"].get("decisions", ())]
        for item in self._process.ask("/v1/applications/default/web/revisions"):
            self.digests.setdefault(item["revision"], set()).add(item["digest"])


@pytest.mark.timeout(240)  # six daemons, one after the other
@pytest.mark.parametrize("seed", range(5))
def test_rule_2_and_9b_kill_9_at_any_instant_changes_nothing(tmp_path: Path, seed: int) -> None:
    killed = Killed(tmp_path, seed)
    killed.play(2)
    assert killed.status["sync"] == "Synced"
    assert f'value: "{killed.promoted}"' in killed.file
    assert killed.log.count("Reconciler") == killed.rollbacks, "a rollback lands one commit"
    assert sorted(decision for run in killed.decisions.values() for decision in run) == sorted(killed.made), "each decision is used once"
    assert {revision: len(digests) for revision, digests in killed.digests.items()} == {
        f"web-v{number}": 1 for number in range(1, len(killed.digests) + 1)
    }
    assert len({item["digest"] for item in killed.revisions}) == len(killed.revisions)

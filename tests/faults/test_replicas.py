"""
Rule 3h with real processes: three replicas, and the one that leads is killed or stopped for twice its lease, under a stream of pushes.

`RECONCILER_PROOF=4`: eight times instead of twice, as many again of each kind, fifteen seconds apart.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from typing import Self

import pytest

from tests.control_plane import Request
from tests.e2e.place import Place
from tests.faults.effects import Receiver
from tests.faults.pushes import Pushes
from tests.integration.process import PATIENCE, Process

PROOF = int(os.environ.get("RECONCILER_PROOF", "1"))
pytestmark = pytest.mark.timeout(300 * PROOF)
LEASE = 3
PAUSE = 2 * LEASE
APART = 15 if PROOF > 1 else 3
WRITES = {"create", "update", "patch", "delete"}


class Replicas:
    """Three daemons of one place, each with an account of its own, so that the audit log tells them apart."""

    def __init__(self, place: Place, receiver: Receiver) -> None:
        self._place, self._receiver, self._stack = place, receiver, ExitStack()
        self._processes: dict[str, Process] = {}
        self._accounts = {name: place.account(name) for name in ("one", "two", "three")}

    def __enter__(self) -> Self:
        for name in self._accounts:
            self.start(name)
        for process in self._processes.values():
            process.ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, name: str) -> None:
        place = self._place
        place.kubeconfig = place.plane.kubeconfig_for(place.folder / f"{name}.kubeconfig", self._accounts[name])
        words = ("--lease-duration", f"{LEASE}s", "--identity", name, "--allow-egress", self._receiver.address)
        self._processes[name] = self._stack.enter_context(place.daemon(*words)).listening()

    def leader(self) -> str:
        """Who says that it leads; waits for one."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for name, process in self._processes.items():
                with suppress(OSError, HTTPException):
                    if process.alive and process.ask("/v1/leader")["leads"]:
                        return name
            time.sleep(0.05)
        raise AssertionError(f"nobody leads: { {name: process.said[-2000:] for name, process in self._processes.items()} }")

    def kill(self) -> None:
        name = self.leader()
        self._processes[name].kill()
        assert self.leader() != name
        self.start(name)

    def stop_for_a_while(self) -> datetime:
        """Answers when it went on."""
        name = self.leader()
        process = self._processes[name]
        process.signal(signal.SIGSTOP)
        time.sleep(PAUSE)
        process.signal(signal.SIGCONT)
        went_on = datetime.now(UTC)
        assert process.ended() == 5, "it found that another one leads"
        self.start(name)
        return went_on

    def until(self, ask: Callable[[Process], bool], what: str) -> None:
        """Asks whoever leads until the answer is true."""
        end = time.monotonic() + 2 * PATIENCE
        while True:
            with suppress(OSError, HTTPException):
                if ask(self._processes[self.leader()]):
                    return
            assert time.monotonic() < end, f"never came: {what}\n{self._processes[self.leader()].ask('/v1/applications')}"
            time.sleep(0.1)


def test_rule_3h_whoever_leads_and_dies_or_stands_still_all_is_done_once_and_ends_at_the_newest(place: Place, receiver: Receiver):
    pushes, pauses = Pushes(place, receiver), []
    place.clone.push({"README.md": "Nothing yet.\n"})
    with Replicas(place, receiver) as replicas, pushes.going_on():
        for turn in range(2 * PROOF):
            time.sleep(APART)
            if turn % 2 == 0:
                replicas.kill()
            else:
                pauses.append(replicas.stop_for_a_while())
        pushes.end()
        replicas.until(lambda daemon: all(place.value(name) == value for name, value in pushes.values.items()), "every application at its newest")
        replicas.until(lambda daemon: all(phase(daemon, name) == "Succeeded" for name in pushes.flows), "every workflow at its end")
    assert len(pushes.flows) > 2
    assert receiver.counts == {f"/{name}/{step}": 1 for name in pushes.flows for step in "abc"}
    assert place.deletions() == []
    check_epochs(place, pauses)


def phase(daemon: Process, name: str) -> str:
    return str((daemon.status(name).get("run") or {}).get("phase", ""))


def check_epochs(place: Place, pauses: list[datetime]) -> None:
    """
    Nobody writes while another one leads, but for what was on its way when the process was stopped: at most one write each time, as soon as it
    went on (docs/replicas.md says why none is not to be had).
    """
    spaces = {place.namespace, place.home}
    done = [one for one in place.plane.audited() if one.user.startswith(f"system:serviceaccount:{place.home}:") and one.code < 300]
    holder, epochs, late = "", [], []
    for one in sorted((one for one in done if one.verb in WRITES and one.namespace in spaces and one.resource != "events"), key=at):
        if one.resource == "leases":
            if one.user != holder:
                epochs.append(one.user)
            holder = one.user
        elif one.user != holder:
            late.append(one)
    assert len(epochs) >= 1 + 2 * PROOF, "the lead changed as often as a leader was lost"
    assert len(late) <= len(pauses)
    assert all(any(timedelta(0) <= at(one) - went_on < timedelta(seconds=1) for went_on in pauses) for one in late), late


def at(request: Request) -> datetime:
    return datetime.fromisoformat(request.at)

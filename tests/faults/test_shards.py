"""
Three shards with real processes, each killed in turn, under a stream of pushes that move applications among them: who acts for an application
is one daemon at any time (rules 3d and 9a).

`RECONCILER_PROOF=4`: twelve deaths instead of three, fifteen seconds apart.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from http.client import HTTPException
from itertools import pairwise
from typing import Self

import pytest

from tests.control_plane import Request
from tests.e2e.place import Place
from tests.faults.effects import Receiver
from tests.faults.pushes import Pushes
from tests.integration.process import PATIENCE, Process

PROOF = int(os.environ.get("RECONCILER_PROOF", "1"))
pytestmark = pytest.mark.timeout(240 * PROOF)
APART = 15 if PROOF > 1 else 3
SHARDS = ("", "a", "b")


class Shards:
    """A daemon of each shard, each with an account of its own."""

    def __init__(self, place: Place, receiver: Receiver) -> None:
        self._place, self._receiver, self._stack = place, receiver, ExitStack()
        self._accounts = {shard: place.account(f"shard-{shard or 'none'}") for shard in SHARDS}
        self.processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        for shard in SHARDS:
            self.start(shard)
        self.until_leading()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, shard: str) -> None:
        place = self._place
        place.kubeconfig = place.plane.kubeconfig_for(place.folder / f"shard-{shard}.kubeconfig", self._accounts[shard])
        words = ["--allow-egress", self._receiver.address, *(["--shard", shard] if shard else [])]
        self.processes[shard] = self._stack.enter_context(place.daemon(*words))

    def until_leading(self) -> None:
        for process in self.processes.values():
            if not process.url:
                process.listening()
            process.wait_for(lambda process=process: process.ask("/v1/leader")["leads"], "the lead")

    def until_settled(self, pushes: Pushes) -> None:
        """Every application runs its newest under the shard that git names, every workflow has ended, and each daemon shows all of that."""
        end = time.monotonic() + 2 * PATIENCE
        while left := [shard or "none" for shard, process in self.processes.items() if not settled(process, pushes)]:
            assert time.monotonic() < end, f"not settled for {left}: {self.processes[''].ask('/v1/applications')}"
            time.sleep(0.1)


def settled(daemon: Process, pushes: Pushes) -> bool:
    with suppress(OSError, HTTPException):
        shown = {item["application"]: item for item in daemon.ask("/v1/applications")}
        if not pushes.shard.keys() <= shown.keys():
            return False
        ended = all((shown[name].get("run") or {}).get("phase") == "Succeeded" for name in pushes.flows)
        return ended and all((shown[name]["shard"], shown[name]["sync"]) == (shard, "Synced") for name, shard in pushes.shard.items())
    return False


def test_rule_9a_whichever_shard_dies_while_applications_move_each_ends_at_the_newest_and_one_daemon_acts_for_it(
    place: Place, receiver: Receiver
) -> None:
    pushes = Pushes(place, receiver, SHARDS)
    place.clone.push({"README.md": "Nothing yet.\n"})
    with Shards(place, receiver) as shards, pushes.going_on():
        for turn in range(3 * PROOF):
            time.sleep(APART)
            shard = SHARDS[turn % len(SHARDS)]
            shards.processes[shard].kill()
            shards.start(shard)
            shards.until_leading()
        pushes.end()
        shards.until_settled(pushes)
    assert len(pushes.flows) > 2
    assert receiver.counts == {f"/{name}/{step}": 1 for name in pushes.flows for step in "abc"}
    assert {name: place.value(name) for name in pushes.values} == pushes.values
    assert place.deletions() == []
    moves = {name: check_owners(place, name) for name in pushes.shard}
    assert sum(moves.values()) >= 2 * len(SHARDS), ("they did move", moves)


def check_owners(place: Place, name: str) -> int:
    """Between two hand-overs all that is written of an application is written by one. Answers how many hand-overs there were."""
    writers: list[set[str]] = [set()]
    for one in sorted(written(place, name), key=lambda one: one.at):
        writers[-1].add(one.user)
        if (one.verb, one.resource) == ("update", "applications"):  # what is not its status: the label alone
            writers.append(set())
    assert all(len(who) == 1 for who in writers[:-1]), (name, writers)
    assert len(writers[-1]) <= 1, (name, writers)
    assert all(before != after for before, after in pairwise(writers)), "who hands it over is not who takes it"
    return len(writers) - 1


def written(place: Place, name: str) -> list[Request]:
    """What daemons wrote of an application and of its objects."""
    found = []
    for one in place.done_by_daemons("create", "update", "patch", "delete"):
        what = one.name.removeprefix(f"{place.namespace}.")
        if what == name or what.startswith(f"{name}-"):
            found.append(one)
    return found

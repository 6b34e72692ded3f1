"""
Rules 2, 3d and 9: the daemon is killed at every write that it makes, and what comes of it is what comes of it without.

`RECONCILER_PROOF=N`, N over 1: at more places.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.request import urlopen

import pytest

from reconciler.dialects.words import STEPFLOW_RUN
from reconciler.model.run import FINAL, Phase
from tests.integration.harness import Clone
from tests.integration.receiver import Receiver, Told, receiving

PROOF = int(os.environ.get("RECONCILER_PROOF", "1"))
PATIENCE = 50.0 * min(PROOF, 3)
LAST = f"flow {STEPFLOW_RUN[Phase.ROLLED_BACK]}"
# The number of the write in each life at which it dies, and whether that write landed.
DEATHS = [(4, True), (5, False)] + [
    (write, landed) for write in range(1, PROOF + 2) for landed in (True, False) if PROOF > 1 and (write > 1 or landed)
]


class Daemons:
    """One daemon after the other on one repository and one state file."""

    def __init__(self, folder: Path, clone: Clone, port: int, write: int, landed: bool) -> None:
        self._log = folder / "daemons.log"
        script = Path(__file__).parent / "dying.py"
        options = ["--state", folder / "state.db", "--listen", "127.0.0.1:0", "--speed", "1000", "--poll-interval", "1"]
        command = [sys.executable, script, str(write), "landed" if landed else "lost", clone.origin, *options, "--allow-egress", f"127.0.0.1:{port}"]
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("RECONCILER_", "GIT_"))}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                list(map(str, command)), stdout=log, stderr=log, env={**environ, "XDG_STATE_HOME": str(folder)}, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def deaths(self) -> int:
        return self._log.read_text().split("\n").count("died")

    def ask(self, path: str) -> Any:
        """The answer of the daemon that lives now; None where none does, or dies meanwhile."""
        mark = "read API and metrics: "
        said = [line for line in self._log.read_text().split("\n") if line.startswith(mark)]
        try:
            with urlopen(said[-1].removeprefix(mark).split()[0] + path, timeout=5) as answer:  # its own loopback address
                return json.load(answer)
        except (OSError, IndexError, ValueError):
            return None

    def wait_for(self, predicate: Callable[[], Any], what: str) -> Any:
        end = time.monotonic() + PATIENCE
        while not (value := predicate()):
            assert self._process.poll() is None, f"ended before {what}:\n{self._log.read_text()[-4000:]}"
            assert time.monotonic() < end, f"never came: {what}\n{self._log.read_text()[-4000:]}\n{self.ask('/v1/applications')}"
            time.sleep(0.02)
        return value

    def status(self, name: str) -> dict[str, Any]:
        found = [item for item in self.ask("/v1/applications") or [] if item["application"] == name]
        return found[0] if found else {}

    def ends(self) -> dict[str, str]:
        """How the runs of both applications ended; empty while they have not, or nobody answers."""
        found = {item["application"]: (item.get("run") or {}).get("phase", "") for item in self.ask("/v1/applications") or []}
        return found if len(found) == 2 and all(phase in FINAL for phase in found.values()) else {}


def step(name: str, kind: str, *after: str, **parameters: str) -> str:
    retry = {"runRetryLimit": 3, "runRetryPeriodSeconds": 0, "rollbackRetryLimit": 3, "rollbackRetryPeriodSeconds": 0}
    needs = [{"name": other, "phase": "Success"} for other in after]
    return json.dumps({"name": name, "dependOns": needs, "stepTemplate": {"type": kind, "parameters": parameters, "retryPolicy": retry}})


def flow(url: str) -> str:
    """Ten steps: one is refused at first, one undoing is, and the last one fails for good, so that all is undone."""

    def http(name: str, *after: str) -> str:
        return step(name, "http", *after, url=f"{url}/{name}", body=name, rollbackUrl=f"{url}/undo-{name}", rollbackMethod="POST", rollbackBody=name)

    def apply(name: str, *after: str) -> str:
        return step(name, "apply", *after, manifest=json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}))

    steps = [
        http("a"),
        apply("b", "a"),
        http("c", "a"),
        step("d", "sleep", "b", "c", seconds="0"),
        apply("e", "d"),
        http("f", "e"),
        step("g", "random", "f", result="success"),
        http("h", "g"),
        apply("i", "h"),
        step("j", "fail", "i", retryable="false"),
    ]
    lines = ["apiVersion: workflow.example.com/v1alpha1", "kind: Workflow", "metadata: {name: flow}", "spec:"]
    return "\n".join([*lines, f"  callback: {{url: '{url}/hook'}}", "  steps:", *(f"  - {item}" for item in steps)]) + "\n"


GATED = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: gated, annotations: {%s}}
spec:
  components:
    - {name: first, type: k8s-objects, properties: {objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: gated-first}}]}}
    - {name: second, type: k8s-objects, properties: {objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: gated-second}}]}}
  workflow:
    steps:
      - {name: one, type: apply-component, properties: {component: first}}
      - {name: pause, type: suspend, properties: {duration: 1s}}
      - {name: approve, type: suspend}
      - {name: two, type: apply-component, properties: {component: second}}
"""


class Outcome(NamedTuple):
    """`requests`: what was asked for, without the parts of a key that differ from one cluster to the next, and how often."""

    phases: dict[str, str]
    requests: Counter[tuple[str, str, bytes]]
    objects: set[str]
    deaths: int


def play(receiver: Receiver, folder: Path, write: int, landed: bool) -> Outcome:
    clone = Clone(folder)
    clone.push({"flow.yaml": flow(f"http://127.0.0.1:{receiver.port}"), "gated.yaml": GATED % ""})
    with Daemons(folder, clone, receiver.port, write, landed) as daemons:
        gate = daemons.wait_for(lambda: daemons.status("gated").get("gate"), "the gate")
        while gate["step"] != "approve":
            gate = daemons.wait_for(lambda: daemons.status("gated").get("gate"), "the second gate")
        clone.push({"gated.yaml": GATED % json.dumps({gate["key"]: gate["continue"]})[1:-1]}, "Approve")
        phases = daemons.wait_for(daemons.ends, "both are over")
        daemons.wait_for(lambda: any(told.path == "/hook" and told.about == LAST for told in list(receiver.told)), "it is told")
        objects = daemons.wait_for(lambda: daemons.ask("/v1/objects?kind=configmap&namespace=default"), "objects")
        return Outcome(phases, Counter(map(place, list(receiver.told))), {item["metadata"]["name"] for item in objects}, daemons.deaths)


def place(told: Told) -> tuple[str, str, bytes]:
    return told.path, told.key.partition("/")[2], told.body


def first_refuses() -> Callable[[list[Told]], int]:
    """The first request to `/c` and the first that undoes `f` are answered with 503."""
    refused: set[str] = set()

    def answer(told: list[Told]) -> int:
        path = told[-1].path
        if path in ("/c", "/undo-f") and path not in refused:
            refused.add(path)
            return 503
        return 200

    return answer


async def outcome(folder: Path, write: int = 0, landed: bool = True) -> Outcome:
    folder.mkdir()
    async with receiving() as receiver:
        receiver.answer = first_refuses()
        return await asyncio.to_thread(play, receiver, folder, write, landed)


@pytest.mark.timeout(240 * min(PROOF, 3))  # a daemon's life for each kill
@pytest.mark.parametrize(("write", "landed"), DEATHS, ids=[f"{'after' if landed else 'before'}-write-{write}" for write, landed in DEATHS])
async def test_rule_9b_killed_at_every_write_of_its_lives_it_comes_to_the_same_under_the_same_keys(tmp_path: Path, write: int, landed: bool) -> None:
    calm, killed = await asyncio.gather(outcome(tmp_path / "calm"), outcome(tmp_path / "killed", write, landed))
    assert calm.deaths == 0
    assert killed.deaths >= 30 // write, "it died often enough to have died everywhere"
    assert killed.phases == calm.phases == {"flow": "RolledBack", "gated": "Succeeded"}
    assert killed.objects == calm.objects == {"gated-first", "gated-second"}
    once = {asked: count for asked, count in calm.requests.items() if asked[0] not in ("/c", "/undo-f")}
    assert set(once.values()) == {1}, "without a crash one request each"
    assert {asked[:2] for asked in killed.requests} == {asked[:2] for asked in calm.requests}
    keys = {key: body for _, key, body in killed.requests}
    assert len(keys) == len(killed.requests), "under one key always the same body"

"""
Rules 2, 3d and 9 on a real API server: the daemon dies at a write of the test's choice, its clock is wrong, or etcd stands still.

`RECONCILER_PROOF=N`, N over 1: at more places, and for longer.
"""

import os
import signal
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.e2e.place import Place, config_map_app
from tests.faults.effects import Receiver, flow
from tests.faults.proxy import Call, Fault, Proxy
from tests.integration.process import PATIENCE, Process

PROOF = int(os.environ.get("RECONCILER_PROOF", "1"))
pytestmark = pytest.mark.timeout(240 * PROOF)
SKEWED = Path(__file__).parent / "skewed.py"
# The number of the write to a run in each life at which the daemon dies, and whether that write landed. What follows an effect is such a
# write: where it is lost, the effect is done again.
DEATHS = [(2, True), (2, False)] + [(write, landed) for write in range(3, 2 + PROOF) for landed in (True, False)]
GATED = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{name: shop, namespace: {namespace}}}
spec:
  components:
  - name: shop
    type: k8s-objects
    properties: {{objects: [{{apiVersion: v1, kind: ConfigMap, metadata: {{name: shop}}, data: {{value: '{value}'}}}}]}}
  workflow:
    steps:
    - {{name: wait, type: suspend, properties: {{duration: 1h}}}}
    - {{name: go, type: apply-component, properties: {{component: shop}}}}
"""


def runs(place: Place) -> list[str]:
    return sorted(each["metadata"]["name"].rpartition(".")[2] for each in place.state("workflowruns"))


def phase(daemon: Process, name: str) -> str:
    return str((daemon.status(name).get("run") or {}).get("phase", ""))


@pytest.mark.parametrize(("write", "landed"), DEATHS)
def test_a_daemon_that_is_killed_at_a_write_again_and_again_does_everything_once(
    place: Place, proxy: Proxy, receiver: Receiver, write: int, landed: bool
):
    place.clone.push({"flow.yaml": flow(place.namespace, receiver.address), "shop.yaml": config_map_app(place.namespace, "shop", "one", "two")})
    deaths = 0
    while live(place, proxy, receiver, write, landed=landed):
        deaths += 1
        assert deaths < 40
    assert deaths > 1
    assert landed or receiver.requests > 3, "an effect was done again"
    assert receiver.counts == {"/flow/a": 1, "/flow/b": 1, "/flow/c": 1}
    assert runs(place) == ["flow-v1-1", "shop-v1-1"]
    assert [place.value("shop"), place.value("two")] == ["one", "one"]
    assert place.deletions() == []


def live(place: Place, proxy: Proxy, receiver: Receiver, write: int, *, landed: bool) -> bool:
    """One life: whether it ended by death. Else all is done."""
    count = 0

    def counts(call: Call) -> bool:
        nonlocal count
        counted = call.writes and call.plural == "workflowruns"
        count += counted
        return counted and count == write

    with place.daemon("--allow-egress", receiver.address) as daemon:
        fault = Fault(counts, lost=landed, status=0 if landed else 503, hook=lambda: daemon.signal(signal.SIGKILL))
        end = time.monotonic() + PATIENCE
        with proxy.having(fault):
            while daemon.alive:
                assert time.monotonic() < end, daemon.said
                with suppress(OSError, HTTPException, AssertionError):  # it may die while it is asked
                    if settled(daemon if daemon.url else daemon.listening()):
                        return False
                time.sleep(0.02)
        return True


def settled(daemon: Process) -> bool:
    return [phase(daemon, "flow"), phase(daemon, "shop")] == ["Succeeded", "Succeeded"]


def test_rule_9c_a_wrong_clock_opens_a_timer_early_or_late_and_never_twice(place: Place):
    def write(value: str) -> None:
        place.clone.push({"shop.yaml": GATED.format(namespace=place.namespace, value=value)})

    def program(seconds: int) -> tuple[Path | str, ...]:
        return SKEWED, str(seconds)

    write("first")
    with place.daemon() as daemon:
        daemon.ready().wait_for(lambda: phase(daemon, "shop") == "Waiting", "the timer runs")
    assert place.value("shop") == ""
    with place.daemon(program=program(7200)) as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "two hours ahead, it is over")
    assert place.value("shop") == "first"
    with place.daemon(program=program(-7200)) as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "two hours behind, it stays so")
        assert runs(place) == ["shop-v1-1"]
        write("second")
        daemon.wait_for(lambda: "shop-v2-1" in runs(place) and phase(daemon, "shop") == "Waiting", "the timer of the next run")
    assert place.value("shop") == "first"
    with place.daemon() as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced" and place.value("shop") == "second", "by a right clock it is over")
    assert runs(place) == ["shop-v1-1", "shop-v2-1"]


def test_what_is_pushed_while_etcd_stands_still_or_dies_arrives_afterwards_once(own_control_plane, tmp_path: Path, receiver: Receiver):
    own_control_plane.api("POST", "/api/v1/namespaces", {"metadata": {"name": "apps"}})
    with Place(own_control_plane, "apps", tmp_path) as place:
        place.clone.push({"shop.yaml": config_map_app("apps", "shop", "first")})
        with place.daemon("--allow-egress", receiver.address) as daemon:
            daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "synced")
            etcd = own_control_plane.process("etcd")
            etcd.signal(signal.SIGSTOP)
            place.clone.push({"shop.yaml": config_map_app("apps", "shop", "second"), "flow.yaml": flow("apps", receiver.address)})
            time.sleep(min(3 * PROOF, 60))  # so long it stands still
            etcd.signal(signal.SIGCONT)
            daemon.wait_for(lambda: phase(daemon, "flow") == "Succeeded", "the workflow goes through")
            etcd.signal(signal.SIGKILL)
            place.clone.push({"shop.yaml": config_map_app("apps", "shop", "third")})
            daemon.until("shop", lambda status: status["sync"] == "Synced" and status["running"]["revision"] == "shop-v3", "the newest arrives")
            assert place.value("shop") == "third"
        assert receiver.counts == {"/flow/a": 1, "/flow/b": 1, "/flow/c": 1}
        assert runs(place) == ["flow-v1-1", "shop-v1-1", "shop-v2-1", "shop-v3-1"]
        assert place.deletions() == []

"""The control plane that the other tests here stand on: workloads move on it, pods fare as they are told, and it comes and goes whole."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.control_plane.layout import Layout
from scripts.control_plane.processes import Identity
from tests.control_plane import SCRIPT, ControlPlane, RefusedError

PATIENCE = 50.0
MAPS = "/api/v1/namespaces/default/configmaps"


def template(**annotations: str) -> dict:
    keys = {f"controlplane.test/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {"metadata": {"labels": {"app": "web"}, "annotations": keys}, "spec": {"containers": [{"name": "main", "image": "shop:1"}]}}


def workload(kind: str, replicas: int, pod: dict, **spec: object) -> dict:
    return {
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": pod, **spec},
        "kind": kind,
    }


def pods(plane: ControlPlane, namespace: str) -> list[dict]:
    return plane.api("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]


def waiting_reason(pod: dict) -> str:
    states = [status["state"] for status in pod.get("status", {}).get("containerStatuses", [])]
    return next((state["waiting"]["reason"] for state in states if "waiting" in state), "")


def condition(pod: dict, kind: str = "Ready") -> str:
    return next((each["status"] for each in pod.get("status", {}).get("conditions", []) if each["type"] == kind), "")


def test_a_stateful_set_with_a_partition_replaces_the_pods_from_there_on(control_plane, namespace):
    path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets"
    control_plane.api("POST", path, workload("StatefulSet", 3, template(), serviceName="web"))
    control_plane.until(lambda: control_plane.api("GET", f"{path}/web")["status"].get("readyReplicas") == 3, "three ready pods")
    changed = {
        "spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}, "template": {"spec": {"containers": [{"name": "main", "image": "shop:2"}]}}}
    }
    control_plane.api("PATCH", f"{path}/web", changed, kind="application/strategic-merge-patch+json")

    def images() -> dict[str, str]:
        return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in pods(control_plane, namespace) if condition(pod) == "True"}

    control_plane.until(lambda: images() == {"web-0": "shop:1", "web-1": "shop:1", "web-2": "shop:2"}, "only the last pod changes")


@pytest.mark.parametrize(("fare", "reason"), [("image-pull-back-off", "ImagePullBackOff"), ("crash-loop", "CrashLoopBackOff")])
def test_a_pod_that_is_told_to_fails_for_that_reason(control_plane, namespace, fare, reason):
    control_plane.api("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", workload("Deployment", 1, template(pod=fare)))
    control_plane.until(lambda: [waiting_reason(pod) for pod in pods(control_plane, namespace)] == [reason], reason)
    events = f"/api/v1/namespaces/{namespace}/events?fieldSelector=type=Warning"
    control_plane.until(lambda: control_plane.api("GET", events)["items"], "an event that says so")


def test_a_pod_that_is_told_to_runs_and_is_never_ready(control_plane, namespace):
    control_plane.api("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", workload("Deployment", 1, template(pod="never-ready")))
    control_plane.until(
        lambda: [(pod["status"]["phase"], condition(pod)) for pod in pods(control_plane, namespace)] == [("Running", "False")], "running"
    )


def test_a_slow_pod_is_ready_only_after_its_time_and_stops_slowly(control_plane, namespace):
    control_plane.api(
        "POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", workload("Deployment", 1, template(ready_after="2s", stop_after="1h"))
    )
    scheduled = control_plane.until(
        lambda: [pod for pod in pods(control_plane, namespace) if condition(pod, "PodScheduled") == "True"], "a pod on the node"
    )
    assert condition(scheduled[0]) != "True"
    ready = control_plane.until(lambda: [pod for pod in pods(control_plane, namespace) if condition(pod) == "True"], "ready in the end")
    control_plane.api("DELETE", f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
    name = ready[0]["metadata"]["name"]
    control_plane.until(
        lambda: "deletionTimestamp" in control_plane.api("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")["metadata"], "it stops"
    )
    control_plane.api("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}", {"gracePeriodSeconds": 0})


@pytest.mark.parametrize(("fare", "counter"), [("", "succeeded"), ("fail", "failed")])
def test_the_pod_of_a_job_ends_as_it_is_told(control_plane, namespace, fare, counter):
    pod = template(pod=fare)
    pod["spec"]["restartPolicy"] = "Never"
    control_plane.api(
        "POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", {"metadata": {"name": "once"}, "spec": {"backoffLimit": 0, "template": pod}}
    )
    control_plane.until(lambda: control_plane.api("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs/once")["status"].get(counter) == 1, counter)


def test_a_service_account_of_a_test_may_do_what_its_rules_say_and_no_more(control_plane, namespace):
    token = control_plane.account(namespace, "clerk", [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}])
    maps = f"/api/v1/namespaces/{namespace}/configmaps"

    def made() -> bool:
        try:
            control_plane.api("POST", maps, {"metadata": {"name": "one"}}, token=token)
        except RefusedError as error:  # who decides about it hears of a new role a moment later
            if error.code != 403:
                raise
            return False
        return True

    control_plane.until(made, "what is allowed")
    with pytest.raises(RefusedError, match=r"403 Forbidden: .* cannot list"):
        control_plane.api("GET", maps, token=token)
    if not os.environ.get("TEST_KUBECONFIG"):
        mine = [request for request in control_plane.audited() if request.namespace == namespace and request.user.endswith(":clerk")]
        assert (mine[-1].verb, mine[-1].resource, mine[-1].code) == ("list", "configmaps", 403)
        assert any((request.verb, request.resource, request.name, request.code) == ("create", "configmaps", "one", 201) for request in mine)


def test_a_part_that_is_killed_comes_back_with_what_it_knew_and_nothing_outlives_the_whole(own_control_plane):
    own_control_plane.api("POST", MAPS, {"metadata": {"name": "kept"}})
    killed = own_control_plane.process("etcd")
    killed.signal(signal.SIGKILL)
    own_control_plane.until(lambda: own_control_plane.process("etcd") != killed, "etcd is started again")

    def answers() -> bool:
        try:
            return own_control_plane.get(f"{MAPS}/kept") is not None
        except (OSError, RefusedError):
            return False

    own_control_plane.until(answers, "what was stored")
    before = processes(own_control_plane.folder)
    assert len(before) == 6
    before["supervisor"].signal(signal.SIGKILL)
    gone(before)


def test_it_goes_on_with_what_was_there_and_ends_with_the_process_that_it_follows(own_control_plane):
    own_control_plane.api("POST", MAPS, {"metadata": {"name": "kept"}})
    again = subprocess.run([sys.executable, SCRIPT, "up", own_control_plane.folder], check=False, capture_output=True, text=True)
    assert (again.returncode, "runs in" in again.stderr) == (1, True)
    before = processes(own_control_plane.folder)
    subprocess.run([sys.executable, SCRIPT, "down", own_control_plane.folder], check=True)
    assert not [name for name, process in before.items() if process.alive]
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    command = [sys.executable, SCRIPT, "up", own_control_plane.folder, "--follow", str(owner.pid)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == f"{own_control_plane.folder / 'kubeconfig'}\n"
    assert own_control_plane.get(f"{MAPS}/kept")
    before = processes(own_control_plane.folder)
    owner.kill()
    owner.communicate()
    gone(before)


def processes(folder: Path) -> dict[str, Identity]:
    return {name: Identity(**each) for name, each in json.loads(Layout(folder).processes.read_text()).items()}


def gone(known: dict[str, Identity]) -> None:
    end = time.monotonic() + PATIENCE
    while left := [name for name, process in known.items() if process.alive]:
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.05)

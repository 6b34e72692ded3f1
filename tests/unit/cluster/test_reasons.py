"""Why a pod is not ready, from pods and Events as kubelets and controllers write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cluster.reasons import LONGEST, clean, explain_events, explain_pod, explain_pods

MASKED = "never told"


def pod(*containers, phase="Pending", init=(), name="web-1", conditions=(), spec=None, **status):
    return {
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "spec": {"nodeName": "n1", "containers": [{"name": "web", "image": "shop:1"}]} | (spec or {}),
        "status": {
            "phase": phase,
            "containerStatuses": list(containers),
            "initContainerStatuses": list(init),
            "conditions": [{"type": kind, "status": value} | more for kind, value, more in conditions],
        }
        | status,
    }


def container(state, last=None, name="web", **more):
    return {"name": name, "image": "shop:1", "ready": False, "state": state, "lastState": last or {}} | more


def waiting(reason, message="", last=None, **more):
    return container({"waiting": {"reason": reason, "message": message}}, last, **more)


def ended(code, reason="Error", **more):
    return {"terminated": {"exitCode": code, "reason": reason, "message": MASKED, **more}}


def event(reason, message, kind="Warning", last="2026-01-01T00:00:00Z", name="web-1", **more):
    return {"type": kind, "reason": reason, "message": message, "lastTimestamp": last, "involvedObject": {"uid": f"uid-{name}", **more}}


RUNNING = container({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
HTTP = {"containers": [{"name": "web", "image": "shop:1", "readinessProbe": {"httpGet": {"path": "/ready"}}}]}
EXEC = {"containers": [{"name": "web", "image": "shop:1", "readinessProbe": {"exec": {"command": ["check"]}}}]}


@pytest.mark.parametrize(
    ("expected", "obj"),
    [
        (
            "container web: ImagePullBackOff: image shop:1: not found",
            pod(waiting("ImagePullBackOff", 'Back-off pulling image "shop:1": ErrImagePull: not found')),
        ),
        (
            "container web: ErrImagePull: image shop:1: the registry refuses it (is an imagePullSecret missing?)",
            pod(waiting("ErrImagePull", "rpc error: code = Unknown desc = failed to authorize: 401 Unauthorized")),
        ),
        ("container web: ErrImagePull: image shop:1: no such registry", pod(waiting("ErrImagePull", "dial tcp: lookup r.example: no such host"))),
        ("container web: ErrImagePull: disk is full", pod(waiting("ErrImagePull", "rpc error: code = Internal desc = disk is full"))),
        (
            "container web: CrashLoopBackOff: it ended with exit code 137 (OOMKilled)",
            pod(waiting("CrashLoopBackOff", "back-off 10s", ended(137, "OOMKilled"))),
        ),
        ("container web: CrashLoopBackOff: it ended with exit code 3", pod(waiting("CrashLoopBackOff", "back-off 10s", ended(3)))),
        ("container web: CrashLoopBackOff: it ended with signal 9", pod(waiting("CrashLoopBackOff", "", ended(0, signal=9)))),
        ("container web: CrashLoopBackOff", pod(waiting("CrashLoopBackOff", "back-off 10s"))),
        (
            "container web: CreateContainerConfigError: couldn't find key password in Secret shop/db",
            pod(waiting("CreateContainerConfigError", "couldn't find key password in Secret shop/db")),
        ),
        ("container web: ended with exit code 1", pod(container(ended(1)), phase="Failed")),
        ("container web: ended with exit code 1 and is started again", pod(container({}, ended(1)), phase="Running")),
        ("container web: runs and is not ready, after it ended with exit code 2", pod(container({"running": {}}, ended(2)), phase="Running")),
        ("container web: runs and is not ready", pod(RUNNING, phase="Running")),
        ("init container load: has not finished yet", pod(waiting("PodInitializing"), init=[container({"running": {}}, name="load")])),
        (
            "init container load: CrashLoopBackOff: it ended with exit code 1",
            pod(waiting("PodInitializing"), init=[waiting("CrashLoopBackOff", "", ended(1), name="load")]),
        ),
        (
            "init container mesh: runs and is not ready",
            pod(
                waiting("PodInitializing"),
                init=[container({"running": {}}, name="mesh")],
                spec={"initContainers": [{"name": "mesh", "restartPolicy": "Always"}]},
            ),
        ),
        (
            "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.",
            pod(conditions=[("PodScheduled", "False", {"reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient cpu."})]),
        ),
        ("SchedulingGated: held", pod(conditions=[("PodScheduled", "False", {"reason": "SchedulingGated", "message": "held"})])),
        ("Evicted: The node was low on resource: memory.", pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")),
        (
            "the readiness gate example.org/lb is not passed",
            pod(
                RUNNING | {"ready": True},
                phase="Running",
                conditions=[("ContainersReady", "True", {}), ("Ready", "False", {})],
                spec={"readinessGates": [{"conditionType": "example.org/lb"}]},
            ),
        ),
        ("a pod has not been started yet", pod()),
    ],
)
def test_a_pod_that_is_not_ready_says_why(expected, obj):
    told, _ = explain_pods("Deployment", [obj])
    assert told == expected


@pytest.mark.parametrize(
    "obj",
    [
        pod(RUNNING | {"ready": True}, phase="Running", conditions=[("Ready", "True", {})]),
        pod(container(ended(0, "Completed")), phase="Succeeded"),
        pod(waiting("ErrImagePull")) | {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
    ],
    ids=["ready", "done", "being deleted"],
)
def test_a_pod_that_is_well_or_goes_away_is_no_reason(obj):
    assert explain_pod(obj) is None
    assert explain_pods("Deployment", [obj]) == ("", "")


@pytest.mark.parametrize(
    ("expected", "obj", "events"),
    [
        (
            'FailedMount: MountVolume.SetUp failed for volume "db" : secret "db" not found',
            pod(waiting("ContainerCreating")),
            [event("FailedMount", 'MountVolume.SetUp failed for volume "db" : secret "db" not found')],
        ),
        (
            "container web: its readiness probe fails: HTTP probe failed with statuscode: 503",
            pod(RUNNING, phase="Running", spec=HTTP),
            [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")],
        ),
        (
            "container web: its readiness probe fails: its command failed",
            pod(RUNNING, phase="Running", spec=EXEC),
            [event("Unhealthy", f"Readiness probe failed: {MASKED}")],
        ),
        (
            "container web: its liveness probe fails: dial tcp 10.1.1.1:80: connect: connection refused",
            pod(RUNNING, phase="Running", spec=HTTP),
            [
                event("Unhealthy", "Readiness probe failed: old"),
                event("Unhealthy", "Liveness probe failed: dial tcp 10.1.1.1:80: connect: connection refused", last="2026-01-01T00:01:00Z"),
            ],
        ),
        (
            "container web: runs and is not ready",
            pod(RUNNING, phase="Running", spec=HTTP),
            [
                event("Unhealthy", "Readiness probe failed: other", fieldPath="spec.containers{other}"),
                event("Unhealthy", "another pod", name="web-2"),
            ],
        ),
        (
            "container web: ImagePullBackOff: image shop:1: not found",
            pod(waiting("ImagePullBackOff", 'Back-off pulling image "shop:1"')),
            [event("Failed", 'Failed to pull image "shop:1": manifest unknown')],
        ),
        (
            "container web: ImagePullBackOff: image shop:1",
            pod(waiting("ImagePullBackOff", 'Back-off pulling image "shop:1"')),
            [event("Failed", "Error: ImagePullBackOff")],
        ),
    ],
)
def test_the_events_of_a_pod_say_what_its_status_does_not(expected, obj, events):
    _, uid = explain_pods("Deployment", [obj])
    assert uid == "uid-web-1", "its Events are asked for"
    assert explain_pods("Deployment", [obj], events) == (expected, "")


def test_what_is_known_from_the_status_asks_for_no_events():
    assert explain_pods("Deployment", [pod(waiting("CrashLoopBackOff", "", ended(1)))])[1] == ""


def test_of_many_pods_the_one_whose_reason_says_most_is_told():
    pods = [
        pod(RUNNING | {"ready": True}, phase="Running", conditions=[("Ready", "True", {})], name="web-0"),
        pod(waiting("ContainerCreating"), name="web-1"),
        pod(waiting("CrashLoopBackOff", "", ended(1)), name="web-2"),
        pod(RUNNING, phase="Running", name="web-3"),
    ]
    assert explain_pods("Deployment", pods)[0] == "container web: CrashLoopBackOff: it ended with exit code 1"
    assert explain_pods("StatefulSet", pods)[0] == "pod web-2: container web: CrashLoopBackOff: it ended with exit code 1"
    assert explain_pods("DaemonSet", pods)[0] == "on node n1: container web: CrashLoopBackOff: it ended with exit code 1"


def test_a_reason_does_not_change_while_nothing_does():
    """Back-offs and numbers of restarts grow; a message with them in it would be written again and again."""
    first, later = (
        pod(waiting("CrashLoopBackOff", f"back-off {pause} restarting", ended(1), restartCount=count)) for pause, count in (("10s", 1), ("5m0s", 9))
    )
    assert explain_pods("Deployment", [first]) == explain_pods("Deployment", [later])


def test_the_newest_warning_of_an_object_is_told():
    events = [
        event("FailedCreate", 'Error creating: pods "web-1" is forbidden: exceeded quota: compute', last="2026-01-01T00:00:05Z"),
        event("SuccessfulCreate", "Created pod: web-0", kind="Normal", last="2026-01-01T00:00:09Z"),
        event("Old", "long ago"),
    ]
    assert explain_events(events) == "FailedCreate: Error creating: a pod is forbidden: exceeded quota: compute"
    assert explain_events(events[1:2]) == ""
    waits = event("WaitForFirstConsumer", "waiting for first consumer to be created before binding", kind="Normal")
    assert explain_events([waits]) == "WaitForFirstConsumer: waiting for first consumer to be created before binding"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("GET https://user:pass@registry.example/v2/?token=abc: 403", "GET https://registry.example/v2/ 403"),
        ('spec.env[0].value: Invalid value: "hunter2": must be short', "spec.env[0].value: Invalid value: must be short"),
        ('spec.env: Invalid value: core.EnvVar{Value:"a: b"}: no', "spec.env: Invalid value: no"),
        ("a\nb\x1b[31m\u202ec", "a b\\x1b[31m\\u202ec"),
    ],
)
def test_what_may_be_secret_or_harm_a_terminal_is_not_told(text, told):
    assert clean(text) == told


def test_what_a_container_wrote_is_never_told():
    state = pod(waiting("CrashLoopBackOff", "", ended(1)), container(ended(2), name="b"), phase="Failed")
    assert MASKED not in explain_pods("Job", [state], [event("Unhealthy", MASKED)])[0]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["False", "Unhealthy", "Warning", "Pending", "CrashLoopBackOff"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["metadata", "status", "spec", "phase", "state", "waiting", "reason", "containerStatuses", "conditions", "type", "name", "uid"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["metadata", "spec", "status", "type", "reason", "involvedObject", "lastTimestamp", "message"]), JSON)


@given(st.lists(OBJECTS, max_size=3), st.lists(OBJECTS, max_size=3))
def test_any_object_has_an_answer_of_one_bounded_line(pods, events):
    for told in (*explain_pods("StatefulSet", pods, events), explain_events(events)):
        assert len(told) <= LONGEST
        assert "\n" not in told

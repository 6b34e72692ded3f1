"""What a mirror says to those who read it alone: kubectl, kstatus, dashboards (rule 3a)."""

import asyncio
import re

import pytest

from reconciler.cluster.crds.state import state_crds
from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.cluster.health import assess
from reconciler.model.names import REQUESTED_AT
from reconciler.observe.cluster_events import ClusterEvents
from reconciler.simulation.clock import VirtualClock
from tests.integration.harness import Clone, Recorder, config_map_app, running, virtual
from tests.integration.sequences import gate_of

GATE = "gates.reconciler.dev/approve"


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


async def mirror(daemon, name="web"):
    return await daemon.get("Application", f"default.{name}", "reconciler-system", "reconciler.dev/v1alpha1")


async def mirrored(daemon, predicate, name="web"):
    """Waits until the mirror is so, without asking for looks."""
    while True:
        found = await mirror(daemon, name)
        if predicate(found.get("status", {})):
            return found
        await asyncio.sleep(0.02)


def kinds(obj):
    return {item["type"]: item for item in obj["status"]["conditions"]}


def columns(obj):
    """What `kubectl get` prints, by the definition's own paths."""
    shown = {}
    for column in state_crds()[0]["spec"]["versions"][0]["additionalPrinterColumns"]:
        value = obj
        for name in re.findall(r'\[\?\(@\.type=="(\w+)"\)\]|([^.\[\]]+)', column["jsonPath"].removeprefix(".")):
            kind, key = name
            value = next((item for item in value or [] if item["type"] == kind), None) if kind else (value or {}).get(key)
        shown[column["name"]] = value
    return shown


@virtual
async def test_a_gate_a_promotion_and_a_failure_read_as_kubectl_and_kstatus_expect(clone):
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        found = await mirrored(daemon, lambda status: status.get("sync") == "Synced")
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"] == 1
        assert assess(found) == ("Healthy", "")
        assert {kind: item["status"] for kind, item in kinds(found).items()} == {"Healthy": "True", "Ready": "True"}
        assert columns(found) | {"Age": "", "Commit": ""} == {
            "Ready": "True",
            "Phase": "Succeeded",
            "Revision": "web-v1",
            "Step": None,
            "Message": "web-v1 runs",
            "Age": "",
            "Health": "Healthy",
            "Sync": "Synced",
            "Attempted": "web-v1",
            "Commit": "",
            "File": "web.yaml",
        }
        clone.push({"web.yaml": config_map_app("web", "2", gate=True)})
        await daemon.waiting("web")
        found = await mirrored(daemon, lambda status: status.get("phase") == "Waiting")
        assert assess(found)[0] == "Progressing"
        shown = columns(found)
        assert (shown["Ready"], shown["Revision"], shown["Step"], shown["Attempted"]) == ("False", "web-v1", "approve", "web-v2")
        assert shown["Message"].startswith("gate approve of web-v2 waits for a decision")
        assert "Stalled" not in kinds(found)
        ended = {GATE: gate_of(daemon, "web").end}
        clone.push({"web.yaml": config_map_app("web", "2", gate=True, annotations=ended)})
        await daemon.until(lambda: daemon.status("web").run.phase == "Terminated")
        found = await mirrored(daemon, lambda status: status.get("phase") == "Terminated")
        assert assess(found)[0] == "Degraded", "nothing goes on by itself: who waits for it may give up"
        assert kinds(found)["Stalled"]["reason"] == "Ended"
        assert kinds(found)["Stalled"]["message"] == kinds(found)["Ready"]["message"]
        history = found["status"]["history"]
        assert [(past["run"], past["phase"]) for past in history] == [("web-v2-1", "Terminated"), ("web-v1-1", "Succeeded")]
        assert columns(found)["Step"] is None
        clone.push({"web.yaml": config_map_app("web", "3")})
        await daemon.synced("web")
        found = await mirrored(daemon, lambda status: status.get("lastAppliedRevision") == "web-v3")
        assert "Stalled" not in kinds(found)


@virtual
async def test_an_invalid_manifest_stalls_and_its_end_ends_that(clone):
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        clone.push({"web.yaml": config_map_app("web", "1").replace("k8s-objects", "k8s-objekts")})
        await daemon.until(lambda: "ManifestInvalid" in daemon.conditions("web"))
        found = await mirrored(daemon, lambda status: any(item["type"] == "Stalled" for item in status["conditions"]))
        assert kinds(found)["Stalled"]["reason"] == "Invalid"
        assert found["status"]["lastAppliedRevision"] == "web-v1"
        clone.push({"web.yaml": config_map_app("web", "1")})
        await daemon.until(lambda: "Stalled" not in daemon.conditions("web"))
        assert assess(await mirrored(daemon, lambda status: status["sync"] == "Synced"))[0] == "Healthy"


@virtual
async def test_history_is_bounded(clone):
    async with running(clone) as daemon:
        for number in range(8):
            clone.push({"web.yaml": config_map_app("web", str(number))})
            await daemon.until(
                lambda number=number: (status := daemon.status("web")) and status.running and status.running.revision == f"web-v{number + 1}"
            )
        found = await mirrored(daemon, lambda status: status.get("lastAppliedRevision") == "web-v8")
        assert [past["revision"] for past in found["status"]["history"]] == [f"web-v{number}" for number in (8, 7, 6, 5, 4)]


async def annotate(daemon, value):
    found = await mirror(daemon)
    found["metadata"].setdefault("annotations", {})[REQUESTED_AT] = value
    await daemon.cluster.replace(found, manager="kubectl-annotate")


@virtual
async def test_rule_3a_a_request_to_look_again_is_answered_in_status_once_the_look_is_taken(clone, tmp_path):
    clone.push({"web.yaml": config_map_app("web", "1")})
    state = str(tmp_path / "state")
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await daemon.looked()
        clone.push({"web.yaml": config_map_app("web", "2")})
        await annotate(daemon, "first")
        found = await mirrored(daemon, lambda status: status.get("lastHandledReconcileAt") == "first")
        assert found["status"]["desired"]["revision"] == "web-v2", "it was not answered before git was looked at"
        version = (await mirror(daemon))["metadata"]["resourceVersion"]
        await daemon.looked()
        found = await mirrored(daemon, lambda status: status.get("lastAppliedRevision") == "web-v2")
        await daemon.looked()
        version = (await mirror(daemon))["metadata"]["resourceVersion"]
        await daemon.looked()
        assert (await mirror(daemon))["metadata"]["resourceVersion"] == version, "an answer is given once"
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await daemon.looked()
        assert (await mirror(daemon))["metadata"]["resourceVersion"] == version, "nor again after a restart"
        await annotate(daemon, "x" * 5000)
        assert (await mirrored(daemon, lambda status: "x" in status["lastHandledReconcileAt"]))["status"]["lastHandledReconcileAt"] == "x" * 256


@virtual
async def test_a_request_made_while_no_daemon_ran_is_answered_by_the_next_one(clone, tmp_path):
    clone.push({"web.yaml": config_map_app("web", "1")})
    state = str(tmp_path / "state")
    async with running(clone, state) as daemon:
        await daemon.synced("web")
        await daemon.looked()
    cluster = EmbeddedCluster(state, VirtualClock(asyncio.get_running_loop()), speed=1000.0)
    await cluster.start()
    daemon.cluster = cluster
    await annotate(daemon, "meanwhile")
    async with running(clone, cluster=cluster) as daemon:
        await mirrored(daemon, lambda status: status.get("lastHandledReconcileAt") == "meanwhile")
    await cluster.close()


@virtual
async def test_rule_3a_a_spec_that_somebody_edits_is_seen_and_nothing_follows_from_it(clone):
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await daemon.looked()
        found = await mirror(daemon)
        found["spec"]["application"] = "another"
        await daemon.cluster.replace(found, manager="kubectl-edit")
        found = await mirrored(daemon, lambda status: status.get("observedGeneration") == 2)
        assert assess(found)[0] == "Healthy"
        assert daemon.status("web").sync == "Synced"
        assert {app.application for app in daemon.engine.reader.applications()} == {"web"}


@virtual
async def test_transitions_are_told_in_order_by_the_engine_as_it_is(clone):
    """The engine's own events make the story; the cluster takes them where it has the kind."""
    told = []

    class Listener:
        async def create(self, obj):
            told.append((obj["reason"], obj["note"]))
            return obj

    clone.push({"web.yaml": config_map_app("web", "1")})
    events = ClusterEvents(Listener(), VirtualClock(asyncio.get_running_loop()), "reconciler-system", "pod-0", lambda _key: "uid", Recorder())
    task = asyncio.create_task(events.run())
    async with running(clone, sinks=[events]) as daemon:
        await daemon.synced("web")
        clone.push({"web.yaml": config_map_app("web", "2", gate=True)})
        await daemon.waiting("web")
        clone.push({"web.yaml": config_map_app("web", "2", gate=True, annotations={GATE: gate_of(daemon, "web").rollback})})
        await daemon.until(lambda: any(reason == "RolledBack" for reason, _ in told))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    reasons = [reason for reason, _ in told]
    assert reasons[0] == "Promoted"
    assert [reason for reason in reasons if reason in ("GateWaiting", "Decided", "RollingBack", "RolledBack")] == [
        "GateWaiting",
        "Decided",
        "RollingBack",
        "RolledBack",
    ]
    assert ("Promoted", "web-v1 runs again") in told


@virtual
async def test_kinds_that_may_not_be_watched_are_named_beside_an_application_that_is_ready(clone, monkeypatch):
    unwatched = {("", "ConfigMap"), ("", "Secret"), ("apps", "Deployment")}
    monkeypatch.setattr(EmbeddedCluster, "unwatched", lambda _: unwatched)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        told = kinds(await mirrored(daemon, lambda status: status.get("sync") == "Synced"))
        assert told["Ready"]["status"] == "True"
        assert told["KindsUnwatched"]["reason"] == "Forbidden"
        assert "may not watch ConfigMap: what somebody changes" in told["KindsUnwatched"]["message"], "of what it has none but that"
        unwatched.clear()
        clone.push({"web.yaml": config_map_app("web", "2")})
        daemon.engine.look()
        await daemon.until(lambda: daemon.status("web").running.revision == "web-v2", "the next revision")
        await daemon.synced("web")
        assert "KindsUnwatched" not in {condition.type for condition in daemon.status("web").conditions if condition.status == "True"}

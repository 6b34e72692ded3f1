"""State on a real API server: its definitions are taken, it keeps all that is stored, and what people and tools read of it is right."""

import asyncio
import contextlib
import copy
import io
import json
import shutil
import ssl
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml

from reconciler.cli.main import execute
from reconciler.cluster.crds.families import oam_crds, stepflow_crds
from reconciler.cluster.crds.state import state_crds
from reconciler.model.identity import GVK
from reconciler.model.names import API_VERSION, GROUP, REQUESTED_AT, STATE_KINDS
from tests.control_plane import RefusedError
from tests.e2e.place import DEFINITIONS, Place, config_map_app
from tests.integration.harness import Clone, running, virtual

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "repo"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def gated(namespace, name):
    steps = "  workflow:\n    steps:\n    - {type: suspend, name: approve}\n    - {type: apply-component, name: apply, properties: {component: %s}}\n"
    return config_map_app(namespace, name, "one") + steps % name


def rows(place, plural):
    """What `kubectl get -o wide` prints: name to columns."""
    token = yaml.safe_load(place.plane.kubeconfig.read_text())["users"][0]["user"]["token"]
    request = Request(
        place.plane.server + place.path(API_VERSION, plural, namespace=place.home), headers={"Authorization": f"Bearer {token}", "Accept": TABLE}
    )
    with urlopen(request, timeout=30, context=ssl.create_default_context(cadata=place.plane.authority)) as answer:
        table = json.load(answer)
    names = [column["name"] for column in table["columnDefinitions"]]
    return {row["cells"][0]: dict(zip(names, row["cells"], strict=True)) for row in table["rows"]}


def test_an_application_tells_its_story_in_a_line_in_events_and_in_answers(place):
    space = place.namespace
    place.clone.push({"web.yaml": config_map_app(space, "web", "hunter2"), "shop.yaml": gated(space, "shop")})
    with place.daemon() as daemon:
        daemon.ready().until("web", lambda status: status["sync"] == "Synced", "synced")
        daemon.until("shop", lambda status: status["gate"], "waits")
        shown = place.plane.until(
            lambda: (found := rows(place, "applications")) and found.get(f"{space}.shop", {}).get("Phase") == "Waiting" and found, "both"
        )
        web, shop = shown[f"{space}.web"], shown[f"{space}.shop"]
        assert [web[name] for name in ("Ready", "Phase", "Revision", "Step", "Message", "Health", "Attempted", "File")] == [
            *("True", "Succeeded", "web-v1", None, "web-v1 runs", "Healthy", "web-v1", "web.yaml")
        ]
        assert [shop[name] for name in ("Ready", "Phase", "Revision", "Step", "Attempted")] == ["False", "Waiting", None, "approve", "shop-v1"]
        assert shop["Message"].startswith("gate approve of shop-v1 waits for a decision")
        assert [rows(place, "workflowruns")[f"{space}.web-v1-1"][name] for name in ("Revision", "Kind", "Phase")] == ["web-v1", "deploy", "Succeeded"]
        assert rows(place, "applicationrevisions")[f"{space}.web-v1"]["Application"] == "web"
        told = place.plane.until(
            lambda: (found := events(place)) and {"Promoted", "GateWaiting"} <= {one["reason"] for one in found} and found, "events"
        )
        mirrors = {one["metadata"]["name"]: one for one in place.state("applications")}
        for event in told:
            assert event["regarding"]["uid"] == mirrors[event["regarding"]["name"]]["metadata"]["uid"]
            assert "hunter2" not in event["note"]
        path = place.path(API_VERSION, "applications", f"{space}.web", namespace=place.home)
        place.plane.api("PATCH", path, {"metadata": {"annotations": {REQUESTED_AT: "now"}}}, kind="application/merge-patch+json")
        place.plane.until(lambda: place.plane.get(path)["status"].get("lastHandledReconcileAt") == "now", "the answer")
    mirror = place.plane.get(path)
    assert mirror["status"]["observedGeneration"] == mirror["metadata"]["generation"] == 1
    mirror["status"]["sync"], mirror["spec"]["family"] = "Unknown", "another"
    kept = place.plane.api("PUT", path, mirror)
    assert (kept["status"]["sync"], kept["spec"]["family"], kept["metadata"]["generation"]) == ("Synced", "another", 2), "the status is apart"


def events(place):
    return place.plane.api("GET", place.path("events.k8s.io/v1", "events", namespace=place.home))["items"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Every state object of the example repository, where it comes to rest on the embedded cluster."""
    clone = Clone(tmp_path_factory.mktemp("examples"))
    shutil.copytree(EXAMPLES, clone.path, dirs_exist_ok=True)
    found = []

    @virtual
    async def collect():
        clone.push({})
        async with running(clone) as daemon:
            await daemon.until(lambda: daemon.status("shop") or daemon.engine.reader.applications(), "applications")
            await asyncio.sleep(600)
            for kind in STATE_KINDS:
                found.extend((await daemon.cluster.list(GVK(GROUP, "v1alpha1", kind), "reconciler-system")).items)

    collect()
    assert {obj["kind"] for obj in found} == set(STATE_KINDS)
    return found


def test_the_server_keeps_every_field_of_every_state_object(place, stored):
    plane = place.plane
    for obj in stored:
        plural = f"{obj['kind'].lower()}s"
        meta = {"name": obj["metadata"]["name"], "namespace": place.home}
        given = copy.deepcopy(obj) | {"metadata": meta}
        path = place.path(API_VERSION, plural, namespace=place.home)
        if obj["kind"] == "Application":
            made = plane.api("POST", f"{path}?fieldValidation=Strict", given)
            kept = plane.api("PUT", f"{path}/{meta['name']}/status?fieldValidation=Strict", given | {"metadata": made["metadata"]})
        else:
            kept = plane.api("POST", f"{path}?fieldValidation=Strict&dryRun=All", given)
        assert {name: kept.get(name) for name in ("spec", "status")} == {name: obj.get(name) for name in ("spec", "status")}, meta["name"]
    unknown = copy.deepcopy(stored[0]) | {"metadata": {"name": "default.unknown", "namespace": place.home}}
    unknown["spec"]["unknown"] = 1
    with pytest.raises(RefusedError, match="unknown field"):
        plane.api("POST", f"{place.path(API_VERSION, 'applications', namespace=place.home)}?fieldValidation=Strict&dryRun=All", unknown)


def reconciler(*args):
    """Its exit code and what it prints, without another process."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = execute(lambda _settings: 0, [str(arg) for arg in args])
    return code, out.getvalue() + err.getvalue()


def test_definitions_come_by_one_command_and_what_is_anothers_stays_as_it_is(own_control_plane, tmp_path):
    plane = own_control_plane
    plane.api("POST", "/api/v1/namespaces", {"metadata": {"name": "reconciler-system"}})
    place = Place(plane, "default", tmp_path)
    place.home = "reconciler-system"
    place.clone.push({"web.yaml": config_map_app("default", "web", "one")})
    with place.daemon() as daemon:
        assert daemon.ended() == 1
        assert "applications.reconciler.dev: not there" in daemon.said
        assert "`reconciler install` brings them" in daemon.said
    theirs = copy.deepcopy(oam_crds()[0])
    theirs["metadata"] = {"name": theirs["metadata"]["name"], "labels": {"app.kubernetes.io/part-of": "kubevela"}}
    before = plane.api("POST", DEFINITIONS, theirs)["spec"]
    every = ("install", "--crds", "--oam", "--stepflow", "--kubeconfig", plane.kubeconfig)
    code, said = reconciler(*every, "--dry-run")
    assert (code, said.count("; to be installed")) == (0, 12), said
    assert plane.get(f"{DEFINITIONS}/workflows.workflow.example.com") is None
    code, said = reconciler(*every)
    assert (code, said.count("; installed")) == (0, 12), said
    assert "applications.core.oam.dev: not ours (of kubevela): left as it is" in said
    assert plane.get(f"{DEFINITIONS}/applications.core.oam.dev")["spec"] == before
    for crd in [*state_crds(), *oam_crds(), *stepflow_crds()]:
        live = plane.get(f"{DEFINITIONS}/{crd['metadata']['name']}")
        standing = {condition["type"]: condition["status"] for condition in live["status"]["conditions"]}
        assert standing == {"NamesAccepted": "True", "Established": "True"}, "no NonStructuralSchema, and no name that another has"
    code, said = reconciler(*every)
    assert (code, said.count("as this version makes it")) == (0, 12), said
    with place.daemon() as daemon:
        daemon.ready().until("web", lambda status: status["sync"] == "Synced", "synced")
        assert 'reconciler_foreign_definitions{group="core.oam.dev"} 1.0' in daemon.text("/metrics")
        assert 'reconciler_foreign_definitions{group="workflow.example.com"} 0.0' in daemon.text("/metrics")
        assert daemon.said.count("another controller's here") == 1
        said = "applications.core.oam.dev is another controller's (of kubevela): objects of that kind in this cluster are left alone"
        code, table = reconciler("status", "--server", daemon.url)
        assert (code, table.count(said)) == (0, 1)
        [mirror] = place.state("applications")
        [told] = [one for one in mirror["status"]["conditions"] if one["type"] == "KindsForeign"]
        assert (told["status"], told["reason"], said in told["message"]) == ("True", "LeftAlone", True)
        assert daemon.status("web")["conditions"][-1]["reason"] == "Succeeded", "it keeps nothing from being ready"
    live = plane.get(f"{DEFINITIONS}/applications.reconciler.dev")
    del live["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["family"]
    plane.api("PUT", f"{DEFINITIONS}/applications.reconciler.dev", live)
    code, said = reconciler("install", "--kubeconfig", plane.kubeconfig)
    assert (code, "it lacks spec.family; renewed" in said, said.count("as this version makes it")) == (0, True, 2), said

"""How single objects are treated on a real API server: taken over from `kubectl apply`, waited for, kept, and left in what others decide."""

import json
import re
from typing import Any

from tests.e2e.place import Place, config_map_app

LAST = "kubectl.kubernetes.io/last-applied-configuration"
TAKE = [{"name": "mine", "type": "take-over", "properties": {"rules": [{"selector": {"componentNames": ["all"]}}]}}]
MERGE = "application/merge-patch+json"


def shop(place: Place, *objects: dict[str, Any], **annotations: str) -> str:
    component = {"name": "all", "type": "k8s-objects", "properties": {"objects": list(objects)}}
    metadata = {"name": "shop", "namespace": place.namespace, "annotations": {f"reconciler.dev/{name}": value for name, value in annotations.items()}}
    spec = {"components": [component], "policies": TAKE}
    return json.dumps({"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": metadata, "spec": spec})


def config_map(name: str, value: str, **words: str) -> dict[str, Any]:
    annotations = {f"reconciler.dev/{word.replace('_', '-')}": said for word, said in words.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "annotations": annotations}, "data": {"value": value}}


def synced(status: dict[str, Any]) -> bool:
    return bool(status["sync"] == "Synced")


def test_what_kubectl_apply_left_goes_and_a_fight_names_the_field_and_its_manager(place: Place) -> None:
    path = place.path("v1", "configmaps")
    made = config_map("web", "1") | {"metadata": {"name": "web", "annotations": {LAST: "{}"}}, "data": {"value": "1", "old": "1"}}
    place.plane.api("POST", f"{path}?fieldManager=kubectl-client-side-apply", made)
    place.plane.api("PATCH", f"{path}/web?fieldManager=kubectl-edit", {"data": {"edited": "1"}}, kind=MERGE)
    place.clone.push({"shop.yaml": shop(place, config_map("web", "1"))})
    with place.daemon() as daemon:
        daemon.ready().until("shop", synced, "synced")
        live = place.object("v1", "configmaps", "web") or {}
        assert live["data"] == {"value": "1", "edited": "1"}
        assert LAST not in live["metadata"]["annotations"]
        managers = {entry["manager"] for entry in live["metadata"]["managedFields"]}
        assert managers == {"reconciler", "kubectl-edit"}
        for hand in range(4):
            place.plane.api("PATCH", f"{path}/web?fieldManager=scaler", {"data": {"value": f"theirs {hand}"}}, kind=MERGE)
            daemon.wait_for(lambda: place.value("web") == "1", "it is put back")
        daemon.wait_for(lambda: re.search(r"Fought.*\.data\.value by .*scaler", str(daemon.status("shop"))), "it says who fights")


def test_an_object_that_is_waited_for_goes_before_the_others_and_what_is_kept_stays(place: Place) -> None:
    held = config_map("held", "1", deletion_policy="wait")
    held["metadata"]["finalizers"] = ["example.org/hold"]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}}
    place.clone.push({"shop.yaml": shop(place, account, held, config_map("kept", "1", prune="disabled"), config_map("left", "1"))})
    with place.daemon() as daemon:
        daemon.ready().until("shop", synced, "synced")
        place.clone.push({"shop.yaml": shop(place, config_map("left", "1"))})
        daemon.wait_for(lambda: "Terminating" in str(daemon.status("shop")), "it waits")
        assert place.object("v1", "serviceaccounts", "operator")
        place.plane.api("PATCH", place.path("v1", "configmaps", "held"), {"metadata": {"finalizers": None}}, kind=MERGE)
        daemon.wait_for(lambda: place.object("v1", "serviceaccounts", "operator") is None, "and then goes on")
    live = place.object("v1", "configmaps", "kept") or {}
    assert "reconciler.dev/application" not in live["metadata"].get("labels", {})


def test_what_an_application_orphans_stays_when_it_leaves_git(place: Place) -> None:
    other = config_map_app(place.namespace, "other", "1")
    place.clone.push({"shop.yaml": shop(place, config_map("web", "1"), **{"deletion-policy": "orphan"}), "other.yaml": other})
    with place.daemon() as daemon:
        daemon.ready().until("shop", synced, "synced")
        place.clone.push({"shop.yaml": None})
        daemon.wait_for(lambda: [one for one in place.state("applications") if one["metadata"]["name"].endswith(".shop")] == [], "it is removed")
    live = place.object("v1", "configmaps", "web") or {}
    assert live["data"] == {"value": "1"}
    assert "reconciler.dev/application" not in live["metadata"].get("labels", {})

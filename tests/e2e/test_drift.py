"""What becomes of objects on a real API server: mended where they drift, pruned where git declares them no more, made anew where they must be."""

import json

from tests.e2e.place import Place


def objects_app(namespace: str, *objects: dict) -> str:
    """A KubeVela application, `shop`, of these objects."""
    component = {"name": "all", "type": "k8s-objects", "properties": {"objects": list(objects)}}
    metadata = {"name": "shop", "namespace": namespace}
    return json.dumps({"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": metadata, "spec": {"components": [component]}})


def config_map(name: str, value: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}}


def test_what_git_declares_no_more_is_pruned_and_what_others_made_stays(place: Place):
    names = ["shop", *(f"part-{number}" for number in range(11))]
    place.plane.apply(place.path("v1", "configmaps", "theirs"), config_map("theirs", "x"))
    place.clone.push({"shop.yaml": objects_app(place.namespace, *(config_map(name, "one") for name in names))})
    with place.daemon() as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "synced")
        place.clone.push({"shop.yaml": objects_app(place.namespace, *(config_map(name, "one") for name in names[:-2]))})
        daemon.wait_for(lambda: not place.object("v1", "configmaps", "part-10") and not place.object("v1", "configmaps", "part-9"), "both are gone")
        daemon.until("shop", lambda status: status["sync"] == "Synced", "synced again")
    assert place.value("theirs") == "x"
    deleted = sorted(one.name for one in place.deletions())
    assert deleted == ["part-10", "part-9"]


def test_an_autoscaler_keeps_what_it_owns_and_all_else_is_mended(place: Place):
    labels = {"matchLabels": {"app": "web"}}
    pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "shop:1"}]}}
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"selector": labels, "template": pod}}
    place.clone.push({"shop.yaml": objects_app(place.namespace, web)})
    path = place.path("apps/v1", "deployments", "web")
    with place.daemon() as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced" and status["health"] == "Healthy", "healthy")
        place.plane.api("PATCH", f"{path}/scale?fieldManager=scaler", {"spec": {"replicas": 4}}, kind="application/merge-patch+json")
        changed = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "theirs:1"}]}}}}
        place.plane.api("PATCH", f"{path}?fieldManager=hand", changed, kind="application/strategic-merge-patch+json")

        def image() -> str:
            return place.plane.get(path)["spec"]["template"]["spec"]["containers"][0]["image"]

        daemon.wait_for(lambda: image() == "shop:1", "the image is mended")
    assert place.plane.get(path)["spec"]["replicas"] == 4


def test_an_immutable_field_fails_the_run_and_an_annotation_lets_the_object_be_made_anew(place: Place):
    def frozen(value: str, **annotations: str) -> dict:
        return {**config_map("frozen", value), "immutable": True, "metadata": {"name": "frozen", "annotations": annotations}}

    place.clone.push({"shop.yaml": objects_app(place.namespace, frozen("one"))})
    with place.daemon() as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "synced")
        before = place.object("v1", "configmaps", "frozen")["metadata"]["uid"]
        place.clone.push({"shop.yaml": objects_app(place.namespace, frozen("two"))})
        daemon.wait_for(lambda: "immutable" in str(daemon.status("shop")), "it says that the field can't be changed")
        assert place.object("v1", "configmaps", "frozen")["metadata"]["uid"] == before
        place.clone.push({"shop.yaml": objects_app(place.namespace, frozen("two", **{"reconciler.dev/force": "enabled"}))})
        daemon.until("shop", lambda status: status["sync"] == "Synced" and place.value("frozen") == "two", "it is made anew")
    assert place.object("v1", "configmaps", "frozen")["metadata"]["uid"] != before
    assert [one.name for one in place.deletions()] == ["frozen"]

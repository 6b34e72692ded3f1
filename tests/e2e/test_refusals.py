"""What an API server refuses, or never finishes: it holds up what it is about, says why, and goes on by itself when it may."""

import secrets
import socket
from contextlib import closing

import pytest

from reconciler.model.names import LABEL_APPLICATION
from tests.e2e.place import Place, config_map_app
from tests.integration.process import Process

READ = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
OWN = {"apiGroups": ["reconciler.dev", "coordination.k8s.io"], "resources": ["*"], "verbs": ["*"]}
MAPS = {"apiGroups": [""], "resources": ["configmaps", "secrets", "events"], "verbs": ["*"]}
ALL = [f"part-{number:02}" for number in range(48)]


def told(daemon: Process, name: str) -> str:
    """All that the daemon says of an application."""
    return str(daemon.status(name))


def holds_up_nobody(place: Place, daemon: Process, value: str) -> None:
    """Another application of the same repository goes its way meanwhile."""
    place.clone.push({"other.yaml": config_map_app(place.namespace, "other", value)})
    daemon.until("other", lambda status: status["sync"] == "Synced", "another application is not held up")


def test_one_object_of_fifty_that_rbac_forbids_is_named_and_comes_when_it_is_allowed(place: Place):
    account = f"daemon-{secrets.token_hex(4)}"
    token = place.plane.account(place.home, account, [READ, OWN, MAPS], cluster_wide=True)
    place.kubeconfig = place.plane.kubeconfig_for(place.folder / "limited", token)
    forbidden = "      - {apiVersion: v1, kind: ServiceAccount, metadata: {name: clerk}}\n"
    place.clone.push({"shop.yaml": config_map_app(place.namespace, "shop", "one", *ALL) + forbidden})
    with place.daemon() as daemon:
        daemon.ready().wait_for(
            lambda: "may not patch serviceaccounts" in told(daemon, "shop") and "clerk" in told(daemon, "shop"), "it says which one is forbidden"
        )
        assert place.value("shop") == "one"
        rules = [{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["*"]}]
        place.plane.account(place.home, f"{account}-more", rules, cluster_wide=True)
        binding = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{place.home}-{account}-more"
        subjects = [{"kind": "ServiceAccount", "name": account, "namespace": place.home}]
        place.plane.api("PATCH", binding, {"subjects": subjects}, kind="application/merge-patch+json")
        daemon.until("shop", lambda status: status["sync"] == "Synced", "it goes on when it may")
    assert place.object("v1", "serviceaccounts", "clerk")
    maps = place.plane.api("GET", place.path("v1", "configmaps"))["items"]
    assert {one["metadata"]["name"] for one in maps} >= {"shop", *ALL}


def test_a_quota_that_is_exceeded_is_told_and_what_it_held_up_comes_when_there_is_room(place: Place):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"count/configmaps": "3"}}}
    place.plane.apply(place.path("v1", "resourcequotas", "few"), quota)
    place.plane.until(lambda: "used" in place.object("v1", "resourcequotas", "few").get("status", {}), "the quota is counted")
    place.clone.push({"shop.yaml": config_map_app(place.namespace, "shop", "one", "two", "three", "four")})
    with place.daemon() as daemon:
        daemon.ready().wait_for(lambda: "exceeded quota" in told(daemon, "shop"), "it says so in the server's words")
        place.plane.apply(place.path("v1", "resourcequotas", "few"), quota | {"spec": {"hard": {"count/configmaps": "30"}}})
        daemon.until("shop", lambda status: status["sync"] == "Synced", "it goes on when there is room")
    assert [place.value(name) for name in ("shop", "two", "three", "four")] == ["one"] * 4


def test_an_admission_webhook_that_times_out_is_named_and_holds_up_nobody_else(place: Place):
    hooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    name = f"slow-{place.namespace}"
    with closing(socket.create_server(("127.0.0.1", 0), backlog=100)) as silent:  # takes connections and never says a word
        hook = {
            "name": "slow.example.com",
            "clientConfig": {"url": f"https://127.0.0.1:{silent.getsockname()[1]}/"},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}},
            "objectSelector": {"matchLabels": {LABEL_APPLICATION: "shop"}},
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 1,
        }
        place.plane.api("POST", hooks, {"metadata": {"name": name}, "webhooks": [hook]})
        try:
            place.clone.push({"shop.yaml": config_map_app(place.namespace, "shop", "one")})
            with place.daemon() as daemon:
                daemon.ready().wait_for(lambda: "slow.example.com" in told(daemon, "shop"), "it names the webhook")
                holds_up_nobody(place, daemon, "one")
                place.plane.api("DELETE", f"{hooks}/{name}")
                daemon.until("shop", lambda status: status["sync"] == "Synced", "it goes on without it")
        finally:
            if place.plane.get(f"{hooks}/{name}"):
                place.plane.api("DELETE", f"{hooks}/{name}")
    assert place.value("shop") == "one"


def test_a_namespace_that_is_stuck_in_terminating_is_waited_for(place: Place):
    stuck = f"stuck-{secrets.token_hex(4)}"
    place.plane.api("POST", "/api/v1/namespaces", {"metadata": {"name": stuck}})
    held = f"/api/v1/namespaces/{stuck}/configmaps/held"
    place.plane.api("POST", held.rpartition("/")[0], {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}})
    place.plane.api("DELETE", f"/api/v1/namespaces/{stuck}")
    place.clone.push({"shop.yaml": config_map_app(stuck, "shop", "one")})
    with place.daemon() as daemon:
        daemon.ready().wait_for(lambda: stuck in str(daemon.status("shop").get("run")), "it says which namespace it waits for")
        holds_up_nobody(place, daemon, "one")
        place.plane.api("PATCH", held, {"metadata": {"finalizers": None}}, kind="application/merge-patch+json")
        place.plane.until(lambda: place.plane.get(f"/api/v1/namespaces/{stuck}") is None, "it is gone in the end")
        place.plane.api("POST", "/api/v1/namespaces", {"metadata": {"name": stuck}})
        daemon.until("shop", lambda status: status["sync"] == "Synced", "it goes on in the new one")
    assert place.plane.get(f"/api/v1/namespaces/{stuck}/configmaps/shop")
    place.plane.api("DELETE", f"/api/v1/namespaces/{stuck}")


@pytest.mark.parametrize("shape", ["one component", "two components"])
def test_a_kind_and_its_first_object_come_in_one_commit(place: Place, shape: str):
    group = f"g{secrets.token_hex(4)}.example.com"
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
    }
    widget = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "first"}, "spec": {"size": 3}}
    parts = [[widget, definition]] if shape == "one component" else [[definition], [widget]]
    components = "".join(f"  - {{name: c{number}, type: k8s-objects, properties: {{objects: {objects}}}}}\n" for number, objects in enumerate(parts))
    header = f"apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {{name: shop, namespace: {place.namespace}}}\nspec:\n  components:\n"
    place.clone.push({"shop.yaml": header + components.replace("True", "true")})
    try:
        with place.daemon("--allow-cluster-scoped", "CustomResourceDefinition") as daemon:
            daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "both are there")
            path = place.path(f"{group}/v1", "widgets", "first")
            assert place.plane.get(path)["spec"] == {"size": 3}
            place.plane.api("DELETE", path)
            daemon.wait_for(lambda: place.plane.get(path), "an object of the new kind is watched, too")
    finally:
        place.plane.api("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}")

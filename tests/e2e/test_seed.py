"""Seed 001 on a real API server: its step definition as it stands, and its application with charts of a repository, from a push to the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.charts import Repository, serving_aside
from tests.e2e.place import DEFINITIONS, Place, established
from tests.integration.process import Process
from tests.integration.test_helm import SEED as APPLICATION
from tests.integration.test_helm import seed_repository

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("compiled")]  # the first of them on a machine compiles the modules

DEFINITION = (Path(__file__).parents[1] / "integration" / "definitions" / "step-def.yaml").read_text()
MERGE = "application/merge-patch+json"
WAITING = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: shop, namespace: NAMESPACE}
spec:
  components:
  - name: database
    type: k8s-objects
    properties:
      objects: [{apiVersion: GROUP/v1, kind: Store, metadata: {name: mysql}}]
  - name: web
    type: k8s-objects
    properties:
      objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: {value: there}}]
  workflow:
    steps:
    - name: deploy-database
      type: step-def
      properties: {component: database, resourceType: Store, resourceAPIVersion: GROUP/v1, names: [mysql]}
    - name: deploy-web
      type: apply-component
      properties: {component: web}
"""


@pytest.fixture
def stores(place: Place) -> Iterator[str]:
    """A group that has the kind Store, whose objects take a status."""
    group = f"{place.namespace}.example.org"
    path = f"{DEFINITIONS}/stores.{group}"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": anything}}
    names = {"plural": "stores", "singular": "store", "kind": "Store"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    meta = {"name": f"stores.{group}"}
    place.plane.apply(path, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec})
    place.plane.until(lambda: established(place.plane.get(path)), "the kind is served")
    yield group
    place.plane.api("DELETE", path)


def step(daemon: Process, name: str) -> dict[str, Any]:
    run = daemon.status("shop").get("run") or {"steps": []}
    return next((each for each in run["steps"] if each["name"] == name), {"phase": "", "message": ""})


def test_the_seeds_step_definition_waits_until_the_object_that_it_reads_says_ready(place: Place, stores: str) -> None:
    text = WAITING.replace("GROUP", stores).replace("NAMESPACE", place.namespace)
    place.clone.push({"shop.yaml": text, "definitions/step-def.yaml": DEFINITION})
    status = f"{place.path(f'{stores}/v1', 'stores', 'mysql')}/status"
    with place.daemon() as daemon:
        daemon.ready().wait_for(lambda: "wait-0" in step(daemon, "deploy-database")["message"], "it waits")
        place.plane.api("PATCH", status, {"status": {"ready": "false"}}, kind=MERGE)
        daemon.leading()  # git was looked at twice since
        assert step(daemon, "deploy-database")["phase"] == "Running"
        assert place.value("web") == ""
        place.plane.api("PATCH", status, {"status": {"ready": "true"}}, kind=MERGE)
        daemon.until("shop", lambda status: status["sync"] == "Synced", "synced")
    assert place.value("web") == "there"
    applied = [one for one in place.done_by_daemons("patch") if (one.resource, one.name) == ("stores", "mysql")]
    assert len(applied) == 1  # however often it was looked at meanwhile


def test_the_seeds_charts_run_the_database_first_and_then_web_with_its_address(place: Place) -> None:
    with serving_aside(Repository()) as repository:
        seed_repository(repository)
        text = APPLICATION.replace("REPOSITORY", repository.url).replace("{name: shop}", f"{{name: shop, namespace: {place.namespace}}}")
        place.clone.push({"shop.yaml": text})
        with place.daemon("--allow-egress", "127.0.0.1") as daemon:
            daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "synced")
    web, database = (place.object("apps/v1", plural, name) or {} for plural, name in (("deployments", "my-web"), ("statefulsets", "mysql")))
    assert database["status"]["readyReplicas"] == web["status"]["readyReplicas"] == 1
    assert web["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "DATABASE", "value": f"mysql.{place.namespace}.svc:3306"}]
    asked = [f"{one.verb} {one.resource} {one.name}" for one in place.asked("patch", "update")]
    assert asked.index("patch pods/status mysql-0") < asked.index("patch deployments my-web")

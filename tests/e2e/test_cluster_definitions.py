"""Types that only the cluster defines, on a real API server, with no more rights than the chart gives for that."""

from pathlib import Path

import pytest

from reconciler.cluster.crds.families import oam_crds
from reconciler.dialects.documents import parse
from reconciler.model.identity import JsonObject
from tests.control_plane import ControlPlane, RefusedError
from tests.e2e.test_install import Installed, path_of
from tests.integration.harness import Clone
from tests.integration.process import Process
from tests.integration.test_defined_types import definition

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("compiled")]  # the first of them on a machine compiles the modules

TYPES = "vela-system"
PLURALS = ("componentdefinitions", "traitdefinitions", "policydefinitions", "workflowstepdefinitions")
MADE = 'output: {apiVersion: "v1", kind: "ConfigMap", data: value: "\\(parameter.value) of the first"}\nparameter: value: string\n'
APPLICATION = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: shop, namespace: NAMESPACE}
spec:
  components:
  - {name: web, type: leaflet, properties: {value: "1"}}
"""


def leaflet(template: str) -> JsonObject:
    content = parse("leaflet.yaml", definition("Component", "leaflet", template))[0][0].content
    return {**content, "metadata": {"name": "leaflet", "namespace": TYPES}}


def is_served(plane: ControlPlane, path: str) -> bool:
    """A kind that is new answers, first that it is not there and then that it is being made ready."""
    try:
        return plane.get(path) is not None
    except RefusedError:
        return False


def test_rule_13g_a_type_that_only_the_cluster_defines_is_read_with_the_rights_of_the_chart_and_pinned(
    own_control_plane: ControlPlane, helm: Path, tmp_path: Path
) -> None:
    plane, tenant = own_control_plane, "shop"
    for name in (tenant, TYPES):
        plane.api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    for crd in oam_crds():
        plane.apply(path_of(crd), crd)
    place = f"/apis/core.oam.dev/v1beta1/namespaces/{TYPES}/componentdefinitions/leaflet"
    plane.until(lambda: all(is_served(plane, f"{place.rpartition('/')[0].rpartition('/')[0]}/{plural}") for plural in PLURALS), "served")
    plane.apply(place, leaflet(MADE))
    installed = Installed(plane, helm, tmp_path, tenant, settings={"clusterDefinitions": TYPES})
    clone = Clone(tmp_path)
    text = APPLICATION.replace("NAMESPACE", tenant)
    clone.push({"shop.yaml": text})
    kubeconfig = plane.kubeconfig_for(tmp_path / "kubeconfig", installed.token)
    settings, here = installed.settings(tmp_path, clone), f"/api/v1/namespaces/{tenant}/configmaps/web"
    with Process(tmp_path, "--config", settings, "--kubeconfig", kubeconfig) as daemon:
        daemon.ready()
        daemon.until("shop", lambda status: status["sync"] == "Synced", "synced")
        assert plane.api("GET", here)["data"] == {"value": "1 of the first"}
        assert daemon.ask("/v1/problems") == []
        plane.apply(place, leaflet(MADE.replace("first", "second").replace("value: string", "value: string\nparameter: other: *1 | int")))
        plane.api("PATCH", here, {"data": {"value": "by hand"}}, kind="application/merge-patch+json")
        plane.until(lambda: plane.api("GET", here)["data"] == {"value": "1 of the first"}, "healed to what the revision has")
        clone.push({"shop.yaml": text.replace('"1"', '"2"')})
        plane.until(lambda: plane.api("GET", here)["data"] == {"value": "2 of the second"}, "the next revision has the new template")
        plane.api("DELETE", place)
        daemon.until("shop", lambda status: "has a ComponentDefinition of that name" in str(status["conditions"]), "told")
    with Process(tmp_path, "--config", settings, "--kubeconfig", kubeconfig) as daemon:
        daemon.ready()
        daemon.until("shop", lambda status: "has a ComponentDefinition of that name" in str(status["conditions"]), "told again")
        assert plane.api("GET", here)["data"] == {"value": "2 of the second"}
        plane.apply(place, leaflet(MADE))
        daemon.until("shop", lambda status: status["sync"] == "Synced" and status["running"]["revision"] == "shop-v2", "as it was")
    asked = [one for one in plane.audited() if one.resource in PLURALS and one.namespace == TYPES and one.user == installed.user]
    assert {(one.resource, one.verb, one.code) for one in asked} == {(plural, verb, 200) for plural in PLURALS for verb in ("list", "watch")}

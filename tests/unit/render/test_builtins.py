"""
Each built-in has an example that passes the checks of `lint`, and renders what its snapshot holds.

`RECONCILER_SNAPSHOTS=write pytest tests/unit/render/test_builtins.py` writes the snapshots anew; look at their difference.
"""

import json
import os
from pathlib import Path

import pytest

from reconciler.dialects.catalog import COMPONENT_TYPES
from reconciler.dialects.documents import parse
from reconciler.dialects.kubevela_policies import POLICY_TYPES
from reconciler.dialects.registry import dialects
from reconciler.dialects.traits import TRAITS
from reconciler.model.application import Component, Trait
from reconciler.render.engine import ComponentRenderer
from reconciler.render.protocol import RenderContext, RenderError
from reconciler.steps.catalog import STEP_TYPES

EXAMPLES = Path(__file__).parents[3] / "examples" / "builtins"
SNAPSHOTS = Path(__file__).parent / "snapshots"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
OLDER = {"webservice", "worker", "statefulset", "k8s-objects", "manifests", "kustomize", "helm", "scaler", "env", "labels", "annotations"}
CONTEXT = RenderContext("shop", "shop-dev", "dev", {})


class Nothing:
    """A repository with no other files."""

    def oid(self, path):
        return None

    def folder(self, path):
        return {}


def compile_text(name, content):
    (document,), problems = parse(name, content)
    assert problems == []
    dialect = next(dialect for dialect in dialects(STEP_TYPES) if dialect.recognises(document))
    return dialect.compile(document, Nothing())


def rendered(name):
    compiled = compile_text(f"{name}.yaml", (EXAMPLES / f"{name}.yaml").read_bytes())
    assert compiled.problems == []
    app = compiled.application
    context = RenderContext(app.name, app.namespace, app.environment.name, app.environment.values)
    return [obj for component in app.components for obj in ComponentRenderer().render(component, context, Nothing())]


def render(kind, properties, *traits):
    component = Component("web", "web", kind, properties, traits=[Trait(*trait) for trait in traits])
    return ComponentRenderer().render(component, CONTEXT, Nothing())


def pod(objects):
    return objects[0]["spec"]["template"]["spec"]


WEB = {"image": "web:1", "cpu": "100m"}


@pytest.mark.parametrize("name", NAMES)
def test_an_example_renders_what_its_snapshot_holds(name):
    path, objects = SNAPSHOTS / f"{name}.json", rendered(name)
    if os.environ.get("RECONCILER_SNAPSHOTS") == "write":
        path.write_text(json.dumps(objects, indent=2) + "\n")
    assert objects == json.loads(path.read_text())


@pytest.mark.parametrize("name", sorted({*COMPONENT_TYPES, *TRAITS, *POLICY_TYPES} - OLDER))
def test_every_built_in_has_an_example_that_uses_it(name):
    app = compile_text(name, (EXAMPLES / f"{name}.yaml").read_bytes()).application
    policies = {policy["type"] for policy in app.spec.get("policies", [])}
    assert name in policies | {word for component in app.components for word in (component.type, *(trait.type for trait in component.traits))}


def test_no_snapshot_is_left_of_an_example_that_is_gone():
    assert sorted(path.stem for path in SNAPSHOTS.glob("*.json")) == NAMES


@pytest.mark.parametrize("properties", [{}, {"cpu": ["1"]}])
def test_resource_without_a_quantity_is_an_error(properties):
    with pytest.raises(RenderError, match=r"component web: traits\[0\].properties"):
        render("webservice", WEB, ("resource", properties))


def test_resource_takes_the_place_of_what_the_component_asks_for():
    spec = pod(render("webservice", WEB, ("resource", {"cpu": "2"})))
    assert spec["containers"][0]["resources"] == {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}


def test_expose_selects_what_the_workload_selects_whatever_it_is():
    workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}}}
    made = render("k8s-objects", {"objects": [workload]}, ("expose", {"port": [80, 443]}))[-1]
    assert made["spec"]["selector"] == {"a": "b"}
    assert [port["name"] for port in made["spec"]["ports"]] == ["port-80", "port-443"]


def test_expose_of_a_component_that_has_a_service_already_says_what_to_leave_out():
    with pytest.raises(RenderError, match="has a Service web already"):
        render("webservice", {**WEB, "ports": [{"port": 80, "expose": True}]}, ("expose", {"ports": [{"port": 80}]}))


@pytest.mark.parametrize("obj", [{"kind": "Job", "apiVersion": "batch/v1"}, {"kind": "ConfigMap", "apiVersion": "v1"}])
def test_expose_of_what_does_not_stay_is_an_error(obj):
    with pytest.raises(RenderError, match="nothing that a Service could reach"):
        render("k8s-objects", {"objects": [{**obj, "metadata": {"name": "a"}, "spec": {}}]}, ("expose", {"port": [80]}))


def test_storage_mounts_what_is_there_already_without_making_it():
    objects = render("webservice", WEB, ("storage", {"pvc": [{"name": "old", "mountPath": "/old", "mountOnly": True}]}))
    assert [obj["kind"] for obj in objects] == ["Deployment"]
    assert pod(objects)["volumes"] == [{"name": "pvc-old", "persistentVolumeClaim": {"claimName": "old"}}]


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"emptyDir": [{"name": "a.b", "mountPath": "/a"}]}, r"emptyDir\[0\].name: makes no volume name"),
        ({"pvc": [{"name": "a" * 60, "mountPath": "/a"}]}, "makes no volume name"),
        ({"emptyDir": [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/a"}]}, "another /a already"),
        ({"configMap": [{"name": "a"}]}, r"configMap\[0\].mountPath: is required"),
    ],
)
def test_storage_that_no_pod_could_mount_is_an_error(properties, message):
    with pytest.raises(RenderError, match=message):
        render("webservice", WEB, ("storage", properties))


def test_storage_of_a_secret_keeps_its_values_out_of_errors():
    with pytest.raises(RenderError) as caught:
        render("webservice", WEB, ("storage", {"secret": [{"name": "a", "mountPath": "/a", "stringData": {"k": ["hunter2"]}}]}))
    assert "hunter2" not in str(caught.value)


def test_a_sidecar_shares_the_volume_that_the_pod_has():
    properties = {**WEB, "volumeMounts": {"emptyDir": [{"name": "logs", "mountPath": "/logs", "medium": "Memory"}]}}
    spec = pod(render("webservice", properties, ("sidecar", {"name": "tail", "image": "x", "volumes": [{"name": "logs", "path": "/l"}]})))
    assert spec["volumes"] == [{"name": "logs", "emptyDir": {"medium": "Memory"}}]
    assert [container["name"] for container in spec["containers"]] == ["web", "tail"]


def test_a_sidecar_of_the_components_own_name_is_an_error():
    with pytest.raises(RenderError, match="the containers of the pod have another web already"):
        render("webservice", WEB, ("sidecar", {"name": "web", "image": "x"}))


def test_an_init_container_that_mounts_what_the_pod_does_not_have_is_an_error():
    properties = {"name": "init", "image": "x", "appMountPath": "/a", "initMountPath": "/b"}
    with pytest.raises(RenderError, match="extraVolumeMounts: the pod has no volume gone"):
        render("webservice", WEB, ("init-container", {**properties, "extraVolumeMounts": [{"name": "gone", "mountPath": "/c"}]}))


def test_privileges_of_a_service_account_are_bound_in_the_namespace_that_the_pods_run_in():
    properties = {"name": "reader", "privileges": [{"verbs": ["get"], "resources": ["pods"]}]}
    component = Component("web@far", "web", "webservice", WEB, traits=[Trait("service-account", properties)], namespace="far")
    _, role, binding = ComponentRenderer().render(component, CONTEXT, Nothing())
    assert role["rules"] == [{"apiGroups": [""], "verbs": ["get"], "resources": ["pods"]}]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "reader", "namespace": "far"}]


def test_urls_are_no_privilege_within_a_namespace():
    properties = {"name": "reader", "privileges": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}]}
    with pytest.raises(RenderError, match="nonResourceURLs: needs scope: cluster"):
        render("webservice", WEB, ("service-account", properties))


def test_a_toleration_is_there_once_however_often_it_is_asked_for():
    trait = ("affinity", {"tolerations": [{"key": "gpu", "operator": "Exists"}]})
    assert pod(render("webservice", WEB, trait, trait))["tolerations"] == [{"operator": "Exists", "key": "gpu"}]


@pytest.mark.parametrize("properties", [{}, {"tolerations": [{"value": "a"}]}])
def test_affinity_that_says_nothing_is_an_error(properties):
    with pytest.raises(RenderError, match=r"traits\[0\].properties"):
        render("webservice", WEB, ("affinity", properties))


def test_root_must_be_said_twice():
    with pytest.raises(RenderError, match="runAsUser: is root, and runAsNonRoot is true"):
        render("webservice", WEB, ("securitycontext", {"runAsUser": 0}))


def test_a_security_context_of_a_container_that_is_not_there_is_an_error():
    with pytest.raises(RenderError, match=r"containers\[0\].containerName: the component has no such container"):
        render("webservice", WEB, ("securitycontext", {"containers": [{"containerName": "gone"}]}))


@pytest.mark.parametrize("properties", [{}, {"preStop": {}}, {"preStop": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}}])
def test_a_lifecycle_needs_one_thing_to_do(properties):
    with pytest.raises(RenderError, match="needs"):
        render("webservice", WEB, ("lifecycle", properties))


def test_a_startup_probe_needs_exactly_one_thing_to_ask():
    with pytest.raises(RenderError, match="needs exactly one of exec, httpGet, grpc, tcpSocket"):
        render("webservice", WEB, ("startup-probe", {"periodSeconds": 5}))


def test_a_task_runs_as_many_pods_as_it_counts_and_never_restarts_them_unless_asked():
    (job,) = render("task", {"image": "x", "count": 3})
    assert (job["spec"]["parallelism"], job["spec"]["completions"]) == (3, 3)
    assert pod([job])["restartPolicy"] == "Never"
    assert "selector" not in job["spec"], "the cluster makes one that no other Job has"


def test_a_cron_task_has_the_defaults_of_its_family():
    (cron,) = render("cron-task", {"image": "x", "schedule": "@daily"})
    assert {name: value for name, value in cron["spec"].items() if name != "jobTemplate"} == {
        "schedule": "@daily",
        "suspend": False,
        "concurrencyPolicy": "Allow",
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }
    assert cron["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 6


def test_a_daemon_has_no_replicas_and_a_service_for_exposed_ports():
    workload, service = render("daemon", {"image": "x", "ports": [{"port": 80, "expose": True}]})
    assert (workload["kind"], service["spec"]["selector"]) == ("DaemonSet", workload["spec"]["selector"]["matchLabels"])
    assert "replicas" not in workload["spec"]


def test_older_volumes_are_mounted_beside_the_newer_ones():
    newer, older = {"pvc": [{"name": "a", "mountPath": "/a", "claimName": "c"}]}, [{"name": "b", "mountPath": "/b"}]
    spec = pod(render("task", {"image": "x", "volumeMounts": newer, "volumes": older}))
    assert spec["volumes"] == [{"name": "a", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "b", "emptyDir": {}}]
    assert [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]] == ["/a", "/b"]


@pytest.mark.parametrize("trait", ["hpa", "cpuscaler"])
def test_an_autoscaler_owns_the_replicas_so_that_they_are_not_sent(trait):
    given = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {"replicas": 3}}
    workload, scaler = render("k8s-objects", {"objects": [given]}, (trait, {"min": 2}))
    assert "replicas" not in workload["spec"]
    assert scaler["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"}
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 10)


def test_memory_has_a_target_of_its_own():
    scaler = render("webservice", WEB, ("hpa", {"mem": {"value": 80}}))[-1]
    targets = {metric["resource"]["name"]: metric["resource"]["target"] for metric in scaler["spec"]["metrics"]}
    assert targets == {"cpu": {"type": "Utilization", "averageUtilization": 50}, "memory": {"type": "Utilization", "averageUtilization": 80}}


@pytest.mark.parametrize(
    ("traits", "message"),
    [
        ([("hpa", {"min": 5, "max": 2})], r"traits\[0\].properties.min: is more than max, 2"),
        ([("hpa", {"targetKind": "StatefulSet"})], "the component has no StatefulSet"),
        ([("cpuscaler", {"targetAPIVersion": "apps/v2"})], "the component's Deployment is of apps/v1"),
        ([("cpuscaler", {}), ("scaler", {"replicas": 2})], r"traits\[1\].properties: an autoscaler says how many"),
    ],
)
def test_an_autoscaler_that_could_not_work_is_an_error(traits, message):
    with pytest.raises(RenderError, match=message):
        render("webservice", WEB, *traits)


def test_a_gateway_goes_to_the_service_that_the_component_has_already():
    web = {**WEB, "ports": [{"port": 80, "expose": True}]}
    objects = render("webservice", web, ("gateway", {"http": {"/": 80}, "domain": "*.example.com"}))
    assert [obj["kind"] for obj in objects] == ["Deployment", "Service", "Ingress"]
    assert objects[-1]["metadata"]["annotations"] == {"kubernetes.io/ingress.class": "nginx"}
    with pytest.raises(RenderError, match="the component's Service web has no port 81"):
        render("webservice", web, ("gateway", {"http": {"/": 81}}))


def test_two_gateways_with_names_of_their_own_stand_side_by_side():
    traits = [("gateway", {"name": name, "http": {"/b": 80, "/a": 80}}) for name in ("in", "out")]
    objects = render("webservice", WEB, *traits)[1:]
    assert [(obj["kind"], obj["metadata"]["name"]) for obj in objects] == [
        ("Service", "web-in"),
        ("Ingress", "web-in"),
        ("Service", "web-out"),
        ("Ingress", "web-out"),
    ]
    assert len(objects[0]["spec"]["ports"]) == 1
    assert [path["path"] for path in objects[1]["spec"]["rules"][0]["http"]["paths"]] == ["/a", "/b"], "by path, however they are written"


def test_a_gateway_to_an_existing_service_makes_none():
    objects = render("webservice", WEB, ("gateway", {"http": {"/": 80}, "existingServiceName": "front"}))
    assert [obj["kind"] for obj in objects] == ["Deployment", "Ingress"]
    assert objects[1]["spec"]["rules"][0]["http"]["paths"][0]["backend"] == {"service": {"name": "front", "port": {"number": 80}}}


@pytest.mark.parametrize(
    ("kind", "strategy", "field", "expected"),
    [
        ("webservice", {}, "strategy", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}),
        ("webservice", {"type": "Recreate"}, "strategy", {"type": "Recreate"}),
        ("statefulset", {}, "updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
        ("daemon", {}, "updateStrategy", {"type": "RollingUpdate"}),
        ("daemon", {"rollingStrategy": {"maxSurge": "2"}}, "updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}}),
    ],
)
def test_an_update_strategy_is_written_where_its_kind_of_workload_has_it(kind, strategy, field, expected):
    assert render(kind, WEB, ("k8s-update-strategy", {"strategy": strategy}))[0]["spec"][field] == expected


@pytest.mark.parametrize(
    ("kind", "strategy", "message"),
    [
        ("webservice", {"type": "OnDelete"}, "strategy.type: must be one of RollingUpdate, Recreate"),
        ("daemon", {"type": "Recreate"}, "strategy.type: must be one of RollingUpdate, OnDelete"),
        ("webservice", {"rollingStrategy": {"partition": 1}}, "partition: does nothing for a Deployment of type RollingUpdate"),
        ("statefulset", {"type": "OnDelete", "rollingStrategy": {"partition": 1}}, "does nothing for a StatefulSet of type OnDelete"),
        ("webservice", {"rollingStrategy": {"maxSurge": "200%"}}, "maxSurge: must be a number of pods"),
    ],
)
def test_an_update_strategy_that_would_do_nothing_is_an_error(kind, strategy, message):
    with pytest.raises(RenderError, match=message):
        render(kind, WEB, ("k8s-update-strategy", {"strategy": strategy}))

import pytest

from reconciler.model.application import Component, Trait
from reconciler.render.connection import connection
from reconciler.render.engine import ComponentRenderer
from reconciler.render.partition import with_partition
from reconciler.render.protocol import RenderContext, RenderError
from reconciler.render.values import with_values

CONTEXT = RenderContext("shop", "shop-dev", "dev", {})
SELECTOR = {"app.oam.dev/component": "web"}


def render(kind, properties, traits=(), namespace=""):
    component = Component("web#1", "web", kind, properties, traits=[Trait(*trait) for trait in traits], namespace=namespace)
    return ComponentRenderer().render(component, CONTEXT, None)


def container(objects):
    return objects[0]["spec"]["template"]["spec"]["containers"][0]


def test_a_webservice_is_a_deployment_and_without_an_exposed_port_nothing_more():
    objects = render("webservice", {"image": "web:1", "port": 8080})
    assert objects == [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop-dev"},
            "spec": {
                "selector": {"matchLabels": SELECTOR},
                "template": {
                    "metadata": {"labels": {**SELECTOR, "app.oam.dev/name": "shop"}},
                    "spec": {
                        "containers": [
                            {"name": "web", "image": "web:1", "ports": [{"containerPort": 8080, "name": "port-8080", "protocol": "TCP"}]},
                        ]
                    },
                },
            },
        }
    ]


def test_exposed_ports_are_in_a_service_that_selects_the_pods():
    ports = [
        {"port": 80, "containerPort": 8080, "name": "http", "expose": True, "nodePort": 30080},
        {"port": 53, "protocol": "UDP", "expose": True},
        {"port": 9090},
    ]
    workload, service = render("webservice", {"image": "x", "ports": ports, "exposeType": "NodePort"})
    assert service["spec"] == {
        "type": "NodePort",
        "selector": SELECTOR,
        "ports": [
            {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080, "nodePort": 30080},
            {"name": "port-53-udp", "port": 53, "protocol": "UDP", "targetPort": 53},
        ],
    }
    assert SELECTOR.items() <= workload["spec"]["template"]["metadata"]["labels"].items()
    assert [port["containerPort"] for port in container([workload])["ports"]] == [8080, 53, 9090]


def test_a_worker_has_no_service():
    assert [obj["kind"] for obj in render("worker", {"image": "x"})] == ["Deployment"]


def test_a_statefulset_has_a_governing_service_and_a_partition_where_given():
    workload, service = render("statefulset", {"image": "db", "partition": "2", "ports": [{"port": 5432, "expose": True}]})
    assert workload["spec"]["serviceName"] == service["metadata"]["name"] == "web"
    assert workload["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    assert "updateStrategy" not in render("statefulset", {"image": "db"})[0]["spec"]
    with pytest.raises(RenderError, match=r"properties.partition: must be a number of pods"):
        render("statefulset", {"image": "db", "partition": "50%"})


def test_the_container_takes_kubevelas_parameters():
    properties = {
        "image": "x",
        "imagePullPolicy": "Always",
        "imagePullSecrets": ["registry"],
        "cmd": ["run"],
        "args": ["--port", 80],
        "env": [{"name": "A", "value": 1}, {"name": "B", "value": True}, {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "cpu": 0.5,
        "memory": "1Gi",
        "limit": {"memory": "2Gi"},
        "readinessProbe": {"tcpSocket": {"port": 80}},
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
        "labels": {"tier": "front", "app.oam.dev/component": "forged"},
        "annotations": {"note": "n"},
        "addRevisionLabel": True,
    }
    template = render("webservice", properties)[0]["spec"]["template"]
    assert template["metadata"] == {"labels": {**SELECTOR, "app.oam.dev/name": "shop", "tier": "front"}, "annotations": {"note": "n"}}
    assert template["spec"] == {
        "containers": [
            {
                "name": "web",
                "image": "x",
                "imagePullPolicy": "Always",
                "command": ["run"],
                "args": ["--port", "80"],
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "value": "true"},
                    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                ],
                "resources": {"limits": {"cpu": "0.5", "memory": "2Gi"}, "requests": {"cpu": "0.5", "memory": "1Gi"}},
                "readinessProbe": {"tcpSocket": {"port": 80}},
            }
        ],
        "imagePullSecrets": [{"name": "registry"}],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
    }


def test_volumes_of_each_kind_are_mounted():
    mounts = {
        "pvc": [{"name": "data", "mountPath": "/data", "claimName": "claim"}],
        "configMap": [{"name": "conf", "mountPath": "/etc/x", "subPath": "x", "cmName": "cm", "items": [{"key": "k", "path": "p"}]}],
        "secret": [{"name": "sec", "mountPath": "/sec", "secretName": "s", "defaultMode": 256}],
        "emptyDir": [{"name": "tmp", "mountPath": "/tmp", "medium": "Memory"}, {"name": "tmp", "mountPath": "/var/tmp", "medium": "Memory"}],
        "hostPath": [{"name": "host", "mountPath": "/host", "path": "/var"}],
    }
    spec = render("webservice", {"image": "x", "volumeMounts": mounts})[0]["spec"]["template"]["spec"]
    assert spec["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "conf", "configMap": {"name": "cm", "defaultMode": 420, "items": [{"key": "k", "path": "p", "mode": 511}]}},
        {"name": "sec", "secret": {"secretName": "s", "defaultMode": 256}},
        {"name": "tmp", "emptyDir": {"medium": "Memory"}},
        {"name": "host", "hostPath": {"path": "/var"}},
    ]
    assert [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]] == ["/data", "/etc/x", "/sec", "/tmp", "/var/tmp", "/host"]


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({}, "properties.image: is required"),
        ({"image": ["x"]}, "properties.image: must be a text, not a list"),
        ({"image": "x", "ports": [{"port": 70000}]}, r"properties.ports\[0\].port: must be a whole number from 1 to 65535"),
        ({"image": "x", "ports": [{}]}, r"properties.ports\[0\].port: is required"),
        ({"image": "x", "ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]}, "properties.ports: two ports have one name"),
        ({"image": "x", "env": [{"name": "A"}, {"name": "A"}]}, "properties.env: two variables have one name"),
        ({"image": "x", "env": [{"name": "A", "value": {"host": "h"}}]}, r"properties.env\[0\].value: must be a text, not a mapping"),
        ({"image": "x", "env": [{"name": "A", "valueFrom": {}}]}, r"properties.env\[0\].valueFrom: names neither"),
        ({"image": "x", "imagePullPolicy": "Sometimes"}, "properties.imagePullPolicy: must be one of"),
    ],
)
def test_a_wrong_property_is_an_error_with_component_and_field(properties, message):
    with pytest.raises(RenderError, match=f"component web: {message}"):
        render("webservice", properties)


def test_rule_12_an_error_never_holds_the_value_it_complains_of():
    with pytest.raises(RenderError) as error:
        render("K8S_MICROSERVICE", {"base64Kubeconfig": "c2VjcmV0", "values": {"image": {"repository": "x"}}})
    assert "c2VjcmV0" not in str(error.value)


MICRO = {"values": {"image": {"repository": "nginx", "tag": "1.27"}, "replicaCount": 3, "resources": {"limits": {"cpu": "0.5"}}}}


def test_a_microservice_is_a_statefulset_and_its_service_on_port_80():
    workload, service = render("K8S_MICROSERVICE", {"name": "cluster-a", "base64Kubeconfig": "", "ignoreCreateNamespace": True, **MICRO})
    selector = {**SELECTOR, "app.kubernetes.io/instance": "cluster-a"}
    assert workload["metadata"] == {"name": "cluster-a", "namespace": "shop-dev"}
    assert workload["spec"] == {
        "serviceName": "cluster-a",
        "replicas": 3,
        "selector": {"matchLabels": selector},
        "template": {
            "metadata": {"labels": {**selector, "app.oam.dev/name": "shop"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "nginx:1.27",
                        "ports": [{"containerPort": 80, "name": "port-80", "protocol": "TCP"}],
                        "resources": {"limits": {"cpu": "0.5"}},
                    }
                ]
            },
        },
    }
    assert (service["kind"], service["metadata"]["name"], service["spec"]["selector"]) == ("Service", "cluster-a", selector)


def test_a_microservice_goes_where_topology_says_else_to_its_deploy_namespace():
    values = {"values": {**MICRO["values"], "deployNamespace": "abm"}}
    assert {obj["metadata"]["namespace"] for obj in render("K8S_MICROSERVICE", values)} == {"abm"}
    assert {obj["metadata"]["namespace"] for obj in render("K8S_MICROSERVICE", values, namespace="daily")} == {"daily"}


def test_a_microservice_takes_the_partition_of_its_own_spec():
    rollout = {"type": "partition", "properties": {"partition": "1", "name": "abmRolloutPartition"}}
    strategy = render("K8S_MICROSERVICE", {**MICRO, "rollout": rollout})[0]["spec"]["updateStrategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}


def test_ports_and_env_of_a_microservice():
    values = {**MICRO["values"], "ports": [8080, {"port": 9090, "name": "metrics"}], "env": [{"name": "A", "value": 1}]}
    objects = render("K8S_MICROSERVICE", {"values": values})
    assert [port["port"] for port in objects[1]["spec"]["ports"]] == [8080, 9090]
    assert container(objects)["env"] == [{"name": "A", "value": "1"}]


def test_scaler_sets_replicas_and_needs_something_to_scale():
    assert render("webservice", {"image": "x"}, [("scaler", {"replicas": 0})])[0]["spec"]["replicas"] == 0
    with pytest.raises(RenderError, match="nothing that can be scaled"):
        render("k8s-objects", {"objects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}]}, [("scaler", {"replicas": 2})])


def test_env_sets_replaces_and_takes_away_variables_of_one_container():
    properties = {"image": "x", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}]}
    objects = render("webservice", properties, [("env", {"env": {"A": 9, "D": "4"}, "unset": ["B"]})])
    assert [(item["name"], item["value"]) for item in container(objects)["env"]] == [("C", "3"), ("A", "9"), ("D", "4")]
    with pytest.raises(RenderError, match="no such container"):
        render("webservice", properties, [("env", {"containerName": "other", "env": {"A": "1"}})])


def test_labels_and_annotations_reach_objects_and_pods():
    ports = {"image": "x", "ports": [{"port": 80, "expose": True}], "labels": {"gone": "x"}}
    objects = render("webservice", ports, [("labels", {"team": "a", "gone": None}), ("annotations", {"n": 1})])
    assert [obj["metadata"]["labels"] for obj in objects] == [{"team": "a"}] * 2
    template = objects[0]["spec"]["template"]["metadata"]
    assert template == {"labels": {**SELECTOR, "app.oam.dev/name": "shop", "team": "a"}, "annotations": {"n": "1"}}
    assert objects[0]["spec"]["selector"] == {"matchLabels": SELECTOR}


def test_a_trait_cannot_change_a_label_that_the_selector_needs():
    with pytest.raises(RenderError, match=r"traits\[0\].properties.app.oam.dev/component: the selector of Deployment needs"):
        render("webservice", {"image": "x"}, [("labels", {"app.oam.dev/component": "other"})])


def test_traits_work_in_the_order_written():
    assert render("webservice", {"image": "x"}, [("scaler", {"replicas": 1}), ("scaler", {"replicas": 5})])[0]["spec"]["replicas"] == 5


def test_a_partition_is_set_on_statefulsets_only_and_nothing_given_is_changed():
    objects = render("K8S_MICROSERVICE", MICRO)
    changed = with_partition(objects, 2)
    assert changed[0]["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    assert changed[1] == objects[1]
    assert "updateStrategy" not in objects[0]["spec"]


@pytest.mark.parametrize(("percent", "ordinal"), [("0%", 0), ("1%", 1), ("34%", 2), ("66%", 2), ("67%", 3), ("100%", 3)])
def test_a_percentage_keeps_at_least_that_share(percent, ordinal):
    changed = with_partition(render("K8S_MICROSERVICE", MICRO), percent)
    assert changed[0]["spec"]["updateStrategy"]["rollingUpdate"]["partition"] == ordinal


def test_a_partition_without_a_statefulset_is_an_error():
    with pytest.raises(RenderError, match="needs a StatefulSet"):
        with_partition(render("webservice", {"image": "x"}), 1)


def test_the_connection_is_the_first_service_and_the_name_of_a_secret():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "data": {"p": "c2VjcmV0"}}
    objects = render("statefulset", {"image": "db", "ports": [{"port": 5432, "expose": True}]})
    assert connection(objects) == {"host": "web.shop-dev.svc", "port": 5432, "secretRef": None}
    assert connection([*objects, secret])["secretRef"] == "login"
    assert connection([]) == {"host": None, "port": None, "secretRef": None}
    knative = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "k"}}
    assert connection([knative])["host"] is None


@pytest.mark.parametrize("path", ["env[0].value", "properties.env[0].value"])
def test_inputs_go_to_their_place_in_a_copy(path):
    component = Component("web", "web", "webservice", {"image": "x", "env": [{"name": "DB"}]}, traits=[Trait("scaler", {"replicas": 1})])
    changed = with_values(component, {path: 5432, "traits[0].properties.replicas": 4, "labels.tier": "x"})
    assert changed.properties == {"image": "x", "env": [{"name": "DB", "value": 5432}], "labels": {"tier": "x"}}
    assert changed.traits == [Trait("scaler", {"replicas": 4})]
    assert component.properties == {"image": "x", "env": [{"name": "DB"}]}
    assert component.traits == [Trait("scaler", {"replicas": 1})]


@pytest.mark.parametrize("path", ["env[9].value", "image.x", "", "a..b", ".".join("abcdefghijk"), "traits[0]", "env[99999999999]"])
def test_a_path_that_leads_nowhere_is_an_error_that_names_it(path):
    component = Component("web", "web", "webservice", {"image": "x", "env": []})
    with pytest.raises(RenderError, match="component web: input"):
        with_values(component, {path: "v"})

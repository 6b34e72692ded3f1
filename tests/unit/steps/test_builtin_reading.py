"""Steps that read: they wait for an answer, fail in a way that may pass where nothing is there, and export by KubeVela's paths."""

from datetime import UTC, datetime

import pytest

from reconciler.model.identity import AppKey, ObjectRef
from reconciler.model.outcome import Call, Done, Failed, Listed, Live, Wait
from reconciler.steps.catalog import STEP_TYPES

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
CONFIG = {"config.oam.dev/catalog": "velacore-config", "config.oam.dev/type": "db"}


def ask(kind, seen=None, /, **properties):
    return STEP_TYPES[kind].next(Call(AppKey("shop", "web"), "s", kind, properties), {}, seen or {}, NOW)


def read(kind, answers, /, **properties):
    """Asks with `answers` in turn until nothing new is asked for."""
    seen: dict = {}
    while isinstance(outcome := ask(kind, seen, **properties), Wait) and set(outcome.watch) - seen.keys():
        for query in outcome.watch:
            seen[query] = answers(query)
    return outcome


@pytest.mark.parametrize(
    ("properties", "ref"),
    [
        ({"name": "a"}, ObjectRef("core.oam.dev/v1beta1", "Application", "default", "a")),
        ({"name": "a", "apiVersion": "v1", "kind": "Service", "namespace": "far"}, ObjectRef("v1", "Service", "far", "a")),
        ({"name": "a", "apiVersion": "v1", "kind": "Node", "namespace": ""}, ObjectRef("v1", "Node", "", "a")),
    ],
)
def test_an_object_is_asked_for_and_exported_in_both_of_kubevelas_dialects(properties, ref):
    assert ask("read-object", **properties) == Wait(None, f"waiting to hear of {ref}", (Live(ref),))
    done = read("read-object", lambda _: {"status": {"x": 1}}, **properties)
    assert isinstance(done, Done)
    assert done.outputs["output"]["value"] == done.outputs["output"]["$returns"]["value"] == {"status": {"x": 1}}


@pytest.mark.parametrize("kind", ["read-object", "read-config", "generate-jdbc-connection"])
def test_what_is_not_there_may_yet_come(kind):
    failed = read(kind, lambda _: None, name="a")
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.retryable) == ("ObjectMissing", True)


def test_a_config_is_read_and_what_is_none_is_refused():
    config = {"metadata": {"labels": CONFIG}, "data": {"input-properties": '{"host": "db"}'}}
    done = read("read-config", lambda _: config, name="db")
    assert isinstance(done, Done)
    assert done.outputs["output"]["config"] == {"host": "db"}
    for other in ({"metadata": {}, "data": config["data"]}, {"metadata": config["metadata"]}, {**config, "data": {"input-properties": "["}}):
        failed = read("read-config", lambda _, other=other: other, name="db")
        assert isinstance(failed, Failed)
        assert (failed.reason, failed.retryable) == ("NoConfig", False)


def test_configs_are_listed_by_template_and_name():
    def answer(query):
        assert query == Listed("v1", "ConfigMap", "shop", tuple(sorted(CONFIG.items())))
        meta = {"labels": CONFIG}
        return [{"metadata": {**meta, "name": name}, "data": {"input-properties": "{}"}} for name in ("b", "a")] + [
            {"metadata": {**meta, "name": "c"}}
        ]

    done = read("list-config", answer, template="db")
    assert isinstance(done, Done)
    assert [config["name"] for config in done.outputs["output"]["configs"]] == ["a", "b"]
    assert read("list-config", lambda _: None, template="db").reason == "NotAllowed"


def service(name, *ports, **more):
    spec = {"selector": {"app.oam.dev/component": "web"}, "ports": [{"name": f"p{port}", "port": port} for port in ports]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": spec, **more}


BALANCED = service("front", 443, status={"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}})
INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"rules": [{"host": "shop.example.org", "http": {"paths": [{"path": "/a"}]}}], "tls": [{"hosts": ["shop.example.org"]}]},
}


@pytest.mark.parametrize(
    ("properties", "url"),
    [
        ({}, "http://web.shop.svc:80"),
        ({"port": 81}, "http://web.shop.svc:81"),
        ({"portName": "p81", "protocal": "https"}, "https://web.shop.svc:81"),
        ({"outer": True}, "http://203.0.113.7:443"),
        ({"outer": True, "portName": "https", "protocal": "https"}, "https://shop.example.org:443"),
        ({"components": ["other"]}, None),
        ({"port": 5}, None),
    ],
)
def test_endpoints_are_filtered_and_waited_for(properties, url):
    objects = {"Service": [service("web", 80, 81), BALANCED], "Ingress": [INGRESS]}
    outcome = read("collect-service-endpoints", lambda query: objects[query.kind], **properties)
    if url is None:
        assert isinstance(outcome, Wait)
        assert outcome.message == "waiting for an endpoint of shop/web"
    else:
        assert isinstance(outcome, Done)
        assert (outcome.outputs["value"]["url"], outcome.outputs["outputs"]["endpoints"][0]["endpoint"]) == (
            url,
            outcome.outputs["value"]["endpoint"],
        )


def test_endpoints_are_those_of_the_application_that_is_named():
    asked = ask("collect-service-endpoints", name="a" * 70, namespace="far")
    assert isinstance(asked, Wait)
    labels = dict(asked.watch[0].labels)
    assert (labels["reconciler.dev/application-namespace"], len(labels["reconciler.dev/application"])) == ("far", 63)


def test_rule_13c_a_database_connection_refers_to_the_secret_and_holds_nothing_of_it():
    keys = ("DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD")
    done = read("generate-jdbc-connection", lambda _: {"data": dict.fromkeys(keys, "***")}, name="login")
    assert isinstance(done, Done)
    env = {item["name"]: item for item in done.outputs["env"]}
    assert env["url"]["value"] == "jdbc://$(DB_HOST):$(DB_PORT)/$(DB_NAME)?characterEncoding=utf8&useSSL=false"
    assert env["password"] == {"name": "password", "valueFrom": {"secretKeyRef": {"name": "login", "key": "DB_PASSWORD"}}}
    assert list(env)[:4] == ["DB_HOST", "DB_PORT", "DB_NAME", "url"]
    assert "***" not in str(done)
    failed = read("generate-jdbc-connection", lambda _: {"data": {}}, name="login")
    assert failed.reason == "SecretIncomplete"
    assert ask("generate-jdbc-connection", name="login", namespace="far").reason == "NotAllowed"

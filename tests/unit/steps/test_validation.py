from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.identity import AppKey
from reconciler.model.outcome import Call, Do, Done, Failed, Gate, Wait
from reconciler.steps.catalog import STEP_TYPES
from reconciler.steps.validation import parse_partition

VALID = {
    "remoteDeploy": {"policies": ["p"]},
    "depends-on-app": {"name": "db", "namespace": "shop"},
    "apply-component": {"component": "web", "cluster": "", "namespace": "x", "timeout": "5m"},
    "apply-components": {
        "components": [{"type": "K8S_MICROSERVICE", "name": "web"}],
        "policies": ["p"],
        "rollout": {"type": "partition", "properties": {"partition": 0, "name": "n"}},
    },
    "apply-and-wait": {"component": "web", "resourceType": "Deployment", "resourceAPIVersion": "apps/v1", "names": ["web"]},
    "apply-object": {"value": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "d"}}},
    "deploy": {"auto": False, "policies": ["p"], "parallelism": 5},
    "suspend": {"duration": "1min", "message": "m"},
    "rollout-promotion": {},
    "print-message-in-status": {"message": "m"},
    "restart-workflow": {"every": "1h"},
    "random": {"sleepSeconds": "20", "result": "success", "rollbackResult": "failure", "syncResult": "fatal"},
    "sleep": {"seconds": "20"},
    "fail": {"message": "m", "retryable": "true"},
    "apply": {"manifest": "kind: ConfigMap", "timeout": "1m"},
    "http": {
        "url": "https://example.org/a?b=c",
        "method": "PUT",
        "body": "{}",
        "headers": {"Content-Type": "application/json", "X-Empty": ""},
        "expect": [200, "404"],
        "timeout": "3s",
        "attribute": "ticket",
        "rollbackUrl": "http://example.org/back",
        "rollbackMethod": "DELETE",
        "rollbackBody": "",
        "syncUrl": "HTTPS://example.org/state",
    },
    "step-group": {},
    "apply-deployment": {"image": "nginx:1", "replicas": 2, "cluster": "local", "cmd": ["run"], "timeout": "5m"},
    "apply-job": {"value": {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {}}, "cluster": "", "timeout": "5m"},
    "export2config": {"configName": "c", "namespace": "n", "data": {"a": "b", "c": 1, "d": True}, "cluster": ""},
    "export2secret": {
        "secretName": "s",
        "namespace": "n",
        "type": "Opaque",
        "data": {"a": "b"},
        "cluster": "",
        "kind": "docker-registry",
        "dockerRegistry": {"username": "u", "password": "p", "server": "https://example.org"},
    },
    "export-data": {"name": "n", "namespace": "n", "kind": "Secret", "data": {"a": "b"}, "topology": "t"},
    "create-config": {"name": "n", "namespace": "n", "template": "t", "config": {"a": {"b": [1]}}},
    "read-config": {"name": "n", "namespace": "n"},
    "delete-config": {"name": "n", "namespace": "n"},
    "clean-jobs": {"labelselector": {"a": "b"}, "namespace": "n"},
    "list-config": {"template": "t", "namespace": "n"},
    "read-object": {"apiVersion": "v1", "kind": "Service", "name": "s", "namespace": "", "cluster": ""},
    "collect-service-endpoints": {
        "name": "a",
        "namespace": "n",
        "components": ["web"],
        "port": 80,
        "portName": "http",
        "outer": True,
        "protocal": "https",
    },
    "generate-jdbc-connection": {"name": "s", "namespace": "n"},
    "check-metrics": {
        "query": "sum(up)",
        "metricEndpoint": "http://prometheus:9090",
        "condition": ">= 0.99",
        "duration": "1m",
        "failDuration": "30s",
    },
    "request": {"url": "https://example.org", "method": "PUT", "body": {"a": [1]}, "header": {"X-A": "b"}},
    "webhook": {"url": {"secretRef": {"name": "s", "key": "k"}}, "data": {"a": 1}},
    "notification": {
        "lark": {"url": {"value": "https://example.org"}, "message": {"msg_type": "text", "content": '{"text":"a"}'}},
        "dingding": {"url": {"value": "https://example.org"}, "message": {"msgtype": "markdown", "markdown": {"text": "a"}, "at": {"isAtAll": True}}},
        "slack": {
            "url": {"secretRef": {"name": "s", "key": "k"}},
            "message": {"text": "a", "blocks": [], "attachments": {"color": "red"}, "thread_ts": "1", "mrkdwn": False},
        },
        "email": {
            "from": {"address": "a@b.test", "alias": "A", "password": {"value": "p"}, "host": "smtp.b.test", "port": 465},
            "to": ["c@d.test"],
            "content": {"subject": "s", "body": "b"},
        },
    },
}
WRONG = [
    ("apply-component", {"component": 3}, "component"),
    ("apply-component", {"component": ""}, "component"),
    ("apply-component", {"cluster": "other"}, "cluster"),
    ("apply-component", {"timeout": "soon"}, "timeout"),
    ("apply-components", {"components": []}, "components"),
    ("apply-components", {"components": ["web"]}, "components[0]"),
    ("apply-components", {"components": [{"type": "X"}]}, "components[0].name"),
    ("apply-components", {"components": [{"type": "X", "name": "a", "more": 1}]}, "components[0].more"),
    ("apply-components", {"policies": [1]}, "policies[0]"),
    ("apply-components", {"rollout": {"type": "canary", "properties": {"partition": 1}}}, "rollout.type"),
    ("apply-components", {"rollout": {"type": "partition"}}, "rollout.properties"),
    ("apply-components", {"rollout": {"type": "partition", "properties": {}}}, "rollout.properties.partition"),
    ("apply-components", {"rollout": {"type": "partition", "properties": {"partition": "-1"}}}, "rollout.properties.partition"),
    ("apply-components", {"rollout": {"type": "partition", "properties": {"partition": "101%"}}}, "rollout.properties.partition"),
    ("apply-components", {"rollout": {"type": "partition", "properties": {"partition": True}}}, "rollout.properties.partition"),
    ("apply-components", {"rollout": {"type": "partition", "properties": {"partition": 1, "weight": 2}}}, "rollout.properties.weight"),
    ("apply-and-wait", {"names": []}, "names"),
    ("apply-object", {"value": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}}, "value.metadata.name"),
    ("apply-object", {"value": {"kind": "ConfigMap", "metadata": {"name": "c"}}}, "value.apiVersion"),
    ("apply-object", {"value": {"apiVersion": "v1", "kind": "ConfigMap"}}, "value.metadata"),
    ("deploy", {"auto": "false"}, "auto"),
    ("deploy", {"parallelism": 0}, "parallelism"),
    ("deploy", {"parallelism": True}, "parallelism"),
    ("suspend", {"duration": "0s"}, "duration"),
    ("suspend", {"duration": "9e99h"}, "duration"),
    ("suspend", {"duration": 30}, "duration"),
    ("suspend", {"message": []}, "message"),
    ("print-message-in-status", {"message": {}}, "message"),
    ("random", {"sleepSeconds": "-1"}, "sleepSeconds"),
    ("random", {"sleepSeconds": "1.5"}, "sleepSeconds"),
    ("random", {"result": "ok"}, "result"),
    ("random", {"rollbackResult": "ok"}, "rollbackResult"),
    ("random", {"syncResult": ""}, "syncResult"),
    ("sleep", {"seconds": "9" * 40}, "seconds"),
    ("fail", {"retryable": "yes"}, "retryable"),
    ("apply", {"manifest": ""}, "manifest"),
    ("apply", {"timeout": "soon"}, "timeout"),
    ("http", {"url": ""}, "url"),
    ("http", {"url": "ftp://example.org"}, "url"),
    ("http", {"url": "example.org"}, "url"),
    ("http", {"method": "get"}, "method"),
    ("http", {"method": "CONNECT"}, "method"),
    ("http", {"body": {"a": 1}}, "body"),
    ("http", {"body": "x" * (64 * 1024 + 1)}, "body"),
    ("http", {"headers": ["a"]}, "headers"),
    ("http", {"headers": "no colon"}, "headers"),
    ("http", {"headers": {"a b": "c"}}, "headers"),
    ("http", {"headers": {"A": "b\r\nC: d"}}, "headers.A"),
    ("http", {"headers": {"A": 1}}, "headers.A"),
    ("http", {"headers": {"Authorization": {"secretRef": {"name": "s"}}}}, "headers.Authorization.secretRef.key"),
    ("request", {"header": {"Authorization": {"value": "a"}}}, "header.Authorization"),
    ("http", {"headers": {"Host": "x"}}, "headers.Host"),
    ("http", {"headers": "Idempotency-Key: mine"}, "headers.Idempotency-Key"),
    ("http", {"headers": {"Proxy-Authorization": "x"}}, "headers.Proxy-Authorization"),
    ("http", {"headers": {"A": "1", "a": "2"}}, "headers.a"),
    ("http", {"expect": []}, "expect"),
    ("http", {"expect": "2xx"}, "expect"),
    ("http", {"expect": True}, "expect"),
    ("http", {"timeout": "soon"}, "timeout"),
    ("http", {"attribute": "a b"}, "attribute"),
    ("http", {"rollbackBody": "x"}, "rollbackBody"),
    ("http", {"syncUrl": 3}, "syncUrl"),
    ("apply-deployment", {"replicas": -1}, "replicas"),
    ("apply-deployment", {"cmd": "run"}, "cmd"),
    ("apply-job", {"value": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "j"}}}, "value.kind"),
    ("export2config", {"data": {"a": {"b": 1}}}, "data.a"),
    ("export2secret", {"kind": "docker"}, "kind"),
    ("export2secret", {"dockerRegistry": {"username": "u"}}, "dockerRegistry"),
    ("export2secret", {"kind": "docker-registry", "dockerRegistry": {"user": "u"}}, "dockerRegistry.user"),
    ("export-data", {"kind": "Pod"}, "kind"),
    ("create-config", {"config": "a"}, "config"),
    ("read-object", {"cluster": "far"}, "cluster"),
    *(("check-metrics", {"condition": text}, "condition") for text in ("1", ">=", ">= one", "> 1 or vector(1)", "=> 1")),
    ("check-metrics", {"duration": "soon"}, "duration"),
    ("clean-jobs", {"labelselector": {"a": ["b"]}}, "labelselector.a"),
    ("delete-config", {"name": ""}, "name"),
    ("collect-service-endpoints", {"port": 0}, "port"),
    ("collect-service-endpoints", {"protocal": "ftp"}, "protocal"),
    ("request", {"url": "ftp://example.org"}, "url"),
    ("request", {"method": "PATCH"}, "method"),
    ("request", {"body": "text"}, "body"),
    ("request", {"header": {"Host": "x"}}, "header.Host"),
    ("webhook", {"url": "https://example.org"}, "url"),
    ("webhook", {"url": {}}, "url"),
    ("webhook", {"url": {"value": "https://a", "secretRef": {"name": "s", "key": "k"}}}, "url"),
    ("webhook", {"url": {"value": "example.org"}}, "url.value"),
    ("webhook", {"url": {"secretRef": {"name": "s"}}}, "url.secretRef.key"),
    ("webhook", {"url": {"secretRef": {"name": "s", "key": "k", "namespace": "far"}}}, "url.secretRef.namespace"),
    ("notification", {}, ""),
    ("notification", {"slack": "hi"}, "slack"),
    ("notification", {"slack": {"url": {"value": "https://a"}}}, "slack.message"),
    ("notification", {"slack": {"url": {"value": "https://a"}, "message": {}}}, "slack.message.text"),
    ("notification", {"dingding": {"url": {"value": "https://a"}, "message": {"msgtype": "txt"}}}, "dingding.message.msgtype"),
    ("notification", {"dingding": {"url": {"value": "https://a"}, "message": {"msgtype": "link"}}}, "dingding.message.link"),
    ("notification", {"lark": {"url": {"value": "https://a"}, "message": {"msg_type": "text"}}}, "lark.message.content"),
    *(
        (
            "notification",
            {
                "email": {
                    "from": {"address": "a@b.test", "password": {"value": "p"}, "host": "h", **sender},
                    "to": to,
                    "content": {"subject": subject, "body": "b"},
                }
            },
            field,
        )
        for sender, to, subject, field in (
            ({"address": "a@b.test\r\nBcc: c"}, ["c@d.test"], "s", "email.from.address"),
            ({"host": "a b"}, ["c@d.test"], "s", "email.from.host"),
            ({"alias": "a\nb"}, ["c@d.test"], "s", "email.from.alias"),
            ({"port": 0}, ["c@d.test"], "s", "email.from.port"),
            ({"password": {}}, ["c@d.test"], "s", "email.from.password"),
            ({}, ["c@d.test> SIZE=1"], "s", "email.to[0]"),
            ({}, ["c@d.test"], "s\r\nBcc: x@y.test", "email.content.subject"),
        )
    ),
]


@pytest.mark.parametrize("kind", sorted(STEP_TYPES))
def test_valid_properties_are_all_known_and_found_right(kind):
    assert STEP_TYPES[kind].check(VALID[kind]) == []
    assert set(VALID[kind]) <= set(STEP_TYPES[kind].params)


@pytest.mark.parametrize(("kind", "properties", "field"), WRONG)
def test_a_wrong_property_is_named_by_its_path(kind, properties, field):
    assert [where for where, _ in STEP_TYPES[kind].check(properties)] == [field]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(kind=st.sampled_from(sorted(STEP_TYPES)), data=st.data())
def test_checks_are_total(kind, data):
    fields = st.sampled_from([*STEP_TYPES[kind].params, "other"])
    found = STEP_TYPES[kind].check(data.draw(st.dictionaries(fields, JSON)))
    assert all(isinstance(where, str) and message for where, message in found)


@pytest.mark.parametrize("kind", sorted(STEP_TYPES))
def test_no_step_breaks_by_what_inputs_put_into_its_properties(kind):
    for field in STEP_TYPES[kind].params:
        for value in (None, True, -7, 1.5, "", "x", [], ["x"], [{}], {}, {"a": "b"}, {"a": [{"b": None}]}):
            call = Call(AppKey("d", "a"), "s", kind, VALID[kind] | {field: value})
            outcome = STEP_TYPES[kind].next(call, {}, {}, datetime(2024, 5, 1, 12, tzinfo=UTC))
            assert isinstance(outcome, Do | Wait | Gate | Done | Failed), (field, value)


@pytest.mark.parametrize(("value", "parsed"), [(3, 3), ("3", 3), ("007", 7), ("25%", "25%"), ("100%", "100%")])
def test_a_partition_is_a_number_or_a_percentage(value, parsed):
    assert parse_partition(value) == parsed


@pytest.mark.parametrize("value", [None, "", "1.5", 1.5, "٣", -1, True, "1 ", "%", [], "1" * 50])
def test_anything_else_is_no_partition(value):
    with pytest.raises(ValueError, match="must be a whole number from 0"):
        parse_partition(value)

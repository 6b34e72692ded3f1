"""Functions of definitions that built-in steps carry out: what those are told, and what the template is told of it."""

from datetime import UTC, datetime

import pytest

from reconciler.model.identity import AppKey, ObjectRef
from reconciler.model.outcome import Call, Do, Failed, Listed, Live, Measured, Result, Wait
from reconciler.model.run import is_aside
from reconciler.steps.defined_functions import Answered, carry_out

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
CONFIG = {"metadata": {"name": "c", "labels": {"config.oam.dev/catalog": "velacore-config"}}, "data": {"input-properties": '{"a": 1}'}}


def ask(function, params, results=None, seen=None):
    return carry_out(function, "x.y", params, Call(AppKey("shop", "a"), "s", "mine", {}, since=NOW), results or {}, seen or {}, NOW)


def deleting(**params):
    (effect,) = ask("delete", {"value": {"apiVersion": "v1", "kind": "ConfigMap", **params.pop("value", {})}, **params}).effects.values()
    return effect.params


def test_an_effect_has_a_path_below_the_function_and_its_result_is_read_there():
    outcome = ask("delete-config", {"name": "c"})
    assert isinstance(outcome, Do)
    assert list(outcome.effects) == ["x.y/delete"]
    done = ask("delete-config", {"name": "c"}, {"x.y/delete": Result({"deleted": []}), "other/delete": Result(error="no")})
    assert done == Answered({})


def test_delete_takes_one_by_name_or_those_with_labels_in_the_applications_namespace_unless_it_says_another():
    by_name = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "c", "labels": {}}
    assert deleting(value={"metadata": {"name": "c"}}) == by_name
    assert deleting(value={"metadata": {"name": "c", "namespace": "n"}}) == {**by_name, "namespace": "n"}
    labelled = {**by_name, "name": "", "labels": {"l": "1"}, "namespace": "f"}
    assert deleting(value={"metadata": {"name": "c", "namespace": "n"}}, filter={"namespace": "f", "matchingLabels": {"l": 1}}) == labelled


@pytest.mark.parametrize("more", [{}, {"filter": {}}, {"filter": {"namespace": "n", "matchingLabels": {}}}])
def test_rule_1c_delete_without_name_and_labels_deletes_nothing(more):
    outcome = ask("delete", {"value": {"apiVersion": "v1", "kind": "ConfigMap"}, **more})
    assert outcome == Failed("InvalidProperties", "x.y: what is deleted has a name, or labels in filter.matchingLabels")


def test_read_config_answers_its_content_and_one_that_is_not_there_fails():
    query = Live(ObjectRef("v1", "ConfigMap", "shop", "c"))
    assert ask("read-config", {"name": "c"}) == Wait(None, "waiting to hear of ConfigMap shop/c", (query,))
    assert ask("read-config", {"name": "c"}, seen={query: CONFIG}) == Answered({"config": {"a": 1}})
    outcome = ask("read-config", {"name": "c"}, seen={query: None})
    assert isinstance(outcome, Failed)
    assert outcome.message.startswith("x.y: ")


def test_list_config_answers_them_all():
    query = Listed("v1", "ConfigMap", "shop", (("config.oam.dev/catalog", "velacore-config"), ("config.oam.dev/type", "t")))
    answer = ask("list-config", {"template": "t"}, seen={query: [CONFIG]})
    assert answer == Answered({"configs": [{"name": "c", "namespace": "shop", "config": {"a": 1}}]})


@pytest.mark.parametrize(("password", "told"), [("p", "p"), ({"secretRef": {"name": "n", "key": "k"}}, {"secretRef": {"name": "n", "key": "k"}})])
def test_a_mail_is_one_effect_and_its_password_may_stand_in_a_secret(password, told):
    sender = {"address": "a@example.org", "password": password, "host": "mail.example.org", "port": 25}
    outcome = ask("email", {"from": sender, "to": ["b@example.org"], "content": {"subject": "s", "body": "b"}})
    assert isinstance(outcome, Do)
    (effect,) = outcome.effects.values()
    assert (effect.kind, effect.params["password"], effect.params["to"]) == ("mail", told, ["b@example.org"])
    wrong = ask("email", {"from": {**sender, "address": "nobody"}, "to": ["b@example.org"], "content": {"subject": "s", "body": "b"}})
    assert isinstance(wrong, Failed)
    assert "email.from.address" in wrong.message


def was(*values):
    return {"points": [(index * 10.0, value) for index, value in enumerate(values)], "start": 0.0, "end": (len(values) - 1) * 10.0, "step": 10.0}


def test_a_metric_is_told_as_it_is_and_the_template_judges_it_but_for_one_that_nobody_may_ask():
    params = {"query": "up", "condition": ">=1", "duration": "60s", "failDuration": "30s"}
    query = Measured("", "up", NOW, 60.0)
    assert isinstance(ask("prom-check", params), Wait)
    holds, waits, fails = (ask("prom-check", params, seen={query: was(*values)}) for values in ([1] * 7, [1] * 3, [0] * 4))
    assert (holds.value["result"], holds.value["failed"]) == (True, False)
    assert (waits.value["result"], waits.value["failed"], waits.watch) == (False, False, (query,))
    assert (fails.value["result"], fails.value["failed"]) == (False, True)
    assert "it was not >=1" in fails.value["message"]
    assert ask("prom-check", params, seen={query: {"refused": "no"}}) == Failed("MetricRefused", "x.y: no")


def test_endpoints_that_are_not_there_yet_are_an_empty_list_and_those_of_others_components_are_left_out():
    params = {"app": {"name": "a", "namespace": "shop", "filter": {"components": ["web"]}}}
    asked = ask("collect-service-endpoints", params)
    assert isinstance(asked, Wait)
    nothing = ask("collect-service-endpoints", params, seen={query: [] for query in asked.watch})
    assert nothing == Answered({"list": []}, asked.watch)
    services = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}}
        for name in ("web", "db")
    ]
    found = ask("collect-service-endpoints", params, seen=dict(zip(asked.watch, (services, []), strict=True)))
    assert [item["endpoint"]["host"] for item in found.value["list"]] == ["web.shop.svc"]


@pytest.mark.parametrize("path", ["undo", "sync"])
def test_a_function_whose_field_is_called_as_what_undoes_a_step_is_done_once_all_the_same(path):
    call = Call(AppKey("shop", "a"), "s", "mine", {}, since=NOW)
    (effect,) = carry_out("delete-config", path, {"name": "c"}, call, {}, {}, NOW).effects
    assert not is_aside(effect)
    assert carry_out("delete-config", path, {"name": "c"}, call, {effect: Result({"deleted": []})}, {}, NOW) == Answered({})


OWN = (("reconciler.dev/application", "web"), ("reconciler.dev/application-namespace", "n"))
KINDS = [("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"), ("batch/v1", "Job"), ("v1", "Pod")]


def test_pods_are_those_that_the_workloads_of_an_application_select_and_its_own():
    params = {"app": {"name": "web", "namespace": "n"}}
    workloads = {Listed(version, kind, "n", OWN): [] for version, kind in KINDS}
    first = ask("collect-pods", params)
    assert isinstance(first, Wait)
    assert set(first.watch) == set(workloads)
    deployment = {"metadata": {"name": "d", "labels": {"app.oam.dev/component": "front"}}, "spec": {"selector": {"matchLabels": {"a": "b"}}}}
    bare = {"metadata": {"name": "p"}, "spec": {}}
    seen = {**workloads, Listed("apps/v1", "Deployment", "n", OWN): [deployment], Listed("v1", "Pod", "n", OWN): [bare]}
    selected = Listed("v1", "Pod", "n", (("a", "b"),))
    assert selected in ask("collect-pods", params, seen=seen).watch
    pod = {"metadata": {"name": "d-1"}}
    answer = ask("collect-pods", params, seen={**seen, selected: [pod]})
    assert answer == Answered(
        {"list": [{"cluster": "local", "component": "front", "object": pod}, {"cluster": "local", "component": "p", "object": bare}]}
    )
    chosen = {"app": {**params["app"], "filter": {"components": ["front"]}}}
    assert [each["component"] for each in ask("collect-pods", chosen, seen={**seen, selected: [pod]}).value["list"]] == ["front"]


def test_rule_13a_pods_and_services_that_may_not_be_listed_fail_the_step():
    params = {"app": {"name": "web", "namespace": "n"}}
    outcome = ask("collect-services", params, seen={Listed("v1", "Service", "n", OWN): None})
    assert outcome == Failed("NotAllowed", "x.y: this application may not list Services of namespace n")
    seen = {Listed(version, kind, "n", OWN): None for version, kind in KINDS}
    assert ask("collect-pods", params, seen=seen).reason == "NotAllowed"

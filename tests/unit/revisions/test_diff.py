import copy
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.revisions.diff import diff_objects, differs, render_text
from reconciler.revisions.masking import LAST_APPLIED, mask_manifests, mask_object

WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"app.kubernetes.io/name": "web"}},
    "spec": {
        "replicas": 1,
        "template": {"spec": {"containers": [{"name": "web", "image": "web:1", "args": ["a", "b"], "env": [{"name": "A", "value": "1"}]}]}},
    },
}
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": "shop"}, "data": {"user": "aGVsbG8=", "old": "eA=="}}


def changed(obj, change):
    other = copy.deepcopy(obj)
    change(other)
    return other


def fields(old, new):
    return {field["path"]: (field["from"], field["to"]) for change in diff_objects([old], [new]) for field in change["fields"]}


def config(name, data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": data}


def test_equal_lists_in_any_order_do_not_differ():
    assert not differs([WEB, SECRET], [copy.deepcopy(SECRET), json.loads(json.dumps(WEB, sort_keys=True))])
    assert diff_objects([WEB, SECRET], [SECRET, WEB]) == []
    assert render_text([]) == ""


def test_another_field_another_object_or_one_less_differs():
    assert differs([WEB], [changed(WEB, lambda obj: obj["spec"].update(replicas=2))])
    assert differs([WEB], [])
    assert differs([WEB], [WEB, SECRET])


def test_objects_are_the_same_whatever_version_names_them():
    other = changed(WEB, lambda obj: obj.update(apiVersion="apps/v1beta2"))
    assert [change["change"] for change in diff_objects([other], [WEB])] == ["changed"]


def test_added_removed_and_changed_objects_are_told_in_a_stable_order():
    changes = diff_objects([WEB, SECRET], [config("new", {}), changed(WEB, lambda obj: obj["spec"].update(replicas=2))])
    assert [(change["change"], change["object"]) for change in changes] == [
        ("added", "ConfigMap shop/new"),
        ("changed", "Deployment shop/web"),
        ("removed", "Secret shop/login"),
    ]
    assert render_text(changes) == "+ ConfigMap shop/new\n~ Deployment shop/web\n    spec.replicas: 1 → 2\n- Secret shop/login"


def test_list_items_are_matched_by_name():
    def change(obj):
        containers = obj["spec"]["template"]["spec"]["containers"]
        containers[0]["image"] = "web:2"
        containers[0]["env"].insert(0, {"name": "B", "value": "2"})
        containers.insert(0, {"name": "side", "image": "side:1"})

    path = "spec.template.spec.containers"
    assert fields(WEB, changed(WEB, change)) == {
        f"{path}[side]": (None, {"name": "side", "image": "side:1"}),
        f"{path}[web].env[B]": (None, {"name": "B", "value": "2"}),
        f"{path}[web].image": ("web:1", "web:2"),
    }


def test_an_order_of_named_items_that_changed_is_seen():
    one = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": {"steps": [{"name": "a"}, {"name": "b"}]}}
    other = changed(one, lambda obj: obj["spec"]["steps"].reverse())
    assert fields(one, other) == {"spec.steps[0].name": ("a", "b"), "spec.steps[1].name": ("b", "a")}


def test_keys_that_are_no_plain_words_stand_in_quotes():
    other = changed(WEB, lambda obj: obj["metadata"]["labels"].update({"app.kubernetes.io/name": "x"}))
    assert fields(WEB, other) == {'metadata.labels["app.kubernetes.io/name"]': ("web", "x")}


def test_rule_12_a_changed_secret_shows_that_it_changed_and_nothing_of_its_values():
    def change(obj):
        obj["data"] = {"user": "d29ybGQ=", "new": "eQ=="}
        obj["stringData"] = {"pass": "hunter2-and-more"}

    changes = diff_objects([SECRET], [changed(SECRET, change)])
    shown = {field["path"]: (field["from"], field["to"]) for field in changes[0]["fields"]}
    assert shown == {"data.new": (None, "***"), "data.old": ("***", None), "data.user": ("***", "***"), "stringData": (None, {"pass": "***"})}
    told = json.dumps(changes) + render_text(changes)
    assert not any(value in told for value in ("aGVsbG8=", "d29ybGQ=", "eA==", "eQ==", "hunter2"))


@pytest.mark.parametrize("data", ["c2VjcmV0", ["c2VjcmV0"], {"a": {"b": "c2VjcmV0"}}, {"a": ["c2VjcmV0"]}])
def test_rule_12_a_secret_of_an_impossible_shape_is_masked_too(data):
    told = json.dumps(diff_objects([SECRET], [{**SECRET, "data": data}])) + json.dumps(mask_object({**SECRET, "data": data}))
    assert "c2VjcmV0" not in told


def test_rule_12_last_applied_and_user_parts_of_urls_are_masked():
    def change(obj):
        obj["metadata"]["annotations"] = {LAST_APPLIED: '{"data":{"p":"hunter2"}}', "repo": "https://bot:hun@ter2@git.example.com/x"}

    told = fields(WEB, changed(WEB, change))
    assert told == {"metadata.annotations": (None, {LAST_APPLIED: "***", "repo": "https://***@git.example.com/x"})}
    inner = changed(WEB, lambda obj: obj["metadata"].update(annotations={LAST_APPLIED: "old"}))
    assert fields(inner, changed(WEB, change))[f'metadata.annotations["{LAST_APPLIED}"]'] == ("***", "***")


def test_rule_13e_text_for_people_is_one_line_a_field():
    other = changed(WEB, lambda obj: obj["spec"]["template"]["spec"]["containers"][0].update(image="x\n+ Secret shop/forged\x1b[2J"))
    text = render_text(diff_objects([WEB], [other]))
    assert len(text.splitlines()) == 2
    assert "\x1b" not in text


def test_what_is_too_large_is_told_as_changed_without_fields():
    one, other = (config("c", {"x": str(value) * 300_000}) for value in (1, 2))
    (change,) = diff_objects([one], [other])
    assert (change["change"], change["fields"]) == ("changed", [])
    assert "too large" in change["note"]
    assert "too large" in render_text([change])


@pytest.mark.parametrize("value", [lambda: list(range(501)), lambda: [[0] * 499] * 20, lambda: nested(200)])
def test_a_list_or_nesting_that_would_cost_too_much_falls_back(value):
    one, other = ({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": {"a": value(), "b": side}} for side in (1, 2))
    assert "note" in diff_objects([one], [other])[0]


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def test_long_texts_of_many_lines_are_not_compared_line_by_line(monkeypatch):
    def refuse(*_args, **_more):
        raise AssertionError("quadratic on what a manifest holds")

    monkeypatch.setattr("difflib.unified_diff", refuse)
    chance = random.Random(1)
    one, other = (config("c", {"x": "\n".join(str(chance.randrange(300)) for _ in range(5000))}) for _ in range(2))
    assert list(fields(one, other)) == ["data.x"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab\n", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "port", "a", "b"]), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(JSON, JSON)
def test_any_two_objects_that_differ_show_at_least_one_field(one, other):
    old, new = ({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": spec} for spec in (one, other))
    changes = diff_objects([old], [new])
    assert bool(changes) == differs([old], [new])
    assert all(change["fields"] for change in changes)
    assert isinstance(render_text(changes), str)


@pytest.mark.parametrize(
    "text",
    [
        "kind: Secret\nmetadata: {name: a}\nstringData: {password: hunter2}",
        '{"kind": "Secret", "data": {"password": "aHVudGVyMg=="}}',
        "- {kind: 'Secret', data: {password: hunter2}}",
    ],
)
def test_rule_12_a_secret_that_is_written_as_text_is_hidden_whole(text):
    assert mask_manifests({"parameters": [{"manifest": text}]}) == {"parameters": [{"manifest": "***"}]}


@pytest.mark.parametrize("text", ["kind: ConfigMap\ndata: {a: b}", "a field of kind: Secret is not allowed", "kind: SecretStore\ndata: {}"])
def test_other_texts_are_shown(text):
    assert mask_manifests({"manifest": text}) == {"manifest": text}

"""JSON Patch and JSON Merge Patch: what the RFCs say, within limits, and never another object than before."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.application import Component, Trait
from reconciler.render.engine import ComponentRenderer
from reconciler.render.fields import Fields
from reconciler.render.patches import MOST_OPERATIONS, apply_json_patch
from reconciler.render.protocol import RenderContext, RenderError
from reconciler.render.workloads import Target

CONTEXT = RenderContext("shop", "shop-dev", "dev", {})
BASE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


def render(data, trait, properties):
    component = Component("web", "web", "k8s-objects", {"objects": [{**BASE, "data": data}]}, traits=[Trait(trait, properties)])
    return ComponentRenderer().render(component, CONTEXT, None)[0].get("data")


def patch(data, *operations):
    return render(data, "json-patch", {"operations": list(operations)})


def merge(data, properties):
    return render(data, "json-merge-patch", {"data": properties})


@pytest.mark.parametrize(
    ("data", "operation", "expected"),
    [
        ({}, {"op": "add", "path": "/data/a", "value": 1}, {"a": 1}),
        ({"a": [1, 3]}, {"op": "add", "path": "/data/a/1", "value": 2}, {"a": [1, 2, 3]}),
        ({"a": [1]}, {"op": "add", "path": "/data/a/-", "value": [2]}, {"a": [1, [2]]}),
        ({"a": 1}, {"op": "add", "path": "/data/a", "value": None}, {"a": None}),
        ({"a": 1, "b": 2}, {"op": "remove", "path": "/data/a"}, {"b": 2}),
        ({"a": [1, 2]}, {"op": "remove", "path": "/data/a/0"}, {"a": [2]}),
        ({"a": [1, 2]}, {"op": "replace", "path": "/data/a/1", "value": 3}, {"a": [1, 3]}),
        ({"a": {"b": 1}, "c": {}}, {"op": "move", "from": "/data/a/b", "path": "/data/c/d"}, {"a": {}, "c": {"d": 1}}),
        ({"a": [1, 2, 3]}, {"op": "move", "from": "/data/a/0", "path": "/data/a/2"}, {"a": [2, 3, 1]}),
        ({"a": {"b": 1}}, {"op": "move", "from": "/data/a", "path": "/data/a"}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"op": "copy", "from": "/data/a", "path": "/data/c"}, {"a": {"b": 1}, "c": {"b": 1}}),
        ({"a/b": 1, "c~d": 2}, {"op": "remove", "path": "/data/a~1b"}, {"c~d": 2}),
        ({"a/b": 1, "c~d": 2}, {"op": "remove", "path": "/data/c~0d"}, {"a/b": 1}),
        ({"": 1}, {"op": "replace", "path": "/data/", "value": 2}, {"": 2}),
        ({"a": {"b": [1.0, "x"]}}, {"op": "test", "path": "/data/a", "value": {"b": [1, "x"]}}, {"a": {"b": [1, "x"]}}),
    ],
)
def test_an_operation_does_what_rfc_6902_says(data, operation, expected):
    assert patch(data, operation) == expected


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"op": "remove", "path": "/data/gone/x"}, "there is nothing at /data/gone"),
        ({"op": "replace", "path": "/data/gone", "value": 1}, "there is nothing at /data/gone"),
        ({"op": "add", "path": "/data/list/9", "value": 1}, "nothing can be put at /data/list/9: the list there has 2 items"),
        ({"op": "replace", "path": "/data/list/2", "value": 1}, "there is nothing at /data/list/2"),
        ({"op": "add", "path": "/data/list/01", "value": 1}, "nothing can be put at /data/list/01"),
        ({"op": "add", "path": "/data/text/x", "value": 1}, "neither a mapping nor a list"),
        ({"op": "remove", "path": ""}, "the whole object can't be removed"),
        ({"op": "move", "from": "/data/map", "path": "/data/map/x"}, "can't be moved into itself"),
        ({"op": "test", "path": "/data/flag", "value": 1}, "there is another value at /data/flag"),
        ({"op": "add", "path": "/data/x"}, "value is required"),
        ({"op": "add", "path": "data", "value": 1}, "path must be a JSON pointer"),
        ({"op": "add", "path": "/data/~2", "value": 1}, "path must be a JSON pointer"),
        ({"op": "copy", "path": "/data/x"}, "from is required"),
        ({"op": "merge", "path": "/data"}, "op: must be one of add, remove"),
        ({"path": "/data"}, "op is required"),
    ],
)
def test_an_operation_that_can_not_be_done_names_trait_operation_and_path(operation, message):
    data = {"list": [1, 2], "text": "hunter2", "map": {}, "flag": True}
    with pytest.raises(RenderError, match=rf"^component web: traits\[0\].properties.operations\[1\].*{message}") as caught:
        patch(data, {"op": "test", "path": "/kind", "value": "ConfigMap"}, operation)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "change", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": {"e": None, "f": 1}}}, {"a": {"c": 2, "d": {"f": 1}}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": "text"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_a_merge_patch_does_what_rfc_7396_says(data, change, expected):
    assert merge(data, change) == expected


@pytest.mark.parametrize(
    ("trait", "properties", "field"),
    [
        ("json-merge-patch", {"kind": "Secret"}, "kind"),
        ("json-merge-patch", {"apiVersion": "v2"}, "apiVersion"),
        ("json-merge-patch", {"metadata": {"name": "b"}}, "metadata.name"),
        ("json-merge-patch", {"metadata": {"namespace": "kube-system"}}, "metadata.namespace"),
        ("json-patch", {"operations": [{"op": "replace", "path": "", "value": {}}]}, "apiVersion"),
        ("json-patch", {"operations": [{"op": "replace", "path": "/metadata", "value": []}]}, "metadata.name"),
        ("json-patch", {"operations": [{"op": "add", "path": "/metadata/namespace", "value": "other"}]}, "metadata.namespace"),
    ],
)
def test_rule_13a_a_patch_makes_no_other_object_of_it(trait, properties, field):
    with pytest.raises(RenderError, match=f"must not change {field}"):
        render({}, trait, properties)


def test_what_a_patch_makes_is_checked_like_any_object():
    with pytest.raises(RenderError, match="no mapping of texts"):
        render({}, "json-merge-patch", {"metadata": {"labels": {"a": 1}}})


def test_a_field_of_the_object_itself_can_be_taken_away():
    assert patch({"a": 1}, {"op": "remove", "path": "/data"}) is None
    assert render({"a": 1}, "json-merge-patch", {"data": None}) is None


def test_a_workload_is_patched_before_what_stands_beside_it():
    objects = [{**BASE}, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {}}]
    component = Component("web", "web", "k8s-objects", {"objects": objects}, traits=[Trait("json-merge-patch", {"spec": {"paused": True}})])
    rendered = ComponentRenderer().render(component, CONTEXT, None)
    assert [obj.get("spec") for obj in rendered] == [None, {"paused": True}]
    assert "labels" not in rendered[1]["metadata"], "it is still the component's object, not the trait's"


def test_parts_that_an_alias_shares_are_changed_in_one_place():
    shared = {"x": 1}
    assert patch({"a": shared, "b": shared}, {"op": "replace", "path": "/data/a/x", "value": 2}) == {"a": {"x": 2}, "b": {"x": 1}}


def test_rule_10_copies_of_copies_and_nesting_have_limits():
    double = {"op": "copy", "from": "/data", "path": "/data/a"}
    with pytest.raises(RenderError, match="copy more than 10000 values"):
        patch({"x": [0] * 50}, *[{"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(30)])
    with pytest.raises(RenderError, match="nests more than 100 levels"):
        patch({}, *[double] * 100)
    with pytest.raises(RenderError, match=f"must be from 1 to {MOST_OPERATIONS}"):
        patch({}, *[double] * (MOST_OPERATIONS + 1))


POINTERS = st.lists(st.sampled_from(["", "data", "a", "b", "0", "1", "-", "metadata", "kind"]), max_size=4).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=6,
)
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": POINTERS, "from": POINTERS, "value": JSON}
    ),
    min_size=1,
    max_size=6,
)


@given(JSON, OPERATIONS)
def test_any_patch_changes_the_object_or_is_an_error_that_changes_nothing(data, operations):
    target = [{**copy.deepcopy(BASE), "data": copy.deepcopy(data)}]
    before, given_before = copy.deepcopy(target), copy.deepcopy(operations)
    properties = {"operations": operations}
    try:
        apply_json_patch(Fields("web", properties), Target("web", "shop", properties, target))
    except RenderError:
        assert target == before
    else:
        assert (target[0]["kind"], target[0]["metadata"]["name"]) == ("ConfigMap", "a")
    assert operations == given_before

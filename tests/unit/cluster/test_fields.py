import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cluster import fieldsets
from reconciler.cluster.embedded import fields
from reconciler.cluster.embedded.fields import MergeError
from reconciler.cluster.embedded.shapes import ANY, SET, Shape, keyed

names = st.sampled_from(["a", "b", "c"])
scalars = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["x", "y"])
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3), max_leaves=8)
objects = st.dictionaries(names, values, max_size=3)
items = st.lists(st.fixed_dictionaries({"id": names}, optional={"n": scalars}), max_size=3, unique_by=lambda item: item["id"])
SHAPE = Shape(fields={"list": keyed("id"), "set": SET})
shaped = st.fixed_dictionaries({}, optional={"list": items, "set": st.lists(names, max_size=3, unique=True), "map": objects})


def test_a_set_is_written_as_kubernetes_writes_it():
    shape = Shape(fields={"ports": keyed("port", protocol="TCP"), "names": SET})
    value = {"ports": [{"port": 80, "name": "web"}], "names": ["x"], "plain": [1], "empty": {}}
    assert fields.of(value, shape) == {
        "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}}},
        "f:names": {'v:"x"': {}},
        "f:plain": {},
        "f:empty": {},
    }


@given(shaped, shaped)
def test_union_difference_and_intersection_fit_together(one, other):
    a, b = fields.of(one, SHAPE) or None, fields.of(other, SHAPE) or None
    both, only = fieldsets.intersection(a, b), fieldsets.difference(a, b)
    members = [set(fieldsets.paths(node)) for node in (a, b, both, only, fieldsets.union(a, b))]
    assert members[2] == members[0] & members[1]
    assert members[3] == members[0] - members[1]
    assert members[4] == members[0] | members[1]


@given(shaped, shaped)
def test_a_merge_holds_all_that_was_applied_and_a_second_one_changes_nothing(live, applied):
    merged = fields.merge(live, applied, SHAPE)
    held = list(fieldsets.paths(fields.of(merged, SHAPE)))
    # an empty map or list that meets a filled one is held by what is in it
    assert all(any(one.startswith(path) for one in held) for path in fieldsets.paths(fields.of(applied, SHAPE)))
    assert fields.same(fields.merge(merged, applied, SHAPE), merged)


@given(shaped, shaped)
def test_values_are_different_exactly_when_a_field_is(old, new):
    written, removed = fields.compare(old, new, Shape(fields={"map": ANY, **SHAPE.fields}))
    order_only = {"list", "set"}
    unordered = [{key: sorted(map(repr, value)) if key in order_only else value for key, value in one.items()} for one in (old, new)]
    if fields.same(*unordered):
        assert (written, removed) == (None, None)
    else:
        assert written is not None or removed is not None


def test_true_is_not_one_and_key_order_does_not_count():
    assert not fields.same({"a": 1}, {"a": True})
    assert not fields.same([0], [False])
    assert fields.same({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1})


def test_an_applied_order_of_keyed_items_holds():
    live = {"list": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}
    merged = fields.merge(live, {"list": [{"id": "c"}, {"id": "a"}]}, SHAPE)
    assert [item["id"] for item in merged["list"]] == ["c", "a", "b"]


def test_removal_spares_the_fields_of_others_and_drops_emptied_maps():
    live = {"map": {"a": {"b": 1}}, "list": [{"id": "a", "n": 1}, {"id": "b", "n": 2}]}
    gone = fields.of(live, SHAPE)
    kept = {"f:list": {'k:{"id":"b"}': {"f:n": {}}}}
    assert fields.remove(live, gone, kept, SHAPE) == {"list": [{"n": 2}]}


@pytest.mark.parametrize("broken", [[{"n": 1}], ["text"], [{"id": None}], [{"id": {}}], [{"id": "a"}, {"id": "a"}]])
def test_items_without_a_usable_key_are_refused_with_their_place(broken):
    with pytest.raises(MergeError, match=r"spec\.list\[\d\]"):
        fields.of({"spec": {"list": broken}}, Shape(fields={"spec": SHAPE}))


def test_paths_read_as_people_write_them():
    node = {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}, "f:names": {'v:"x"': {}}}}
    assert list(fieldsets.paths(node)) == ['.spec.containers[name="web"].image', '.spec.names["x"]']

import pytest

from reconciler.dialects.fieldpath import MAX_INDEX, format_path, parse_path, with_value
from reconciler.dialects.ordering import find_cycle


@pytest.mark.parametrize(
    ("text", "path"),
    [("a", ("a",)), ("a.b-c.d_e", ("a", "b-c", "d_e")), ("a[0].b[1][2]", ("a", 0, "b", 1, 2)), (f"a[{MAX_INDEX}]", ("a", MAX_INDEX))],
)
def test_paths_are_read_and_written_alike(text, path):
    assert parse_path(text) == path
    assert format_path(path) == text


def test_keys_that_are_no_words_are_shown_in_brackets():
    assert format_path(("metadata", "annotations", "a.b/c", 0)) == 'metadata.annotations["a.b/c"][0]'


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "[0]", "a[", "a[x]", "a[-1]", "a[0]b", "a[1000]", "a" * 513, "a." * 32 + "a", 1, None])
def test_other_texts_are_no_paths(text):
    with pytest.raises(ValueError):
        parse_path(text)


def test_setting_a_value_changes_nothing_that_was_given():
    target = {"a": {"b": [1, {"c": 2}]}, "d": {}}
    changed = with_value(target, ("a", "b", 1, "c"), 3)
    assert changed == {"a": {"b": [1, {"c": 3}]}, "d": {}}
    assert target == {"a": {"b": [1, {"c": 2}]}, "d": {}}
    assert changed["d"] is target["d"]


def test_a_mapping_is_merged_and_anything_else_replaced():
    target = {"a": {"x": {"p": 1, "q": 2}, "l": [1, 2]}}
    assert with_value(target, ("a",), {"x": {"q": 3}, "l": [9]}) == {"a": {"x": {"p": 1, "q": 3}, "l": [9]}}


def test_missing_containers_come_to_be_and_lists_grow_by_one():
    assert with_value({}, ("a", 0, "b"), 1) == {"a": [{"b": 1}]}
    assert with_value({"a": [1]}, ("a", 1), 2) == {"a": [1, 2]}


@pytest.mark.parametrize("path", [("a", 2), ("a", "b"), ("s", 0), ("s", "b")])
def test_a_path_through_something_else_is_refused(path):
    with pytest.raises(ValueError):
        with_value({"a": [1], "s": "text"}, path, 1)


@pytest.mark.parametrize(
    ("before", "cycle"),
    [
        ({}, []),
        ({"a": ["b"], "b": []}, []),
        ({"a": ["a"]}, ["a", "a"]),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, ["a", "b", "c", "a"]),
        ({"a": ["b", "c"], "b": [], "c": ["a"]}, ["a", "c", "a"]),
        ({"a": ["nowhere"]}, []),
        ({"a": ["b", "b"], "b": []}, []),
    ],
)
def test_a_cycle_is_found_and_only_a_cycle(before, cycle):
    assert find_cycle(before) == cycle


def test_long_chains_cost_no_recursion():
    assert find_cycle({str(index): [str(index + 1)] for index in range(100_000)}) == []

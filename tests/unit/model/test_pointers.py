"""JSON pointers into plain data, as RFC 6901 has them."""

import pytest

from reconciler.model.pointers import parse_pointer, read_pointer, with_pointer, without_pointer

DATA = {"a/b": {"m~n": 1}, "list": [{"x": 1}, {"x": 2}], "": 0}


@pytest.mark.parametrize(("text", "value"), [("/a~1b/m~0n", 1), ("/list/1/x", 2), ("/", 0), ("", DATA)])
def test_a_pointer_reads_what_it_names(text, value):
    assert read_pointer(DATA, parse_pointer(text)) == value


@pytest.mark.parametrize("text", ["a", "/a~2", "/" * 101, "/" + "x" * 1024])
def test_what_is_no_pointer_is_refused(text):
    with pytest.raises(ValueError, match="JSON pointer"):
        parse_pointer(text)


@pytest.mark.parametrize("text", ["/nothing", "/list/2", "/list/01", "/list/-", "/a~1b/m~0n/deeper"])
def test_where_there_is_nothing_it_says_so_and_taking_it_away_changes_nothing(text):
    with pytest.raises(LookupError, match="nothing at"):
        read_pointer(DATA, parse_pointer(text))
    assert without_pointer(DATA, parse_pointer(text)) is DATA


def test_a_change_is_a_copy_that_shares_the_rest():
    changed = with_pointer(DATA, ["list", "0", "x"], 9)
    assert (changed["list"], DATA["list"]) == ([{"x": 9}, {"x": 2}], [{"x": 1}, {"x": 2}])
    assert changed["list"][1] is DATA["list"][1]
    assert without_pointer(DATA, ["list", "0"])["list"] == [{"x": 2}]
    assert without_pointer(DATA, ["a/b"]).keys() == {"list", ""}

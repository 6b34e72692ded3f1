"""Data between steps: paths, inputs and outputs."""

import pytest

from reconciler.model.application import Input, Output, Step
from reconciler.model.run import Phase, StepState
from reconciler.workflow.data import Absent, Pending, gather_inputs, read_outputs
from reconciler.workflow.paths import parse_path, read_path, with_path


@pytest.mark.parametrize(
    ("text", "parts"),
    [("a", ["a"]), ("a.b", ["a", "b"]), ("a[0].b", ["a", 0, "b"]), ("a[0][1]", ["a", 0, 1]), ("[2]", [2]), ("metadata.x/y", ["metadata", "x/y"])],
)
def test_a_path_has_names_and_indexes(text, parts):
    assert parse_path(text) == parts


@pytest.mark.parametrize(
    "text", ["", ".", "a.", "a..b", ".a", "a.[0]", "a[0]b", "a[", "a[]", "a[-1]", "a[x]", "a[99999]", "a[٣]", "]", ".".join("a" * 33), "." * 99999]
)
def test_what_is_no_path_is_refused(text):
    with pytest.raises(ValueError, match="not a path"):
        parse_path(text)


VALUE = {"a": [{"b": 1}, None], "c": {"d": None}}


@pytest.mark.parametrize(("path", "found"), [("a[0].b", 1), ("a[1]", None), ("c.d", None), ("c", {"d": None})])
def test_a_path_leads_to_the_value_below(path, found):
    assert read_path(VALUE, path) == found


@pytest.mark.parametrize("path", ["x", "a[2]", "a.b", "c[0]", "a[0].b.c", "c.d.e"])
def test_a_path_that_leads_nowhere_raises_a_lookup_error(path):
    with pytest.raises(LookupError):
        read_path(VALUE, path)


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("x", {**VALUE, "x": 7}),
        ("x.y.z", {**VALUE, "x": {"y": {"z": 7}}}),
        ("x[0].y", {**VALUE, "x": [{"y": 7}]}),
        ("a[0].b", {**VALUE, "a": [{"b": 7}, None]}),
        ("a[1]", {**VALUE, "a": [{"b": 1}, 7]}),
        ("a[2]", {**VALUE, "a": [{"b": 1}, None, 7]}),
        ("c.d.e", {**VALUE, "c": {"d": {"e": 7}}}),
    ],
)
def test_a_value_is_put_at_a_path_of_a_copy(path, made):
    before = repr(VALUE)
    assert with_path(VALUE, path, 7) == made
    assert repr(VALUE) == before
    assert read_path(made, path) == 7


@pytest.mark.parametrize("path", ["a[3]", "a[9999]", "a.b", "a[0].b.c", "c[0]", "x[1]", "[0]"])
def test_a_value_is_never_forced_through_what_does_not_hold_it(path):
    with pytest.raises(ValueError, match=r"\["):
        with_path(VALUE, path + ("" if "[" in path else "[0]"), 7)


DB = StepState("db", "apply-component", "db", Phase.SUCCEEDED, outputs={"conn": {"host": "h", "ports": [1, 2]}, "a.b": "dotted", "empty": None})


def gathered(*inputs, steps=(DB,), components=(), context=None, **properties):
    spec = Step("web", "x", "web", properties=properties, inputs=[Input(*item) for item in inputs], components=list(components))
    return gather_inputs(spec, steps, context or {})


@pytest.mark.parametrize(
    ("source", "value"), [("conn", {"host": "h", "ports": [1, 2]}), ("conn.host", "h"), ("conn.ports[1]", 2), ("a.b", "dotted"), ("empty", None)]
)
def test_an_input_is_an_output_or_a_part_of_one(source, value):
    assert gathered((source, "properties.env.X"), env={"Y": 1}) == ({"env": {"Y": 1, "X": value}}, {})


def test_a_step_that_applies_components_hands_its_inputs_on_to_them():
    assert gathered(("conn.host", "properties.env.X"), components=["web"], kept=1) == ({"kept": 1}, {"properties.env.X": "h"})


@pytest.mark.parametrize("source", ["other", "conn.nothing", "conn.ports[9]", "empty.x", "con"])
def test_an_input_that_is_not_there_is_pending_by_name(source):
    with pytest.raises(Pending, match=f"^Pending on Input: {source.replace('[', '.').replace(']', '.')}$"):
        gathered((source, "x"))


def test_an_input_reads_the_context_where_no_step_gives_it():
    context = {"appName": "shop", "appLabels": {"a/b": "c"}, "list": [1]}
    for source, value in (("context.appName", "shop"), ("context.appLabels.a/b", "c"), ("context.list[0]", 1)):
        assert gathered((source, "x"), context=context) == ({"x": value}, {})
    given = StepState("db", "x", "db", Phase.SUCCEEDED, outputs={"context": {"appName": "given"}})
    assert gathered(("context.appName", "x"), steps=(given,), context=context) == ({"x": "given"}, {})
    with pytest.raises(Absent, match=r"^Input context\.color never comes"):
        gathered(("context.color", "x"), context=context)
    with pytest.raises(Pending, match=r"^Pending on Input: context\.appName$"):
        gathered(("context.appName", "x"))


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.SUCCEEDED])
def test_only_a_step_that_succeeded_gives_outputs(phase):
    with pytest.raises(Pending):
        gathered(("conn", "x"), steps=[StepState("db", "x", "db", phase, outputs={"conn": 1})])


def test_an_input_that_does_not_fit_says_so():
    with pytest.raises(Pending, match=r"Input conn does not fit: env\.X"):
        gathered(("conn", "env.X"), env="text")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('"http://\\(connection.host):\\(connection.port)"', "http://h:80"),
        ('connection.host + "-x"', "h-x"),
        ('data["a.b"]', 1),
        ("data.my-key", 2),
        ("len(objects)", 0),
        ('"text"', "text"),
        ('nothing.at.all + "x"', None),
        ("odd name.x", 3),
    ],
)
def test_an_output_may_be_an_expression(value, found):
    exported = {"connection": {"host": "h", "port": 80}, "objects": [], "data": {"a.b": 1, "my-key": 2}, "odd name": {"x": 3}}
    assert read_outputs(Step("db", "x", "db", outputs=[Output("o", value)]), exported) == {"o": found}


def test_outputs_are_read_from_what_a_step_exports_and_are_null_where_there_is_nothing():
    spec = Step("db", "x", "db", outputs=[Output("host", "connection.host"), Output("gone", "objects[0].name"), Output("bad", "a..b")])
    assert read_outputs(spec, {"connection": {"host": "h"}, "objects": []}) == {"host": "h", "gone": None, "bad": None}

import pytest

from reconciler.cluster.embedded.schema import check_schema, conform
from reconciler.cluster.protocol import InvalidError


def conformed(spec, schema):
    obj = {"kind": "Thing", "metadata": {"name": "one"}, "spec": spec}
    conform(obj, {"type": "object", "properties": {"spec": schema}})
    return obj["spec"]


def test_unknown_fields_are_pruned_at_every_level_but_where_they_are_preserved():
    schema = {
        "type": "object",
        "properties": {
            "closed": {"type": "object", "properties": {"a": {"type": "integer"}}},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"closed": {"type": "object"}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {}}}},
        },
    }
    given = {"closed": {"a": 1, "b": 2}, "open": {"c": 3, "closed": {"d": 4}}, "list": [{"a": 1, "b": 2}], "other": 5}
    assert conformed(given, schema) == {"closed": {"a": 1}, "open": {"c": 3, "closed": {}}, "list": [{"a": 1}]}


def test_defaults_are_copies_and_are_filled_in_below_defaults():
    schema = {"type": "object", "properties": {"a": {"type": "object", "default": {}, "properties": {"b": {"type": "array", "default": [1]}}}}}
    one, two = conformed({}, schema), conformed({}, schema)
    one["a"]["b"].append(2)
    assert two == {"a": {"b": [1]}}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, 1.0, 1.5),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, 0.1, 0),
        ({"type": "number", "maximum": 2}, 2, 2.1),
        ({"type": "integer", "multipleOf": 3}, 6, 7),
        ({"type": "string", "minLength": 2}, "ab", "a"),
        ({"type": "array", "maxItems": 1}, [1], [1, 2]),
        ({"type": "object", "maxProperties": 1, "additionalProperties": True}, {"a": 1}, {"a": 1, "b": 2}),
        ({"type": "boolean"}, True, 1),
        ({"type": "string", "nullable": True}, None, 1),
        ({"type": "string"}, "x", None),
        ({"enum": [1]}, 1, True),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "a", []),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "additionalProperties": True}, {"a": 1}, {"a": 1, "b": 1}),
        ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 2, 4),
        ({"not": {"enum": ["no"]}}, "yes", "no"),
    ],
)
def test_a_value_fits_or_is_refused_by_its_path(schema, good, bad):
    field = {"type": "object", "properties": {"field": schema}}
    assert conformed({"field": good}, field) == {"field": good}
    with pytest.raises(InvalidError, match=r"spec\.field"):
        conformed({"field": bad}, field)


def test_rule_12_a_refused_value_is_not_repeated():
    with pytest.raises(InvalidError) as refused:
        conformed({"key": "hunter2"}, {"type": "object", "properties": {"key": {"type": "string", "maxLength": 3, "pattern": "^x$", "enum": ["x"]}}})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "schema",
    [
        [],
        {"type": "text"},
        {"properties": []},
        {"properties": {"a": "b"}},
        {"items": {"items": {"type": 3}}},
        {"required": [1]},
        {"anyOf": [1]},
        {"minimum": "1"},
        {"additionalProperties": "yes"},
    ],
)
def test_what_is_no_schema_is_refused(schema):
    with pytest.raises(InvalidError):
        check_schema(schema, "schema")


def test_a_schema_nested_without_end_is_refused():
    schema = {}
    for _ in range(200):
        schema = {"items": schema}
    with pytest.raises(InvalidError, match="nested"):
        check_schema(schema, "schema")

"""From the shape of a value to the structural schema by which an API server stores it: what the schema lacks, the server would drop."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from reconciler.model.identity import JsonObject

PRESERVE = "x-kubernetes-preserve-unknown-fields"
_PLAIN: dict[type[inspect.Type], JsonObject] = {
    inspect.StrType: {"type": "string"},
    inspect.BoolType: {"type": "boolean"},
    inspect.IntType: {"type": "integer", "format": "int64"},
    inspect.FloatType: {"type": "number"},
    inspect.DateTimeType: {"type": "string", "format": "date-time"},
    inspect.TimeDeltaType: {"type": "string"},  # ISO 8601; the server's own format `duration` is Go's
    inspect.AnyType: {PRESERVE: True},
}


def schema_of(kind: Any) -> JsonObject:
    """
    The schema of a type as msgspec writes it. Fields without a default are required; a value that may be anything keeps what it holds.

    Raises TypeError for what has no such schema: another union than with None, and a None that would be written.
    """
    return _schema(inspect.type_info(kind))


def _schema(kind: inspect.Type) -> JsonObject:
    if isinstance(kind, inspect.Metadata):
        return _schema(kind.type) | dict((kind.extra_json_schema or {}).items())
    plain = _PLAIN.get(type(kind))
    if plain is not None:
        return dict(plain)
    if isinstance(kind, inspect.StructType):
        return _struct(kind)
    if isinstance(kind, inspect.ListType):
        return {"type": "array", "items": _schema(kind.item_type)}
    if isinstance(kind, inspect.DictType):
        open_ = isinstance(kind.value_type, inspect.AnyType)
        return {"type": "object"} | ({PRESERVE: True} if open_ else {"additionalProperties": _schema(kind.value_type)})
    if isinstance(kind, inspect.LiteralType | inspect.EnumType):
        values = list(kind.values) if isinstance(kind, inspect.LiteralType) else [member.value for member in kind.cls]
        return {"type": "string", "enum": sorted(str(value) for value in values)}
    if isinstance(kind, inspect.UnionType) and kind.includes_none and len(kind.types) == 2:
        return _schema(next(part for part in kind.types if not isinstance(part, inspect.NoneType)))
    raise TypeError(f"no structural schema for {kind}")


def _struct(kind: inspect.StructType) -> JsonObject:
    absent = kind.cls.__struct_config__.omit_defaults
    for field in kind.fields:
        if isinstance(field.type, inspect.UnionType) and field.type.includes_none and not (absent and field.default is None):
            raise TypeError(f"{kind.cls.__name__}.{field.name} would be written as null, which an API server drops or refuses")
    required = [field.encode_name for field in kind.fields if field.required]
    properties = {field.encode_name: _schema(field.type) for field in kind.fields}
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def outlined(schema: JsonObject, **texts: str) -> JsonObject:
    """
    Of the schema of an object the properties that people read, each with what is said of it; what is in them and beside them is kept as written.

    For what one writer writes by a shape of its own: an API server goes through each property that a schema names, once for every one that the
    object has, at all of the five times that it reads the object for one write. For the same reason all of it is one field to `managedFields`.
    """
    properties = {name: _outline(schema["properties"][name]) | {"description": text} for name, text in texts.items()}
    return whole({"type": "object", PRESERVE: True} | ({"properties": properties} if properties else {}))


def whole(schema: JsonObject) -> JsonObject:
    """The schema of an object that is written as one: nobody shares its fields."""
    return schema | {"x-kubernetes-map-type": "atomic"}


def _outline(schema: JsonObject) -> JsonObject:
    if schema.get("type") == "array":
        return schema | {"items": _outline(schema["items"])}
    return {"type": "object", PRESERVE: True} if schema.get("type") == "object" else schema


def to_yaml(documents: list[JsonObject]) -> str:
    """The documents as a person reads them, in the order in which their parts were given."""
    import yaml

    return "---\n".join(yaml.safe_dump(msgspec.to_builtins(document), sort_keys=False, width=150) for document in documents)

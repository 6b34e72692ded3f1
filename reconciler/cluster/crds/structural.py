"""From the shape of a value to the structural schema by which an API server stores it: what the schema lacks, the server would drop."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from reconciler.model.condition import Condition
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
        return {"type": "array", "items": _schema(kind.item_type)} | _keyed(kind.item_type)
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


def _keyed(item: inspect.Type) -> JsonObject:
    """Conditions are a map by type, as everywhere."""
    conditions = isinstance(item, inspect.StructType) and item.cls is Condition
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]} if conditions else {}


def described(schema: JsonObject, **texts: str) -> JsonObject:
    """The schema of an object, with descriptions of its properties."""
    properties = schema["properties"]
    return schema | {"properties": properties | {name: properties[name] | {"description": text} for name, text in texts.items()}}


def without(schema: JsonObject, *names: str) -> JsonObject:
    """The schema of an object without these properties: they are kept in its metadata."""
    left = {name: sub for name, sub in schema["properties"].items() if name not in names}
    return schema | {"properties": left, "required": [name for name in schema.get("required", []) if name not in names]}


def to_yaml(documents: list[JsonObject]) -> str:
    """The documents as a person reads them, in the order in which their parts were given."""
    import yaml

    return "---\n".join(yaml.safe_dump(msgspec.to_builtins(document), sort_keys=False, width=150) for document in documents)

"""
Structural OpenAPI v3 schemas, as CustomResourceDefinitions carry them: defaulting, pruning and validation in one pass.

Known: type, properties, required, additionalProperties, items, enum, default, nullable, pattern, the limits on numbers,
lengths and counts, allOf, anyOf, oneOf, not, and the `x-kubernetes-` marks preserve-unknown-fields, int-or-string and
embedded-resource. CEL rules (`x-kubernetes-validations`) and `format` are not evaluated. Messages name fields, never values.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from reconciler.cluster.protocol import InvalidError
from reconciler.model.identity import JsonObject
from reconciler.model.pattern import found

Schema = Mapping[str, Any]

PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
EMBEDDED = "x-kubernetes-embedded-resource"
_IMPLICIT = frozenset({"apiVersion", "kind", "metadata"})
_LOGIC = frozenset({"allOf", "anyOf", "oneOf", "not"})
_MOST_ERRORS = 5
_DEEPEST = 64


def conform(obj: JsonObject, schema: Schema) -> None:
    """Completes, prunes and checks an object in place. Raises InvalidError."""
    errors: list[str] = []
    _object(obj, schema, "", errors, root=True, prune=True)
    if errors:
        raise InvalidError(f"{obj.get('kind')} {obj['metadata'].get('name')!r}: " + "; ".join(errors[:_MOST_ERRORS]))


def _walk(value: Any, schema: Schema, path: str, errors: list[str], *, prune: bool = True) -> None:
    if value is None and schema.get("nullable"):
        return
    wrong = _wrong_type(value, schema)
    if wrong:
        errors.append(f"{path}: {wrong}")
        return
    if isinstance(value, dict):
        _object(value, schema, path, errors, root=bool(schema.get(EMBEDDED)), prune=prune)
    elif isinstance(value, list):
        _array(value, schema, path, errors, prune=prune)
    elif isinstance(value, str):
        _string(value, schema, path, errors)
    elif not isinstance(value, bool) and isinstance(value, (int, float)):
        _number(value, schema, path, errors)
    if "enum" in schema and not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in schema["enum"]):
        errors.append(f"{path}: must be one of {', '.join(str(one) for one in schema['enum'])}"[:300])
    if not _LOGIC.isdisjoint(schema):
        _logic(value, schema, path, errors)


def _wrong_type(value: Any, schema: Schema) -> str:
    if schema.get(INT_OR_STRING):
        return "" if isinstance(value, str) or _is_integer(value) else "must be an integer or a string"
    wanted = schema.get("type")
    return "" if wanted is None or _IS[wanted](value) else f"must be of type {wanted}, is {_type_name(value)}"


def _is_integer(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


_IS: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}


def _type_name(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null")


def _object(value: JsonObject, schema: Schema, path: str, errors: list[str], *, root: bool, prune: bool) -> None:
    properties: Schema = schema.get("properties", {})
    extra = schema.get("additionalProperties")
    for name, sub in properties.items():
        absent = name not in value or (value[name] is None and not sub.get("nullable"))
        if prune and absent and "default" in sub:
            value[name] = copy.deepcopy(sub["default"])
    for name in list(value):
        if root and name in _IMPLICIT:
            continue
        where = f"{path}.{name}" if path else name
        if name in properties:
            _walk(value[name], properties[name], where, errors, prune=prune)
        elif isinstance(extra, dict):
            _walk(value[name], extra, where, errors, prune=prune)
        elif prune and not (extra is True or schema.get(PRESERVE)):
            del value[name]
    prefix = f"{path}." if path else ""
    errors.extend(f"{prefix}{name}: required" for name in schema.get("required", ()) if name not in value)
    _count(len(value), schema, ("minProperties", "maxProperties"), path, "fields", errors)


def _array(value: list[Any], schema: Schema, path: str, errors: list[str], *, prune: bool) -> None:
    items = schema.get("items")
    _count(len(value), schema, ("minItems", "maxItems"), path, "items", errors)
    if isinstance(items, dict):
        for position, item in enumerate(value):
            _walk(item, items, f"{path}[{position}]", errors, prune=prune)


def _string(value: str, schema: Schema, path: str, errors: list[str]) -> None:
    _count(len(value), schema, ("minLength", "maxLength"), path, "characters", errors)
    pattern = schema.get("pattern")
    if pattern and not found(pattern, value):
        errors.append(f"{path}: must match {pattern!r:.200}")


def _count(size: int, schema: Schema, limits: tuple[str, str], path: str, what: str, errors: list[str]) -> None:
    least, most = (schema.get(name) for name in limits)
    if least is not None and size < least:
        errors.append(f"{path}: must have at least {least} {what}")
    if most is not None and size > most:
        errors.append(f"{path}: must have at most {most} {what}")


def _number(value: float, schema: Schema, path: str, errors: list[str]) -> None:
    least, most, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if least is not None and (value < least or (schema.get("exclusiveMinimum") and value == least)):
        errors.append(f"{path}: must be at least {least}" if not schema.get("exclusiveMinimum") else f"{path}: must be more than {least}")
    if most is not None and (value > most or (schema.get("exclusiveMaximum") and value == most)):
        errors.append(f"{path}: must be at most {most}" if not schema.get("exclusiveMaximum") else f"{path}: must be less than {most}")
    if step and value % step:
        errors.append(f"{path}: must be a multiple of {step}")


def _logic(value: Any, schema: Schema, path: str, errors: list[str]) -> None:
    if not all(_fits(value, sub) for sub in schema.get("allOf", ())):
        errors.append(f"{path}: does not fit all of its alternatives (allOf)")
    if "anyOf" in schema and not any(_fits(value, sub) for sub in schema["anyOf"]):
        errors.append(f"{path}: fits none of its alternatives (anyOf)")
    if "oneOf" in schema and sum(_fits(value, sub) for sub in schema["oneOf"]) != 1:
        errors.append(f"{path}: must fit exactly one of its alternatives (oneOf)")
    if "not" in schema and _fits(value, schema["not"]):
        errors.append(f"{path}: fits what it must not")


def _fits(value: Any, schema: Schema) -> bool:
    errors: list[str] = []
    _walk(value, schema, "", errors, prune=False)  # alternatives only judge; they neither prune nor default
    return not errors


_KEYWORD_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "type": str,
    "properties": dict,
    "required": list,
    "items": dict,
    "enum": list,
    "pattern": str,
    "nullable": bool,
    "additionalProperties": (dict, bool),
    "allOf": list,
    "anyOf": list,
    "oneOf": list,
    "not": dict,
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), int),
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), (int, float)),
}


def check_schema(schema: Any, path: str, depth: int = 0) -> None:
    """Raises InvalidError where `schema` is not one: everything else here relies on this check."""
    if depth > _DEEPEST:
        raise InvalidError(f"{path[:100]}…: nested deeper than {_DEEPEST}")
    if not isinstance(schema, dict):
        raise InvalidError(f"{path}: must be an object")
    for keyword, kind in _KEYWORD_TYPES.items():
        if keyword in schema and not isinstance(schema[keyword], kind):
            raise InvalidError(f"{path}.{keyword}: of the wrong type")
    if "type" in schema and schema["type"] not in _IS:
        raise InvalidError(f"{path}.type: must be one of {', '.join(sorted(_IS))}")
    if not all(isinstance(name, str) for name in schema.get("required", ())):
        raise InvalidError(f"{path}.required: must be a list of strings")
    for name, sub in schema.get("properties", {}).items():
        check_schema(sub, f"{path}.properties[{name}]", depth + 1)
    for keyword in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(keyword), dict):
            check_schema(schema[keyword], f"{path}.{keyword}", depth + 1)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for position, sub in enumerate(schema.get(keyword, ())):
            check_schema(sub, f"{path}.{keyword}[{position}]", depth + 1)

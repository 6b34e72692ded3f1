"""
Decrypted values put where they may stand: in Secrets. One that stands in a container's environment goes to a Secret of ours, which the
container then refers to. Anywhere else a decrypted value would be seen by all who may look at workloads: an error.
"""

from __future__ import annotations

import base64
import binascii
import copy
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.model.names import ANNOTATION_SEALED
from reconciler.model.sealed import MARK, homes_of, is_others, is_token, tokens_of
from reconciler.model.text import one_line
from reconciler.render.protocol import RenderError
from reconciler.render.workloads import dig, mappings, templates

_SUFFIX: Final = "-sealed"
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}", re.ASCII)
_CONTAINERS: Final = ("containers", "initContainers")


def put_values(subject: str, objects: list[JsonObject], values: Mapping[str, str], salt: str) -> list[JsonObject]:
    """
    The objects with their encrypted values decrypted, in the order to apply; those that hold none are the same objects.

    `salt`: random, of the application: it goes into each Secret that holds a decrypted value, so that no digest that is stored of one
    can be searched for by trying values. Raises RenderError; its message says where, never what.
    """
    made: list[JsonObject] = []
    names = {ObjectRef.of(obj).identity for obj in objects}
    for obj in objects:
        homes = homes_of(obj)
        if homes and (is_others(obj) or homes != {obj["metadata"].get("namespace")}):
            raise _error(subject, f"{one_line(ObjectRef.of(obj))}: values of a Secret go into Secrets and containers of its own namespace alone")
        if is_others(obj) or not any(tokens_of(obj)):
            made.append(obj)
            continue
        changed = copy.deepcopy(obj)
        if _is_secret(changed):
            _fill(subject, changed, values, salt)
        else:
            lifted = _lift(subject, changed, values, salt)
            if lifted is not None and ObjectRef.of(lifted).identity in names:
                raise _error(subject, f"{one_line(ObjectRef.of(lifted))} is made for encrypted variables, and another object has its name")
            made += [lifted] if lifted is not None else []
        left = _first(changed, ())
        if left:
            raise _error(
                subject,
                f"{one_line(ObjectRef.of(changed))}: {left}: a decrypted value may stand in a Secret's data or in a container's variable, not here "
                "(encrypt data and stringData alone: --encrypted-regex '^(data|stringData)$')",
            )
        if _is_secret(changed):
            _as_data(changed)
        made.append(changed)
    return made


def unwrap_tokens(subject: str, objects: list[JsonObject]) -> list[JsonObject]:
    """What a template made base64 of in a Secret's data is put into `stringData` where it is an encrypted value: what is to be base64 is what
    it decrypts to. Raises RenderError where it is only a part."""
    made = []
    for obj in objects:
        data = obj.get("data") if isinstance(obj, dict) and obj.get("kind") == "Secret" else None
        inside = {key: text for key, value in data.items() if MARK in (text := _decoded(value))} if isinstance(data, dict) else {}
        for key, text in inside.items():
            if not is_token(text):
                raise _error(subject, f"Secret: data.{one_line(key, 80)}: an encrypted value can't be a part of a text")
        if inside:
            left = {key: value for key, value in (data or {}).items() if key not in inside}
            obj = {**obj, "data": left, "stringData": {**(obj.get("stringData") or {}), **inside}}  # noqa: PLW2901 - the copy takes its place
        made.append(obj)
    return made


def _decoded(value: Any) -> str:
    try:
        return base64.b64decode(value, validate=True).decode() if isinstance(value, str) else ""
    except (binascii.Error, ValueError):
        return ""


def _fill(subject: str, obj: JsonObject, values: Mapping[str, str], salt: str) -> None:
    for field in ("data", "stringData"):
        entries = obj.get(field)
        if not isinstance(entries, dict):
            continue
        for key, token in entries.items():
            if not is_token(token):
                continue
            value = _value(subject, f"{one_line(ObjectRef.of(obj))}: {field}.{one_line(key, 80)}", token, values)
            value = "".join(value.split()) if field == "data" else value
            if field == "data" and not _is_base64(value):
                raise _error(
                    subject, f"{one_line(ObjectRef.of(obj))}: data.{one_line(key, 80)}: what was decrypted is not base64 (stringData takes text)"
                )
            entries[key] = value
    obj["metadata"]["annotations"] = {**(obj["metadata"].get("annotations") or {}), ANNOTATION_SEALED: salt}


def _as_data(obj: JsonObject) -> None:
    """`stringData` as `data`: server-side apply never takes away a key that left `stringData` (the API server's own documentation warns of it)."""
    texts = obj.pop("stringData", None)
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        obj |= {"stringData": texts} if texts is not None else {}  # the API server says what is wrong with it
        return
    obj["data"] = {
        **(obj.get("data") or {}),
        **{key: base64.b64encode(text.encode("utf-8", "surrogatepass")).decode() for key, text in texts.items()},
    }


def _lift(subject: str, obj: JsonObject, values: Mapping[str, str], salt: str) -> JsonObject | None:
    """Encrypted variables of a workload's containers to a Secret, which is answered; None where it has none. A digest of them goes into the
    pods' template, so that a change of one alone makes new pods."""
    found: dict[str, str] = {}
    meta = obj["metadata"]
    name = f"{meta['name']}{_SUFFIX}"
    for template in [obj] if obj["kind"] == "Pod" else templates([obj]):
        before = len(found)
        for field in _CONTAINERS:
            for container in mappings(dig(template, "spec", field)):
                for variable in mappings(container.get("env")):
                    token = variable.get("value")
                    if is_token(token):
                        if is_token(variable.get("name")):
                            raise _error(subject, f"{one_line(ObjectRef.of(obj))}: a variable's name is encrypted: encrypt values alone")
                        place = f"{one_line(ObjectRef.of(obj))}: variable {one_line(variable.get('name'), 80)}"
                        key = f"{obj['kind'].lower()}.{container.get('name')}.{variable.get('name')}"
                        if not _KEY.fullmatch(key):
                            raise _error(subject, f"{place}: its name can't be a Secret's key")
                        found[key] = _value(subject, place, str(token), values)
                        del variable["value"]
                        variable["valueFrom"] = {"secretKeyRef": {"name": name, "key": key}}
        if len(found) > before:
            told = template.setdefault("metadata", {})
            told["annotations"] = {**(told.get("annotations") or {}), ANNOTATION_SEALED: _mark(salt, found)}
    if not found:
        return None
    secret: JsonObject = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "stringData": found}
    if meta.get("namespace"):
        secret["metadata"]["namespace"] = meta["namespace"]
    secret["metadata"]["annotations"] = {ANNOTATION_SEALED: salt}
    _as_data(secret)
    return secret


def _mark(salt: str, found: Mapping[str, str]) -> str:
    text = "\0".join(part for key in sorted(found) for part in (key, found[key]))
    return hmac.new(salt.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


def _value(subject: str, place: str, token: str, values: Mapping[str, str]) -> str:
    if token not in values:
        raise _error(subject, f"{place}: an encrypted value that is in none of the application's encrypted documents")
    return values[token]


def _first(value: Any, at: tuple[str, ...]) -> str:
    """Where an encrypted value is left; empty where none is."""
    if isinstance(value, str):
        return one_line(".".join(at) or "it", 200) if MARK in value and any(tokens_of(value)) else ""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next((found for key, item in children if (found := _first(item, (*at, str(key))))), "")


def _is_secret(obj: JsonObject) -> bool:
    return (obj["kind"], obj["apiVersion"]) == ("Secret", "v1")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _error(subject: str, message: str) -> RenderError:
    return RenderError(f"{subject}: {message}")

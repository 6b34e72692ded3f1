"""What a manifest picks that the operator does not allow below its path (rule 13a), said with file, line and field before anything is
applied. What its templates come to is asked again at each call of the cluster (`reach.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.dialects.documents import line_of
from reconciler.engine.access import Access, DeniedError
from reconciler.model.account import picked
from reconciler.model.application import Application
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.model.names import DEPENDS_ON, GROUP, SERVICE_ACCOUNT
from reconciler.model.problem import Problem

_Place = tuple[str | int, ...]
_MOST = 20


def judge(access: Access, app: Application, data: bytes) -> list[Problem]:
    """`data`: the whole file. Empty where the application may be looked at further."""
    found: dict[tuple[_Place, str], None] = {}
    for place, message in _objections(access, app):
        found.setdefault((place, message))
        if len(found) >= _MOST:
            break
    text = data.decode("utf-8", "replace") if found else ""
    return [
        Problem(app.path, line_of(text, app.index, place) or app.line, message, f"{app.kind} {app.name}", _written(place)) for place, message in found
    ]


def owner_objection(obj: JsonObject) -> str:
    """Why an object may not be as it is written; empty when it may (rule 1f)."""
    owners = (obj.get("metadata") or {}).get("ownerReferences") or []
    ours = any(isinstance(owner, dict) and str(owner.get("apiVersion", "")).partition("/")[0] == GROUP for owner in owners)
    return f"an object of {GROUP} can't own it: what is applied never goes with the daemon's state" if ours else ""


def _objections(access: Access, app: Application) -> Iterator[tuple[_Place, str]]:
    metadata: _Place = ("metadata",)
    home = access.home_objection(app.path, app.namespace)
    if home:
        yield (*metadata, "namespace"), home
        return  # all else follows from it
    try:
        access.account(app.path, app.key, app.annotations)
    except DeniedError as error:
        yield (*metadata, "annotations", next(iter(picked(app.annotations)), SERVICE_ACCOUNT)), str(error)
    for key in app.needs:
        if objection := access.reference_objection(app.path, app.namespace, key.namespace):
            yield (*metadata, "annotations", DEPENDS_ON), objection
    for key in app.awaited:
        if objection := access.reference_objection(app.path, app.namespace, key.namespace):
            yield _find_namespace(app.spec, key.namespace), objection
    for component in app.components:
        if component.namespace and (objection := access.home_objection(app.path, component.namespace)):
            yield _find_namespace(app.spec, component.namespace), objection
            continue
        for obj in component.properties.get("objects", []) if component.type == "k8s-objects" else []:
            objection = _object_objection(access, app, obj, component.namespace or app.namespace)
            if objection:
                yield _find_object(app.spec, obj), objection


def _object_objection(access: Access, app: Application, obj: Any, namespace: str) -> str:
    """Of an object as it is written. Whether its kind has namespaces is not known here: only what is surely refused is."""
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata"), dict):
        return ""
    ref = ObjectRef.of(obj)
    spaced, wide = ref if ref.namespace else ref._replace(namespace=namespace), ref._replace(namespace="")
    return owner_objection(obj) or (access.objection(app.path, spaced) if access.objection(app.path, wide) else "")


def _find_object(spec: Any, obj: JsonObject) -> _Place:
    """Where the object is written: the first mapping with its kind and name."""
    meta = obj["metadata"]
    for place, value in _walk(spec, ("spec",)):
        if isinstance(value, dict) and value.get("kind") == obj.get("kind") and isinstance(value.get("metadata"), dict):
            other = value["metadata"]
            if other.get("name") == meta.get("name") and other.get("namespace") in (None, meta.get("namespace")):
                return place
    return ("spec",)


def _find_namespace(spec: Any, namespace: str) -> _Place:
    """Where a namespace is named: the first text that is it."""
    return next((place for place, value in _walk(spec, ("spec",)) if value == namespace), ("spec",))


def _walk(value: Any, place: _Place) -> Iterator[tuple[_Place, Any]]:
    """Every value with its place. Recursion is safe: the parser has bounded the depth."""
    yield place, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _walk(child, (*place, key))


def _written(place: _Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")

"""Where an object is below the API server's root. Names come from manifests: none may lead to another path than its own."""

from __future__ import annotations

from urllib.parse import quote

from reconciler.cluster.kubernetes.discovery import Resource
from reconciler.cluster.protocol import InvalidError
from reconciler.model.identity import JsonObject


def collection(resource: Resource, namespace: str = "") -> str:
    """Of one namespace, or of all of them."""
    gvk = resource.gvk
    root = f"/apis/{quote(gvk.group, safe='')}/{quote(gvk.version, safe='')}" if gvk.group else f"/api/{quote(gvk.version, safe='')}"
    inner = f"/namespaces/{_segment(namespace, resource, 'metadata.namespace')}" if namespace and resource.namespaced else ""
    return f"{root}{inner}/{quote(resource.plural, safe='')}"


def place(resource: Resource, namespace: object) -> str:
    """The collection that an object of that namespace is made in. Raises InvalidError where the namespace does not fit the kind."""
    if namespace not in ("", None) and not resource.namespaced:
        raise InvalidError(f"{resource.gvk.kind}: metadata.namespace: not allowed, the kind is cluster-scoped")
    if namespace in ("", None) and resource.namespaced:
        raise InvalidError(f"{resource.gvk.kind}: metadata.namespace: required")
    return collection(resource, _text(namespace, resource, "metadata.namespace") if resource.namespaced else "")


def item(resource: Resource, namespace: object, name: object) -> str:
    """Raises InvalidError where either can't be part of a path."""
    return f"{place(resource, namespace)}/{_segment(_text(name, resource, 'metadata.name'), resource, 'metadata.name')}"


def item_of(resource: Resource, obj: JsonObject) -> str:
    meta = obj.get("metadata")
    if not isinstance(meta, dict):
        raise InvalidError(f"{resource.gvk.kind}: metadata: required")
    return item(resource, meta.get("namespace"), meta.get("name"))


def _text(value: object, resource: Resource, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidError(f"{resource.gvk.kind}: {field}: {'must be a string' if value else 'required'}")
    return value


def _segment(value: str, resource: Resource, field: str) -> str:
    """As Kubernetes itself: `.` and `..`, and whatever holds a slash or a percent sign, are no names (path segment name validation)."""
    if value in {".", ".."} or "/" in value or "%" in value:
        raise InvalidError(f"{resource.gvk.kind}: {field}: {value!r:.80} can't be part of a path")
    return quote(value, safe="")

"""What every rendered object goes through: known version, checked names, a namespace, no double, an order to apply in."""

from __future__ import annotations

import re
from typing import Any

from reconciler.dialects.served import served_version
from reconciler.model.identity import GVK, JsonObject, ObjectRef
from reconciler.model.text import one_line
from reconciler.model.treatment import find_faults
from reconciler.render.kinds import CLUSTER_SCOPED
from reconciler.render.protocol import RenderError

_API_VERSION = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9a-z]+", re.ASCII)
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*", re.ASCII)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_FIRST = {"Namespace": 0, "CustomResourceDefinition": 1}
_LABEL_KINDS = frozenset({"Namespace", "Service"})
_FREE_NAMES = "rbac.authorization.k8s.io"  # its names may hold colons


def check_objects(subject: str, objects: list[JsonObject]) -> None:
    """Raises RenderError for what is no Kubernetes object with a valid name; removed versions become served ones, in place."""
    for position, obj in enumerate(objects):
        _check_shape(subject, obj, position)
        _update_version(obj)


def place(subject: str, namespace: str, objects: list[JsonObject]) -> list[JsonObject]:
    """
    Checked objects with their namespaces, ready to be applied. Namespaces and CRDs come first, the rest in the order given.

    Raises RenderError for two of one identity and for a malformed namespace. Changes the objects in place.
    """
    scoped = CLUSTER_SCOPED | _declared_cluster_scoped(objects)
    seen: set[tuple[str, str, str, str]] = set()
    for obj in objects:
        gvk = GVK.of(obj)
        if (gvk.group, gvk.kind) in scoped:
            obj["metadata"].pop("namespace", None)
        elif not obj["metadata"].get("namespace"):
            obj["metadata"]["namespace"] = namespace
        ref = ObjectRef.of(obj)
        if ref.namespace and not is_label(ref.namespace):
            raise _error(subject, f"{one_line(ref)}: metadata.namespace is no namespace name")
        if ref.identity in seen:
            raise _error(subject, f"{one_line(ref)} is there twice")
        seen.add(ref.identity)
    return sorted(objects, key=lambda obj: _FIRST.get(obj["kind"], 2))


def is_label(name: str) -> bool:
    """An RFC 1123 label: what namespaces, Services and label values can be."""
    return len(name) <= 63 and _LABEL.fullmatch(name) is not None


def flatten_lists(objects: list[Any]) -> list[Any]:
    """`v1 List`s replaced by their items, as kubectl does; a list in a list stays one and is refused later."""
    flat: list[Any] = []
    for obj in objects:
        nested = isinstance(obj, dict) and obj.get("kind") == "List" and obj.get("apiVersion") == "v1" and isinstance(obj.get("items"), list)
        flat += obj["items"] if nested else [obj]
    return flat


def _check_shape(subject: str, obj: Any, position: int) -> None:
    if not isinstance(obj, dict):
        raise _error(subject, f"object {position} is no mapping")
    api_version, kind, meta = obj.get("apiVersion"), obj.get("kind"), obj.get("metadata")
    if not isinstance(api_version, str) or len(api_version) > 253 or not _API_VERSION.fullmatch(api_version):
        raise _error(subject, f"object {position}: apiVersion is missing or malformed")
    if not isinstance(kind, str) or len(kind) > 63 or not _KIND.fullmatch(kind):
        raise _error(subject, f"object {position}: kind is missing or malformed")
    if kind == "List":
        raise _error(subject, f"object {position}: a List inside a List")
    if not isinstance(meta, dict):
        raise _error(subject, f"object {position} ({kind}): metadata is no mapping")
    _check_metadata(subject, GVK.of(obj), meta, position)


def _check_metadata(subject: str, gvk: GVK, meta: dict[str, Any], position: int) -> None:
    name = meta.get("name")
    if not isinstance(name, str) or not name:
        raise _error(subject, f"object {position} ({gvk.kind}): metadata.name is required (generateName makes another object at each apply)")
    if not _is_name(gvk, name):
        raise _error(subject, f"object {position} ({gvk.kind}): metadata.name {one_line(name, 80)} is no valid name")
    if not isinstance(meta.get("namespace") or "", str):
        raise _error(subject, f"{gvk.kind} {name}: metadata.namespace is no text")
    for field in ("labels", "annotations"):
        entries = meta.get(field)
        if entries is None:
            meta.pop(field, None)
        elif not isinstance(entries, dict) or not all(isinstance(value, str) for value in entries.values()):
            raise _error(subject, f"{gvk.kind} {name}: metadata.{field} is no mapping of texts (quote numbers and booleans)")
    for annotation, fault in find_faults(meta.get("annotations") or {}):
        raise _error(subject, f"{gvk.kind} {name}: metadata.annotations {one_line(annotation, 120)}: {fault}")


def _is_name(gvk: GVK, name: str) -> bool:
    if gvk.group == _FREE_NAMES:
        return len(name) <= 253 and name not in (".", "..") and not any(char in "/%" or not char.isprintable() for char in name)
    if gvk.kind in _LABEL_KINDS and not gvk.group:
        return is_label(name)
    return len(name) <= 253 and _SUBDOMAIN.fullmatch(name) is not None


def _update_version(obj: JsonObject) -> None:
    """A removed version becomes the served one; the selector, which old workload versions left out, is what they defaulted it to."""
    served = served_version(obj["apiVersion"], obj["kind"])
    if served is None:
        return
    obj["apiVersion"] = served
    spec = obj.get("spec")
    if served == "apps/v1" and isinstance(spec, dict) and not spec.get("selector"):
        template = spec.get("template")
        meta = template.get("metadata") if isinstance(template, dict) else None
        labels = meta.get("labels") if isinstance(meta, dict) else None
        if isinstance(labels, dict) and labels:
            spec["selector"] = {"matchLabels": dict(labels)}


def _declared_cluster_scoped(objects: list[JsonObject]) -> set[tuple[str, str]]:
    """Kinds that a CRD among the objects declares to have no namespace."""
    found = set()
    for obj in objects:
        spec = obj.get("spec")
        if obj["kind"] == "CustomResourceDefinition" and isinstance(spec, dict) and spec.get("scope") == "Cluster":
            names = spec.get("names")
            found.add((str(spec.get("group")), str(names.get("kind")) if isinstance(names, dict) else ""))
    return found


def _error(subject: str, message: str) -> RenderError:
    return RenderError(f"{subject}: {message}")

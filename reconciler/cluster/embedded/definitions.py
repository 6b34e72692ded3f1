"""CustomResourceDefinitions: what they must say, the status they get, and the kind that they bring."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from reconciler.cluster.crds.state import state_crds
from reconciler.cluster.embedded import names
from reconciler.cluster.embedded.kinds import Resource
from reconciler.cluster.embedded.schema import check_schema
from reconciler.cluster.embedded.shapes import METADATA, PLAIN, Shape, from_schema
from reconciler.cluster.protocol import InvalidError
from reconciler.model.identity import JsonObject


def check(obj: JsonObject) -> None:
    """Raises InvalidError naming the field."""
    spec = _dict(obj, "spec", "spec")
    named = _dict(spec, "names", "spec.names")
    group = spec.get("group")
    if not isinstance(group, str) or not names.is_subdomain(group) or "." not in group:
        raise InvalidError("CustomResourceDefinition: spec.group: must be a domain name with a dot")
    for name in ("plural", "kind"):
        if not isinstance(named.get(name), str) or not names.is_label_1035(named[name].lower()):
            raise InvalidError(f"CustomResourceDefinition: spec.names.{name}: required")
    if obj["metadata"]["name"] != f"{named['plural']}.{group}":
        raise InvalidError(f"CustomResourceDefinition: metadata.name: must be {named['plural']}.{group}")
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        raise InvalidError("CustomResourceDefinition: spec.scope: must be Namespaced or Cluster")
    named.setdefault("singular", named["kind"].lower())
    named.setdefault("listKind", named["kind"] + "List")
    short = named.get("shortNames", [])
    if not isinstance(short, list) or not all(isinstance(name, str) for name in short):
        raise InvalidError("CustomResourceDefinition: spec.names.shortNames: must be a list of strings")
    _check_versions(spec)


def _check_versions(spec: JsonObject) -> None:
    versions = spec.get("versions")
    if not isinstance(versions, list) or not versions:
        raise InvalidError("CustomResourceDefinition: spec.versions: required")
    seen = set()
    for position, version in enumerate(versions):
        path = f"spec.versions[{position}]"
        if not isinstance(version, dict) or not isinstance(version.get("name"), str) or not names.is_label_1035(version["name"]):
            raise InvalidError(f"CustomResourceDefinition: {path}.name: required")
        if version["name"] in seen:
            raise InvalidError(f"CustomResourceDefinition: {path}.name: named twice")
        seen.add(version["name"])
        for name in ("served", "storage"):
            if not isinstance(version.get(name), bool):
                raise InvalidError(f"CustomResourceDefinition: {path}.{name}: required")
        schema = _dict(_dict(version, "schema", f"{path}.schema"), "openAPIV3Schema", f"{path}.schema.openAPIV3Schema")
        check_schema(schema, f"CustomResourceDefinition: {path}.schema.openAPIV3Schema")
        if schema.get("type") != "object":
            raise InvalidError(f"CustomResourceDefinition: {path}.schema.openAPIV3Schema.type: must be object at the root")
    if sum(version["storage"] for version in versions) != 1:
        raise InvalidError("CustomResourceDefinition: spec.versions: exactly one must be the storage version")


def _dict(parent: JsonObject, name: str, path: str) -> JsonObject:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise InvalidError(f"CustomResourceDefinition: {path}: required")
    return value


def status(obj: JsonObject) -> JsonObject:
    """Accepted and established at once: names that another kind has are the caller's to refuse."""
    since = obj["metadata"]["creationTimestamp"]
    stored = [version["name"] for version in obj["spec"]["versions"] if version["storage"]]
    return {
        "acceptedNames": obj["spec"]["names"],
        "storedVersions": stored,
        "conditions": [
            {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found", "lastTransitionTime": since},
            {"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "served", "lastTransitionTime": since},
        ],
    }


def resource_of(obj: JsonObject) -> Resource | None:
    """The kind that a stored definition serves, or None where it serves no version."""
    spec = obj["spec"]
    served = sorted((version for version in spec["versions"] if version["served"]), key=lambda version: not version["storage"])
    if not served:
        return None
    schemas: dict[str, JsonObject] = {version["name"]: version["schema"]["openAPIV3Schema"] for version in served}
    return Resource(
        group=spec["group"],
        kind=spec["names"]["kind"],
        plural=spec["names"]["plural"],
        namespaced=spec["scope"] == "Namespaced",
        versions=tuple(schemas),
        short=tuple(spec["names"].get("shortNames", [])),
        status=any(isinstance(subresources := version.get("subresources"), dict) and "status" in subresources for version in served),
        shape=_shape(schemas[served[0]["name"]]),
        schemas=schemas,
    )


@cache
def state_resources() -> tuple[Resource, ...]:
    """
    The daemon's own kinds, by the definitions that other clusters are given.

    They have no schema here: to check each write of state by one would take a tenth of the time that an application takes, and only the
    daemon writes it. Tests hold what it writes against the schemas instead.
    """
    found = (resource_of(crd) for crd in state_crds())
    return tuple(replace(resource, schemas=None, counted=True) for resource in found if resource is not None)


def _shape(schema: dict[str, Any]) -> Shape:
    declared = from_schema(schema)
    return Shape(fields={**PLAIN.fields, **declared.fields, "metadata": METADATA}, rest=declared.rest)

"""What an object goes through before it is stored: metadata checks, defaults, validation, immutable fields."""

from __future__ import annotations

import base64
import uuid
from typing import Any

from reconciler.cluster.embedded import builtin, names
from reconciler.cluster.embedded.kinds import Resource
from reconciler.cluster.embedded.schema import conform
from reconciler.cluster.embedded.storage import Key
from reconciler.cluster.protocol import InvalidError
from reconciler.model.identity import GVK, JsonObject

_MOST_NAME_PREFIX = 58  # generateName is cut to leave room for five random characters


def check_metadata(resource: Resource, obj: JsonObject) -> JsonObject:
    """The metadata of a given object, with a generated name where one was asked for. Raises InvalidError."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        raise InvalidError(f"{resource.kind}: metadata.name: required")
    prefix = metadata.get("generateName")
    if not metadata.get("name") and isinstance(prefix, str) and prefix:
        metadata["name"] = prefix[:_MOST_NAME_PREFIX] + uuid.uuid4().hex[:5]
    names.check_name(resource.group, resource.kind, metadata.get("name"))
    namespace = metadata.get("namespace", "")
    if resource.namespaced:
        if not isinstance(namespace, str) or not namespace:
            raise InvalidError(f"{resource.kind} {metadata['name']!r}: metadata.namespace: required")
    elif namespace:
        raise InvalidError(f"{resource.kind} {metadata['name']!r}: metadata.namespace: not allowed, the kind is cluster-scoped")
    else:
        metadata.pop("namespace", None)
    for name in ("uid", "resourceVersion"):
        if not isinstance(metadata.get(name, ""), str):
            raise InvalidError(f"metadata.{name}: must be a string")
    if "labels" in metadata:
        names.check_labels(metadata["labels"], "metadata.labels")
    if "annotations" in metadata:
        names.check_annotations(metadata["annotations"], "metadata.annotations")
    _check_finalizers(metadata)
    _check_owners(metadata)
    return metadata


def _check_finalizers(metadata: JsonObject) -> None:
    finalizers = metadata.get("finalizers", [])
    if not isinstance(finalizers, list) or not all(isinstance(name, str) and names.is_qualified(name) for name in finalizers):
        raise InvalidError("metadata.finalizers: must be a list of qualified names")
    if len(set(finalizers)) != len(finalizers):
        raise InvalidError("metadata.finalizers: names one twice")


def _check_owners(metadata: JsonObject) -> None:
    owners = metadata.get("ownerReferences", [])
    if not isinstance(owners, list):
        raise InvalidError("metadata.ownerReferences: must be a list")
    controllers, uids = 0, set()
    for position, owner in enumerate(owners):
        for name in ("apiVersion", "kind", "name", "uid"):
            if not isinstance(owner, dict) or not isinstance(owner.get(name), str) or not owner[name]:
                raise InvalidError(f"metadata.ownerReferences[{position}].{name}: required")
        controllers += bool(owner.get("controller"))
        if owner["uid"] in uids:
            raise InvalidError(f"metadata.ownerReferences[{position}].uid: names one owner twice")
        uids.add(owner["uid"])
    if controllers > 1:
        raise InvalidError("metadata.ownerReferences: only one may be the controller")


def fold(resource: Resource, obj: JsonObject) -> None:
    """A Secret's stringData becomes data, as on every write; an apply then owns the fields of data."""
    if (resource.group, resource.kind) != ("", "Secret") or "stringData" not in obj:
        return
    given, data = obj.pop("stringData"), obj.get("data", {})
    if not isinstance(given, dict) or not isinstance(data, dict) or not all(isinstance(value, str) for value in given.values()):
        raise InvalidError("Secret: data and stringData must be maps of strings")
    encoded = {key: base64.b64encode(value.encode("utf-8", "surrogatepass")).decode("ascii") for key, value in given.items()}
    if encoded or data:
        obj["data"] = data | encoded


def admit(resource: Resource, served: GVK, obj: JsonObject, live: JsonObject | None) -> None:
    """Completes and checks `obj` in place, on top of `live`. Raises InvalidError naming the field."""
    before, now = (live or {}).get("metadata", {}), obj["metadata"]
    if before.get("deletionTimestamp") and set(now.get("finalizers", [])) - set(before.get("finalizers", [])):
        raise InvalidError("metadata.finalizers: none can be added while the object is being deleted")
    fold(resource, obj)
    if resource.schemas is not None:
        conform(obj, resource.schemas.get(served.version, {}))
    else:
        builtin.admit(resource, obj, live)


def lingers(key: Key) -> bool:
    """Whether a controller has to take the object out: a Namespace with its contents, a Pod that has to stop, a CRD with its objects."""
    return (key.group, key.kind) in builtin.LINGERING


def without_nulls(value: Any) -> Any:
    """JSON without the null fields of maps: in Kubernetes' typed objects null is the same as absent."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value

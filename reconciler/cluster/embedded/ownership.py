"""Who owns which field: `metadata.managedFields`, and server-side apply by it. Pure."""

from __future__ import annotations

from typing import Any

from reconciler.cluster import fieldsets
from reconciler.cluster.embedded import fields
from reconciler.cluster.embedded.shapes import Shape
from reconciler.cluster.fieldsets import Fields
from reconciler.cluster.protocol import InvalidError, OwnershipError
from reconciler.model.identity import JsonObject

Entries = list[dict[str, Any]]

# What the API server sets or what identifies the object: nobody owns it.
_UNOWNED_METADATA = frozenset(
    {
        "name",
        "namespace",
        "generateName",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    }
)
_NAMED_CONFLICTS = 5


def ownable(obj: JsonObject) -> JsonObject:
    """The part of an object whose fields have owners; a shallow copy."""
    out = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if key not in _UNOWNED_METADATA}
    if metadata:
        out["metadata"] = metadata
    return out


def update(entries: Entries, old: JsonObject, new: JsonObject, shape: Shape, stamp: dict[str, str]) -> Entries:
    """
    Entries after `stamp`'s manager turned `old` into `new` by create or replace: it owns what it changed, and whoever owned
    that before no longer does. `stamp`: manager, apiVersion, time and, for a subresource, subresource. What was there without entries stays so.
    """
    if old and not entries:
        return entries
    written, removed = fields.compare(ownable(old), ownable(new), shape)
    if written is None and removed is None:
        return entries
    mine = _find(entries, stamp, "Update")
    lost = fieldsets.union(written, removed)
    kept: Entries = []
    for entry in entries:
        if entry is not mine:
            left = fieldsets.difference(entry["fieldsV1"], lost)
            if left is not None:
                kept.append({**entry, "fieldsV1": left})
    before = fieldsets.difference(mine["fieldsV1"], removed) if mine is not None else None
    owned = fieldsets.union(before, written)
    if owned is not None:
        kept.append(_entry(stamp, "Update", owned))
    return _sorted(kept)


def apply(live: JsonObject, applied: JsonObject, entries: Entries, shape: Shape, stamp: dict[str, str], force: bool) -> tuple[JsonObject, Entries]:
    """
    Server-side apply: the merged object (metadata that nobody owns is left to the caller) and the entries after it; both
    are those that were given where nothing changes.

    Raises OwnershipError where another manager owns a field that would change, unless `force`; MergeError.
    """
    wanted, current = ownable(applied), ownable(live)
    claimed = fields.of(wanted, shape) or None
    merged = fields.merge(current, wanted, shape)
    mine = _find(entries, stamp, "Apply")
    unchanged = mine is not None and mine["fieldsV1"] == claimed
    if fields.same(merged, current) and unchanged:
        return live, entries
    others = [entry for entry in entries if entry is not mine]
    if others:
        changed = fieldsets.intersection(fields.compare(current, merged, shape)[0], claimed)
        others = others if changed is None else _yield(others, changed, force)
    if mine is not None and not unchanged:
        held = claimed
        for entry in others:
            held = fieldsets.union(held, entry["fieldsV1"])
        gone = fieldsets.difference(mine["fieldsV1"], held)
        if gone is not None:
            merged = fields.remove(merged, gone, held, shape)
    if claimed is not None:
        others.append(_entry(stamp, "Apply", claimed))
    return merged, _sorted(others)


def given(entries: Any, before: Entries) -> Entries:
    """
    The entries that an update leaves from: those it was given, where it was given any, as a client does that hands fields on. One that is
    empty alone clears them.
    """
    if not isinstance(entries, list) or not entries:
        return before
    if entries == [{}]:
        return []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("manager"), str) or not isinstance(entry.get("fieldsV1"), dict):
            raise InvalidError("metadata.managedFields: each entry needs manager and fieldsV1")
    return before if entries == before else _sorted(entries)


def _yield(entries: Entries, changed: Fields, force: bool) -> Entries:
    left: Entries = []
    conflicts = []
    for entry in entries:
        taken = fieldsets.intersection(entry["fieldsV1"], changed)
        if taken is None:
            left.append(entry)
            continue
        conflicts.append(f"{', '.join(list(fieldsets.paths(taken))[:_NAMED_CONFLICTS])} owned by {entry['manager']!r} ({entry['operation']})")
        rest = fieldsets.difference(entry["fieldsV1"], changed)
        if rest is not None:
            left.append({**entry, "fieldsV1": rest})
    if conflicts and not force:
        raise OwnershipError("fields have other owners: " + "; ".join(conflicts))
    return left


def _find(entries: Entries, stamp: dict[str, str], operation: str) -> dict[str, Any] | None:
    for entry in entries:
        if entry["manager"] == stamp["manager"] and entry["operation"] == operation and entry.get("subresource") == stamp.get("subresource"):
            return entry
    return None


def _entry(stamp: dict[str, str], operation: str, owned: Fields) -> dict[str, Any]:
    entry: dict[str, Any] = {"manager": stamp["manager"], "operation": operation, "apiVersion": stamp["apiVersion"], "time": stamp["time"]}
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": owned}
    if "subresource" in stamp:
        entry["subresource"] = stamp["subresource"]
    return entry


def _sorted(entries: Entries) -> Entries:
    return sorted(entries, key=lambda entry: (entry["operation"], entry["manager"], entry.get("subresource", "")))

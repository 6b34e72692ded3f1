"""Whose fields an object's are: by `metadata.managedFields`, and how they become ours. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from reconciler.cluster.fieldsets import Fields, difference, intersection, paths, union
from reconciler.cluster.protocol import fields_of
from reconciler.model.identity import JsonObject
from reconciler.model.text import one_line

_NAMED = 3


def taken_over(live: JsonObject, managers: Collection[str], own: str) -> JsonObject | None:
    """
    The object with the fields of those managers as `own`'s, so that its next apply takes away what it does not declare; None where
    they have none. Subresources (a `kubectl scale`) are left as they are, and so are fields of another version of the kind.
    """
    meta = live["metadata"]
    owned: Fields | None = None
    mine: dict[str, Any] | None = None
    kept: list[dict[str, Any]] = []
    for entry in meta.get("managedFields") or []:
        of_object = not entry.get("subresource") and entry.get("apiVersion") == live["apiVersion"]
        if of_object and entry.get("manager") == own and entry.get("operation") == "Apply":
            mine = entry
        elif of_object and entry.get("manager") in managers and isinstance(entry.get("fieldsV1"), dict):
            owned = union(owned, entry["fieldsV1"])
        else:
            kept.append(entry)
    if owned is None or mine is None:
        return None
    return {**live, "metadata": {**meta, "managedFields": [*kept, {**mine, "fieldsV1": union(mine["fieldsV1"], owned)}]}}


def who_changed(before: JsonObject, after: JsonObject, own: str) -> str:
    """
    Which fields `own` had to take back, and who had them: ` .spec.replicas by 'scaler'`. `before`: as it was found; `after`: as it is with
    all that `own` applies. What nobody had was taken away. Empty where nothing was lost.
    """
    lost = difference(fields_of(after, own), fields_of(before, own))
    told: list[str] = []
    for entry in before["metadata"].get("managedFields") or []:
        taken = intersection(lost, entry.get("fieldsV1"))
        if taken is not None and (entry.get("manager"), entry.get("operation")) != (own, "Apply"):
            told.append(f"{_listed(taken)} by {one_line(repr(entry.get('manager')), 80)}")
            lost = difference(lost, taken)
    if lost is not None:
        told.append(f"{_listed(lost)} taken away")
    return ", ".join(told[:_NAMED])


def _listed(fields: Fields) -> str:
    named = [path for path, _ in zip(paths(fields), range(_NAMED + 1), strict=False)]
    return one_line(", ".join(named[:_NAMED]) + (" …" if len(named) > _NAMED else ""), 200)

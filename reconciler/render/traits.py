"""Traits: what changes the objects that a component rendered. KubeVela's `scaler`, `env`, `labels` and `annotations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields

_SCALED = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})


Change = Callable[[Fields, Mapping[str, Any], list[JsonObject]], None]


def apply_traits(component: Component, objects: list[JsonObject]) -> None:
    """All traits of the component, in order, on its objects in place. Raises RenderError."""
    for index, trait in enumerate(component.traits):
        fields = Fields(component.name, trait.properties, f"traits[{index}].properties")
        change = TRAIT_TYPES.get(trait.type)
        if change is None:
            raise Fields(component.name, {}, f"traits[{index}]").error("type", f"there is no trait type {trait.type:.60}")
        change(fields, trait.properties, objects)


def _scale(fields: Fields, _: Mapping[str, Any], objects: list[JsonObject]) -> None:
    replicas = fields.whole("replicas", 0, 100_000, 1)
    workloads = [obj for obj in objects if obj.get("kind") in _SCALED and isinstance(obj.get("spec"), dict)]
    if not workloads:
        raise fields.error("", "the component has nothing that can be scaled")
    for obj in workloads:
        obj["spec"]["replicas"] = replicas


def _set_env(fields: Fields, _: Mapping[str, Any], objects: list[JsonObject]) -> None:
    """Variables by name: given ones replace or are added, those in `unset` go. Of each pod: the named container, else the first."""
    wanted, unset, name = fields.below("env"), set(fields.texts("unset")), fields.text("containerName")
    new = {key: wanted.scalar(key) for key in sorted(fields.mapping("env"))}
    found = False
    for template in _templates(objects):
        containers = _mappings(_dig(template, "spec", "containers"))
        for container in [item for item in containers if not name or item.get("name") == name][:1]:
            found = True
            kept = [item for item in _mappings(container.get("env")) if str(item.get("name")) not in unset | new.keys()]
            container["env"] = kept + [{"name": key, "value": value} for key, value in new.items() if key not in unset]
    if not found:
        raise fields.error("containerName" if name else "", "the component has no such container")


def _set_labels(fields: Fields, given: Mapping[str, Any], objects: list[JsonObject]) -> None:
    _set_entries("labels", fields, given, objects)


def _set_annotations(fields: Fields, given: Mapping[str, Any], objects: list[JsonObject]) -> None:
    _set_entries("annotations", fields, given, objects)


def _set_entries(entry: str, fields: Fields, given: Mapping[str, Any], objects: list[JsonObject]) -> None:
    """On every object and every pod template; null takes an entry away. A label that a selector needs is not to be touched."""
    new = {str(key): None if given[key] is None else fields.scalar(str(key)) for key in sorted(given, key=str)}
    for obj in objects:
        _merge(obj.setdefault("metadata", {}), entry, new)
    for obj in objects:
        for template in _templates([obj]):
            if entry == "labels":
                _guard_selector(fields, obj, new)
            _merge(template.setdefault("metadata", {}), entry, new)


def _guard_selector(fields: Fields, obj: JsonObject, new: Mapping[str, str | None]) -> None:
    matched = _dig(obj, "spec", "selector", "matchLabels")
    for key, value in new.items():
        if isinstance(matched, dict) and key in matched and matched[key] != value:
            raise fields.error(key, f"the selector of {obj.get('kind')} needs this label as it is")


def _merge(meta: Any, entry: str, new: Mapping[str, str | None]) -> None:
    if isinstance(meta, dict):
        there = meta.get(entry)
        entries = {**(there if isinstance(there, dict) else {}), **new}
        meta[entry] = {key: value for key, value in entries.items() if value is not None}


def _templates(objects: list[JsonObject]) -> list[dict[str, Any]]:
    """Pod templates of workloads and of the jobs that a CronJob makes."""
    found = []
    for obj in objects:
        template = _dig(obj, "spec", "jobTemplate", "spec", "template") if obj.get("kind") == "CronJob" else _dig(obj, "spec", "template")
        if isinstance(template, dict):
            found.append(template)
    return found


def _dig(value: Any, *keys: str) -> Any:
    """What lies at the end of the keys, or None: objects may be of any shape, the cluster judges them."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


TRAIT_TYPES: Mapping[str, Change] = MappingProxyType({"scaler": _scale, "env": _set_env, "labels": _set_labels, "annotations": _set_annotations})
"""Each works on the objects in place and raises RenderError; validation knows their properties (`dialects.catalog`)."""

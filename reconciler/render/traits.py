"""Traits: what changes the objects that a component rendered. The table of all of them, and KubeVela's three plain ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Any

from reconciler.model.application import Component, Trait
from reconciler.model.identity import JsonObject
from reconciler.model.names import LABEL_TRAIT
from reconciler.render.accounts import set_service_account
from reconciler.render.defined import apply_defined
from reconciler.render.exposure import add_gateway, add_service
from reconciler.render.fields import Fields
from reconciler.render.more_containers import add_init_container, add_sidecar
from reconciler.render.patches import apply_json_patch, apply_merge_patch
from reconciler.render.placement import check_objects
from reconciler.render.pod_traits import set_lifecycle, set_resources, set_security_context, set_startup_probe
from reconciler.render.protocol import RenderContext
from reconciler.render.scaling import add_autoscaler, add_cpu_scaler, set_replicas, set_update_strategy
from reconciler.render.scheduling import set_affinity
from reconciler.render.storage import add_storage
from reconciler.render.workloads import Target, dig, mappings, templates

Change = Callable[[Fields, Target], None]


def apply_traits(component: Component, first: int, context: RenderContext, namespace: str, objects: list[JsonObject]) -> None:
    """The traits of the component from `first` on, in order, on its objects in place. Raises RenderError."""
    listed = list(enumerate(component.traits))[first:]
    for defined, group in groupby(listed, lambda item: context.definition("trait", item[1].type) is not None):
        traits = list(group)
        if defined:
            apply_defined(component, traits[0][0], [trait for _, trait in traits], context, objects)
            check_objects(component.title, objects)  # before the next: traits rely on it
        else:
            _apply_built_in(component, traits, namespace, objects)


def _apply_built_in(component: Component, traits: list[tuple[int, Trait]], namespace: str, objects: list[JsonObject]) -> None:
    for index, trait in traits:
        fields = Fields(component.name, trait.properties, f"traits[{index}].properties")
        change = TRAIT_TYPES.get(trait.type)
        if change is None:
            raise Fields(component.name, {}, f"traits[{index}]").error("type", f"there is no trait type {trait.type:.60}")
        before = {id(obj) for obj in objects}
        change(fields, Target(component.name, namespace, trait.properties, objects))
        _mark(trait.type, [obj for obj in objects if id(obj) not in before])


def _mark(trait: str, made: list[JsonObject]) -> None:
    """The objects that a trait made say so: rules select by it, and people wonder where they come from."""
    for obj in made:
        meta = obj["metadata"]
        meta["labels"] = {**(meta.get("labels") or {}), LABEL_TRAIT: trait}


def _set_env(fields: Fields, target: Target) -> None:
    """Variables by name: given ones replace or are added, those in `unset` go. Of each pod: the named container, else the first."""
    wanted, unset, name = fields.below("env"), set(fields.texts("unset")), fields.text("containerName")
    new = {key: wanted.scalar(key) for key in sorted(fields.mapping("env"))}
    found = False
    for template in templates(target.objects):
        containers = mappings(dig(template, "spec", "containers"))
        for container in [item for item in containers if not name or item.get("name") == name][:1]:
            found = True
            kept = [item for item in mappings(container.get("env")) if str(item.get("name")) not in unset | new.keys()]
            container["env"] = kept + [{"name": key, "value": value} for key, value in new.items() if key not in unset]
    if not found:
        raise fields.error("containerName" if name else "", "the component has no such container")


def _set_labels(fields: Fields, target: Target) -> None:
    _set_entries("labels", fields, target)


def _set_annotations(fields: Fields, target: Target) -> None:
    _set_entries("annotations", fields, target)


def _set_entries(entry: str, fields: Fields, target: Target) -> None:
    """On every object and every pod template; null takes an entry away. A label that a selector needs is not to be touched."""
    given = target.given
    new = {str(key): None if given[key] is None else fields.scalar(str(key)) for key in sorted(given, key=str)}
    for obj in target.objects:
        _merge(obj.setdefault("metadata", {}), entry, new)
    for obj in target.objects:
        for template in templates([obj]):
            if entry == "labels":
                _guard_selector(fields, obj, new)
            _merge(template.setdefault("metadata", {}), entry, new)


def _guard_selector(fields: Fields, obj: JsonObject, new: Mapping[str, str | None]) -> None:
    matched = dig(obj, "spec", "selector", "matchLabels")
    for key, value in new.items():
        if isinstance(matched, dict) and key in matched and matched[key] != value:
            raise fields.error(key, f"the selector of {obj.get('kind')} needs this label as it is")


def _merge(meta: Any, entry: str, new: Mapping[str, str | None]) -> None:
    if isinstance(meta, dict):
        there = meta.get(entry)
        entries = {**(there if isinstance(there, dict) else {}), **new}
        meta[entry] = {key: value for key, value in entries.items() if value is not None}


TRAIT_TYPES: Mapping[str, Change] = MappingProxyType(
    {
        "scaler": set_replicas,
        "env": _set_env,
        "labels": _set_labels,
        "annotations": _set_annotations,
        "resource": set_resources,
        "hpa": add_autoscaler,
        "cpuscaler": add_cpu_scaler,
        "k8s-update-strategy": set_update_strategy,
        "expose": add_service,
        "gateway": add_gateway,
        "storage": add_storage,
        "sidecar": add_sidecar,
        "init-container": add_init_container,
        "service-account": set_service_account,
        "affinity": set_affinity,
        "securitycontext": set_security_context,
        "lifecycle": set_lifecycle,
        "startup-probe": set_startup_probe,
        "json-patch": apply_json_patch,
        "json-merge-patch": apply_merge_patch,
    }
)
"""Each works on the objects in place and raises RenderError; validation knows their properties (`dialects.catalog`)."""

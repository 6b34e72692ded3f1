"""Finding workloads, pod templates and containers among objects of any shape: the cluster judges them, not we."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields

LASTING = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})
"""Workloads whose pods run until somebody ends them."""


class Target(NamedTuple):
    """
    What a trait changes: the `objects` of a component, in place. `given`: the trait's properties as written.
    `namespace`: where objects without one go.
    """

    component: str
    namespace: str
    given: Mapping[str, Any]
    objects: list[JsonObject]

    def pod_specs(self, fields: Fields) -> list[JsonObject]:
        """Raises RenderError where the component has no pods."""
        found = [spec for spec in (template.get("spec") for template in templates(self.objects)) if isinstance(spec, dict)]
        if not found:
            raise fields.error("", "the component has no pods that this trait could change")
        return found

    def containers(self, fields: Fields, name: str = "", field: str = "containerName") -> list[JsonObject]:
        """Of each pod template the container of that name, else the component's, else the first. Raises RenderError for none."""
        found = []
        for template in templates(self.objects):
            named = mappings(dig(template, "spec", "containers"))
            wanted = name or (self.component if any(item.get("name") == self.component for item in named) else "")
            found += [item for item in named if not wanted or item.get("name") == wanted][:1]
        if not found:
            raise fields.error(field if name else "", "the component has no such container")
        return found

    def workload(self, fields: Fields, kinds: frozenset[str], purpose: str, kind: str = "") -> JsonObject:
        """The first workload of one of the kinds (of `kind` alone, where given). Raises RenderError that says what it was wanted for."""
        wanted = frozenset({kind}) if kind else kinds
        for obj in self.objects:
            if obj.get("kind") in wanted and isinstance(obj.get("spec"), dict):
                return obj
        if kind:
            raise fields.error("targetKind", f"the component has no {kind}")
        raise fields.error("", f"the component has nothing that {purpose}")


def templates(objects: list[JsonObject]) -> list[dict[str, Any]]:
    """Pod templates of workloads and of the jobs that a CronJob makes."""
    found = []
    for obj in objects:
        template = dig(obj, "spec", "jobTemplate", "spec", "template") if obj.get("kind") == "CronJob" else dig(obj, "spec", "template")
        if isinstance(template, dict):
            found.append(template)
    return found


def dig(value: Any, *keys: str) -> Any:
    """What lies at the end of the keys, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def mappings(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def append(fields: Fields, holder: JsonObject, field: str, items: list[JsonObject], key: str = "name") -> None:
    """Adds to the list at `field`. Raises RenderError for an item whose key another one has already, unless both are equal."""
    there = mappings(holder.get(field))
    for item in items:
        same = [old for old in there if old.get(key) == item.get(key)]
        if same and same[0] != item:
            raise fields.error("", f"the {field} of the pod have another {item.get(key)} already")
        if not same:
            there.append(item)
    if there:
        holder[field] = there

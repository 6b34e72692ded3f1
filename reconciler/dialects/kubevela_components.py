"""Components of a KubeVela Application, and which of them a step applies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from reconciler.dialects.catalog import COMPONENT_TYPES, DNS_LABEL, LATER_COMPONENT_TYPES
from reconciler.dialects.fieldpath import FieldPath, parse_path
from reconciler.dialects.findings import Findings, suggest
from reconciler.dialects.objects import check_object, read_folder, serve
from reconciler.dialects.reading import Reading
from reconciler.dialects.steps import Draft, describe_cycle, mappings, read_inputs, read_outputs, texts
from reconciler.dialects.traits import TRAITS, UNFIT
from reconciler.model.application import Component, Input, Output, Reference, Trait, Workflow
from reconciler.model.text import one_line

MAX_COMPONENTS = 500

_AT: FieldPath = ("spec", "components")


class Components:
    """
    The components that `spec` declares, by name, and those that steps make of them: an object of its own (`object/<key>`),
    or a component in another namespace (`<name>@<namespace>`).
    """

    def __init__(self, spec: dict[str, Any], path: str, files: Reading, findings: Findings) -> None:
        self.declared: dict[str, Component] = {}
        self.references: list[Reference] = []
        self.watched: list[str] = []
        self._made: dict[str, Component] = {}
        self._places: dict[str, FieldPath] = {}
        self._data: dict[str, tuple[list[tuple[Input, FieldPath]], list[tuple[Output, FieldPath]]]] = {}
        self._stateful: set[str] = set()
        self._handed: set[str] = set()
        self._ordered: list[str] | None = None
        self._path = path
        self._files = files
        self._findings = findings
        items = spec.get("components")
        if isinstance(items, list) and len(items) > MAX_COMPONENTS:
            findings.error(_AT, f"more than {MAX_COMPONENTS} components")
            return
        inputs = _step_inputs(spec)
        for place, item in mappings(items, _AT):
            self._declare(item, place, inputs)
        self._check_dependencies()

    def place(self, component_id: str) -> FieldPath:
        return self._places[component_id]

    def compiled(self, workflow: Workflow) -> list[Component]:
        """All components. One that steps apply only in other namespaces is left out: what it had where it was is pruned."""
        used = {component_id for step in workflow.steps for component_id in step.components}
        moved = {component.name for component in self._made.values() if component.namespace}
        kept = [component for component in self.declared.values() if component.id in used or component.name not in moved]
        return kept + list(self._made.values())

    def hand_data(self, draft: Draft) -> None:
        """As upstream does: what a component needs and gives is what the step that applies it needs and gives."""
        if draft.step.type not in ("apply-component", "apply-and-wait"):
            self._refuse_data(draft)
            return
        for component_id in draft.step.components:
            name = self.name_of(component_id)
            inputs, outputs = self._data[name]
            draft.inputs += [entry for entry in inputs if entry[0] not in [known for known, _ in draft.inputs]]
            if name not in self._handed:
                draft.outputs += outputs
            self._handed.add(name)

    def hand_order(self, drafts: list[Draft]) -> None:
        """A step for one component comes after the steps for those that it depends on."""
        applied: dict[str, str] = {}
        for draft in drafts:
            for component_id in draft.step.components:
                applied.setdefault(self.name_of(component_id), draft.step.name)
        for draft in drafts:
            if draft.step.type not in ("apply-component", "apply-and-wait"):
                continue
            wanted = [
                applied.get(name, "") for component_id in draft.step.components for name in self.declared[self.name_of(component_id)].depends_on
            ]
            more = [name for name in dict.fromkeys(wanted) if name and name != draft.step.name and name not in draft.step.depends_on]
            draft.step = msgspec.structs.replace(draft.step, depends_on=draft.step.depends_on + more)

    def name_of(self, component_id: str) -> str:
        return (self._made.get(component_id) or self.declared[component_id]).name

    def resolve(self, step_type: str, key: str, properties: dict[str, Any], at: FieldPath) -> list[str]:
        """Ids of the components that a step applies; what it names wrongly is an error."""
        if step_type in ("apply-component", "apply-and-wait"):
            return self._resolve_one(properties, at)
        if step_type == "apply-components":
            found = self._resolve_listed(properties, at)
            self._check_rollout(properties, found, at)
            self._refuse_policies(properties, at)
            return found
        if step_type == "apply-object":
            return self._make_object(key, properties, at)
        if step_type == "deploy":
            self._refuse_policies(properties, at)
            return self._in_order()
        return []

    # Declared components ----------------------------------------------------------------------------------------------

    def _declare(self, item: dict[str, Any], at: FieldPath, inputs: dict[str, list[str]]) -> None:
        name, type_name = item.get("name"), item.get("type")
        if not isinstance(name, str) or not name:
            return
        if name in self.declared:
            self._findings.error((*at, "name"), f"duplicate component name {one_line(name, 80)}")
        own = read_inputs(item.get("inputs"), (*at, "inputs"), full_target, self._findings)
        outputs = read_outputs(item.get("outputs"), (*at, "outputs"), self._findings)
        self._data[name] = (own, outputs)
        self._places[name] = at
        targets = [entry.target for entry, _ in own] + inputs.get(name, [])
        properties = item["properties"] if isinstance(item.get("properties"), dict) else {}
        if isinstance(type_name, str):
            properties = self._check_properties(name, type_name, properties, targets, at)
        self.declared[name] = Component(
            id=name,
            name=name,
            type=type_name if isinstance(type_name, str) else "",
            properties=properties,
            traits=self._read_traits(item, at),
            depends_on=texts(item.get("dependsOn")),
            inputs=[entry for entry, _ in own],
            outputs=[entry for entry, _ in outputs],
        )

    def _check_properties(self, name: str, type_name: str, properties: dict[str, Any], targets: list[str], at: FieldPath) -> dict[str, Any]:
        """The properties as the renderer reads them."""
        findings = self._findings
        shape = COMPONENT_TYPES.get(type_name)
        if shape is None:
            if type_name in LATER_COMPONENT_TYPES:
                findings.error((*at, "type"), f"component type {type_name} is not available yet{suggest('', COMPONENT_TYPES)}")
            elif type_name:
                findings.unknown((*at, "type"), "component type", type_name, COMPONENT_TYPES)
            return properties
        place = (*at, "properties")
        for target in targets:
            path = parse_path(target)
            findings.supplied.add((*at, *path))
            if path[0] == "properties" and len(path) > 1 and path[1] not in shape.fields:
                findings.warn(at, f"an input goes to {one_line(target, 80)}, but a {type_name} has no such field")
        shape.check(properties, place, findings)
        if type_name == "statefulset":
            self._stateful.add(name)
        if type_name == "k8s-objects" and isinstance(properties.get("objects"), list):
            objects = [check_object(value, (*place, "objects", index), findings) for index, value in enumerate(properties["objects"])]
            if any(isinstance(value, dict) and value.get("kind") == "StatefulSet" for value in objects):
                self._stateful.add(name)
            return {**properties, "objects": objects}
        if type_name == "manifests" and isinstance(properties.get("path"), str) and properties["path"]:
            folder = read_folder(properties["path"], self._path, (*place, "path"), self._files, findings)
            self.references += folder.references
            self.watched.append(folder.path)
            if "StatefulSet" in folder.kinds:
                self._stateful.add(name)
            return {**properties, "path": folder.path.rstrip("/")}
        return properties

    def _read_traits(self, item: dict[str, Any], at: FieldPath) -> list[Trait]:
        traits = []
        for place, trait in mappings(item.get("traits"), (*at, "traits")):
            type_name = trait.get("type")
            properties = trait["properties"] if isinstance(trait.get("properties"), dict) else {}
            if not isinstance(type_name, str):
                continue
            if type_name in TRAITS:
                TRAITS[type_name].check(properties, (*place, "properties"), self._findings)
                if item.get("type") in UNFIT.get(type_name, ()):
                    self._findings.error((*place, "type"), f"a {type_name} does not fit a component of type {item['type']}")
            elif type_name:
                self._findings.unknown((*place, "type"), "trait type", type_name, TRAITS)
            traits.append(Trait(type_name, properties))
        return traits

    def _check_dependencies(self) -> None:
        for component in self.declared.values():
            for index, name in enumerate(component.depends_on):
                if name not in self.declared:
                    self._findings.unknown((*self._places[component.name], "dependsOn", index), "component", name, self.declared)
        cycle = describe_cycle({component.name: component.depends_on for component in self.declared.values()})
        if cycle:
            self._findings.error(_AT, f"these components depend on each other: {cycle}")

    # Components of steps ----------------------------------------------------------------------------------------------

    def _resolve_one(self, properties: dict[str, Any], at: FieldPath) -> list[str]:
        name = properties.get("component")
        if not isinstance(name, str) or not name:
            return []
        component = self.declared.get(name)
        if component is None:
            self._findings.unknown((*at, "component"), "component", name, self.declared)
            return []
        namespace = properties.get("namespace")
        if not isinstance(namespace, str) or not namespace:
            return [name]
        if not DNS_LABEL.fullmatch(namespace):
            self._findings.error((*at, "namespace"), f"{one_line(namespace, 80)} is no DNS-1123 label (a-z, 0-9 and -, at most 63)")
            return [name]
        made = f"{name}@{namespace}"
        self._made[made] = msgspec.structs.replace(component, id=made, namespace=namespace)
        if name in self._stateful:
            self._stateful.add(made)
        return [made]

    def _resolve_listed(self, properties: dict[str, Any], at: FieldPath) -> list[str]:
        found = []
        for place, item in mappings(properties.get("components"), (*at, "components")):
            name, type_name = item.get("name"), item.get("type")
            if not isinstance(name, str) or not isinstance(type_name, str) or not name:
                continue
            component = self.declared.get(name)
            if component is None:
                self._findings.unknown((*place, "name"), "component", name, self.declared)
            elif component.type != type_name:
                self._findings.error(
                    (*place, "type"), f"the component {name} is of type {one_line(component.type, 80)}, not {one_line(type_name, 80)}"
                )
            else:
                found.append(name)
        return list(dict.fromkeys(found))

    def _make_object(self, key: str, properties: dict[str, Any], at: FieldPath) -> list[str]:
        value = properties.get("value")
        if not isinstance(value, dict):
            return []
        made = f"object/{key}"
        # What is wrong with the object, the step type itself says.
        served = serve(value, (*at, "value"), self._findings)
        self._made[made] = Component(made, made, "k8s-objects", {"objects": [served]})
        return [made]

    def _in_order(self) -> list[str]:
        """All components, each after those that it depends on, else in the order written."""
        if self._ordered is None:
            done: dict[str, None] = {}
            waiting = list(self.declared.values())
            while waiting:
                ready = [component for component in waiting if all(name in done or name not in self.declared for name in component.depends_on)]
                # A cycle is an error already.
                done |= dict.fromkeys(component.id for component in ready or waiting)
                waiting = [component for component in waiting if component.id not in done]
            self._ordered = list(done)
        return list(self._ordered)

    def _check_rollout(self, properties: dict[str, Any], components: Iterable[str], at: FieldPath) -> None:
        found = list(components)
        if properties.get("rollout") is not None and found and not self._stateful.intersection(found):
            self._findings.error((*at, "rollout"), "a partition needs a StatefulSet, and none of these components has one")

    def _refuse_policies(self, properties: dict[str, Any], at: FieldPath) -> None:
        for index, name in enumerate(texts(properties.get("policies"))):
            self._findings.error((*at, "policies", index), f"unknown policy {one_line(name, 80)}: policies are not available yet")

    def _refuse_data(self, draft: Draft) -> None:
        """Only a step for one component can hand it data."""
        for component_id in draft.step.components:
            component = self.declared.get(component_id)
            if component is not None and (component.inputs or component.outputs):
                self._findings.error(
                    draft.at,
                    f"the component {component.name} has inputs or outputs: apply it by a step of type apply-component, not {draft.step.type}",
                )


def full_target(parameter_key: str) -> str:
    """Where an input of a component goes, from the component's top: into its properties, unless it says otherwise."""
    return parameter_key if parameter_key.startswith(("properties.", "traits[")) else f"properties.{parameter_key}"


def _step_inputs(spec: dict[str, Any]) -> dict[str, list[str]]:
    """Targets of the inputs of all steps by component: those fields may be missing until the step runs."""
    workflow = spec.get("workflow")
    found: dict[str, list[str]] = {}
    for _, step in mappings(workflow.get("steps") if isinstance(workflow, dict) else None, ()):
        properties = step.get("properties")
        component = properties.get("component") if isinstance(properties, dict) else None
        if not isinstance(component, str):
            continue
        for _, entry in mappings(step.get("inputs"), ()):
            try:
                parse_path(entry.get("parameterKey"))
            except ValueError:
                continue  # said where the step is read
            found.setdefault(component, []).append(full_target(entry["parameterKey"]))
    return found

"""Components of a KubeVela Application, and which of them a step applies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from reconciler.dialects.catalog import COMPONENT_TYPES
from reconciler.dialects.charts import find_namespace, read_chart
from reconciler.dialects.fieldpath import FieldPath, parse_path
from reconciler.dialects.findings import Findings, suggest
from reconciler.dialects.kubevela_policies import Patch, Policies
from reconciler.dialects.kustomizations import read_kustomization
from reconciler.dialects.objects import check_object, read_folder, serve
from reconciler.dialects.ordering import in_order
from reconciler.dialects.protocol import Document
from reconciler.dialects.step_order import describe_cycle
from reconciler.dialects.steps import Draft, mappings, read_inputs, read_outputs, texts
from reconciler.dialects.targets import find_step_inputs, full_target
from reconciler.dialects.traits import SCALERS, TRAITS, UNFIT
from reconciler.dialects.type_definitions import TypeDefinitions
from reconciler.model.application import Component, Input, Output, Reference, Step, Trait, Workflow
from reconciler.model.names import DNS_LABEL, STEP_NAME
from reconciler.model.sealed import without_metadata
from reconciler.model.text import one_line

MAX_COMPONENTS = 500
MAX_WORK = 64 * 1024 * 1024  # characters: what policies make of components, each counted as if it were the whole document

_AT: FieldPath = ("spec", "components")
_FOLDERS = {"manifests": read_folder, "kustomize": read_kustomization}


class Components:
    """
    The components that `spec` declares, by name, and those that steps make of them: an object of its own (`object/<key>`),
    a component in another namespace (`<name>@<namespace>`), or one by policies (`<name>@<policy>,<policy>:<namespace>`).
    `home`: the application's namespace; `steps`: its workflow's, as written.
    """

    def __init__(
        self,
        spec: dict[str, Any],
        document: Document,
        home: str,
        policies: Policies,
        types: TypeDefinitions,
        findings: Findings,
        steps: list[Any],
    ) -> None:
        self.declared: dict[str, Component] = {}
        self.references: list[Reference] = []
        self.watched: list[str] = []
        self._made: dict[str, Component] = {}
        self._places: dict[str, FieldPath] = {}
        self._data: dict[str, tuple[list[tuple[Input, FieldPath]], list[tuple[Output, FieldPath]]]] = {}
        self._stateful: set[str] = set()
        self._handed: set[str] = set()
        self._broken: set[str] = set()
        self._variants: dict[tuple[str, ...], dict[str, Component]] = {}
        self._work = MAX_WORK
        self._path, self._size, self._home = document.path, len(document.text), home
        self._policies = policies
        self._types, self.files = types, types.reading
        self._findings = findings
        items = spec.get("components")
        if isinstance(items, list) and len(items) > MAX_COMPONENTS:
            findings.error(_AT, f"more than {MAX_COMPONENTS} components")
            return
        inputs = find_step_inputs(steps)
        for place, item in mappings(items, _AT):
            self._declare(item, place, inputs)
        self._check_dependencies()

    def place(self, component_id: str) -> FieldPath:
        return self._places[component_id]

    def compiled(self, workflow: Workflow) -> list[Component]:
        """All components. One that steps apply only elsewhere or by policies is left out: what it had where it was is pruned."""
        used = {component_id for step in workflow.steps for component_id in step.components}
        moved = {component.name for component in self._made.values()}
        kept = [component for component in self.declared.values() if component.id in used or component.name not in moved]
        return kept + list(self._made.values())

    def hand_data(self, draft: Draft, outside: FieldPath = ()) -> None:
        """As upstream does: what a component needs and gives is what the step that applies it needs and gives. `outside`: where the document
        refers to that of the step."""
        if draft.step.type not in ("apply-component", "apply-and-wait"):
            self._refuse_data(draft, outside)
            return
        for component_id in draft.step.components:
            name = self.name_of(component_id)
            inputs, outputs = self._data[name]
            draft.inputs += [entry for entry in inputs if entry[0] not in [known for known, _ in draft.inputs]]
            if name not in self._handed:
                draft.outputs += outputs
            self._handed.add(name)

    def hand_order(self, drafts: list[Draft]) -> None:
        """A step for one component comes after the steps for those that it depends on. `drafts`: of one level."""
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
            found = self._by_policies(found, properties, at)
            self._check_rollout(properties, found, at)
            return found
        if step_type in ("apply-object", "apply-job"):
            return self._make_object(key, properties, at)
        if step_type == "deploy":
            return self._by_policies(None, properties, at)
        return []

    # Declared components ----------------------------------------------------------------------------------------------

    def _declare(self, item: dict[str, Any], at: FieldPath, inputs: dict[str, list[str]]) -> None:
        name, type_name = item.get("name"), item.get("type")
        if not isinstance(name, str) or not name:
            return
        if name in self.declared:
            self._findings.error((*at, "name"), f"duplicate component name {one_line(name, 80)}")
        errors = self._findings.errors
        own = read_inputs(item.get("inputs"), (*at, "inputs"), full_target, self._findings)
        outputs = read_outputs(item.get("outputs"), (*at, "outputs"), self._findings)
        self._data[name] = (own, outputs)
        self._places[name] = at
        targets = [entry.target for entry, _ in own] + inputs.get(name, [])
        properties = item["properties"] if isinstance(item.get("properties"), dict) else {}
        if isinstance(type_name, str):
            properties = self._check_properties(name, type_name, properties, targets, at)
        traits = self._read_traits(item, at)
        if self._findings.errors > errors:
            self._broken.add(name)
        self.declared[name] = Component(
            id=name,
            name=name,
            type=type_name if isinstance(type_name, str) else "",
            properties=properties,
            traits=traits,
            depends_on=texts(item.get("dependsOn")),
            inputs=[entry for entry, _ in own],
            outputs=[entry for entry, _ in outputs],
            namespace="" if self._is_defined(type_name) else find_namespace(type_name, properties),
            defined=self._is_defined(type_name),
        )

    def _is_defined(self, type_name: object) -> bool:
        return isinstance(type_name, str) and self._types.get("component", type_name) is not None

    def _check_properties(self, component: str, type_name: str, properties: dict[str, Any], targets: list[str], at: FieldPath) -> dict[str, Any]:
        """The properties as the renderer reads them; `component`: its id."""
        findings = self._findings
        defined = self._types.get("component", type_name)
        shape = COMPONENT_TYPES.get(type_name)
        if shape is None and defined is None:
            if type_name:
                self._types.tell_unknown("component", type_name, (*at, "type"), COMPONENT_TYPES)
            self._stateful.add(component)  # where it is believed, nobody knows
            return properties
        place = (*at, "properties")
        properties = without_metadata(properties)
        if defined is not None or shape is None:
            findings.supplied.update((*at, *parse_path(target)) for target in targets)
            if defined is not None:
                self._types.check(defined, properties, place)
            self._stateful.add(component)  # nobody knows before it is rendered
            return properties
        for target in targets:
            path = parse_path(target)
            findings.supplied.add((*at, *path))
            if path[0] == "properties" and len(path) > 1 and path[1] not in shape.fields and type_name != "helm":
                findings.warn(at, f"an input goes to {one_line(target, 80)}, but a {type_name} has no such field")
        shape.check(properties, place, findings)
        if type_name == "statefulset":
            self._stateful.add(component)
        if type_name == "k8s-objects" and isinstance(properties.get("objects"), list):
            objects = [check_object(value, (*place, "objects", index), findings) for index, value in enumerate(properties["objects"])]
            if any(isinstance(value, dict) and value.get("kind") == "StatefulSet" for value in objects):
                self._stateful.add(component)
            return {**properties, "objects": objects}
        if type_name == "helm":
            chart = read_chart(properties, self._path, place, self.files, findings)
            self.references += chart.references
            self.watched += chart.watched
            self._stateful.add(component)  # nobody knows before it is rendered
            return chart.properties
        if type_name in _FOLDERS and isinstance(properties.get("path"), str) and properties["path"]:
            folder = _FOLDERS[type_name](properties["path"], self._path, (*place, "path"), self.files, findings)
            self.references += folder.references
            self.watched += folder.watched
            if "StatefulSet" in folder.kinds:
                self._stateful.add(component)
            return {**properties, "path": folder.path}
        return properties

    def _read_traits(self, item: dict[str, Any], at: FieldPath) -> list[Trait]:
        traits = []
        for place, trait in mappings(item.get("traits"), (*at, "traits")):
            type_name = trait.get("type")
            properties = trait["properties"] if isinstance(trait.get("properties"), dict) else {}
            if isinstance(type_name, str):
                traits.append(Trait(type_name, without_metadata(properties)))
                self._check_trait(traits, len(traits) - 1, item.get("type"), place)
                first = next((trait.type for trait in traits if trait.type in SCALERS), type_name)
                if type_name in SCALERS and first != type_name:
                    self._findings.error((*place, "type"), f"{first} says how many pods there are already: take one of the two")
        return traits

    def _check_trait(self, traits: list[Trait], index: int, component_type: object, at: FieldPath) -> None:
        trait = traits[index]
        defined = self._types.get("trait", trait.type) if trait.type else None
        if defined is not None:
            self._types.check(defined, trait.properties, (*at, "properties"))
            self._types.check_fit(defined, str(component_type), [other.type for place, other in enumerate(traits) if place != index], at)
        elif trait.type in TRAITS:
            TRAITS[trait.type].check(trait.properties, (*at, "properties"), self._findings)
            if component_type in UNFIT.get(trait.type, ()) and not self._is_defined(component_type):
                self._findings.error((*at, "type"), f"a {trait.type} does not fit a component of type {component_type}")
        elif trait.type:
            self._types.tell_unknown("trait", trait.type, (*at, "type"), TRAITS)

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
        served = serve(without_metadata(value), (*at, "value"), self._findings)
        self._made[made] = Component(made, made, "k8s-objects", {"objects": [served]})
        return [made]

    def make(self, step: Step, properties: dict[str, Any], at: FieldPath) -> list[str]:
        """Of what a step makes of its own parameters, which the step type itself checks."""
        topology = properties.get("topology")
        if isinstance(topology, str) and topology:
            if topology not in self._policies.topologies:
                self._findings.unknown((*at, "topology"), "topology", topology, self._policies.topologies)
            else:
                self._policies.take([topology], at)
        made = f"object/{step.key}"
        self._made[made] = Component(made, made, step.type, {**without_metadata(properties), STEP_NAME: step.name})
        return [made]

    # Components by policies -------------------------------------------------------------------------------------------

    def _by_policies(self, wanted: list[str] | None, properties: dict[str, Any], at: FieldPath) -> list[str]:
        """Ids of the components that the policies of a step leave (of `wanted`, where given), in order, place by place."""
        names = self._policies.take(texts(properties.get("policies")), at)
        variant = self._vary(tuple(name for name in names or () if name in self._policies.overrides), at)
        order = list(variant) if wanted is None else [name for name in wanted if name in variant]
        if not names:
            return order
        made: list[str] = []
        for namespace in self._policies.namespaces(names, self._home):
            for name in order:
                component_id = f"{name}@{','.join(names)}:{namespace}"
                if component_id not in self._made and not self._afford(at):
                    return made
                self._made[component_id] = msgspec.structs.replace(variant[name], id=component_id, namespace=namespace, policies=names)
                if variant[name].id in self._stateful:
                    self._stateful.add(component_id)
                made.append(component_id)
        return made

    def _vary(self, overrides: tuple[str, ...], at: FieldPath) -> dict[str, Component]:
        """The declared components by name as those overrides change them, each after those that it depends on."""
        if overrides not in self._variants:
            chosen = [self._policies.overrides[name] for name in overrides]
            selected = [set(override.selector) for override in chosen if override.selector]
            components = dict(self.declared)
            for patch in (patch for override in chosen for patch in override.patches):
                self._patch(components, patch, selected, at)
            found = {name: component for name, component in components.items() if all(name in names for names in selected)}
            self._variants[overrides] = in_order(found)
        return self._variants[overrides]

    def _patch(self, components: dict[str, Component], patch: Patch, selected: list[set[str]], at: FieldPath) -> None:
        """One item of an override on all that it fits and that the selectors leave. A name that there is not, with a type, is added."""
        if not self._afford(at):
            return
        fitting = [component for component in components.values() if patch.fits(component)]
        new = not fitting and patch.name != "" and "*" not in patch.name
        if new and not patch.type:
            self._findings.unknown((*patch.at, "name"), "component", patch.name, components)
            return
        if new:
            close = suggest(patch.name, components) if not self._findings.full else ""
            if "did you mean" in close:
                self._findings.warn((*patch.at, "name"), f"this adds a component {patch.name}{close}")
            fitting = [Component(patch.name, patch.name, "")]
        elif not fitting:
            self._findings.warn(patch.at, "it fits no component")
        for component in fitting:
            if all(component.name in names for names in selected) and self._afford(at):
                components[component.name] = self._check_patched(patch.onto(component), patch)

    def _check_patched(self, component: Component, patch: Patch) -> Component:
        """The patched component as the renderer reads it. What is wrong without the patch is said where it stands."""
        if component.name in self._broken:
            return component
        changed = msgspec.structs.replace(component, id=f"{component.name}@{patch.at}")
        for index, trait in enumerate(component.traits):
            place = next((written.at for written in patch.traits if written.type == trait.type), None)
            if place is not None:
                self._check_trait(component.traits, index, component.type, place)
        properties = self._check_properties(changed.id, component.type, component.properties, [], patch.at)
        return msgspec.structs.replace(changed, properties=properties, defined=self._is_defined(component.type))

    def _afford(self, at: FieldPath) -> bool:
        """Whether policies may make one more component; an error where not."""
        self._work -= self._size
        if self._work < 0 or len(self._made) >= MAX_COMPONENTS:
            self._findings.error((*at, "policies"), "too many or too large components, counting each again for every list of policies and place")
            return False
        return True

    def _check_rollout(self, properties: dict[str, Any], components: Iterable[str], at: FieldPath) -> None:
        found = list(components)
        if properties.get("rollout") is not None and found and not self._stateful.intersection(found):
            self._findings.error((*at, "rollout"), "a partition needs a StatefulSet, and none of these components has one")

    def _refuse_data(self, draft: Draft, outside: FieldPath) -> None:
        """Only a step for one component can hand it data."""
        for component_id in draft.step.components:
            component = self._made.get(component_id) or self.declared[component_id]
            if component.inputs or component.outputs:
                self._findings.error(
                    (*outside, *draft.at),
                    f"the component {component.name} has inputs or outputs: apply it by a step of type apply-component, not {draft.step.type}",
                )

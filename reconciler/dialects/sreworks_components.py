"""Components of a SREWorks ApplicationConfiguration: defaults, parameters, data inputs, scopes and policies to effective specs."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from reconciler.dialects.catalog import REVISION_TYPES
from reconciler.dialects.fieldpath import FieldPath, parse_path, with_value
from reconciler.dialects.findings import Findings, suggest
from reconciler.dialects.globals import Globals
from reconciler.dialects.reading import Reading
from reconciler.dialects.steps import mappings, texts
from reconciler.model.application import Component, Reference, Workflow
from reconciler.model.names import DNS_LABEL
from reconciler.model.problem import Problem
from reconciler.model.sealed import without_metadata
from reconciler.model.text import one_line

MAX_COMPONENTS = 500
MAX_PATHS = 200  # toFieldPaths of one component, those of its policies included

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


class _Entry(NamedTuple):
    """One parameterValue or dataInput with its place; `name` is empty for data inputs."""

    name: str
    item: dict[str, Any]
    at: FieldPath


class _Declared(NamedTuple):
    id: str
    name: str
    type: str
    defaults: dict[str, Any]
    parameters: list[_Entry]
    data: list[_Entry]
    namespace: str
    at: FieldPath


class Policy(NamedTuple):
    """`overrides`: by component id (parameters, data). `namespace`: of a topology, empty where it says nothing."""

    namespace: str
    overrides: dict[str, tuple[list[_Entry], list[_Entry]]]


class RevisionComponents:
    """
    The components of a spec by `TYPE|name`, and each again for every list of policies by which a step applies it
    (`TYPE|name@policy,policy`).
    """

    def __init__(self, spec: dict[str, Any], at: FieldPath, values: Globals, files: Reading, findings: Findings) -> None:
        self.references: list[Reference] = []
        self.watched: list[str] = []
        self._globals = values
        self._files = files
        self._findings = findings
        self._declared: dict[str, _Declared] = {}
        self._made: dict[str, Component] = {}
        items = spec.get("components")
        if isinstance(items, list) and len(items) > MAX_COMPONENTS:
            findings.error((*at, "components"), f"more than {MAX_COMPONENTS} components")
            items = None
        for place, item in mappings(items, (*at, "components")):
            self._declare(item, place)
        self._policies: dict[str, Policy] = {}
        for place, item in mappings(spec.get("policies"), (*at, "policies")):
            self._read_policy(item, place)

    def resolve(self, step_type: str, properties: dict[str, Any], at: FieldPath) -> list[str]:
        """Ids of the components that a step applies, by its policies; what it names wrongly is an error."""
        if step_type == "deploy":
            found = list(self._declared)
        elif step_type == "apply-components":
            found = self._listed(properties, at)
            self._check_rollout(properties, at)
        else:
            return []
        names = texts(properties.get("policies"))
        unknown = [(index, name) for index, name in enumerate(names) if name not in self._policies]
        for index, name in unknown:
            self._findings.unknown((*at, "policies", index), "policy", name, self._policies)
        return [] if unknown else [made for made in (self._make(component, names, at) for component in found) if made]

    def deploy_all(self) -> list[str]:
        """Ids of all components as they are, without policies."""
        return [made for made in (self._make(component, [], self._declared[component].at) for component in self._declared) if made]

    def compiled(self, workflow: Workflow) -> list[Component]:
        """All that steps apply, and those that no step does. One that is applied only by policies is not there without them."""
        used = {component_id.partition("@")[0] for step in workflow.steps for component_id in step.components}
        for component_id, declared in self._declared.items():
            if component_id not in used:
                self._make(component_id, [], declared.at)
        return list(self._made.values())

    # Reading ----------------------------------------------------------------------------------------------------------

    def _identify(self, item: dict[str, Any], at: FieldPath) -> tuple[str, str, str] | None:
        """Type, name and version of a `revisionName`."""
        written = item.get("revisionName")
        if not isinstance(written, str):
            return None
        parts = written.split("|")
        if len(parts) != 3 or not all(_SAFE.fullmatch(part) or (index == 2 and part in ("", "_")) for index, part in enumerate(parts)):
            self._findings.error((*at, "revisionName"), f"must be TYPE|name|version (version _ for none), not {one_line(written, 80)}")
            return None
        return parts[0], parts[1], parts[2] or "_"

    def _declare(self, item: dict[str, Any], at: FieldPath) -> None:
        identity = self._identify(item, at)
        if identity is None:
            return
        type_name, name, version = identity
        if type_name not in REVISION_TYPES:
            self._findings.unknown((*at, "revisionName"), "component type", type_name, REVISION_TYPES)
        if not DNS_LABEL.fullmatch(name):
            self._findings.error((*at, "revisionName"), f"the name {name} is no DNS-1123 label (a-z, 0-9 and -, at most 63)")
        component_id = f"{type_name}|{name}"
        if component_id in self._declared:
            self._findings.error((*at, "revisionName"), f"duplicate component {component_id}")
            return
        defaults = self._read_defaults(f"components/{type_name}/{name}/{version}.yaml")
        parameters, data = _entries(item, at)
        namespace = self._read_scopes(item, at)
        self._declared[component_id] = _Declared(component_id, name, type_name, defaults, parameters, data, namespace, at)

    def _read_defaults(self, path: str) -> dict[str, Any]:
        self.watched.append(path)
        oid = self._files.oid(path)
        if oid is None:
            return {}
        self.references.append(Reference(path, path, oid))
        documents, problems = self._files.parsed(path)
        self._findings.include(problems)
        if any(problem.severity == "error" for problem in problems):
            return {}
        if len(documents) != 1 or documents[0].position != 0:
            self._findings.include([Problem(path, 1, "must hold one mapping, the component's default spec")])
            return {}
        defaults: dict[str, Any] = without_metadata(documents[0].content)
        return defaults

    def _read_scopes(self, item: dict[str, Any], at: FieldPath) -> str:
        namespace = ""
        for place, scope in mappings(item.get("scopes"), (*at, "scopes")):
            reference = scope.get("scopeRef")
            if not isinstance(reference, dict):
                continue
            where = (*place, "scopeRef", "name")
            name = self._globals.substitute(reference.get("name"), where)
            if reference.get("kind") == "Namespace":
                namespace = self._check_namespace(name, where)
            elif name not in (None, ""):
                self._findings.error(where, f"a scope of kind {one_line(reference.get('kind'), 40)} is not available yet; leave its name empty")
        return namespace

    def _check_namespace(self, name: Any, at: FieldPath) -> str:
        if name is None or name == "":
            return ""
        if not isinstance(name, str) or not DNS_LABEL.fullmatch(name):
            self._findings.error(at, f"{one_line(name, 80)} is no namespace: a DNS-1123 label (a-z, 0-9 and -, at most 63)")
            return ""
        return name

    def _read_policy(self, item: dict[str, Any], at: FieldPath) -> None:
        name, kind = item.get("name"), item.get("type")
        properties = item["properties"] if isinstance(item.get("properties"), dict) else {}
        if not isinstance(name, str) or not isinstance(kind, str):
            return
        if name in self._policies:
            self._findings.error((*at, "name"), f"duplicate policy name {one_line(name, 80)}")
        place = (*at, "properties")
        if kind == "topology":
            self._policies[name] = Policy(self._read_topology(properties, place), {})
        elif kind == "override":
            self._policies[name] = Policy("", self._read_overrides(properties, place))
        else:
            self._findings.unknown((*at, "type"), "policy type", kind, ("topology", "override"))
            self._policies[name] = Policy("", {})

    def _read_topology(self, properties: dict[str, Any], at: FieldPath) -> str:
        for field in ("cluster", "stage"):
            if self._globals.substitute(properties.get(field), (*at, field)) not in (None, ""):
                self._findings.error((*at, field), f"{field} is not available yet; leave it out")
        return self._check_namespace(self._globals.substitute(properties.get("namespace"), (*at, "namespace")), (*at, "namespace"))

    def _read_overrides(self, properties: dict[str, Any], at: FieldPath) -> dict[str, tuple[list[_Entry], list[_Entry]]]:
        found: dict[str, tuple[list[_Entry], list[_Entry]]] = {}
        for place, item in mappings(properties.get("components"), (*at, "components")):
            identity = self._identify(item, place)
            if identity is None:
                continue
            component_id = f"{identity[0]}|{identity[1]}"
            if component_id not in self._declared:
                self._findings.unknown((*place, "revisionName"), "component", component_id, self._declared)
            parameters, data = _entries(item, place)
            old = found.get(component_id, ([], []))
            found[component_id] = (old[0] + parameters, old[1] + data)
        return found

    # Making -----------------------------------------------------------------------------------------------------------

    def _listed(self, properties: dict[str, Any], at: FieldPath) -> list[str]:
        found = []
        for place, item in mappings(properties.get("components"), (*at, "components")):
            if not isinstance(item.get("type"), str) or not isinstance(item.get("name"), str):
                continue
            component_id = f"{item['type']}|{item['name']}"
            if component_id in self._declared:
                found.append(component_id)
            elif not self._findings.full:
                hint = suggest(component_id, self._declared)
                self._findings.error((*place, "name"), f"unknown component {one_line(component_id, 80)}{hint}")
        return list(dict.fromkeys(found))

    def _check_rollout(self, properties: dict[str, Any], at: FieldPath) -> None:
        rollout = properties.get("rollout")
        details = rollout.get("properties") if isinstance(rollout, dict) else None
        partition = details.get("partition") if isinstance(details, dict) else None
        if isinstance(partition, str) and partition.endswith("%"):
            where = (*at, "rollout", "properties", "partition")
            self._findings.error(where, "a StatefulSet takes a number of pods as partition, not a percentage")

    def _make(self, component_id: str, policies: list[str], at: FieldPath) -> str:
        """The id of the component by those policies; "" where there would be too many."""
        made = f"{component_id}@{','.join(policies)}" if policies else component_id
        if made in self._made:
            return made
        if len(self._made) >= MAX_COMPONENTS:
            self._findings.error(at, f"more than {MAX_COMPONENTS} components, counting each again for every list of policies")
            return ""
        declared = self._declared[component_id]
        namespace = declared.namespace
        parameters, data = list(declared.parameters), list(declared.data)
        for name in policies:
            policy = self._policies[name]
            namespace = policy.namespace or namespace
            more, inputs = policy.overrides.get(component_id, ([], []))
            parameters = _replace_by_name(parameters, more)
            data += inputs
        properties = self._fill(declared, parameters, data)
        self._made[made] = Component(made, declared.name, declared.type, properties, namespace=namespace, policies=policies)
        return made

    def _fill(self, declared: _Declared, parameters: list[_Entry], data: list[_Entry]) -> dict[str, Any]:
        """The effective spec: defaults, then parameterValues, then dataInputs, in order."""
        place = (*declared.at, "spec")
        spec = self._globals.substitute(declared.defaults, place)
        left = MAX_PATHS
        for entry in [*parameters, *data]:
            value = self._value(entry)
            for index, path in enumerate(texts(entry.item.get("toFieldPaths"))):
                left -= 1
                if left == -1:
                    self._findings.error(entry.at, f"more than {MAX_PATHS} toFieldPaths for one component")
                if left >= 0:
                    spec = self._put(spec, path, value, (*entry.at, "toFieldPaths", index))
        shape = REVISION_TYPES.get(declared.type)
        if shape is not None:
            shape.check(spec, place, self._findings)
        if isinstance(spec.get("base64Kubeconfig"), str) and spec["base64Kubeconfig"]:
            self._findings.error((*place, "base64Kubeconfig"), "other clusters are not available yet; leave it empty for this one")
        return spec if isinstance(spec, dict) else {}

    def _value(self, entry: _Entry) -> Any:
        if entry.name or "value" in entry.item:
            return self._globals.substitute(entry.item.get("value"), (*entry.at, "value"))
        source = entry.item.get("valueFrom")
        name = source.get("dataOutputName") if isinstance(source, dict) else None
        if not isinstance(name, str):
            return None
        where = (*entry.at, "valueFrom", "dataOutputName")
        if not name.startswith("Global."):
            self._findings.error(where, f"only Global.<name> can be read, not {one_line(name, 80)}")
            return None
        return self._globals.look_up(name.removeprefix("Global."), where)

    def _put(self, spec: dict[str, Any], written: str, value: Any, at: FieldPath) -> dict[str, Any]:
        try:
            path = parse_path(written)
            if path[0] != "spec" or len(path) < 2 or not isinstance(path[1], str):
                raise ValueError("must begin with spec. and name a field")
            changed: dict[str, Any] = with_value(spec, path[1:], value)
        except ValueError as error:
            self._findings.error(at, str(error))
            return spec
        return changed


def _entries(item: dict[str, Any], at: FieldPath) -> tuple[list[_Entry], list[_Entry]]:
    parameters = [
        _Entry(entry["name"], entry, place)
        for place, entry in mappings(item.get("parameterValues"), (*at, "parameterValues"))
        if isinstance(entry.get("name"), str)
    ]
    return parameters, [_Entry("", entry, place) for place, entry in mappings(item.get("dataInputs"), (*at, "dataInputs"))]


def _replace_by_name(entries: list[_Entry], more: list[_Entry]) -> list[_Entry]:
    """Upstream's override policy: a parameter of the same name takes the place of the old one, others follow."""
    found = {entry.name: entry for entry in entries}
    for entry in more:
        found[entry.name] = entry
    return list(found.values())

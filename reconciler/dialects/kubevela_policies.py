"""
Policies of a KubeVela Application: where components go (`topology`), and what is different there (`override`); the others that are built in are
rules. One of a type that the repository defines makes objects, as a component does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from reconciler.dialects.catalog import LATER_POLICY_TYPES
from reconciler.dialects.fieldpath import FieldPath, merged
from reconciler.dialects.findings import Findings, suggest
from reconciler.dialects.kubevela_rules import RULE_POLICIES, RuleReader
from reconciler.dialects.shapes import Anything, ListOf, MapOf, Record, Text, Truth
from reconciler.dialects.steps import mappings, texts
from reconciler.dialects.type_definitions import TypeDefinitions
from reconciler.model.application import Component, Trait, Workflow
from reconciler.model.names import DNS_LABEL
from reconciler.model.sealed import without_metadata
from reconciler.model.text import one_line

MAX_POLICIES = 50
MAX_PATCHES = 200  # components of all override policies of an application

_AT: FieldPath = ("spec", "policies")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_PROPERTIES = MapOf(Anything())
_PATTERN = Text(pattern=re.compile(r"[a-z0-9*-]{1,63}", re.ASCII), meaning="a component's name, with * for any part of it")
_LOCAL = "not available until other clusters can be targets; leave it out for this one"

POLICY_TYPES: Mapping[str, Record] = MappingProxyType(
    {
        "topology": Record(
            {
                "clusters": ListOf(Text()),
                "namespace": Text(pattern=DNS_LABEL, meaning="a DNS-1123 label (a-z, 0-9 and -, at most 63)"),
                "allowEmpty": Truth(),
            },
            refused=dict.fromkeys(("clusterLabelSelector", "clusterSelector"), _LOCAL),
        ),
        "override": Record(
            {
                "components": ListOf(
                    Record(
                        {
                            "name": _PATTERN,
                            "type": Text(),
                            "properties": _PROPERTIES,
                            "traits": ListOf(Record({"type": Text(), "properties": _PROPERTIES, "disable": Truth()}, required=("type",))),
                        },
                        refused={"externalRevision": "not supported"},
                    )
                ),
                "selector": ListOf(Text()),
            }
        ),
        **RULE_POLICIES,
    }
)


TAKEN = frozenset({*POLICY_TYPES, *LATER_POLICY_TYPES})
"""Types that no definition replaces."""


class TraitPatch(NamedTuple):
    type: str
    properties: dict[str, Any]
    disable: bool
    at: FieldPath


class Patch(NamedTuple):
    """One item of an override. `name` may hold `*`; without one it is for all components, or all of its type."""

    name: str
    type: str
    properties: dict[str, Any]
    traits: list[TraitPatch]
    at: FieldPath

    def fits(self, component: Component) -> bool:
        if self.name:
            return fnmatchcase(component.name, self.name)
        return self.type in ("", component.type)

    def onto(self, component: Component) -> Component:
        """
        The component with this in it: properties level by level, traits by type. A name with another type takes the whole
        component's place, and so does that of a component that there was not.
        """
        if self.type not in ("", component.type):
            traits = [Trait(trait.type, trait.properties) for trait in self.traits if not trait.disable]
            return msgspec.structs.replace(component, type=self.type, properties=self.properties, traits=traits)
        properties = merged(component.properties, self.properties)
        return msgspec.structs.replace(component, properties=properties, traits=_patch_traits(component.traits, self.traits))


class Override(NamedTuple):
    """`selector`: names of the components that are to be there; empty: all of them."""

    patches: list[Patch]
    selector: list[str]


class Policies:
    """
    The policies of a spec by name. `topologies`: name to namespace, empty for the application's own. `reader`: of those that
    hold for all objects, whether or not a step names them. `components`: what those of defined types make.
    """

    def __init__(self, spec: dict[str, Any], types: TypeDefinitions, findings: Findings) -> None:
        self.topologies: dict[str, str] = {}
        self.overrides: dict[str, Override] = {}
        self._places: dict[str, FieldPath] = {}
        self.components: list[Component] = []
        self.reader = RuleReader(findings)
        self._types = types
        self._named: set[str] = set()
        self._findings = findings
        items = spec.get("policies")
        if isinstance(items, list) and len(items) > MAX_POLICIES:
            findings.error(_AT, f"more than {MAX_POLICIES} policies")
            return
        for place, item in mappings(items, _AT):
            self._read(item, place)
        if sum(len(override.patches) for override in self.overrides.values()) > MAX_PATCHES:
            findings.error(_AT, f"more than {MAX_PATCHES} components in override policies")
            self.overrides = dict.fromkeys(self.overrides, Override([], []))

    def take(self, names: list[str], at: FieldPath) -> list[str] | None:
        """The topologies and overrides that a step lists, without doubles; None where it names a policy that there is not."""
        unknown = [(index, name) for index, name in enumerate(names) if name not in self._places]
        for index, name in unknown:
            self._findings.unknown((*at, "policies", index), "policy", name, self._places)
        for index, name in enumerate(names):
            if name in self._places and name not in self.topologies and name not in self.overrides:
                self._findings.warn((*at, "policies", index), f"the policy {name} holds for the whole application; naming it changes nothing")
        self._named.update(names)
        return None if unknown else [name for name in dict.fromkeys(names) if name in self.topologies or name in self.overrides]

    def namespaces(self, names: Iterable[str], home: str) -> list[str]:
        """Where those policies put components; empty for `home`, the application's own namespace."""
        found = [self.topologies[name] for name in names if name in self.topologies]
        return list(dict.fromkeys("" if namespace == home else namespace for namespace in found)) or [""]

    def check_names(self, components: Collection[Component], workflow: Workflow) -> None:
        """Warns of selectors without a component, and of policies that do nothing. `components`: all that there are beside its own."""
        self.reader.check_selectors([*components, *self.components])
        if not any(step.components for step in workflow.steps):
            for component in self.components:
                self._findings.warn(self._places[component.name], "no step applies anything: what it makes is not applied either")
        known = {component.name for component in components}
        known |= {patch.name for override in self.overrides.values() for patch in override.patches}
        for name, override in self.overrides.items():
            for index, selected in enumerate(override.selector):
                if selected not in known and not self._findings.full:
                    place = (*self._places[name], "properties", "selector", index)
                    self._findings.warn(place, f"unknown component {one_line(selected, 80)}{suggest(selected, known)}: it selects nothing")
        for name in [*self.topologies, *self.overrides]:
            if name not in self._named:
                self._findings.warn(self._places[name], f"no step names the policy {name}: it does nothing")

    def _read(self, item: dict[str, Any], at: FieldPath) -> None:
        name, kind = item.get("name"), item.get("type")
        properties = item["properties"] if isinstance(item.get("properties"), dict) else {}
        if not isinstance(kind, str) or not kind:
            return
        if not isinstance(name, str) or not name:
            name = f"{kind}-{at[-1]}"
        elif not _NAME.fullmatch(name):
            self._findings.error((*at, "name"), "must be at most 63 of A-Z, a-z, 0-9, - _ and ., and begin with a letter or digit")
        if name in self._places:
            self._findings.error((*at, "name"), f"duplicate policy name {one_line(name, 80)}")
        self._places[name] = at
        shape = POLICY_TYPES.get(kind)
        if kind in RULE_POLICIES:
            self.reader.read(kind, properties, (*at, "properties"))
        elif shape is not None:
            shape.check(properties, (*at, "properties"), self._findings)
            self._take_in(name, kind, properties, (*at, "properties"))
        elif kind in LATER_POLICY_TYPES:
            self._findings.error((*at, "type"), f"policy type {kind} is not available yet")
        else:
            self._define(name, kind, properties, at)

    def _define(self, name: str, kind: str, properties: dict[str, Any], at: FieldPath) -> None:
        """One of a type that the repository defines."""
        defined = self._types.get("policy", kind)
        if defined is None:
            self._types.tell_unknown("policy", kind, (*at, "type"), POLICY_TYPES)
            return
        properties = without_metadata(properties)
        self._types.check(defined, properties, (*at, "properties"))
        self.components.append(Component(f"policy/{name}", name, kind, properties, defined=True, kind="policy"))

    def _take_in(self, name: str, kind: str, properties: dict[str, Any], at: FieldPath) -> None:
        if kind == "topology":
            for index, cluster in enumerate(texts(properties.get("clusters"))):
                if cluster not in ("", "local"):
                    self._findings.error((*at, "clusters", index), f"cluster {one_line(cluster, 80)} is {_LOCAL}")
            namespace = properties.get("namespace")
            self.topologies[name] = namespace if isinstance(namespace, str) else ""
        elif kind == "override":
            patches = [_read_patch(patch, place) for place, patch in mappings(properties.get("components"), (*at, "components"))]
            self.overrides[name] = Override(patches, texts(properties.get("selector")))


def _read_patch(item: dict[str, Any], at: FieldPath) -> Patch:
    name, kind = item.get("name"), item.get("type")
    traits = [
        TraitPatch(trait["type"], _mapping(trait.get("properties")), trait.get("disable") is True, place)
        for place, trait in mappings(item.get("traits"), (*at, "traits"))
        if isinstance(trait.get("type"), str)
    ]
    return Patch(name if isinstance(name, str) else "", kind if isinstance(kind, str) else "", _mapping(item.get("properties")), traits, at)


def _patch_traits(traits: list[Trait], patches: list[TraitPatch]) -> list[Trait]:
    for patch in patches:
        if not any(trait.type == patch.type for trait in traits):
            traits = traits if patch.disable else [*traits, Trait(patch.type, patch.properties)]
        elif patch.disable:
            traits = [trait for trait in traits if trait.type != patch.type]
        else:
            traits = [Trait(trait.type, merged(trait.properties, patch.properties)) if trait.type == patch.type else trait for trait in traits]
    return traits


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

"""
KubeVela's `ComponentDefinition`, `TraitDefinition` and `PolicyDefinition`: types that the repository defines by templates in CUE.

They are found by name as all definitions are: those of components and traits in the repository before what is built in, all others behind that.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from reconciler.dialects.catalog import COMPONENT_TYPES
from reconciler.dialects.definition_files import TEMPLATE
from reconciler.dialects.definitions import check_policy, check_template, find_document, places_of, refer_to, warn_unfound
from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.header import is_name
from reconciler.dialects.in_cluster import InCluster
from reconciler.dialects.protocol import Document
from reconciler.dialects.reading import Reading
from reconciler.dialects.scope import COMPONENT_DEFINITION, POLICY_DEFINITION, TRAIT_DEFINITION
from reconciler.dialects.shapes import Anything, ListOf, Record, Shape, Text, Truth
from reconciler.dialects.traits import TRAITS
from reconciler.model.application import Definition, Kind, Reference, pin_name
from reconciler.model.definition import Checked, Checker
from reconciler.model.health_policy import FIELDS, HealthPolicy
from reconciler.model.names import DEFINITIONS_FOLDER
from reconciler.model.problem import Problem
from reconciler.model.text import one_line

_BUILT_IN: Final[Mapping[Kind, Mapping[str, Shape]]] = MappingProxyType({"component": COMPONENT_TYPES, "trait": TRAITS, "policy": {}})
_KINDS: Final[Mapping[Kind, tuple[str, str]]] = MappingProxyType(
    {"component": COMPONENT_DEFINITION, "trait": TRAIT_DEFINITION, "policy": POLICY_DEFINITION}
)
_MADE: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {"component": ("output", "outputs"), "trait": ("outputs", "patch", "patchOutputs"), "policy": ("output", "outputs")}
)

_ELSEWHERE: Final = {
    "helm": "not a template in CUE: use a component of type helm",
    "terraform": "no cloud is asked here: apply the objects of an operator that asks one",
    "kube": "KubeVela has given it up: write the object as a template in CUE",
}
_OTHERS: Final = {
    "manageHealthCheck": "not available: what is healthy the objects say, and healthPolicy in status",
    **dict.fromkeys(("scope", "global", "priority"), "not available: a policy makes objects here, it changes no application"),
}
_REFERENCE: Final = Record({"name": Text(), "version": Text(empty=True)}, required=("name",))
_COMMON: Final[dict[str, Shape]] = {
    "schematic": Record({"cue": Record({"template": Text()}, required=("template",))}, required=("cue",), refused=_ELSEWHERE),
    "status": Record(dict.fromkeys(FIELDS, Text(empty=True))),
    "version": Text(empty=True),
    "extension": Anything(),
    "revisionLabel": Text(empty=True),
    "podSpecPath": Text(empty=True),
    "childResourceKinds": Anything(),
}
_WORKLOAD: Final = Record(
    {"type": Text(), "definition": Record({"apiVersion": Text(), "kind": Text()}, required=("apiVersion", "kind"))}, required=()
)
_SPECS: Final[Mapping[Kind, Record]] = MappingProxyType(
    {
        "component": Record({**_COMMON, "workload": _WORKLOAD}, required=("schematic",)),
        "trait": Record(
            {
                **_COMMON,
                "definitionRef": _REFERENCE,
                "appliesToWorkloads": ListOf(Text()),
                "conflictsWith": ListOf(Text()),
                "workloadRefPath": Text(empty=True),
                "podDisruptive": Truth(),
                "revisionEnabled": Truth(),
                "manageWorkload": Truth(),
                "skipRevisionAffect": Truth(),
                "controlPlaneOnly": Truth(),
                "stage": Text(choices=("PreDispatch", "DefaultDispatch", "PostDispatch")),
            },
            required=("schematic",),
        ),
        "policy": Record({**_COMMON, "definitionRef": _REFERENCE}, required=("schematic",), refused=_OTHERS),
    }
)
_SHAPES: Final = {
    kind: Record({"apiVersion": Anything(), "kind": Anything(), "metadata": Anything(), "spec": spec, "status": Anything()}, required=("spec",))
    for kind, spec in _SPECS.items()
}
_AUTODETECTED: Final = "autodetects.core.oam.dev"
_MAKES: Final = {
    "webservice": "deployments.apps",
    "worker": "deployments.apps",
    "statefulset": "statefulsets.apps",
    "daemon": "daemonsets.apps",
    "task": "jobs.batch",
    "cron-task": "cronjobs.batch",
}


class DefinedType(NamedTuple):
    """A type that is defined. `checked` None: its definition has errors, which are told. `served`: as `Definition.served`."""

    definition: Definition
    checked: Checked | None
    references: tuple[Reference, ...] = ()
    served: Mapping[str, str] = MappingProxyType({})

    @property
    def workload(self) -> str:
        """`deployments.apps`, of a component; empty where nobody knows before it is rendered."""
        workload = self.definition.attributes.get("workload") or {}
        named = workload.get("type", "")
        if "." in named and named != _AUTODETECTED:
            return str(named)
        made = workload.get("definition") or {}
        api_version, kind = (made.get("apiVersion", ""), made.get("kind", "")) if made else self.checked.workload if self.checked else ("", "")
        return _resource(api_version, kind)


class TypeDefinitions:
    """
    The types of components, traits and policies that the repository or the cluster defines, each looked up when an application first names it.

    `definitions` and `references`: of those that were found; `watched`: where each that was asked for may stand.
    """

    def __init__(self, reading: Reading, checker: Checker, findings: Findings, cluster: InCluster) -> None:
        self.reading = reading
        self._checker, self._findings, self._cluster = checker, findings, cluster
        self._believed: set[str] = set()
        self._found: dict[tuple[Kind, str], DefinedType | None] = {}
        self.watched: list[str] = []

    @property
    def definitions(self) -> list[Definition]:
        return [found.definition for found in self._found.values() if found is not None]

    @property
    def references(self) -> list[Reference]:
        return list(dict.fromkeys(reference for found in self._found.values() if found is not None for reference in found.references))

    @property
    def served(self) -> dict[str, str]:
        """As `Application.served`."""
        pins = dict.fromkeys(self._believed, "")
        return pins | {name: oid for found in self._found.values() if found is not None for name, oid in found.served.items()}

    def tell_unknown(self, kind: Kind, name: str, at: FieldPath, built_in: Iterable[str]) -> None:
        """That there is no such type beside those that are built in, unless one that only the cluster has is believed."""
        if self._cluster.believes(name):
            self._findings.warn(at, f"{name} is {self._cluster.believe(_KINDS[kind][1])}: its properties are not checked here")
            self._believed.add(pin_name(kind, name))
            return
        try:
            files = self.reading.folder(DEFINITIONS_FOLDER)
        except ValueError:
            files = {}
        known = [*built_in, *(path.rpartition("/")[2].rpartition(".")[0] for path in sorted(files))]
        more = "" if self._findings.full else self._cluster.explain(_KINDS[kind][1], name, self.reading)
        self._findings.unknown(at, f"{kind} type", name, known, more)

    def get(self, kind: Kind, name: str) -> DefinedType | None:
        """None where nobody defines it."""
        if (kind, name) not in self._found:
            self._found[kind, name] = self._find(kind, name)
        return self._found[kind, name]

    def check(self, found: DefinedType, properties: dict[str, Any], at: FieldPath) -> None:
        """Properties held against the parameters of their type. What an input supplies may be missing."""
        if found.checked is None:
            return
        known = {parameter.name for parameter in found.checked.parameters}
        for parameter in found.checked.parameters:
            if parameter.required and properties.get(parameter.name) is None and not self._supplied((*at, parameter.name)):
                self._findings.error(at, f"{parameter.name} is required")
        for field, message in self._checker.check(found.definition.template, properties, whole=True).findings:
            place = (*at, *_path(properties, field))
            if message == "unknown field" and "." not in field:
                self._findings.unknown(place, "field", field, known)
            elif not self._supplied(place):
                self._findings.error(place, message)

    def check_fit(self, trait: DefinedType, component_type: str, others: list[str], at: FieldPath) -> None:
        """Whether a trait may stand on a component of that type, and beside `others`."""
        attributes, name = trait.definition.attributes, trait.definition.name
        component = self.get("component", component_type)
        workload = component.workload if component is not None else _MAKES.get(component_type, "")
        fits = attributes.get("appliesToWorkloads") or ["*"]
        if workload and not any(_fits(pattern, workload, component_type) for pattern in fits):
            self._findings.error(
                (*at, "type"), f"a {name} applies to {', '.join(fits)}, and a component of type {one_line(component_type, 80)} makes {workload}"
            )
        for other in others:
            if self._conflicts(name, other) or self._conflicts(other, name):
                self._findings.error((*at, "type"), f"a {name} conflicts with a {one_line(other, 80)} of the same component")

    def _conflicts(self, trait: str, other: str) -> bool:
        found, against = self.get("trait", trait), self.get("trait", other)
        reference = (against.definition.attributes.get("definitionRef") or {}).get("name", "") if against is not None else ""
        patterns = found.definition.attributes.get("conflictsWith") or [] if found is not None else []
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in (other, reference) if name)

    def _supplied(self, place: FieldPath) -> bool:
        return any(place[: len(supplied)] == supplied for supplied in self._findings.supplied)

    def _find(self, kind: Kind, name: str) -> DefinedType | None:
        beyond = "" if name in _BUILT_IN[kind] else self._cluster.place(_KINDS[kind][1], name)
        document, path = find_document(_KINDS[kind], name, self.reading, self._checker, self._findings, beyond)
        if is_name(name):
            self.watched += [place for place in places_of(name, beyond) if place not in self.watched]
        if document is None:
            return None
        own = Findings(document, f"{_KINDS[kind][1]} {name}")
        definition, checked = _read(kind, document, self._checker, own)
        self._findings.include(own.problems())
        return DefinedType(definition, checked, *refer_to(kind, name, path, self.reading))


def check_type_definition(document: Document, checker: Checker, taken: Collection[str], reading: Reading) -> list[Problem]:
    """What is wrong with a definition by itself, and where nobody finds it. `taken`: names of the policy types that no definition replaces."""
    kind = next(kind for kind, named in _KINDS.items() if named == document.kind)
    findings = Findings(document, f"{_KINDS[kind][1]} {document.name}".strip())
    _read(kind, document, checker, findings, taken if kind == "policy" else ())
    warn_unfound(document, reading, findings)
    return findings.problems()


def _read(kind: Kind, document: Document, checker: Checker, findings: Findings, taken: Collection[str] = ()) -> tuple[Definition, Checked | None]:
    _SHAPES[kind].check(document.content, (), findings)
    name = document.name
    if not name:
        findings.error(("metadata",), "name is required and is text")
    if findings.failed:
        return Definition(kind, name, ""), None
    spec = document.content["spec"]
    template = spec["schematic"]["cue"]["template"]
    checked = check_template(document, template, checker, findings)
    if checked is not None:
        _check_fields(kind, checked, findings, reserved=name in taken)
    if spec.get("manageWorkload"):
        findings.error(("spec", "manageWorkload"), "a trait does not take over the component here: a rollout is the workflow's")
    attributes = {name: value for name, value in spec.items() if name in _SPECS[kind].fields and name not in ("schematic", "status")}
    policy = msgspec.convert(spec.get("status") or {}, HealthPolicy)
    if policy:
        check_policy(document, policy, checker, findings)
    return Definition(kind, name, template, attributes, policy), None if findings.failed else checked


def _check_fields(kind: Kind, checked: Checked, findings: Findings, *, reserved: bool) -> None:
    """`reserved`: its name is a built-in type's. KubeVela has files of those, too, which say parameters and make nothing."""
    makes = set(checked.fields) & set(_MADE[kind])
    if reserved:
        tell = findings.error if makes else findings.warn
        tell(("metadata", "name"), f"this {kind} type is built in, and no definition replaces it")
        return
    if checked.uses:
        findings.error(TEMPLATE, f"it calls {', '.join(sorted(checked.uses))}, and only steps call functions: a {kind} is values alone")
    if "processing" in checked.fields:
        findings.error(TEMPLATE, "processing asks another server while it renders, which would make another object each time: not available here")
    elif not makes:
        findings.error(TEMPLATE, f"it makes nothing: there is none of {', '.join(_MADE[kind])}")


def _path(properties: Any, field: str) -> FieldPath:
    """The path that CUE writes with dots only: numbers are items of lists."""
    path: list[str | int] = []
    for part in field.split(".") if field else ():
        is_item = isinstance(properties, list) and part.isdecimal() and int(part) < len(properties)
        path.append(int(part) if is_item else part)
        properties = properties[int(part)] if is_item else properties.get(part) if isinstance(properties, dict) else None
    return tuple(path)


def _resource(api_version: str, kind: str) -> str:
    """`deployments.apps` of a kind, by the rule that CustomResourceDefinitions name theirs by; empty where there is none."""
    if not kind:
        return ""
    word = kind.lower()
    plural = (
        f"{word[:-1]}ies"
        if word.endswith("y") and word[-2:-1] not in "aeiou"
        else f"{word}es"
        if word.endswith(("s", "x", "ch", "sh"))
        else f"{word}s"
    )
    group = api_version.rpartition("/")[0]
    return f"{plural}.{group}" if group else plural


def _fits(pattern: str, workload: str, component_type: str) -> bool:
    """`*`, `*.apps`, `deployments.apps`, or the name of a component type."""
    return pattern in (component_type, workload) or fnmatch.fnmatchcase(workload, pattern)

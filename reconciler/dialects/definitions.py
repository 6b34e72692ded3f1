"""
KubeVela's `WorkflowStepDefinition`: a step type that the repository defines by a template in CUE.

It is found by its name: in the file of the application that uses it, else in `definitions/<name>.yaml`, else in `definitions/<name>.cue`, and
last, where the operator allows that and nothing else has the name, in the cluster.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from reconciler.dialects.catalog import LATER_STEP_TYPES
from reconciler.dialects.definition_files import TEMPLATE, read_definition_file
from reconciler.dialects.documents import MAX_BYTES, lines_of, parse
from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.header import is_name
from reconciler.dialects.in_cluster import PREFIX, InCluster, read_served
from reconciler.dialects.protocol import Document
from reconciler.dialects.reading import Reading
from reconciler.dialects.scope import DEFINITIONS, STEP_DEFINITION
from reconciler.dialects.shapes import Anything, Record, Text
from reconciler.model.application import Kind, Reference, pin_name
from reconciler.model.definition import Checked, Checker, Fault, Parameter, Parts
from reconciler.model.health_policy import HealthPolicy
from reconciler.model.names import DEFINITION_FILE, DEFINITIONS_FOLDER
from reconciler.model.outcome import StepType
from reconciler.model.problem import Problem
from reconciler.model.text import one_line

MAX_TEMPLATE: Final = 64 * 1024
_CUE: Final = Record({"template": Text()}, required=("template",))
_SHAPE: Final = Record(
    {
        "apiVersion": Anything(),
        "kind": Anything(),
        "metadata": Anything(),
        "spec": Record(
            {"definitionRef": Anything(), "version": Text(empty=True), "schematic": Record({"cue": _CUE}, required=("cue",))}, required=("schematic",)
        ),
        "status": Anything(),
    },
    required=("spec",),
)


_APPLYING_ALL: Final = frozenset({"#ApplyApplication", "#ApplyApplicationInParallel", "#ApplyRemaining"})
LOADING: Final = _APPLYING_ALL | {
    "#Load",
    "#LoadInOrder",
    "#LoadComponets",
    "#LoadComponetsInOrder",
    "#LoadPolicies",
    "#GetPlacementsFromTopologyPolicies",
    "#GetPlacementsFromTmulticlusterologyPolicies",
}
"""Functions that are told what the application declares, spelled as KubeVela does."""
APPLYING: Final = _APPLYING_ALL | {"#ApplyComponent"}
MAKING: Final = frozenset({"#Apply", "#ApplyInParallel", "#CreateConfig"})
"""Functions that apply objects of the template's own."""


class Definition(NamedTuple):
    """One that compiles. `references`: its file, where that is not the application's own; `watched`: where it may stand; `served`: what is pinned
    of one that the cluster has, by its name as a pin."""

    name: str
    template: str
    checked: Checked
    step_type: StepType
    references: tuple[Reference, ...] = ()
    watched: tuple[str, ...] = ()
    served: Mapping[str, str] = MappingProxyType({})


class NoChecker:
    """Where nobody can read templates."""

    def check(self, template: str, properties: dict[str, Any] | None = None, *, whole: bool = False) -> Checked:  # noqa: ARG002 - the protocol's
        return Checked((Fault("definitions are not available here"),))

    def check_policy(self, policy: HealthPolicy) -> Mapping[str, tuple[Fault, ...]]:  # noqa: ARG002 - the protocol's argument
        return {}

    def take_apart(self, text: str) -> Parts:  # noqa: ARG002 - the protocol's argument
        return Parts((Fault("definitions are not available here"),))

    def make_type(self, *_: object) -> StepType:
        raise AssertionError("each template has a fault here")


def check_definition(document: Document, checker: Checker, taken: Iterable[str], reading: Reading) -> list[Problem]:
    """What is wrong with a definition by itself, and where nobody finds it. `taken`: names of the step types that are built in."""
    name = document.name
    findings = Findings(document, f"{STEP_DEFINITION[1]} {name}".strip())
    _read(document, checker, taken, findings)
    warn_unfound(document, reading, findings)
    return findings.problems()


def find_definitions(
    names: Iterable[str], taken: Collection[str], reading: Reading, checker: Checker, findings: Findings, cluster: InCluster
) -> Mapping[str, Definition]:
    """Those of the names that are defined; what is wrong with a definition elsewhere is that file's problem, and the caller's to include."""
    found = {}
    for name in names:
        beyond = "" if name in taken or name in LATER_STEP_TYPES else cluster.place(STEP_DEFINITION[1], name)
        match, path = find_document(STEP_DEFINITION, name, reading, checker, findings, beyond)
        if match is None:
            continue
        own = Findings(match, f"{STEP_DEFINITION[1]} {name}")
        definition = _read(match, checker, taken, own)
        findings.include(own.problems())
        if definition is not None:
            references, served = refer_to("step", name, path, reading)
            found[name] = definition._replace(references=references, watched=places_of(name, beyond) if path else (), served=served)
    return found


def find_document(
    kind: tuple[str, str], name: str, reading: Reading, checker: Checker, findings: Findings, beyond: str
) -> tuple[Document | None, str]:
    """The definition of a name, and its file where that is not the application's own. What is wrong with that file is included. `beyond`: where
    it stands in the cluster, empty where that is not asked."""
    beside = [other for other in reading.beside if other.kind == kind and other.name == name]
    path = "" if beside or not is_name(name) else next((place for place in places_of(name, beyond) if reading.oid(place) is not None), "")
    if not (beside or path):
        return None, ""
    documents, problems = (beside, []) if beside else reading.parsed(path, read=partial(read_definitions, checker=checker))
    findings.include(problems)
    return next((other for other in documents if other.kind == kind and other.name == name), None), path


def refer_to(kind: Kind | Literal["step"], name: str, path: str, reading: Reading) -> tuple[tuple[Reference, ...], Mapping[str, str]]:
    """The file of a definition, which an application refers to where it stands in the repository, and pins where it is the cluster's (5a)."""
    oid = reading.oid(path) or "" if path else ""
    if path.startswith(PREFIX):
        return (), {pin_name(kind, name): oid}
    return ((Reference(path, path, oid),) if path else ()), {}


def places_of(name: str, beyond: str = "") -> tuple[str, ...]:
    """Where a definition stands, beside the files of applications: the first that is there counts."""
    places = f"{DEFINITIONS_FOLDER}/{name}.yaml", f"{DEFINITIONS_FOLDER}/{name}{DEFINITION_FILE}"
    return (*places, beyond) if beyond else places


def warn_unfound(document: Document, reading: Reading, findings: Findings) -> None:
    """A definition that no application finds."""
    places = places_of(document.name)
    first = next((place for place in places if reading.oid(place) is not None), "")
    if findings.failed or any(other.kind not in DEFINITIONS for other in reading.beside):
        return
    if document.path not in places:
        message = f"nobody finds it here: it stands in {' or '.join(places)}, or in the file of the application that uses it"
        findings.warn(("metadata", "name"), message)
    elif document.path != (first or document.path):
        findings.warn(("metadata", "name"), f"nobody finds it here: {first} comes before it")


def read_definitions(path: str, data: bytes | str, limit: int = MAX_BYTES, *, checker: Checker) -> tuple[list[Document], list[Problem]]:
    """The documents of a file where definitions may stand in either form, or of one of the cluster's, and what is wrong with it."""
    if path.startswith(PREFIX):
        return read_served(path, data, limit)
    return read_definition_file(path, data, limit, checker) if path.endswith(DEFINITION_FILE) else parse(path, data, limit)


def _read(document: Document, checker: Checker, taken: Iterable[str], findings: Findings) -> Definition | None:
    _SHAPE.check(document.content, (), findings)
    name = document.name
    if not name:
        findings.error(("metadata",), "name is required and is text")
    if name in taken:
        findings.error(("metadata", "name"), f"the step type {name} is built in, and no definition replaces it")
    if findings.failed:
        return None
    template = document.content["spec"]["schematic"]["cue"]["template"]
    checked = check_template(document, template, checker, findings)
    return Definition(name, template, checked, _make_type(name, template, checked, checker)) if checked is not None else None


def check_template(document: Document, template: str, checker: Checker, findings: Findings) -> Checked | None:
    """What is known of a template that compiles; what is wrong with another one is told at its lines."""
    if len(template.encode("utf-8", "surrogatepass")) > MAX_TEMPLATE:
        findings.error(TEMPLATE, f"has more than {MAX_TEMPLATE} bytes")
        return None
    checked = checker.check(template)
    findings.include(_place(document, fault, template, findings.subject) for fault in checked.faults)
    return None if checked.faults else checked


def check_policy(document: Document, policy: HealthPolicy, checker: Checker, findings: Findings) -> None:
    """What is wrong with what a definition says of health is told at its lines."""
    for name, faults in checker.check_policy(policy).items():
        at = ("spec", "status", name)
        findings.include(_place(document, fault, document.content["spec"]["status"][name], findings.subject, at) for fault in faults)


def _place(document: Document, fault: Fault, template: str, subject: str, at: FieldPath = TEMPLATE) -> Problem:
    """A fault at its line of the file: a template of many lines is a block that begins below its key."""
    line = lines_of(document, {at})[at]
    if fault.line and document.lines is not None and at == TEMPLATE:
        line = fault.line  # the template has the lines of its file
    elif fault.line and "\n" in template:
        line += min(fault.line, template.count("\n") + 1)
    return Problem(document.path, line, one_line(fault.message, 500), one_line(subject, 200), ".".join(map(str, at)))


def _make_type(name: str, template: str, checked: Checked, checker: Checker) -> StepType:
    params = {parameter.name: describe(parameter) for parameter in checked.parameters}
    required = tuple(parameter.name for parameter in checked.parameters if parameter.required)
    return checker.make_type(name, params, required, partial(_find, checker, template, frozenset(params)))


def _find(checker: Checker, template: str, known: frozenset[str], properties: dict[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with properties, less what the names of parameters say already."""
    found = checker.check(template, properties).findings
    return [(field, message) for field, message in found if message != "unknown field" or field in known or "." in field]


def describe(parameter: Parameter) -> str:
    """In one line: what it is for, its type, and what it is unless given."""
    standard = "" if parameter.default is None else f", {one_line(parameter.default, 60)} unless given"
    return f"{parameter.description or 'a parameter of the definition'} ({parameter.type}{standard})"

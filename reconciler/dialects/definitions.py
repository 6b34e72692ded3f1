"""
KubeVela's `WorkflowStepDefinition`: a step type that the repository defines by a template in CUE.

It is found by its name: in the file of the application that uses it, else in `definitions/<name>.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from reconciler.dialects.documents import lines_of
from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.header import is_name
from reconciler.dialects.protocol import Document
from reconciler.dialects.reading import Reading
from reconciler.dialects.scope import STEP_DEFINITION
from reconciler.dialects.shapes import Anything, Record, Text
from reconciler.model.application import Reference
from reconciler.model.definition import Checked, Checker, Fault, Parameter
from reconciler.model.names import DEFINITIONS_FOLDER
from reconciler.model.outcome import StepType
from reconciler.model.problem import Problem
from reconciler.model.text import one_line

MAX_TEMPLATE: Final = 64 * 1024
_TEMPLATE: Final[FieldPath] = ("spec", "schematic", "cue", "template")
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


class Definition(NamedTuple):
    """One that compiles. `references`: its file, where that is not the application's own; `watched`: where it may stand."""

    name: str
    template: str
    checked: Checked
    step_type: StepType
    references: tuple[Reference, ...] = ()
    watched: tuple[str, ...] = ()


class NoChecker:
    """Where nobody can read templates."""

    def check(self, template: str, properties: dict[str, Any] | None = None) -> Checked:  # noqa: ARG002 - the protocol's arguments
        return Checked((Fault("definitions are not available here"),))

    def make_type(self, *_: object) -> StepType:
        raise AssertionError("each template has a fault here")


def check_definition(document: Document, checker: Checker, taken: Iterable[str], reading: Reading) -> list[Problem]:
    """What is wrong with a definition by itself, and where nobody finds it. `taken`: names of the step types that are built in."""
    name = document.name
    findings = Findings(document, f"{STEP_DEFINITION[1]} {name}".strip())
    _read(document, checker, taken, findings)
    place = f"{DEFINITIONS_FOLDER}/{name}.yaml"
    if not findings.failed and document.path != place and all(other.kind == STEP_DEFINITION for other in reading.beside):
        findings.warn(("metadata", "name"), f"nobody finds it here: it stands in {place}, or in the file of the application that uses it")
    return findings.problems()


def find_definitions(names: Iterable[str], taken: Iterable[str], reading: Reading, checker: Checker, findings: Findings) -> Mapping[str, Definition]:
    """Those of the names that are defined; what is wrong with a definition elsewhere is that file's problem, and the caller's to include."""
    found = {}
    for name in names:
        beside = [other for other in reading.beside if other.kind == STEP_DEFINITION and other.name == name]
        path = "" if beside else f"{DEFINITIONS_FOLDER}/{name}.yaml"
        if path and (not is_name(name) or reading.oid(path) is None):
            continue
        documents, problems = (beside, []) if beside else reading.parsed(path)
        findings.include(problems)
        match = next((other for other in documents if other.kind == STEP_DEFINITION and other.name == name), None)
        if match is None:
            continue
        own = Findings(match, f"{STEP_DEFINITION[1]} {name}")
        definition = _read(match, checker, taken, own)
        findings.include(own.problems())
        if definition is not None:
            reference = (Reference(path, path, reading.oid(path) or ""),) if path else ()
            found[name] = definition._replace(references=reference, watched=(path,) if path else ())
    return found


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
    if len(template.encode("utf-8", "surrogatepass")) > MAX_TEMPLATE:
        findings.error(_TEMPLATE, f"has more than {MAX_TEMPLATE} bytes")
        return None
    checked = checker.check(template)
    if checked.faults:
        findings.include(_place(document, fault, template, findings.subject) for fault in checked.faults)
        return None
    return Definition(name, template, checked, _make_type(name, template, checked, checker))


def _place(document: Document, fault: Fault, template: str, subject: str) -> Problem:
    """A fault at its line of the file: a template of many lines is a block that begins below its key."""
    line = lines_of(document, {_TEMPLATE})[_TEMPLATE]
    if fault.line and "\n" in template:
        line += min(fault.line, template.count("\n") + 1)
    return Problem(document.path, line, one_line(fault.message, 500), one_line(subject, 200), ".".join(map(str, _TEMPLATE)))


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

"""Workflows of the KubeVela family: steps where they are written, in the document itself or in one that it refers to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from reconciler.dialects.catalog import LATER_STEP_TYPES
from reconciler.dialects.definitions import APPLYING, LOADING, MAKING, Definition
from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings, suggest
from reconciler.dialects.header import is_name
from reconciler.dialects.kubevela_components import Components
from reconciler.dialects.objects import warn_served
from reconciler.dialects.protocol import Document
from reconciler.dialects.reading import Reading
from reconciler.dialects.retries import PATIENCE, RETRY, pick_patience
from reconciler.dialects.scope import KUBEVELA_WORKFLOW
from reconciler.dialects.served import served_version
from reconciler.dialects.shapes import Anything, ListOf, MapOf, Record, Shape, Text
from reconciler.dialects.steps import INPUTS, OUTPUTS, Draft, Family, read_steps
from reconciler.dialects.targets import full_target
from reconciler.model.application import Mode, Reference, Step
from reconciler.model.canonical import digest
from reconciler.model.names import DEFINED, DEPENDS_ON_APP
from reconciler.model.outcome import StepType
from reconciler.model.problem import Problem
from reconciler.model.text import one_line

GROUP: Final = "step-group"
# What needs no components.
RUN_STEP_TYPES: Final = (
    *("apply-object", "apply-deployment", "apply-job", "suspend", "print-message-in-status", DEPENDS_ON_APP, GROUP),
    *("export2config", "export2secret", "export-data", "create-config", "read-config", "list-config", "delete-config", "clean-jobs"),
    *("read-object", "collect-service-endpoints", "generate-jdbc-connection", "request", "webhook", "notification", "check-metrics"),
    "restart-workflow",
)
STEP_TYPES: Final = ("apply-component", "apply-components", "apply-and-wait", "deploy", "rollout-promotion", *RUN_STEP_TYPES)
FOLDER: Final = "workflows"
_OBJECTS: Final = frozenset({"apply-object", "apply-job"})
_APPLYING: Final = frozenset({"apply-component", "apply-and-wait"})

_MODE = Text(choices=("StepByStep", "DAG"))
MODES = Record({"steps": _MODE, "subSteps": _MODE})
_STEP_FIELDS: Mapping[str, Shape] = {
    "name": Text(),
    "type": Text(),
    "properties": MapOf(Anything()),
    "inputs": INPUTS,
    "outputs": OUTPUTS,
    "dependsOn": ListOf(Text()),
    "if": Text(empty=True),
    "timeout": Text(),
    "meta": Record({"alias": Text(empty=True)}),
    "retryPolicy": RETRY,
}
_SUB_STEP = Record(_STEP_FIELDS, required=("type",), refused=dict.fromkeys(("subSteps", "mode"), "for a step that is in no group"))
STEPS = ListOf(Record({**_STEP_FIELDS, "mode": _MODE, "subSteps": ListOf(_SUB_STEP, least=1)}, required=("type",)))
_DOCUMENT = Record(
    {"apiVersion": Anything(), "kind": Anything(), "metadata": Anything(), "mode": MODES, "steps": STEPS, **PATIENCE}, required=("steps",)
)


class Written(NamedTuple):
    """
    Steps as somebody wrote them. `at`: where they stand in the document of `findings`; `outside`: what comes before that in places of the
    application's own document. `references`, `watched`: as an application's. `patience`: its `retryPolicy` and `healthTimeout`.
    """

    items: list[Any]
    modes: Any
    at: FieldPath
    findings: Findings
    outside: FieldPath = ()
    references: tuple[Reference, ...] = ()
    watched: tuple[str, ...] = ()
    patience: Mapping[str, Any] = MappingProxyType({})


def check_workflow(document: Document) -> list[Problem]:
    """What is wrong with a Workflow by itself; who refers to it says the rest."""
    findings = Findings(document, f"Workflow {document.name}".strip())
    _check(document, findings)
    return findings.problems()


def refer(name: str, at: FieldPath, manifest: str, files: Reading, findings: Findings) -> Written | None:
    """
    The Workflow of that name: in the file of that name beside the manifest, else in the repository's folder `workflows/`.

    `at`: where it is referred to. What is wrong with its file is that file's problem, and the caller's to include.
    """
    if not is_name(name):
        findings.error(at, f"{one_line(name, 80) or 'an empty text'} is no DNS-1123 subdomain of at most 63 characters (a-z, 0-9, - and .)")
        return None
    folder = manifest.rpartition("/")[0]
    places = list(dict.fromkeys(f"{place}/{name}.yaml".lstrip("/") for place in (folder, FOLDER)))
    path = next((place for place in places if files.oid(place) is not None), "")
    if not path:
        findings.error(at, f"there is no Workflow {name}: neither {' nor '.join(places)} is there")
        return Written([], None, ("steps",), findings, at, watched=tuple(places))
    documents, problems = files.parsed(path)
    findings.include(problems)
    known = {document.name: document for document in documents if document.kind == KUBEVELA_WORKFLOW}
    if name not in known:
        findings.error(at, f"{path} has no Workflow {name}{suggest(name, [known_name for known_name in known if known_name])}")
        return Written([], None, ("steps",), findings, at, watched=tuple(places))
    document = known[name]
    own = Findings(document, f"Workflow {name}")
    _check(document, own)
    items = document.content["steps"] if isinstance(document.content.get("steps"), list) else []
    reference = Reference(name, path, files.oid(path) or "")
    return Written(items, document.content.get("mode"), ("steps",), own, at, (reference,), tuple(places), pick_patience(document.content))


def read_modes(written: Any) -> tuple[Mode, Mode]:
    """Of the steps and of the steps in groups; one after the other and at once unless given."""
    given = written if isinstance(written, dict) else {}
    return "DAG" if given.get("steps") == "DAG" else "StepByStep", "StepByStep" if given.get("subSteps") == "StepByStep" else "DAG"


def compile_steps(
    written: Written,
    group_mode: Mode,
    types: Mapping[str, StepType],
    components: Components,
    definitions: Mapping[str, Definition],
    explain: Callable[[str], str],
) -> list[Draft]:
    """The steps with what they apply."""

    def makes(step_type: str) -> bool:
        return getattr(types.get(step_type), "makes", False)

    def resolve(step: Step, properties: dict[str, Any], place: FieldPath) -> list[str]:
        _check_served(properties, place, written.findings)
        place = (*written.outside, *place)
        if step.type in definitions:
            return _resolve_defined(step, properties, place, definitions[step.type], components)
        return components.make(step, properties, place) if makes(step.type) else components.resolve(step.type, step.key, properties, place)

    def target(step_type: str, parameter_key: str) -> str:
        if step_type in definitions:
            return _target_of(definitions[step_type], parameter_key)
        return full_target(parameter_key) if makes(step_type) else _target(step_type, parameter_key)

    family = Family(types, LATER_STEP_TYPES, _name_unnamed, resolve, target, group=GROUP, group_mode=group_mode, explain=explain)
    drafts = read_steps(written.items, written.at, family, written.findings)
    for draft in drafts:
        draft.step = _serve(draft.step)
        if draft.step.type in definitions:
            draft.step = _mark_gate(draft.step, definitions[draft.step.type])
    return drafts


def _check(document: Document, findings: Findings) -> None:
    _DOCUMENT.check(document.content, (), findings)
    if not document.name:
        findings.error(("metadata",), "name is required and is text")


def _name_unnamed(_: str, indexes: list[int]) -> str:
    """`step-<N>`, of a group's step `step-<N>-<M>`, counted from 0 (rule 4f)."""
    return "-".join(("step", *map(str, indexes)))


def _target(step_type: str, parameter_key: str) -> str:
    """Where an input goes: into the component of a step that applies one, by full path; else into the step's own properties."""
    if step_type in _OBJECTS:
        # The object is the first of the component that stands for the step.
        inside = parameter_key.removeprefix("value.")
        return f"properties.objects[0].{inside}" if inside != parameter_key else parameter_key
    return full_target(parameter_key) if step_type in _APPLYING else parameter_key


def _resolve_defined(step: Step, properties: dict[str, Any], at: FieldPath, definition: Definition, components: Components) -> list[str]:
    """
    What a step of a definition may apply: the components that its properties or the template name, all where they name none, and one that
    stands for the objects of the template's own. One that asks which components there are may apply all of them.
    """
    uses, found = definition.checked.uses, list[str]()
    if uses & APPLYING:
        named = set() if uses & LOADING else set(_texts_in(properties))
        found = [name for name in components.declared if name in named or f'"{name}"' in definition.template] or list(components.declared)
    if uses & MAKING:
        found += components.make(msgspec.structs.replace(step, type=DEFINED), {"objects": []}, at)
    return found


def _texts_in(value: Any) -> Iterator[str]:
    """All texts in plain data. Recursion is safe: the parser has bounded the depth."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts_in(item)


def _target_of(definition: Definition, parameter_key: str) -> str:
    """An input that is no parameter of the definition goes into the component that its template applies (seed 001)."""
    first = re.split(r"[.\[]", parameter_key, maxsplit=1)[0]
    known = any(parameter.name == first for parameter in definition.checked.parameters)
    return parameter_key if known or not definition.checked.uses & APPLYING else full_target(parameter_key)


def _mark_gate(step: Step, definition: Definition) -> Step:
    """A step whose definition suspends is a gate, and another template is another gate (rule 4g)."""
    return msgspec.structs.replace(step, suspends=digest(definition.template)) if "#Suspend" in definition.checked.uses else step


def _check_served(properties: dict[str, Any], at: FieldPath, findings: Findings) -> None:
    kind, version = properties.get("resourceType"), properties.get("resourceAPIVersion")
    served = served_version(version, kind)
    if served is not None:
        warn_served((*at, "resourceAPIVersion"), str(version), str(kind), served, findings)


def _serve(step: Step) -> Step:
    """The step with API versions that Kubernetes serves; the warnings are given where it is read."""
    properties = step.properties
    served = served_version(properties.get("resourceAPIVersion"), properties.get("resourceType"))
    if served is not None:
        properties = {**properties, "resourceAPIVersion": served}
    value = properties.get("value")
    if step.type in _OBJECTS and isinstance(value, dict):
        served = served_version(value.get("apiVersion"), value.get("kind"))
        properties = {**properties, "value": {**value, "apiVersion": served}} if served is not None else properties
    return msgspec.structs.replace(step, properties=properties)

"""KubeVela: `core.oam.dev/v1beta1` Application (seeds 000 and 001, and the upstream types of that version)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from reconciler.dialects import words
from reconciler.dialects.catalog import DNS_LABEL, LATER_STEP_TYPES, STEPFLOW_STEP_TYPES
from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.header import Header, read_header, subject_of
from reconciler.dialects.kubevela_components import Components, full_target
from reconciler.dialects.kubevela_policies import Policies
from reconciler.dialects.objects import warn_served
from reconciler.dialects.protocol import Compiled, Document, Files
from reconciler.dialects.reading import Reading
from reconciler.dialects.scope import KUBEVELA
from reconciler.dialects.served import served_version
from reconciler.dialects.shapes import Anything, ListOf, MapOf, Record, Text
from reconciler.dialects.steps import INPUTS, OUTPUTS, Draft, Family, check_order, gate_key, hashed_key, join, read_steps
from reconciler.model.application import Application, Mode, Step, Workflow
from reconciler.model.names import RESERVED_STEPS
from reconciler.model.outcome import StepType
from reconciler.model.run import Run

_LATER: Final = "not available yet"
_UNSUPPORTED: Final = "not supported"
_APPLYING: Final = frozenset({"apply-component", "apply-and-wait"})

_PROPERTIES = MapOf(Anything())
_COMPONENT = Record(
    {
        "name": Text(pattern=DNS_LABEL, meaning="a DNS-1123 label (a-z, 0-9 and -, at most 63)"),
        "type": Text(),
        "properties": _PROPERTIES,
        "traits": ListOf(Record({"type": Text(), "properties": _PROPERTIES}, required=("type",))),
        "dependsOn": ListOf(Text()),
        "inputs": INPUTS,
        "outputs": OUTPUTS,
    },
    required=("name", "type"),
    refused=dict.fromkeys(("externalRevision", "replicaKey", "scopes"), _UNSUPPORTED),
)
_STEP = Record(
    {
        "name": Text(),
        "type": Text(),
        "properties": _PROPERTIES,
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "dependsOn": ListOf(Text()),
        "meta": Record({"alias": Text(empty=True)}),
    },
    required=("type",),
    refused=dict.fromkeys(("timeout", "if", "subSteps", "mode"), _LATER),
)
_MODE = Text(choices=("StepByStep", "DAG"))
_WORKFLOW = Record({"steps": ListOf(_STEP), "mode": Record({"steps": _MODE, "subSteps": _MODE})}, refused={"ref": _LATER})
_POLICY = Record({"name": Text(), "type": Text(), "properties": _PROPERTIES}, required=("type",))
_SPEC = Record({"components": ListOf(_COMPONENT, least=1), "policies": ListOf(_POLICY), "workflow": _WORKFLOW}, required=("components",))
_DOCUMENT = Record({"apiVersion": Anything(), "kind": Anything(), "metadata": Anything(), "spec": _SPEC, "status": Anything()}, required=("spec",))


class KubeVela:
    family = "kubevela"

    def __init__(self, steps: Mapping[str, StepType], plugins: Mapping[str, StepType] = MappingProxyType({})) -> None:
        self._steps = join({name: kind for name, kind in steps.items() if name not in STEPFLOW_STEP_TYPES}, plugins)

    def recognises(self, document: Document) -> bool:
        return (document.content.get("apiVersion"), document.content.get("kind")) == KUBEVELA

    def compile(self, document: Document, files: Files) -> Compiled:
        findings = Findings(document, subject_of(document, "Application"))
        reading = Reading.of(files)
        header = read_header(document, reading, findings)
        _DOCUMENT.check(document.content, (), findings)
        spec = document.content.get("spec")
        if not isinstance(spec, dict):
            return Compiled(None, findings.problems())
        policies = Policies(spec, findings)
        components = Components(spec, document, header.namespace, policies, reading, findings)
        workflow = self._compile_workflow(spec, components, policies, findings)
        policies.check_names([*components.declared.values(), *components.compiled(workflow)])
        problems = findings.problems()
        if findings.failed:
            return Compiled(None, problems)
        app = self._assemble(document, header, spec, components, workflow)
        return Compiled(msgspec.structs.replace(app, rules=policies.reader.rules), problems)

    def words(self, run: Run) -> dict[str, Any]:
        return words.kubevela(run)

    def _assemble(self, document: Document, header: Header, spec: dict[str, Any], components: Components, workflow: Workflow) -> Application:
        return Application(
            namespace=header.namespace,
            name=header.name,
            family=self.family,
            spec=spec,
            path=document.path,
            index=document.position,
            line=document.line,
            labels=header.labels,
            annotations=header.annotations,
            environment=header.environment,
            components=components.compiled(workflow),
            workflow=workflow,
            references=components.references,
            watched=[*header.watched, *components.watched],
        )

    def _compile_workflow(self, spec: dict[str, Any], components: Components, policies: Policies, findings: Findings) -> Workflow:
        written = spec.get("workflow")
        written = written if isinstance(written, dict) else {}
        at: FieldPath = ("spec", "workflow", "steps")
        items = written.get("steps")
        if not isinstance(items, list) or not items:
            mode: Mode = "DAG"
            drafts = _deploy_by(policies, components) or _apply_each(components)
        else:
            modes = written.get("mode")
            mode = "DAG" if isinstance(modes, dict) and modes.get("steps") == "DAG" else "StepByStep"
            drafts = self._read_steps(items, at, components, findings)
        for draft in drafts:
            components.hand_data(draft)
        if mode == "DAG":
            components.hand_order(drafts)
        check_order(drafts, mode, at if items else ("spec", "components"), findings)
        return Workflow(mode, [draft.finish() for draft in drafts])

    def _read_steps(self, items: list[Any], at: FieldPath, components: Components, findings: Findings) -> list[Draft]:
        def resolve(step_type: str, key: str, properties: dict[str, Any], place: FieldPath) -> list[str]:
            _check_served(properties, place, findings)
            return components.resolve(step_type, key, properties, place)

        family = Family(self._steps, LATER_STEP_TYPES, lambda _, index: f"step-{index}", resolve, _target)
        drafts = read_steps(items, at, family, findings)
        for draft in drafts:
            draft.step = _serve(draft.step)
        return drafts


def _target(step_type: str, parameter_key: str) -> str:
    """Where an input goes: into the component of a step that applies one, by full path; else into the step's own properties."""
    if step_type == "apply-object":
        # The object is the first of the component that stands for the step.
        inside = parameter_key.removeprefix("value.")
        return f"properties.objects[0].{inside}" if inside != parameter_key else parameter_key
    return full_target(parameter_key) if step_type in _APPLYING else parameter_key


def _apply_each(components: Components) -> list[Draft]:
    """Upstream's default: one apply-component a component, in the order of their dependsOn."""
    drafts = []
    for index, component in enumerate(components.declared.values()):
        key = hashed_key(component.name) if component.name in RESERVED_STEPS else component.name
        step = Step(component.name, "apply-component", key, False, {"component": component.name}, [component.id], list(component.depends_on))
        drafts.append(Draft(step, components.place(component.id), index))
    return drafts


def _deploy_by(policies: Policies, components: Components) -> list[Draft]:
    """Upstream's default where there are policies: one deploy for each topology, with all overrides; without a topology one for all."""
    overrides = list(policies.overrides)
    wanted = {f"deploy-{name}": [*overrides, name] for name in policies.topologies} or ({"deploy": overrides} if overrides else {})
    drafts = []
    for index, (name, names) in enumerate(wanted.items()):
        found = components.resolve("deploy", name, {"policies": names}, ("spec",))
        step = Step(name, "deploy", gate_key(name), False, {"policies": names}, found)
        drafts.append(Draft(step, ("spec", "policies"), index))
    return drafts


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
    if step.type == "apply-object" and isinstance(value, dict):
        served = served_version(value.get("apiVersion"), value.get("kind"))
        properties = {**properties, "value": {**value, "apiVersion": served}} if served is not None else properties
    return msgspec.structs.replace(step, properties=properties)

"""KubeVela: `core.oam.dev/v1beta1` Application (seeds 000 and 001, and the upstream types of that version)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from reconciler.dialects import words
from reconciler.dialects.catalog import DNS_LABEL, LATER_STEP_TYPES
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
from reconciler.dialects.shapes import Anything, ListOf, MapOf, Record, Shape, Text
from reconciler.dialects.step_conditions import check_conditions
from reconciler.dialects.step_order import check_order
from reconciler.dialects.steps import INPUTS, OUTPUTS, Draft, Family, gate_key, hashed_key, join, read_steps
from reconciler.model.application import Application, Mode, Retry, Step, Workflow
from reconciler.model.names import RESERVED_STEPS
from reconciler.model.outcome import StepType
from reconciler.model.run import Run

_LATER: Final = "not available yet"
_UNSUPPORTED: Final = "not supported"
_GROUP: Final = "step-group"
_STEP_TYPES: Final = (
    *("apply-component", "apply-components", "apply-and-wait", "apply-object", "deploy", "suspend", "rollout-promotion"),
    *("print-message-in-status", _GROUP),
)
# Upstream's ten tries and its longest pause. Its first pauses are shorter: all ten are over after a minute, and so would be a run while a
# cluster is restarted; with these it is about nine, just under the health deadline (rule 6c).
_RETRY: Final = Retry(limit=9, period=1.0, factor=2.0, cap=300.0)
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
_MODE = Text(choices=("StepByStep", "DAG"))
_STEP_FIELDS: Mapping[str, Shape] = {
    "name": Text(),
    "type": Text(),
    "properties": _PROPERTIES,
    "inputs": INPUTS,
    "outputs": OUTPUTS,
    "dependsOn": ListOf(Text()),
    "if": Text(empty=True),
    "timeout": Text(),
    "meta": Record({"alias": Text(empty=True)}),
}
_SUB_STEP = Record(_STEP_FIELDS, required=("type",), refused=dict.fromkeys(("subSteps", "mode"), "for a step that is in no group"))
_STEP = Record({**_STEP_FIELDS, "mode": _MODE, "subSteps": ListOf(_SUB_STEP, least=1)}, required=("type",))
_WORKFLOW = Record({"steps": ListOf(_STEP), "mode": Record({"steps": _MODE, "subSteps": _MODE})}, refused={"ref": _LATER})
_POLICY = Record({"name": Text(), "type": Text(), "properties": _PROPERTIES}, required=("type",))
_SPEC = Record({"components": ListOf(_COMPONENT, least=1), "policies": ListOf(_POLICY), "workflow": _WORKFLOW}, required=("components",))
_DOCUMENT = Record({"apiVersion": Anything(), "kind": Anything(), "metadata": Anything(), "spec": _SPEC, "status": Anything()}, required=("spec",))


class KubeVela:
    family = "kubevela"

    def __init__(self, steps: Mapping[str, StepType], plugins: Mapping[str, StepType] = MappingProxyType({})) -> None:
        self._steps = join({name: steps[name] for name in _STEP_TYPES if name in steps}, plugins)

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
        group_mode: Mode = "DAG"
        if not isinstance(items, list) or not items:
            mode: Mode = "DAG"
            drafts = _deploy_by(policies, components) or _apply_each(components)
        else:
            mode, group_mode = _read_modes(written.get("mode"))
            drafts = self._read_steps(items, at, group_mode, components, findings)
        for draft in drafts:
            components.hand_data(draft)
        modes = {draft.step.key: draft.step.mode for draft in drafts}
        for group in dict.fromkeys(draft.step.group for draft in drafts):
            if modes.get(group, mode) == "DAG":
                components.hand_order([draft for draft in drafts if draft.step.group == group])
        check_order(drafts, mode, at if items else ("spec", "components"), findings)
        check_conditions(drafts, (), findings)
        return Workflow(mode, [draft.finish() for draft in drafts], "visit", _RETRY, group_mode=group_mode)

    def _read_steps(self, items: list[Any], at: FieldPath, group_mode: Mode, components: Components, findings: Findings) -> list[Draft]:
        def resolve(step_type: str, key: str, properties: dict[str, Any], place: FieldPath) -> list[str]:
            _check_served(properties, place, findings)
            return components.resolve(step_type, key, properties, place)

        family = Family(self._steps, LATER_STEP_TYPES, _name_unnamed, resolve, _target, group=_GROUP, group_mode=group_mode)
        drafts = read_steps(items, at, family, findings)
        for draft in drafts:
            draft.step = _serve(draft.step)
        return drafts


def _read_modes(written: Any) -> tuple[Mode, Mode]:
    """Of the steps and of the steps in groups; one after the other and at once unless given."""
    given = written if isinstance(written, dict) else {}
    return "DAG" if given.get("steps") == "DAG" else "StepByStep", "StepByStep" if given.get("subSteps") == "StepByStep" else "DAG"


def _name_unnamed(_: str, indexes: list[int]) -> str:
    """`step-<N>`, of a group's step `step-<N>-<M>`, counted from 0 (rule 4f)."""
    return "-".join(("step", *map(str, indexes)))


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

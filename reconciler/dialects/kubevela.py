"""KubeVela: `core.oam.dev/v1beta1` Application (seeds 000 and 001, and the upstream types of that version)."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

import msgspec

from reconciler.dialects import words
from reconciler.dialects.catalog import LATER_STEP_TYPES
from reconciler.dialects.definitions import LOADING, Definition, NoChecker, check_definition, find_definitions, read_definitions
from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.header import Header, read_header, subject_of
from reconciler.dialects.in_cluster import NOWHERE, InCluster
from reconciler.dialects.kubevela_components import Components
from reconciler.dialects.kubevela_policies import TAKEN, Policies
from reconciler.dialects.kubevela_workflows import MODES, RUN_STEP_TYPES, STEP_TYPES, STEPS, Written, compile_steps, read_modes, refer
from reconciler.dialects.protocol import Compiled, Document, Files
from reconciler.dialects.reading import Reading
from reconciler.dialects.retries import PATIENCE, pick_patience, read_health, read_retry
from reconciler.dialects.scope import KUBEVELA, KUBEVELA_RUN, STEP_DEFINITION
from reconciler.dialects.shapes import Anything, ListOf, MapOf, Record, Shape, Text
from reconciler.dialects.step_conditions import CONTEXT, check_conditions
from reconciler.dialects.step_order import check_order
from reconciler.dialects.steps import INPUTS, OUTPUTS, Draft, gate_key, hashed_key, join, type_names
from reconciler.dialects.type_definitions import TypeDefinitions, check_type_definition
from reconciler.model.application import Application, Mode, Retry, Step, Workflow, pin_name
from reconciler.model.canonical import canonical
from reconciler.model.definition import Checker
from reconciler.model.names import DNS_LABEL, RESERVED_STEPS
from reconciler.model.outcome import StepType
from reconciler.model.problem import Problem
from reconciler.model.run import Run

_CONTEXT_LIMIT: Final = 16 * 1024
_UNSUPPORTED: Final = "not supported"
# Upstream's ten tries and its longest pause. Its first pauses are shorter: all ten are over after a minute, and so would be a run while a
# cluster is restarted; with these it is about nine, just under the health deadline (rule 6c).
_RETRY: Final = Retry(limit=9, period=1.0, factor=2.0, cap=300.0)

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
_WORKFLOW = Record({"ref": Text(), "steps": STEPS, "mode": MODES, **PATIENCE})
_POLICY = Record({"name": Text(), "type": Text(), "properties": _PROPERTIES}, required=("type",))
_SPEC = Record({"components": ListOf(_COMPONENT, least=1), "policies": ListOf(_POLICY), "workflow": _WORKFLOW}, required=("components",))
_RUN_SPEC = Record(
    {
        "context": MapOf(Anything()),
        "mode": MODES,
        "workflowRef": Text(),
        "workflowSpec": Record({"steps": STEPS}, required=("steps",)),
        **PATIENCE,
    },
    one_of=("workflowRef", "workflowSpec"),
)
_FIELDS: Mapping[str, Shape] = {"apiVersion": Anything(), "kind": Anything(), "metadata": Anything(), "status": Anything()}
_DOCUMENTS = {
    KUBEVELA: Record({**_FIELDS, "spec": _SPEC}, required=("spec",)),
    KUBEVELA_RUN: Record({**_FIELDS, "spec": _RUN_SPEC}, required=("spec",)),
}


class KubeVela:
    family = "kubevela"
    definition = "applications.core.oam.dev"

    def __init__(
        self,
        steps: Mapping[str, StepType],
        plugins: Mapping[str, StepType] = MappingProxyType({}),
        checker: Checker | None = None,
        cluster: InCluster = NOWHERE,
    ) -> None:
        self._checker, self._taken, self._cluster = checker or NoChecker(), frozenset(steps), cluster
        self._steps = {
            kind: join({name: steps[name] for name in names if name in steps}, plugins)
            for kind, names in ((KUBEVELA, STEP_TYPES), (KUBEVELA_RUN, RUN_STEP_TYPES))
        }

    def recognises(self, document: Document) -> bool:
        return document.kind in _DOCUMENTS

    def read_definitions(self, path: str, data: bytes | str, limit: int) -> tuple[list[Document], list[Problem]]:
        """The documents of a file where definitions may stand in either form, and what is wrong with it."""
        return read_definitions(path, data, limit, checker=self._checker)

    def check_definition(self, document: Document, files: Files) -> list[Problem]:
        """What is wrong with a definition by itself, and that it is found by its name."""
        if document.kind == STEP_DEFINITION:
            return check_definition(document, self._checker, self._taken, Reading.of(files))
        return check_type_definition(document, self._checker, TAKEN, Reading.of(files))

    def compile(self, document: Document, files: Files) -> Compiled:
        kind = document.kind
        findings = Findings(document, subject_of(document, kind[1]))
        reading = Reading.of(files)
        header = read_header(document, reading, findings)
        _DOCUMENTS[kind].check(document.content, (), findings)
        spec = document.content.get("spec")
        if not isinstance(spec, dict):
            return Compiled(None, findings.problems())
        written = _find_steps(spec, document, reading, findings)
        kinds = TypeDefinitions(reading, self._checker, findings, self._cluster)
        policies = Policies(spec, kinds, findings)
        components = Components(spec, document, header.namespace, policies, kinds, findings, written.items if written is not None else [])
        parameters = _read_context(spec, findings) if kind == KUBEVELA_RUN else {}
        built_in = self._steps[kind]
        used = list(dict.fromkeys(name for name in type_names(written.items if written is not None else []) if name not in built_in))
        definitions = find_definitions(used, self._taken, reading, self._checker, findings, self._cluster)
        believed = self._believe(name for name in used if name not in definitions)
        types = ChainMap({name: definition.step_type for name, definition in definitions.items()}, believed, cast("dict[str, StepType]", built_in))
        workflow = self._compile_workflow(written, spec, types, parameters, components, policies, findings, definitions)
        workflow = msgspec.structs.replace(workflow, labels=header.labels, leading=[component.id for component in policies.components])
        policies.check_names([*components.declared.values(), *components.compiled(workflow)], workflow)
        if written is not None and written.findings is not findings:
            findings.include(written.findings.problems())
        problems = findings.problems()
        if findings.failed:
            return Compiled(None, problems)
        app = self._assemble(document, header, spec, policies, components, workflow, written)
        app = msgspec.structs.replace(
            app,
            references=[
                *app.references,
                *kinds.references,
                *(reference for definition in definitions.values() for reference in definition.references),
            ],
            watched=[*kinds.watched, *app.watched, *(path for definition in definitions.values() for path in definition.watched)],
            definitions=kinds.definitions,
            served={
                **kinds.served,
                **dict.fromkeys((pin_name("step", name) for name in believed), ""),
                **{name: oid for definition in definitions.values() for name, oid in definition.served.items()},
            },
        )
        return Compiled(msgspec.structs.replace(app, rules=policies.reader.rules), problems)

    def _believe(self, names: Iterable[str]) -> dict[str, StepType]:
        """The step types of those that only the cluster may have, where it is not asked."""
        make, kind = self._cluster.unchecked, STEP_DEFINITION[1]
        known = [name for name in names if self._cluster.believes(name) and name not in self._taken and name not in LATER_STEP_TYPES]
        return {name: make(name, self._cluster.believe(kind)) for name in known} if make is not None else {}

    def words(self, run: Run) -> dict[str, Any]:
        return words.kubevela(run)

    def _assemble(
        self,
        document: Document,
        header: Header,
        spec: dict[str, Any],
        policies: Policies,
        components: Components,
        workflow: Workflow,
        written: Written | None,
    ) -> Application:
        references, watched = (written.references, written.watched) if written is not None else ((), ())
        return Application(
            namespace=header.namespace,
            name=header.name,
            family=self.family,
            spec=spec,
            path=document.path,
            index=document.position,
            line=document.line,
            kind=document.kind[1],
            labels=header.labels,
            annotations=header.annotations,
            environment=header.environment,
            components=[*policies.components, *components.compiled(workflow)],
            workflow=workflow,
            references=[*components.references, *references],
            watched=[*header.watched, *components.watched, *watched],
        )

    def _compile_workflow(
        self,
        written: Written | None,
        spec: dict[str, Any],
        types: Mapping[str, StepType],
        parameters: dict[str, Any],
        components: Components,
        policies: Policies,
        findings: Findings,
        definitions: Mapping[str, Definition],
    ) -> Workflow:
        mode: Mode = "DAG"
        group_mode: Mode = "DAG"
        if written is None:
            drafts = _deploy_by(policies, components) or _apply_each(components)
            beside = spec["workflow"] if isinstance(spec.get("workflow"), dict) else {}
            written = Written([], None, ("spec", "components"), findings, patience=pick_patience(beside))
        else:
            mode, group_mode = read_modes(written.modes)
            drafts = compile_steps(
                written, group_mode, types, components, definitions, lambda name: self._cluster.explain(STEP_DEFINITION[1], name, components.files)
            )
        for draft in drafts:
            components.hand_data(draft, written.outside)
        modes = {draft.step.key: draft.step.mode for draft in drafts}
        for group in dict.fromkeys(draft.step.group for draft in drafts):
            if modes.get(group, mode) == "DAG":
                components.hand_order([draft for draft in drafts if draft.step.group == group])
        check_order(drafts, mode, written.at, written.findings, (*CONTEXT, *parameters))
        check_conditions(drafts, parameters, written.findings)
        return Workflow(
            mode,
            [draft.finish() for draft in drafts],
            "visit",
            read_retry(written.patience.get("retryPolicy")),
            usual=_RETRY,
            health=read_health(written.patience.get("healthTimeout")),
            group_mode=group_mode,
            parameters=parameters,
            definitions={name: definition.template for name, definition in definitions.items()},
            declared=_declare(spec) if any(definition.checked.uses & LOADING for definition in definitions.values()) else {},
        )


def _declare(spec: dict[str, Any]) -> dict[str, Any]:
    """What definitions may ask for of the application itself."""
    return {name: [item for item in spec.get(name) or [] if isinstance(item, dict)] for name in ("components", "policies")}


def _find_steps(spec: dict[str, Any], document: Document, files: Reading, findings: Findings) -> Written | None:
    """The steps that a spec has or refers to; None where there are none, so that they are made. What stands beside a reference, as
    the mode, wins."""
    if document.kind == KUBEVELA:
        at: FieldPath = ("spec", "workflow")
        place, written = at, spec.get("workflow")
        written = written if isinstance(written, dict) else {}
        ref, modes, steps = "ref", written.get("mode"), written.get("steps")
    else:
        at, place, written = ("spec",), ("spec", "workflowSpec"), spec
        inline = spec.get("workflowSpec")
        ref, modes, steps = "workflowRef", spec.get("mode"), inline.get("steps") if isinstance(inline, dict) else []
    if isinstance(written.get(ref), str):
        if steps and place == at:
            findings.error((*at, ref), "a workflow has steps of its own or refers to one, not both")
        found = refer(written[ref], (*at, ref), document.path, files, findings)
        if found is None:
            return None
        return found._replace(modes=found.modes if modes is None else modes, patience={**found.patience, **pick_patience(written)})
    if not steps and document.kind == KUBEVELA:
        return None
    return Written(steps if isinstance(steps, list) else [], modes, (*place, "steps"), findings, patience=pick_patience(written))


def _read_context(spec: dict[str, Any], findings: Findings) -> dict[str, Any]:
    """What a WorkflowRun gives to the conditions of its steps."""
    context = spec["context"] if isinstance(spec.get("context"), dict) else {}
    if len(canonical(context)) > _CONTEXT_LIMIT:
        findings.error(("spec", "context"), f"has more than {_CONTEXT_LIMIT} bytes")
    for name in context:
        if name in CONTEXT:
            findings.error(("spec", "context", name), f"{name} is the run's own")
    return context


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

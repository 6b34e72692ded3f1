"""SREWorks: `core.oam.dev/v1alpha2` ApplicationConfiguration (seed 003), in full or as its bare `components`/`workflow` body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from reconciler.dialects import sreworks_states
from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.globals import Globals
from reconciler.dialects.header import Header, read_header, subject_of
from reconciler.dialects.protocol import Compiled, Document, Files
from reconciler.dialects.reading import Reading
from reconciler.dialects.retries import PATIENCE, RETRY, read_health, read_retry
from reconciler.dialects.scope import SREWORKS, is_fragment
from reconciler.dialects.shapes import Anything, ListOf, MapOf, Record, Text
from reconciler.dialects.sreworks_components import RevisionComponents
from reconciler.dialects.sreworks_context import overwritten, read_context
from reconciler.dialects.step_order import check_order
from reconciler.dialects.steps import INPUTS, OUTPUTS, Draft, Family, join, mappings, read_steps
from reconciler.model.application import Application, Mode, Step, Workflow
from reconciler.model.names import CONTEXT_DELIVERED, DEPENDS_ON_APP
from reconciler.model.outcome import StepType
from reconciler.model.rules import Rules
from reconciler.model.run import Run

_LATER: Final = "not available yet"
_KIND: Final = "ApplicationConfiguration"
_STEP_TYPES: Final = ("apply-components", "deploy", "remoteDeploy", "suspend", "rollout-promotion", DEPENDS_ON_APP)
_INVALID_USER_ARGS: Final = "10002"
_MODES: Mapping[object, Mode] = {"STEP_BY_STEP": "StepByStep", "DAG": "DAG"}
_APPLYING: Final = frozenset({"apply-components", "deploy"})
_OWN: Final = re.compile(r"(?:auto|components|policies|rollout|timeout)(?:[.\[]|$)")
_DEEPEST: Final = 10  # upstream's, of a parameterKey
_READ: Final = ("appId", "appInstanceName")

_PROPERTIES = MapOf(Anything())
_PATHS = ListOf(Text(), least=1)
_SOURCE = Record({"dataOutputName": Text()}, required=("dataOutputName",), refused={"component": _LATER})
_DATA_INPUTS = ListOf(Record({"valueFrom": _SOURCE, "toFieldPaths": _PATHS}, required=("valueFrom", "toFieldPaths")))
_PARAMETERS = ListOf(Record({"name": Text(), "value": Anything(), "toFieldPaths": _PATHS}, required=("name", "toFieldPaths")))
_SCOPE_REF = Record(
    {"apiVersion": Text(), "kind": Text(choices=("Namespace", "Cluster", "Stage")), "name": Text(empty=True), "spec": Anything()},
    required=("kind",),
)
_SCOPES = ListOf(Record({"scopeRef": _SCOPE_REF}, required=("scopeRef",)))
_COMPONENT = Record(
    {"revisionName": Text(), "scopes": _SCOPES, "dataInputs": _DATA_INPUTS, "parameterValues": _PARAMETERS},
    required=("revisionName",),
    refused=dict.fromkeys(("traits", "dataOutputs", "dependencies"), _LATER),
)
_OVERRIDE = Record(
    {"revisionName": Text(), "dataInputs": _DATA_INPUTS, "parameterValues": _PARAMETERS},
    required=("revisionName",),
    refused=dict.fromkeys(("traits", "dataOutputs", "dependencies"), _LATER),
)
_POLICIES: Mapping[object, Record] = {
    "topology": Record({"cluster": Text(empty=True), "namespace": Text(empty=True), "stage": Text(empty=True)}),
    "override": Record({"components": ListOf(_OVERRIDE, least=1)}, required=("components",)),
}
_POLICY_NAME = Text(pattern=re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII), meaning="at most 63 of A-Z, a-z, 0-9, - _ and .")
_POLICY = Record({"name": _POLICY_NAME, "type": Text(), "properties": _PROPERTIES}, required=("name", "type"))
_STEP = Record(
    {
        "type": Text(),
        "name": Text(),
        "stage": Text(choices=("pre-render", "post-render", "post-deploy")),
        "properties": _PROPERTIES,
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "retryPolicy": RETRY,
    },
    required=("type",),
)
_WORKFLOW = Record({"steps": ListOf(_STEP), "mode": Text(choices=tuple(map(str, _MODES))), "initContext": MapOf(Anything()), **PATIENCE})
_SPEC = Record(
    {
        "parameterValues": ListOf(Record({"name": Text(), "value": Anything()}, required=("name",))),
        "components": ListOf(_COMPONENT, least=1),
        "policies": ListOf(_POLICY),
        "workflow": _WORKFLOW,
    },
    required=("components",),
)
_FRAGMENT = Record({**_SPEC.fields, "metadata": Anything()}, required=("components",))
_DOCUMENT = Record({"apiVersion": Anything(), "kind": Anything(), "metadata": Anything(), "spec": _SPEC, "status": Anything()}, required=("spec",))


class SREWorks:
    family = "sreworks"
    definition = "applicationconfigurations.core.oam.dev"

    def __init__(self, steps: Mapping[str, StepType], plugins: Mapping[str, StepType] = MappingProxyType({})) -> None:
        self._steps = join({name: steps[name] for name in _STEP_TYPES if name in steps}, plugins)

    def recognises(self, document: Document) -> bool:
        return document.kind == SREWORKS or is_fragment(document.content)

    def compile(self, document: Document, files: Files) -> Compiled:
        findings = Findings(document, subject_of(document, _KIND))
        reading = Reading.of(files)
        header = read_header(document, reading, findings)
        fragment = is_fragment(document.content)
        at: FieldPath = () if fragment else ("spec",)
        findings.codes[*at, "workflow"] = _INVALID_USER_ARGS
        (_FRAGMENT if fragment else _DOCUMENT).check(document.content, (), findings)
        written = document.content if fragment else document.content.get("spec")
        if not isinstance(written, dict):
            return Compiled(None, findings.problems())
        spec = {field: value for field, value in written.items() if not (fragment and field == "metadata")}
        _check_policies(spec, at, findings)
        values = Globals({**header.environment.values, **_parameters(spec, at), **overwritten(spec, at, findings)}, findings)
        components = RevisionComponents(spec, at, values, reading, findings)
        workflow = self._compile_workflow(spec, at, components, values, findings)
        application = _assemble(document, header, spec, components, workflow)
        problems = findings.problems()
        return Compiled(None if findings.failed else application, problems)

    def words(self, run: Run) -> dict[str, Any]:
        return sreworks_states.words(run)

    def _compile_workflow(self, spec: dict[str, Any], at: FieldPath, components: RevisionComponents, values: Globals, findings: Findings) -> Workflow:
        written = spec["workflow"] if isinstance(spec.get("workflow"), dict) else {}
        items, place = written.get("steps"), (*at, "workflow", "steps")
        mode = _MODES.get(written.get("mode"), "StepByStep") if isinstance(written.get("mode"), str) else "StepByStep"
        context = read_context(written.get("initContext"), (*at, "workflow", "initContext"), values, findings)
        if isinstance(items, list) and items:

            def resolve(step: Step, properties: dict[str, Any], where: FieldPath) -> list[str]:
                if step.type == "remoteDeploy":
                    findings.error((*where[:-1], "type"), "remoteDeploy deploys into another cluster, and there are no targets yet; use deploy")
                return components.resolve(step.type, properties, where)

            readable = (*context, CONTEXT_DELIVERED)
            family = Family(self._steps, {}, lambda kind, indexes: f"{kind}-{indexes[-1]}", resolve, _target, context=readable, deepest=_DEEPEST)
            drafts = read_steps(items, place, family, findings)
            _check_targets(drafts, findings)
        else:
            step = Step("deploy-0", "deploy", "deploy-0", given=False, components=components.deploy_all())
            drafts = [Draft(step, at, 0)]
        check_order(drafts, mode, place, findings)
        if mode == "DAG":
            _draw_edges(drafts)
        return Workflow(
            mode,
            [draft.finish() for draft in drafts],
            retry=read_retry(written.get("retryPolicy")),
            health=read_health(written.get("healthTimeout")),
            parameters=context,
            contexts=True,
        )


def _check_targets(drafts: list[Draft], findings: Findings) -> None:
    """What decides which components a step applies is read with the manifest: no input can come in time for it."""
    for draft in drafts:
        for item, place in draft.inputs if draft.step.components else ():
            if re.match(r"(?:components|policies)(?:[.\[]|$)", item.target):
                findings.error((*place, "parameterKey"), f"{item.target.partition('[')[0]} is read before the run begins: no input can fill it")


def _draw_edges(drafts: list[Draft]) -> None:
    """Upstream's graph: an edge from the step with an output to each that takes it."""
    producers = {output.name: draft.step.name for draft in drafts for output, _ in draft.outputs}
    for draft in drafts:
        sources = [producers.get(item.source) or producers.get(item.source.partition(".")[0]) for item, _ in draft.inputs]
        draft.step = msgspec.structs.replace(draft.step, depends_on=list(dict.fromkeys(source for source in sources if source)))


def _assemble(document: Document, header: Header, spec: dict[str, Any], components: RevisionComponents, workflow: Workflow) -> Application:
    return Application(
        namespace=header.namespace,
        name=header.name,
        family=SREWorks.family,
        spec=spec,
        path=document.path,
        index=document.position,
        line=document.line,
        kind=_KIND,
        labels=header.labels,
        annotations=header.annotations,
        read_annotations=[name for name in _READ if name in header.annotations],
        environment=header.environment,
        components=components.compiled(workflow),
        workflow=workflow,
        rules=Rules(adopts=True),  # upstream asks nobody, and has no policy by which to be told
        references=components.references,
        watched=[*header.watched, *components.watched],
    )


def _check_policies(spec: dict[str, Any], at: FieldPath, findings: Findings) -> None:
    for place, policy in mappings(spec.get("policies"), (*at, "policies")):
        kind = policy.get("type")
        shape = _POLICIES.get(kind) if isinstance(kind, str) else None
        if shape is not None:
            shape.check(policy.get("properties") or {}, (*place, "properties"), findings)


def _parameters(spec: dict[str, Any], at: FieldPath) -> dict[str, Any]:
    """The document's own parameterValues: globals that win over the environment's."""
    entries = mappings(spec.get("parameterValues"), (*at, "parameterValues"))
    return {entry["name"]: entry.get("value") for _, entry in entries if isinstance(entry.get("name"), str)}


def _target(step_type: str, parameter_key: str) -> str:
    """Where an input goes: `rollout` and `timeout` into the step that applies, all else into the components that it applies (upstream's
    `spec.` is a component's properties here). Other steps take it into their own properties."""
    if step_type not in _APPLYING or _OWN.match(parameter_key):
        return parameter_key
    if parameter_key.startswith("properties."):
        return parameter_key
    return f"properties.{parameter_key.removeprefix('spec.')}"

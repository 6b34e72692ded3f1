"""The step flow: `workflow.example.com/v1alpha1` Workflow (seed 004). An application without components; its steps do all there is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from reconciler.dialects import words
from reconciler.dialects.catalog import STEPFLOW_STEP_TYPES
from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.header import Header, read_header, subject_of
from reconciler.dialects.manifest_text import read_objects
from reconciler.dialects.protocol import Compiled, Document, Files
from reconciler.dialects.reading import Reading
from reconciler.dialects.scope import STEPFLOW
from reconciler.dialects.shapes import Anything, ListOf, MapOf, Record, Text, Truth, Whole
from reconciler.dialects.step_order import describe_cycle
from reconciler.dialects.steps import MAX_STEPS, Names, check_properties, join, mappings
from reconciler.model.application import Application, Callback, Component, Need, Retry, Step, Workflow
from reconciler.model.outcome import StepType
from reconciler.model.run import Run
from reconciler.model.text import one_line

_STEPS: Final[FieldPath] = ("spec", "steps")
_QUEUE: Final = "default"
# The family's own numbers, where a step says none (seed 004, and upstream's defaults).
_LIMIT, _PERIOD = 3, 60

_ROLLBACK_POLICY = Text(choices=("PreserveOnFailure", "Always"))
_TEXTS = MapOf(Text(empty=True))
_TEMPLATE = Record(
    {
        "type": Text(),
        "parameters": _TEXTS,
        "retryPolicy": Record(
            {
                "runRetryLimit": Whole(-1),
                "runRetryPeriodSeconds": Whole(),
                "rollbackRetryLimit": Whole(-1),
                "rollbackRetryPeriodSeconds": Whole(),
            }
        ),
        "syncPeriodSeconds": Whole(-1),
        "rollbackPolicy": _ROLLBACK_POLICY,
    },
    required=("type",),
)
_NEED = Record({"name": Text(), "phase": Text(choices=tuple(words.STEPFLOW_REACHED)), "resourceStatus": Text()}, required=("name",))
_STEP = Record({"name": Text(), "dependOns": ListOf(_NEED), "stepTemplate": _TEMPLATE}, required=("name", "stepTemplate"))
_URL = Text(pattern=re.compile(r"https?://[^\s/?#]+[^\s]*", re.ASCII), meaning="a URL that begins with http:// or https://")
_SPEC = Record(
    {
        "queue": Text(
            pattern=re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII), meaning="the name of a queue: at most 63 of A-Z, a-z, 0-9, - _ and ."
        ),
        "rollbackPolicy": _ROLLBACK_POLICY,
        "parameters": _TEXTS,
        "callback": Record({"url": _URL, "ignoreNotFound": Truth()}, required=("url",)),
        "steps": ListOf(_STEP, least=1),
    },
    required=("steps",),
)
_DOCUMENT = Record({"apiVersion": Anything(), "kind": Anything(), "metadata": Anything(), "spec": _SPEC, "status": Anything()}, required=("spec",))


class StepFlow:
    family = "stepflow"
    definition = "workflows.workflow.example.com"

    def __init__(self, steps: Mapping[str, StepType], plugins: Mapping[str, StepType] = MappingProxyType({})) -> None:
        self._steps = join({name: steps[name] for name in STEPFLOW_STEP_TYPES if name in steps}, plugins)

    def recognises(self, document: Document) -> bool:
        return document.kind == STEPFLOW

    def compile(self, document: Document, files: Files) -> Compiled:
        findings = Findings(document, subject_of(document, STEPFLOW[1]))
        header = read_header(document, Reading.of(files), findings)
        _DOCUMENT.check(document.content, (), findings)
        spec = document.content.get("spec")
        if not isinstance(spec, dict) or findings.failed:
            # What stands below a field of a wrong shape is not looked at: it could be taken for anything.
            return Compiled(None, findings.problems())
        drafts = _Drafts(spec, self._steps, findings)
        app = _assemble(document, header, spec, drafts)
        problems = findings.problems()
        return Compiled(None if findings.failed else app, problems)

    def words(self, run: Run) -> dict[str, Any]:
        return words.stepflow(run)


class _Drafts:
    """The steps of a spec of the right shape, and the components of those that apply objects."""

    def __init__(self, spec: dict[str, Any], types: Mapping[str, StepType], findings: Findings) -> None:
        self.steps: list[Step] = []
        self.components: list[Component] = []
        self._types, self._findings = types, findings
        items = spec["steps"]
        if len(items) > MAX_STEPS:
            findings.error(_STEPS, f"more than {MAX_STEPS} steps")
            return
        names = Names(findings)
        for place, item in mappings(items, _STEPS):
            key = names.take(item["name"], place, (*place, "name"))
            self.steps.append(self._read(item, key, place, spec.get("rollbackPolicy")))
        self._check_order(items)

    def _read(self, item: dict[str, Any], key: str, at: FieldPath, policy: str | None) -> Step:
        template, place = item["stepTemplate"], (*at, "stepTemplate")
        parameters: dict[str, Any] = template.get("parameters") or {}
        kind = template["type"]
        step_type = self._types.get(kind)
        if step_type is None:
            self._findings.unknown((*place, "type"), "step type", kind, self._types)
        else:
            check_properties(step_type, parameters, set(), (*place, "parameters"), self._findings)
        own = template.get("rollbackPolicy")
        if own is not None and own != (policy or "PreserveOnFailure"):
            self._findings.warn((*place, "rollbackPolicy"), "it does nothing: the workflow's own rollbackPolicy counts for all of its steps")
        components: list[str] = []
        if kind == "apply" and isinstance(parameters.get("manifest"), str):
            components = self._make_component(key, parameters["manifest"], (*place, "parameters", "manifest"))
            parameters = {name: value for name, value in parameters.items() if name != "manifest"}
        written = template.get("retryPolicy") or {}
        undo_limit = written.get("rollbackRetryLimit")
        needs = [need for _, need in mappings(item.get("dependOns"), at)]
        return Step(
            name=item["name"],
            type=kind,
            key=key,
            properties=parameters,
            components=components,
            depends_on=[need["name"] for need in needs],
            needs=[_need(need) for need in needs if _is_special(need)],
            retry=_retry(None if written.get("runRetryLimit") is None else max(0, written["runRetryLimit"]), written.get("runRetryPeriodSeconds")),
            # Upstream takes 0 and less for: without end.
            undo_retry=_retry(-1 if undo_limit is not None and undo_limit <= 0 else undo_limit, written.get("rollbackRetryPeriodSeconds")),
            sync=float(max(0, template.get("syncPeriodSeconds") or 0)),
        )

    def _make_component(self, key: str, text: str, at: FieldPath) -> list[str]:
        """A component of the objects, so that they are stored, healed and pruned like any others."""
        objects = read_objects(text, at, self._findings)
        if not objects:
            return []
        made = f"object/{key}"
        self.components.append(Component(made, made, "k8s-objects", {"objects": objects}))
        return [made]

    def _check_order(self, items: list[dict[str, Any]]) -> None:
        """Unknown names, names that stand twice, phases that never come while steps still begin, and steps that wait for each other."""
        known = {step.name for step in self.steps}
        for place, item in mappings(items, _STEPS):
            seen: set[str] = set()
            for at, need in mappings(item.get("dependOns"), (*place, "dependOns")):
                name, phase = need["name"], need.get("phase") or "Success"
                if name not in known:
                    self._findings.unknown((*at, "name"), "step", name, known)
                elif name in seen:
                    self._findings.error((*at, "name"), f"{one_line(name, 80)} stands twice in this list; of one step one phase is waited for")
                seen.add(name)
                if words.STEPFLOW_REACHED[phase] is None:
                    message = f"it would wait for ever: once a step is {phase}, what was done is undone and nothing new begins"
                    self._findings.error((*at, "phase"), message)
                elif phase == "Pending":
                    self._findings.warn((*at, "phase"), "every step is Pending from the start: it waits for nothing")
        cycle = describe_cycle({step.name: step.depends_on for step in self.steps})
        if cycle:
            self._findings.error(_STEPS, f"these steps wait for each other: {cycle}")


def _assemble(document: Document, header: Header, spec: dict[str, Any], drafts: _Drafts) -> Application:
    callback = spec.get("callback")
    ignores = callback is None or callback.get("ignoreNotFound") is not False
    return Application(
        namespace=header.namespace,
        name=header.name,
        family=StepFlow.family,
        spec=spec,
        path=document.path,
        index=document.position,
        line=document.line,
        kind=STEPFLOW[1],
        labels=header.labels,
        annotations=header.annotations,
        environment=header.environment,
        components=drafts.components,
        workflow=Workflow(
            mode="DAG",
            steps=drafts.steps,
            on_failure="undo",
            usual=_retry(_LIMIT, _PERIOD),
            queue=spec.get("queue") or _QUEUE,
            callback=None if callback is None else Callback(callback["url"], ignores),
            parameters=spec.get("parameters") or {},
            always_removed=spec.get("rollbackPolicy") == "Always",
        ),
        watched=header.watched,
    )


def _retry(limit: int | None, period: int | None) -> Retry:
    """The pause is the same before each try, and no shorter than a second."""
    return Retry(limit, None if period is None else float(max(1, period)), 1.0, None if period is None else float(max(1, period)))


def _is_special(need: dict[str, Any]) -> bool:
    return (need.get("phase") or "Success") != "Success" or bool(need.get("resourceStatus"))


def _need(need: dict[str, Any]) -> Need:
    phase = words.STEPFLOW_REACHED[need.get("phase") or "Success"]
    return Need(need["name"], phase.value if phase is not None else "Succeeded", need.get("resourceStatus") or "")

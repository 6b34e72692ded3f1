"""The workflow of both families with components and steps: names and keys, properties, data between steps."""

from __future__ import annotations

import hashlib
import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import msgspec

from reconciler.dialects.fieldpath import MAX_PARTS, FieldPath, format_path, parse_path
from reconciler.dialects.findings import Findings, suggest
from reconciler.dialects.header import is_gate_name
from reconciler.dialects.retries import read_retry
from reconciler.dialects.shapes import ListOf, Record, Text
from reconciler.model.application import Input, Mode, Output, Step
from reconciler.model.duration import parse_duration
from reconciler.model.expression import ExpressionError, is_path, parse_expression
from reconciler.model.names import GATE_STEP_TYPES, RESERVED_STEPS
from reconciler.model.outcome import StepType
from reconciler.model.text import one_line

MAX_STEPS = 200
EXPORTS = ("component", "objects", "connection", "output", "outputs")
EXPRESSIONS = "expressions"

INPUTS = ListOf(Record({"from": Text(), "parameterKey": Text()}, required=("from", "parameterKey")))
OUTPUTS = ListOf(Record({"name": Text(), "valueFrom": Text(), "exportKey": Text()}, required=("name",), one_of=("valueFrom", "exportKey")))


class Family(NamedTuple):
    """
    What a family says about steps. `types`: the step types it has, by its own words; `later`: words that are known and no step types here,
    each with why; `unnamed`: the name of a step without one, from type and index, of a group's step from both indexes; `resolve`: the ids of
    the components that a step applies, from the step, its properties and their place; `target`: an input's parameterKey as
    a full path. `context`: what the outputs of every step may read beside what it exports; None where they may read nothing else.
    `deepest`: parts of a parameterKey. `group`: the type whose steps have steps, `group_mode`: how those run where it does not say.
    `explain`: what is to be said of an unknown type.
    """

    types: Mapping[str, StepType]
    later: Mapping[str, str]
    unnamed: Callable[[str, list[int]], str]
    resolve: Callable[[Step, dict[str, Any], FieldPath], list[str]]
    target: Callable[[str, str], str]
    context: tuple[str, ...] | None = None
    deepest: int = MAX_PARTS
    group: str = ""
    group_mode: Mode = "DAG"
    explain: Callable[[str], str] = lambda _: ""


@dataclass(slots=True)
class Draft:
    """A step on its way, with where each of its parts stands in the document."""

    step: Step
    at: FieldPath
    index: int
    inputs: list[tuple[Input, FieldPath]] = field(default_factory=list)
    outputs: list[tuple[Output, FieldPath]] = field(default_factory=list)

    def finish(self) -> Step:
        step = self.step
        return Step(
            name=step.name,
            type=step.type,
            key=step.key,
            given=step.given,
            properties=step.properties,
            components=step.components,
            depends_on=step.depends_on,
            inputs=[item for item, _ in self.inputs],
            outputs=[item for item, _ in self.outputs],
            condition=step.condition,
            timeout=step.timeout,
            retry=step.retry,
            suspends=step.suspends,
            group=step.group,
            mode=step.mode,
        )


def join(built_in: Mapping[str, StepType], plugins: Mapping[str, StepType]) -> Mapping[str, StepType]:
    """All step types of a family. No plug-in takes the place of what is built in (rule 13f)."""
    return ChainMap(dict(built_in), cast("dict[str, StepType]", plugins))


class Names:
    """The names and gate keys that the steps of a workflow have taken so far."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._names: dict[str, str] = {}
        self._keys: dict[str, str] = {}

    def take(self, name: str, step: FieldPath, at: FieldPath, above: str = "") -> str:
        """
        The gate key of the step at `step`; a name that is reserved or another step's is an error at `at`. `above`: what comes before the
        name in the key.
        """
        key, error, place = gate_key(above + name), self._findings.error, format_path(step[step.index("steps") :])
        if name in RESERVED_STEPS:
            error(at, f"{name} is a reserved name (known: {', '.join(sorted(RESERVED_STEPS))}); give the step another")
        if name in self._names:
            error(at, f"duplicate step name {one_line(name, 80)} ({self._names[name]} has it)")
        elif key in self._keys:
            error(at, f"the gate key {key} of this step is also that of {self._keys[key]}; give it another name")
        self._names.setdefault(name, place)
        self._keys.setdefault(key, place)
        return key


def gate_key(name: str) -> str:
    """Rule 4f: the name where it is valid as an annotation's name, else a slug and 8 hex digits of its SHA-256."""
    if is_gate_name(name):
        return name
    return hashed_key(name)


def hashed_key(name: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9_.]+", "-", name[:200], flags=re.ASCII).strip("-_.")[:54].rstrip("-_.")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{slug}-{digest}" if slug else digest


def mappings(value: Any, at: FieldPath) -> Iterator[tuple[FieldPath, dict[str, Any]]]:
    """The mappings of a list with their places; what else is in it was complained of by its shape."""
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict):
            yield (*at, index), item


def texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def type_names(items: list[Any]) -> Iterator[str]:
    """The step types that are named, those of groups' steps too, as they are written."""
    for _, item in mappings(items, ()):
        yield from (each["type"] for _, each in mappings([item, *_list(item.get("subSteps"))], ()) if isinstance(each.get("type"), str))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def read_steps(items: list[Any], at: FieldPath, family: Family, findings: Findings) -> list[Draft]:
    """One draft for each step, those of a group right behind it; errors are added to `findings`, and a draft with errors holds what could be
    read."""
    if len(items) + sum(len(item["subSteps"]) for _, item in mappings(items, at) if isinstance(item.get("subSteps"), list)) > MAX_STEPS:
        findings.error(at, f"more than {MAX_STEPS} steps")
        return []
    reader = _StepReader(family, findings)
    for place, item in mappings(items, at):
        group = reader.read(item, place, None)
        for below, member in mappings(item.get("subSteps") if group.step.type == family.group else None, (*place, "subSteps")):
            reader.read(member, below, group)
    return reader.drafts


class _StepReader:
    """Reads steps one after the other. Names and keys are unique over all of them, groups' steps too."""

    def __init__(self, family: Family, findings: Findings) -> None:
        self.drafts: list[Draft] = []
        self._family, self._findings = family, findings
        self._taken = Names(findings)

    def read(self, item: dict[str, Any], at: FieldPath, group: Draft | None) -> Draft:
        family, findings = self._family, self._findings
        type_name = item["type"] if isinstance(item.get("type"), str) else ""
        given = isinstance(item.get("name"), str) and item["name"] != ""
        indexes = [index for index in at if isinstance(index, int)]
        name = item["name"] if given else family.unnamed(type_name, indexes)
        key = self._taken.take(name, at, (*at, "name") if given else at, f"{group.step.name}." if group is not None else "")
        if group is not None and type_name == family.group:
            findings.error((*at, "type"), f"a {type_name} can't be a step of another")
        elif item.get("subSteps") is not None and type_name != family.group:
            findings.error((*at, "subSteps"), f"only a {family.group} has subSteps")
        mode: Mode = item["mode"] if item.get("mode") in ("StepByStep", "DAG") else family.group_mode
        step = Step(
            name,
            type_name,
            key,
            given,
            condition=item["if"].strip() if isinstance(item.get("if"), str) else "",
            timeout=_read_timeout(item, at, findings),
            group=group.step.key if group is not None else "",
            mode=mode if type_name == family.group else "DAG",
            retry=read_retry(item.get("retryPolicy")),
        )
        draft = _read_step(item, at, step, family, findings, indexes[-1])
        self.drafts.append(draft)
        return draft


def _read_timeout(item: dict[str, Any], at: FieldPath, findings: Findings) -> float:
    """Seconds, 0 where there is none."""
    if not isinstance(item.get("timeout"), str):
        return 0.0
    try:
        return parse_duration(item["timeout"]).total_seconds()
    except ValueError as error:
        findings.error((*at, "timeout"), one_line(error))
        return 0.0


def _read_step(item: dict[str, Any], at: FieldPath, step: Step, family: Family, findings: Findings, index: int) -> Draft:
    properties = item["properties"] if isinstance(item.get("properties"), dict) else {}
    place = (*at, "properties")
    step_type = family.types.get(step.type)
    components: list[str] = []
    if step_type is not None:
        components = family.resolve(step, properties, place)
    elif step.type in family.later:
        findings.error((*at, "type"), f"step type {step.type} is {family.later[step.type]}")
    elif step.type:
        findings.unknown((*at, "type"), "step type", step.type, family.types, "" if findings.full else family.explain(step.type))
    inputs = read_inputs(item.get("inputs"), (*at, "inputs"), lambda target: family.target(step.type, target), findings, family.deepest)
    exports = getattr(step_type, "exports", False)
    known = (*(() if exports and not components else EXPORTS), *(exports if isinstance(exports, tuple) else ()))
    outputs = read_outputs(item.get("outputs"), (*at, "outputs"), findings, family.context or (), anything=exports, known=known)
    if step_type is not None:
        supplied = _supplied([entry.target for entry, _ in inputs], step_type, bool(components))
        check_properties(step_type, properties, supplied, place, findings)
        _check_gate_inputs(step.type, inputs, findings)
        if outputs and not components and not exports and family.context is None:
            findings.error((*at, "outputs"), f"a step of type {step.type} exports nothing")
    step = msgspec.structs.replace(step, properties=properties, components=components, depends_on=texts(item.get("dependsOn")))
    return Draft(step, at, index, inputs, outputs)


def _supplied(targets: list[str], step_type: StepType, applies: bool) -> set[str]:
    """Names of the step's own properties that inputs fill."""
    if getattr(step_type, "makes", False):
        targets = [target.removeprefix("properties.") for target in targets]
        applies = False
    return {re.split(r"[.\[]", target, maxsplit=1)[0] for target in targets} - ({"properties", "traits"} if applies else set())


def _check_gate_inputs(step_type: str, inputs: list[tuple[Input, FieldPath]], findings: Findings) -> None:
    """How a gate opens stands in the manifest, where a weaker one shows (rule 4g)."""
    if step_type in GATE_STEP_TYPES or step_type == "deploy":
        for item, place in inputs:
            if item.target in ("auto", "duration"):
                findings.error((*place, "parameterKey"), f"{item.target} says how a gate opens: no input can fill it")


def check_properties(step_type: StepType, properties: dict[str, Any], supplied: set[str], at: FieldPath, findings: Findings) -> None:
    """What a step type says of the properties of a step. `supplied`: names of properties that inputs fill later."""
    if unchecked := getattr(step_type, "unchecked", ""):
        findings.warn((*at[:-1], "type"), f"{step_type.name} is {unchecked}: its properties are not checked here")
        return
    for name in properties:
        if name not in step_type.params:
            findings.unknown((*at, name), "field", name, step_type.params)
    for name in step_type.required:
        if properties.get(name) is None and name not in supplied:
            findings.error(at, f"{name} is required")
    for where, message in step_type.check(properties):
        try:
            path = parse_path(where)
        except ValueError:
            path = (where,)
        if path[0] not in supplied:
            findings.error((*at, *path), message)


def read_inputs(
    value: Any, at: FieldPath, target: Callable[[str], str], findings: Findings, deepest: int = MAX_PARTS
) -> list[tuple[Input, FieldPath]]:
    found = []
    for place, item in mappings(value, at):
        source, key = item.get("from"), item.get("parameterKey")
        if not isinstance(source, str) or not isinstance(key, str) or not source or not key:
            continue
        try:
            if len(parse_path(key)) > deepest:
                raise ValueError(f"the path has more than {deepest} parts")
        except ValueError as error:
            findings.error((*place, "parameterKey"), str(error))
            continue
        found.append((Input(source, target(key)), place))
    return found


def read_outputs(
    value: Any, at: FieldPath, findings: Findings, context: tuple[str, ...] = (), *, anything: object = False, known: tuple[str, ...] = EXPORTS
) -> list[tuple[Output, FieldPath]]:
    """
    A `valueFrom` must be a path into what the step exports (`known`; `anything` True: nobody knows what that is; "expressions": nor need it be
    a path), or into `context`, or, unless there is such, an expression over what it exports and over `context.…`, the run's; an `exportKey` that is
    none is `connection` (seed 001), with a warning, where the step exports nothing else.
    """
    found = []
    for place, item in mappings(value, at):
        name = item.get("name")
        field_name = "exportKey" if item.get("exportKey") is not None else "valueFrom"
        path = item.get(field_name)
        if not isinstance(name, str) or not isinstance(path, str) or not name or not path:
            continue
        path = path.removeprefix("$.") if context else path
        first = re.split(r"[.\[]", path, maxsplit=1)[0]
        if (
            anything not in (True, EXPRESSIONS)
            and is_path(path)
            and field_name == "exportKey"
            and known == EXPORTS
            and first not in (*known, *context)
        ):
            findings.warn((*place, field_name), f"a step exports {', '.join(EXPORTS)}, not {one_line(path, 80)}; connection is taken")
            path = "connection"
        objection = _objection(path, known, context, anything)
        if objection:
            findings.error((*place, field_name), objection)
        else:
            found.append((Output(name, path), place))
    return found


def _objection(path: str, known: tuple[str, ...], context: tuple[str, ...], anything: object) -> str:
    """What is wrong with what an output reads; empty where nothing is."""
    if anything == EXPRESSIONS:
        return ""
    roots = [re.split(r"[.\[]", path, maxsplit=1)[0]]
    try:
        if context or anything is True or is_path(path):
            parse_path(path)
        else:
            roots = [str(part.parts[0]) for part in parse_expression(path).paths]
    except ExpressionError as error:
        return f"can't be read: {error}"
    except ValueError as error:
        return str(error)
    for root in () if anything is True else roots:
        if root not in (*known, *(context or ("context",))):
            close = suggest(root, known)
            close = close if "did you mean" in close else ""
            more = f"; or into the context{suggest(root, context)}" if context else ""
            return f"must be a path into what a step exports: {', '.join(known)}{close}{more}"
    return ""

"""What waits for what in a workflow: unknown names, data that nobody gives, and steps that would wait for ever."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings, suggest
from reconciler.dialects.ordering import find_cycle
from reconciler.dialects.step_conditions import asked_of
from reconciler.dialects.steps import Draft
from reconciler.model.application import Mode
from reconciler.model.text import one_line

_BEGIN = "/"  # no key holds it: behind a group's key it stands for the group's beginning


def check_order(drafts: list[Draft], mode: Mode, at: FieldPath, findings: Findings, context: Collection[str] = ()) -> None:
    """
    Duplicate outputs, inputs without a producer, unknown names in `dependsOn`, and steps that would wait for ever. `context`: names that inputs
    may read below `context`.
    """
    producers = _producers(drafts, findings)
    known = {draft.step.name: draft for draft in drafts}
    graph = _Graph(drafts, mode)
    for draft in drafts:
        for place, name in _needs(draft, producers, known, context, findings):
            other = known[name]
            if graph.is_stepwise(draft) and other.step.group == draft.step.group and other.index >= draft.index:
                findings.error(place, f"it waits for the step {one_line(name, 80)}, which comes no earlier; steps run in the order written")
            else:
                graph.add(draft, other)
    unique = len({draft.step.key for draft in drafts}) == len(drafts)  # else that is said already, and it is not known who waits for whom
    cycle = graph.find_cycle() if unique else []
    if cycle:
        findings.error(at, f"these steps wait for each other: {_chain(cycle)}")


class _Graph:
    """What waits for what: behind the step before it, where steps run in order, and within its group, which ends behind all of its own."""

    def __init__(self, drafts: list[Draft], mode: Mode) -> None:
        self._mode = mode
        self._drafts = {draft.step.key: draft for draft in drafts}
        self._parents = {draft.step.group for draft in drafts}
        self._waits: dict[str, list[str]] = {}
        last: dict[str, str] = {}
        for draft in drafts:
            step, start = draft.step, self._start(draft)
            self._waits.setdefault(step.key, [])
            self._waits[start] = []
            if start != step.key:
                self._waits[step.key].append(start)
            if step.group:
                self._waits[start].append(step.group + _BEGIN)
                self._waits[step.group].append(step.key)
            if self.is_stepwise(draft) and step.group in last:
                self._waits[start].append(last[step.group])
            last[step.group] = step.key

    def is_stepwise(self, draft: Draft) -> bool:
        """Whether the steps of its level run one after the other."""
        group = draft.step.group
        return (self._drafts[group].step.mode if group else self._mode) == "StepByStep"

    def add(self, draft: Draft, other: Draft) -> None:
        self._waits[self._start(draft)].append(other.step.key)

    def find_cycle(self) -> list[str]:
        """Names; beginning and end of a group are one to people."""
        names = [self._drafts[key.removesuffix(_BEGIN)].step.name for key in find_cycle(self._waits)]
        return [name for position, name in enumerate(names) if position == 0 or name != names[position - 1]]

    def _start(self, draft: Draft) -> str:
        """Where a step waits for others: of a group its beginning."""
        return draft.step.key + (_BEGIN if draft.step.key in self._parents else "")


def describe_cycle(before: Mapping[str, Iterable[str]]) -> str:
    cycle = find_cycle(before)
    return _chain(cycle) if cycle else ""


def _chain(names: list[str]) -> str:
    shown = names if len(names) <= 10 else [*names[:9], "…", names[-1]]
    return " → ".join(one_line(name, 60) for name in shown)


def _producers(drafts: list[Draft], findings: Findings) -> dict[str, str]:
    producers: dict[str, str] = {}
    for draft in drafts:
        for output, place in draft.outputs:
            if output.name in producers:
                findings.error((*place, "name"), f"the step {one_line(producers[output.name], 80)} has an output {one_line(output.name, 80)} already")
            producers.setdefault(output.name, draft.step.name)
    return producers


def _needs(
    draft: Draft, producers: dict[str, str], known: Mapping[str, Draft], context: Collection[str], findings: Findings
) -> Iterator[tuple[FieldPath, str]]:
    for position, name in enumerate(draft.step.depends_on):
        place = (*draft.at, "dependsOn", position)
        if name in known:
            yield place, name
        else:
            findings.unknown(place, "step", name, known)
    for item, place in draft.inputs:
        producer = producers.get(item.source) or producers.get(item.source.partition(".")[0])
        if producer is not None:
            yield (*place, "from"), producer
        elif not findings.full:
            objection = _objection(item.source, producers, context)
            if objection:
                findings.error((*place, "from"), objection)
    group = next((other.step.name for other in known.values() if other.step.key == draft.step.group), "") if draft.step.group else ""
    for name in asked_of(draft.step):
        if name in known and name not in (draft.step.name, group):
            yield (*draft.at, "if"), name


def _objection(source: str, producers: Collection[str], context: Collection[str]) -> str:
    """What is wrong with an input that no step gives; empty where the context has it."""
    root, _, rest = source.partition(".")
    if root != "context" or not context:
        return f"no step has an output {one_line(source, 80)}{suggest(source, producers)}"
    name = re.split(r"[.\[]", rest, maxsplit=1)[0]
    return "" if name in context else f"unknown name in context: {one_line(name, 80)}{suggest(name, context)}"

"""Policies of a KubeVela Application that hold for its objects, whichever step applies them: their shapes, compiled to rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from reconciler.dialects.fieldpath import FieldPath, parse_path
from reconciler.dialects.findings import Findings, suggest
from reconciler.dialects.shapes import ListOf, Record, Shape, Text, Truth, Whole
from reconciler.dialects.steps import mappings, texts
from reconciler.model.application import Component
from reconciler.model.rules import CollectRule, DriftRule, Rules, Selector
from reconciler.model.text import one_line

MAX_RULES = 100  # of all policies of an application
MAX_SELECTED = 1000  # words in all selectors of an application
MAX_PATHS = 20  # of one rule

_NAMES = ListOf(Text())
_SELECTOR = Record(
    {
        "componentNames": _NAMES,
        "componentTypes": _NAMES,
        "oamTypes": ListOf(Text(choices=("COMPONENT", "WORKLOAD", "TRAIT"))),
        "traitTypes": _NAMES,
        "resourceTypes": _NAMES,
        "resourceNames": _NAMES,
    }
)

_AFFECTS = ("onUpdate", "onStateKeep", "always")
_OWN_FIELDS = ("apiVersion", "kind", "metadata", "status")


def _policy(rule: Mapping[str, Shape], **others: Shape) -> Record:
    return Record({"rules": ListOf(Record({"selector": _SELECTOR, **rule}, required=("selector", *_needed(rule)))), **others})


def _needed(rule: Mapping[str, Shape]) -> list[str]:
    """A strategy that has parts can't be left out."""
    return [name for name, shape in rule.items() if isinstance(shape, Record)]


RULE_POLICIES: Mapping[str, Record] = MappingProxyType(
    {
        "garbage-collect": _policy(
            {"strategy": Text(choices=("onAppUpdate", "onAppDelete", "never")), "propagation": Text(choices=("cascading", "orphan"))},
            keepLegacyResource=Truth(),
            continueOnFailure=Truth(),
            order=Text(choices=("dependency",)),
            applicationRevisionLimit=Whole(),
        ),
        "apply-once": _policy(
            {"strategy": Record({"path": ListOf(Text(), least=1), "affect": Text(choices=_AFFECTS)}, required=("path",))},
            enable=Truth(),
        ),
        "read-only": _policy({}),
        "take-over": _policy({}),
        "shared-resource": _policy({}),
    }
)


class RuleReader:
    """Reads those policies one after the other into `rules`."""

    def __init__(self, findings: Findings) -> None:
        self.rules = Rules()
        self._findings = findings
        self._selectors: list[tuple[FieldPath, Selector]] = []

    def read(self, kind: str, properties: dict[str, Any], at: FieldPath) -> None:
        """One policy of a type in `RULE_POLICIES`; what is wrong is added to the findings."""
        before = self._findings.errors
        RULE_POLICIES[kind].check(properties, at, self._findings)
        if self._findings.errors > before:
            return
        rules = list(mappings(properties.get("rules"), (*at, "rules")))
        self._selectors += [((*place, "selector"), _read_selector(rule.get("selector") or {})) for place, rule in rules]
        words = sum(len(names) for _, selector in self._selectors for names in msgspec.structs.astuple(selector))
        if len(self._selectors) > MAX_RULES or words > MAX_SELECTED:
            self._findings.error((*at, "rules"), f"more than {MAX_RULES} rules or {MAX_SELECTED} names in all policies")
            return
        selectors = [selector for _, selector in self._selectors[len(self._selectors) - len(rules) :]]
        if kind == "garbage-collect":
            self._read_collection(properties, [rule for _, rule in rules], selectors, at)
        elif kind == "apply-once":
            self._read_drift(properties, rules, selectors, at)
        else:
            field = kind.replace("-", "_")
            self.rules = msgspec.structs.replace(self.rules, **{field: getattr(self.rules, field) + selectors})

    def check_selectors(self, components: Collection[Component]) -> None:
        """Warns of a selector that selects nothing: no condition, or none of these components."""
        known = {
            "componentNames": {component.name for component in components},
            "componentTypes": {component.type for component in components},
            "traitTypes": {trait.type for component in components for trait in component.traits},
        }
        for place, selector in self._selectors:
            if selector == Selector():
                self._findings.warn(place, "it has no condition and selects nothing")
            written = zip(known.items(), (selector.components, selector.component_types, selector.traits), strict=True)
            for (field, words), names in written:
                if names and words.isdisjoint(names) and not self._findings.full:
                    hint = suggest(names[0], sorted(words))
                    self._findings.warn((*place, field), f"no component has {one_line(', '.join(names), 80)}{hint}: it selects nothing")

    def _read_collection(self, properties: dict[str, Any], rules: list[dict[str, Any]], selectors: list[Selector], at: FieldPath) -> None:
        if properties.get("continueOnFailure"):
            self._findings.warn((*at, "continueOnFailure"), "it does nothing: nothing is pruned before a run has succeeded")
        if properties.get("applicationRevisionLimit") is not None:
            self._findings.warn((*at, "applicationRevisionLimit"), "it does nothing: five revisions are kept, and those that are needed")
        collect = [
            CollectRule(selector, rule.get("strategy") or "onAppUpdate", rule.get("propagation") == "orphan")
            for selector, rule in zip(selectors, rules, strict=True)
        ]
        keep = self.rules.keep_legacy or properties.get("keepLegacyResource") is True
        self.rules = msgspec.structs.replace(self.rules, keep_legacy=keep, collect=self.rules.collect + collect)

    def _read_drift(
        self, properties: dict[str, Any], rules: list[tuple[FieldPath, dict[str, Any]]], selectors: list[Selector], at: FieldPath
    ) -> None:
        if properties.get("enable") is not True:
            self._findings.warn((*at, "enable"), "it does nothing unless enable is true")
            return
        drift = []
        for selector, (place, rule) in zip(selectors, rules, strict=True):
            strategy = rule.get("strategy") or {}
            affect = strategy.get("affect") or "always"
            paths = self._read_paths(strategy.get("path"), (*place, "strategy", "path"))
            drift.append(DriftRule(selector, paths, affect != "onStateKeep", affect != "onUpdate"))
        self.rules = msgspec.structs.replace(self.rules, unhealed=self.rules.unhealed or not rules, drift=self.rules.drift + drift)

    def _read_paths(self, written: Any, at: FieldPath) -> list[str]:
        found = texts(written)
        if len(found) > MAX_PATHS:
            self._findings.error(at, f"more than {MAX_PATHS} paths in one rule")
        for index, text in enumerate(found[:MAX_PATHS]):
            try:
                path = parse_path(text) if text != "*" else ()
                if path and path[0] in _OWN_FIELDS:
                    raise ValueError(f"{path[0]} never drifts: it is the object's own, or not applied at all")
            except ValueError as error:
                self._findings.error((*at, index), str(error))
        return ["*"] if "*" in found else found


def _read_selector(written: dict[str, Any]) -> Selector:
    return Selector(*(texts(written.get(field)) for field in _SELECTOR.fields))

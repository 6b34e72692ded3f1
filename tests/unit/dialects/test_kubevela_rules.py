"""Policies that hold for an application's objects, compiled to rules, with every mistake in one pass."""

import pytest

from reconciler.model.rules import CollectRule, Selector
from tests.unit.dialects.kubevela_texts import WEB, app, errors, only, said


def with_policies(*items):
    return app(WEB + "  policies:\n" + "".join(f"  - {item}\n" for item in items))


def collecting(*rules, more=""):
    return f"{{name: gc, type: garbage-collect, properties: {{rules: [{', '.join(rules)}]{more}}}}}"


def warnings(result):
    assert errors(result) == []
    return [(problem.field, problem.message) for problem in result.problems]


def test_garbage_collect_is_compiled_to_rules_in_the_order_written(compile_text):
    first = "{selector: {componentNames: [web], resourceTypes: [Service], resourceNames: [a], oamTypes: [COMPONENT]}, strategy: never}"
    second = "{selector: {componentTypes: [webservice]}, propagation: orphan}"
    written = with_policies(collecting(first, second), "{name: more, type: garbage-collect, properties: {keepLegacyResource: true}}")
    rules = only(compile_text(written)).rules
    assert rules.keep_legacy
    assert rules.collect == [
        CollectRule(Selector(components=["web"], sources=["COMPONENT"], kinds=["Service"], names=["a"]), "never"),
        CollectRule(Selector(component_types=["webservice"]), "onAppUpdate", orphan=True),
    ]


@pytest.mark.parametrize(
    ("rule", "place", "message"),
    [
        ("{strategy: never}", "rules[0]", "selector is required"),
        ("{selector: {componentNmaes: [web]}}", "rules[0].selector.componentNmaes", "did you mean componentNames?"),
        ("{selector: {componentNames: web}}", "rules[0].selector.componentNames", "must be a list"),
        ("{selector: {oamTypes: [POLICY]}}", "rules[0].selector.oamTypes[0]", "unknown value POLICY"),
        ("{selector: {}, strategy: onDelete}", "rules[0].strategy", "did you mean onAppDelete?"),
        ("{selector: {}, propagation: background}", "rules[0].propagation", "unknown value background (known: cascading, orphan)"),
    ],
)
def test_a_mistake_in_a_rule_is_said_where_it_stands(compile_text, rule, place, message):
    found = errors(compile_text(with_policies(collecting(rule))))
    assert [(field.removeprefix("spec.policies[0].properties."), message in text) for _, field, text in found] == [(place, True)]


@pytest.mark.parametrize(
    ("rule", "field", "message"),
    [
        ("{selector: {componentNames: [wbe]}}", "rules[0].selector.componentNames", "no component has wbe (did you mean web?)"),
        ("{selector: {componentTypes: [worker]}}", "rules[0].selector.componentTypes", "no component has worker"),
        ("{selector: {traitTypes: [storage]}}", "rules[0].selector.traitTypes", "no component has storage"),
        ("{selector: {}}", "rules[0].selector", "it has no condition and selects nothing"),
    ],
)
def test_a_selector_that_selects_nothing_is_a_warning(compile_text, rule, field, message):
    ((place, text),) = warnings(compile_text(with_policies(collecting(rule))))
    assert place == f"spec.policies[0].properties.{field}"
    assert message in text


@pytest.mark.parametrize("field", ["continueOnFailure: true", "applicationRevisionLimit: 3"])
def test_what_would_make_pruning_less_careful_does_nothing_and_says_so(compile_text, field):
    ((_, text),) = warnings(compile_text(with_policies(collecting("{selector: {componentNames: [web]}}", more=f", {field}"))))
    assert "it does nothing" in text


def test_naming_such_a_policy_in_a_step_changes_nothing_and_says_so(compile_text):
    workflow = "  workflow: {steps: [{type: deploy, properties: {policies: [gc]}}]}\n"
    result = compile_text(with_policies(collecting("{selector: {componentNames: [web]}}", more="")) + workflow)
    assert "the policy gc holds for the whole application" in said(result)
    assert only(result).workflow.steps[0].components == ["web"]


def test_rules_are_bounded(compile_text):
    result = compile_text(with_policies(collecting(*["{selector: {componentNames: [web]}}"] * 101)))
    assert "more than 100 rules" in said(result)
    result = compile_text(with_policies(collecting(f"{{selector: {{componentNames: [{'web, ' * 1000}web]}}}}")))
    assert "or 1000 names" in said(result)

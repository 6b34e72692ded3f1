"""Policies that hold for an application's objects, compiled to rules, with every mistake in one pass."""

import pytest

from reconciler.model.rules import CollectRule, DriftRule, Selector
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


def drifting(*rules, enable="enable: true, "):
    return f"{{name: once, type: apply-once, properties: {{{enable}rules: [{', '.join(rules)}]}}}}"


WHERE = "selector: {componentNames: [web]}"


@pytest.mark.parametrize(
    ("strategy", "rule"),
    [
        ("{path: [spec.replicas, 'a[0].b']}", DriftRule(Selector(components=["web"]), ["spec.replicas", "a[0].b"])),
        ("{path: [spec, '*'], affect: always}", DriftRule(Selector(components=["web"]), ["*"])),
        ("{path: [data], affect: onUpdate}", DriftRule(Selector(components=["web"]), ["data"], on_keep=False)),
        ("{path: [data], affect: onStateKeep}", DriftRule(Selector(components=["web"]), ["data"], on_update=False)),
    ],
)
def test_apply_once_is_compiled_to_what_may_drift(compile_text, strategy, rule):
    rules = only(compile_text(with_policies(drifting(f"{{{WHERE}, strategy: {strategy}}}")))).rules
    assert (rules.drift, rules.unhealed) == ([rule], False)


def test_apply_once_without_rules_lets_everything_drift(compile_text):
    assert only(compile_text(with_policies("{name: once, type: apply-once, properties: {enable: true}}"))).rules.unhealed


@pytest.mark.parametrize("enable", ["", "enable: false, "])
def test_apply_once_that_is_not_enabled_does_nothing_and_says_so(compile_text, enable):
    result = compile_text(with_policies(drifting(f"{{{WHERE}, strategy: {{path: ['*']}}}}", enable=enable)))
    assert [text for _, text in warnings(result)] == ["it does nothing unless enable is true"]
    assert only(result).rules.drift == []


@pytest.mark.parametrize(
    ("rule", "place", "message"),
    [
        (f"{{{WHERE}}}", "rules[0]", "strategy is required"),
        (f"{{{WHERE}, strategy: {{}}}}", "rules[0].strategy", "path is required"),
        (f"{{{WHERE}, strategy: {{path: []}}}}", "rules[0].strategy.path", "must not be empty"),
        (f"{{{WHERE}, strategy: {{path: [a], affect: onDelete}}}}", "rules[0].strategy.affect", "unknown value onDelete"),
        (f"{{{WHERE}, strategy: {{path: ['a..b']}}}}", "rules[0].strategy.path[0]", "must be a path such as"),
        (f"{{{WHERE}, strategy: {{path: [metadata.labels]}}}}", "rules[0].strategy.path[0]", "metadata never drifts"),
        (f"{{{WHERE}, strategy: {{path: [{'a, ' * 20}a]}}}}", "rules[0].strategy.path", "more than 20 paths in one rule"),
    ],
)
def test_a_mistake_in_what_may_drift_is_said_where_it_stands(compile_text, rule, place, message):
    found = errors(compile_text(with_policies(drifting(rule))))
    assert [(field.removeprefix("spec.policies[0].properties."), message in text) for _, field, text in found] == [(place, True)]


SELECTING = ["read-only", "take-over", "shared-resource"]


@pytest.mark.parametrize("kind", SELECTING)
def test_policies_of_selectors_alone_are_compiled_to_them(compile_text, kind):
    item = "{name: %s, type: %s, properties: {rules: [{selector: {resourceNames: [%s]}}]}}"
    rules = only(compile_text(with_policies(item % ("one", kind, "a"), item % ("two", kind, "b")))).rules
    assert getattr(rules, kind.replace("-", "_")) == [Selector(names=["a"]), Selector(names=["b"])]


@pytest.mark.parametrize("kind", SELECTING)
def test_policies_of_selectors_alone_have_no_strategy(compile_text, kind):
    written = f"{{name: one, type: {kind}, properties: {{rules: [{{{WHERE}, strategy: never}}], enable: true}}}}"
    found = [field for _, field, text in errors(compile_text(with_policies(written))) if "unknown field" in text]
    assert found == ["spec.policies[0].properties.rules[0].strategy", "spec.policies[0].properties.enable"]

"""Health rules of the repository: what is wrong with one is told with file, line and field, and one that is right judges any object."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cluster.health import STATUSES, assess
from reconciler.dialects.health_rules import find_doubles, is_health_rule, read_health_rules

PATH = ".reconciler/health/certificates.yaml"
RULE = """\
apiVersion: reconciler.dev/v1alpha1
kind: HealthRule
metadata: {name: certificate}
spec:
  group: cert-manager.io
  kind: Certificate
  healthy: conditions.Ready.status == "True"
"""
CERTIFICATE = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "web"}}


def rule_of(**expressions):
    fields = {"healthy": 'status.phase == "Up"', **expressions}
    text = RULE.rpartition("  healthy")[0] + "".join(f"  {name}: '{text}'\n" for name, text in fields.items())
    (rule,), problems = read_health_rules(PATH, text)
    assert not problems
    return {rule.subject: rule}


def judge(rules, status, **metadata):
    return assess({**CERTIFICATE, "metadata": {"name": "web", **metadata}, "status": status}, rules)


def test_a_rule_is_read_with_its_place():
    (rule,), problems = read_health_rules(PATH, f"---\n{RULE}")
    assert (rule.subject, rule.place, problems) == (("cert-manager.io", "Certificate"), f"{PATH}:2", [])


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "message"),
    [
        ("kind: HealthRule", "kind: HealthRules", 2, "kind", "unknown value HealthRules (did you mean HealthRule?)"),
        ("v1alpha1", "v1", 1, "apiVersion", "unknown value reconciler.dev/v1 (did you mean reconciler.dev/v1alpha1?)"),
        ("  group:", "  grup:", 5, "spec.grup", "unknown field grup (did you mean group?)"),
        ("group: cert-manager.io", "group: cert-manager.io/v1", 5, "spec.group", "must be an API group such as cert-manager.io, without a version"),
        ("  kind: Certificate\n", "", 4, "spec", "kind is required"),
        ("conditions.Ready", "condition.Ready", 7, "spec.healthy", "unknown name condition (did you mean conditions?)"),
        ('== "True"', "= 'True'", 7, "spec.healthy", "can't be read: = means nothing here; write =="),
        ("group: cert-manager.io\n  kind: Certificate", 'group: ""\n  kind: Secret', 6, "spec.kind", "a Secret is not judged"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(old, new, line, field, message):
    rules, problems = read_health_rules(PATH, RULE.replace(old, new))
    assert rules == []
    told = [(problem.path, problem.line, problem.field) for problem in problems if message in problem.message]
    assert (PATH, line, field) in told, problems


def test_a_file_with_an_error_gives_no_rule_at_all():
    assert read_health_rules(PATH, f"{RULE}---\n{RULE.replace('Ready', '')}")[0] == []


def test_two_rules_for_one_kind_are_an_error_that_names_both():
    rules, _ = read_health_rules(PATH, f"{RULE}---\n{RULE}")
    (problem,) = find_doubles(rules)
    assert (problem.path, problem.line) == (PATH, 9)
    assert f"a rule already, in {PATH}:1" in problem.message


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        (PATH, True),
        (".reconciler/health/team/a.YML", True),
        (".reconciler/health/README.md", False),
        (".reconciler/prune.yaml", False),
        ("apps/.reconciler/health/a.yaml", False),
    ],
)
def test_rules_stand_in_one_folder(path, is_one):
    assert is_health_rule(path) is is_one


@pytest.mark.parametrize(
    ("expected", "status"),
    [
        ("Healthy", {"phase": "Up"}),
        ("Progressing", {"phase": "Down"}),
        ("Progressing", {}),
        ("Progressing", None),
        ("Degraded", {"phase": "Up", "failures": 4}),
        ("Progressing", {"phase": "Up", "failures": "many"}),
        ("Progressing", {"phase": "Up", "queue": [1]}),
    ],
)
def test_degraded_is_asked_first_then_progressing_then_healthy_and_what_is_none_of_them_progresses(expected, status):
    rules = rule_of(degraded="status.failures > 3", progressing='status.queue[0] == 1 || status.failures == "many"')
    assert judge(rules, status)[0] == expected


def test_what_is_not_there_is_null_and_never_an_end():
    rules = rule_of(healthy='conditions.Ready.status == "True" || status.phase == "Up"')
    assert judge(rules, {"phase": "Up"})[0] == "Healthy"
    assert judge(rules, {"conditions": [{"type": "Ready", "status": "True"}]})[0] == "Healthy"
    assert judge(rules, {"conditions": [{"type": "Ready", "status": "False"}]})[0] == "Progressing"


def test_a_rules_own_words_are_told_and_others_where_it_has_none():
    told = rule_of(message='"phase " + status.phase')
    assert judge(told, {"phase": "Down"})[1] == "phase Down"
    assert judge(rule_of(message="status.left"), {"left": 3})[1] == "3"
    ready = {"conditions": [{"type": "Ready", "status": "False", "message": "no issuer"}]}
    assert judge(told, ready)[1] == "no issuer"
    assert judge(rule_of(), {})[1] == f"not healthy by {PATH}:1"
    assert judge(rule_of(), {"phase": "Up"})[1] == ""


def test_a_rule_does_not_say_that_what_goes_or_was_not_seen_is_healthy():
    rules = rule_of(healthy="always")
    assert judge(rules, {}, deletionTimestamp="t")[0] == "Progressing"
    assert judge(rules, {"observedGeneration": 1}, generation=2)[0] == "Progressing"
    assert judge(rules, {})[0] == "Healthy"


def test_a_rule_stands_before_what_is_known_of_a_kind():
    rules, _ = read_health_rules(
        PATH,
        RULE.replace("cert-manager.io", '""')
        .replace("Certificate", "Service")
        .replace('conditions.Ready.status == "True"', "status.loadBalancer.ingress[0] != null"),
    )
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1"}}
    assert assess(service)[0] == "Healthy"
    assert assess(service, {rule.subject: rule for rule in rules})[0] == "Progressing"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "type", "status", "conditions"]), inner, max_size=3),
    max_leaves=6,
)
TEXTS = st.lists(
    st.sampled_from(["status", ".a", "[0]", "conditions", " == ", " && ", " > ", " + ", '"x"', "1", "!", "(", ")", " =~ ", "null"]),
    min_size=1,
    max_size=8,
).map("".join)


@given(TEXTS, TEXTS, JSON)
def test_any_rule_judges_any_object(healthy, message, status):
    rules, problems = read_health_rules(PATH, RULE.rpartition("  healthy")[0] + f"  healthy: |-\n    {healthy}\n  message: |-\n    {message}\n")
    assert rules or problems
    kind, said = assess({**CERTIFICATE, "status": status}, {rule.subject: rule for rule in rules})
    assert kind in STATUSES
    assert "\n" not in said


@given(st.binary(max_size=80) | st.text(max_size=80))
def test_any_file_has_an_answer(data):
    read_health_rules(PATH, data)

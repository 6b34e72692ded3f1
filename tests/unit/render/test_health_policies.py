"""How the health policies of definitions judge live objects, in the sandbox."""

import json
import textwrap

import pytest

from reconciler.model.health_policy import HealthPolicy, read_verdict
from reconciler.render import sandbox
from reconciler.render.definitions import shared

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("renderers")]

DEPLOYMENT = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2}, "status": {"readyReplicas": 2}}
USUAL = """
    ready: *0 | int
    if context.output.status.readyReplicas != _|_ {
      ready: context.output.status.readyReplicas
    }
    isHealth: ready == context.output.spec.replicas
"""


def subject(health="", message="", details="", parameter=None, outputs=None):
    texts = {"healthPolicy": health, "customStatus": message, "details": details}
    return {**{name: textwrap.dedent(text) for name, text in texts.items()}, "parameter": parameter or {}, "outputs": outputs or {}}


def judge(*subjects, output=DEPLOYMENT, **context):
    answer = shared().judge(json.dumps({"context": {"name": "web", **context, "output": output}, "subjects": list(subjects)}))
    assert isinstance(answer, list), answer
    return answer


def verdict(**given):
    output = given.pop("output", DEPLOYMENT)
    (answer,) = judge(subject(**given), output=output)
    return read_verdict(answer)


@pytest.mark.parametrize(("status", "healthy"), [({"readyReplicas": 2}, True), ({"readyReplicas": 1}, False), (None, False)])
def test_a_policy_judges_the_object_as_it_lives(status, healthy):
    live = {name: value for name, value in DEPLOYMENT.items() if name != "status"} | ({"status": status} if status else {})
    assert verdict(health=USUAL, output=live) == (healthy, "")


def test_parameters_and_outputs_are_the_subjects_own_and_the_context_is_shared():
    text = 'isHealth: context.outputs.route.status.host == parameter.host && context.name == "web"'
    route = {"route": {"status": {"host": "a"}}}
    answers = judge(subject(text, parameter={"host": "a"}, outputs=route), subject(text, parameter={"host": "b"}, outputs=route))
    assert [answer["healthy"] for answer in answers] == [True, False]


def test_a_message_may_say_what_the_policy_and_the_details_found():
    found = verdict(
        health=USUAL,
        details='ready: "\\(context.output.status.readyReplicas)"\n$unit: "pods"\nhidden: "x" @local()\nsum: 1 + 2\nunknown: context.output.nothing',
        message='if context.status.healthy {message: "all \\(context.status.details.ready) \\(context.status.details.$unit)"}',
    )
    assert found == (True, "all 2 pods (ready: 2, sum: 3)")


def test_without_a_policy_a_message_alone_judges_nothing():
    assert verdict(message='message: "of \\(context.name)"') == (None, "of web")


def test_packages_of_cue_may_be_imported():
    assert verdict(health='import "strings"\nisHealth: strings.HasPrefix(context.output.metadata.name, "w")').healthy is True


@pytest.mark.parametrize(
    ("health", "reason"),
    [
        ("isHealth: context.output.status.missing.deeper", "undefined field: missing"),
        ('isHealth: "yes"', "cannot use value"),
        ("isHealth: 1 &", "healthPolicy"),
        ("other: true", "it has no isHealth"),
        ('import "net/http"\nisHealth: true', "not available"),
    ],
)
def test_what_has_no_answer_is_not_healthy_and_says_why_of_itself_alone(health, reason):
    wrong, right = (read_verdict(answer) for answer in judge(subject(health), subject(USUAL)))
    assert (wrong.healthy, right) == (False, (True, ""))
    assert reason in wrong.words


def test_a_message_without_an_answer_leaves_health_as_it_is():
    found = verdict(health=USUAL, message="message: context.output.status.missing")
    assert found.healthy is True
    assert "its message can't be told: customStatus: " in found.words


def test_a_policy_without_end_is_not_healthy():
    answer = shared().judge(
        json.dumps({"context": {}, "subjects": [subject(" #r: {n: int, next: #r & {n: 1}}\nisHealth: (#r & {n: 0}).next.n == 1")]})
    )
    assert isinstance(answer, str) or answer[0]["healthy"] is False


def test_the_same_is_evaluated_once():
    judge(subject(USUAL), only="once")
    before = sandbox.shared().evaluated
    judge(subject(USUAL), only="once")
    assert sandbox.shared().evaluated == before


@pytest.mark.parametrize(
    ("policy", "template", "line", "reason"),
    [
        (HealthPolicy(health="x: 1\nisHealth: x ==\n"), "healthPolicy", 2, "expected operand"),
        (HealthPolicy(health="healthy: true"), "healthPolicy", 0, "it has no isHealth"),
        (HealthPolicy(health='y: 1\nisHealth: "true"'), "healthPolicy", 2, "isHealth has to be bool, and is string"),
        (HealthPolicy(message="message: 1 + 1"), "customStatus", 1, "message has to be string"),
        (HealthPolicy(details="a: unknown.b"), "details", 1, 'reference "unknown" not found'),
    ],
)
def test_what_does_not_compile_is_told_with_its_line(policy, template, line, reason):
    ((found, (fault, *_)),) = shared().check_policy(policy).items()
    assert (found, fault.line) == (template, line)
    assert reason in fault.message


def test_a_policy_that_compiles_has_no_faults():
    assert (
        shared().check_policy(HealthPolicy(textwrap.dedent(USUAL), 'message: "\\(context.output.status.x) \\(parameter.y)"', "a: context.status"))
        == {}
    )
    assert shared().check_policy(HealthPolicy(message='if context.output.status.x == _|_ {message: "none"}')) == {}

"""What a definition's template comes to in the sandbox, function by function, in both of KubeVela's dialects."""

import json
import textwrap
from contextlib import suppress

import pytest

from reconciler.render import sandbox
from reconciler.render.definitions import shared
from reconciler.render.sandbox import SandboxError

pytestmark = pytest.mark.timeout(600)  # the first of them on a machine compiles the module

OBJECT = {"metadata": {"name": "s"}, "status": {"readyReplicas": 1}}


def request(template, **given):
    return {
        "template": textwrap.dedent(template),
        "context": {"namespace": "shop", "name": "a", "stepName": "s"},
        "parameter": {},
        "objects": {},
        "results": {},
        "outputs": {},
        "continued": False,
        **given,
    }


def walk(template, **given):
    return shared().evaluate(json.dumps(request(template, **given)))


def play(template, answers=None, objects=None, **given):
    """Plays it to its end; what was done is answered by `answers`, by path, and what is asked by `objects`, None where it is not there."""
    results, known, found = {}, {}, []
    for _ in range(20):
        answer = walk(template, results=results, objects=known, **given)
        found.append(answer)
        if answer.get("state") == "do":
            results[answer["path"]] = {"value": {}, "objects": [], "healthy": True, **(answers or {}).get(answer["path"], {})}
        elif answer.get("state") == "ask":
            for asked in answer["questions"]:
                labels = ",".join(f"{name}={value}" for name, value in sorted(asked.get("labels", {}).items()))
                key = "|".join((asked["apiVersion"], asked["kind"], asked["namespace"], asked["name"], labels))
                known[key] = (objects or {}).get(key)
        else:
            return found
    raise AssertionError("no end")


def states(answers):
    return [f"{answer.get('state')} {answer.get('function', '')}".strip() for answer in answers]


@pytest.mark.parametrize("dialect", ["old", "new"])
def test_apply_is_done_once_and_its_object_is_looked_at_as_it_lives(dialect):
    value = 'value: {apiVersion: "apps/v1", kind: "Deployment", metadata: name: context.stepName, spec: replicas: 1}'
    template = {
        "old": f'import "vela/op"\nout: op.#Apply & {{{value}}}\nw: op.#ConditionalWait & {{continue: out.value.status.readyReplicas == 1}}\n',
        "new": f'import "vela/kube"\nimport "vela/builtin"\nout: kube.#Apply & {{$params: {value}}}\n'
        "w: builtin.#ConditionalWait & {$params: continue: out.$returns.value.status.readyReplicas == 1}\n",
    }[dialect]
    answers = {"out": {"objects": [{"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "s"}]}}
    key = "apps/v1|Deployment|shop|s|"
    assert states(play(template, answers, {})) == ["do apply", "ask apply", "wait wait"]
    assert states(play(template, answers, {key: OBJECT})) == ["do apply", "ask apply", "done"]


def test_apply_in_parallel_gives_the_whole_list_to_do():
    template = 'import "vela/kube"\nout: kube.#ApplyInParallel & {$params: value: [{a: 1}, {a: 2}]}\n'
    first, last = play(template)
    assert (first["function"], first["params"]["value"], last["state"]) == ("apply-in-parallel", [{"a": 1}, {"a": 2}], "done")


@pytest.mark.parametrize("dialect", ["old", "new"])
def test_read_answers_the_object_or_says_that_it_is_not_there(dialect):
    value = 'value: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "c"}'
    template = {
        "old": f'import "vela/op"\nr: op.#Read & {{{value}}}\nif r.err != _|_ {{f: op.#Fail & {{message: r.err}}}}\n'
        "if r.err == _|_ {m: op.#Message & {message: r.value.data.x + r.workload.data.x}}\n",
        "new": f'import "vela/kube"\nimport "vela/builtin"\nr: kube.#Read & {{$params: {value}}}\n'
        "if r.$returns.err != _|_ {f: builtin.#Fail & {$params: message: r.$returns.err}}\n"
        "if r.$returns.err == _|_ {m: builtin.#Message & {$params: message: r.$returns.value.data.x + r.$returns.value.data.x}}\n",
    }[dialect]
    gone = play(template)
    assert (states(gone), gone[-1]["message"]) == (["ask read", "fail fail"], "ConfigMap shop/c is not there")
    there = play(template, objects={"v1|ConfigMap|shop|c|": {"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "y"}}})
    assert (there[-1]["state"], there[-1]["message"]) == ("done", "yy")


@pytest.mark.parametrize("dialect", ["old", "new"])
def test_list_answers_items(dialect):
    asked = '{resource: {apiVersion: "v1", kind: "Pod"}, filter: matchingLabels: app: "x"}'
    template = {
        "old": f'import "vela/op"\nl: op.#List & {asked}\nw: op.#ConditionalWait & {{continue: len(l.list.items) == 2}}\n',
        "new": f'import "vela/kube"\nimport "vela/builtin"\nl: kube.#List & {{$params: {asked}}}\n'
        "w: builtin.#ConditionalWait & {$params: continue: len(l.$returns.values.items) == 2}\n",
    }[dialect]
    assert states(play(template, objects={"v1|Pod|shop||app=x": {"items": [{}]}})) == ["ask list", "wait wait"]
    assert states(play(template, objects={"v1|Pod|shop||app=x": {"items": [{}, {}]}})) == ["ask list", "done"]


@pytest.mark.parametrize("dialect", ["old", "new"])
def test_a_component_is_applied_then_waited_for_unless_the_template_says_not_to(dialect):
    def template(more):
        if dialect == "old":
            return f'import "vela/op"\na: op.#ApplyComponent & {{component: "web"{more}}}\n'
        return f'import "vela/oam"\na: oam.#ApplyComponent & {{$params: {{value: name: "web"{more}}}}}\n'

    assert walk(template(""), results={"a": {}})["state"] == "health"
    assert walk(template(""), results={"a": {"healthy": True}})["state"] == "done"
    assert walk(template(", waitHealthy: false"), results={"a": {}})["state"] == "done"  # upstream ignores it (A6, 4)


@pytest.mark.parametrize(
    ("function", "method"), [("#HTTPDo", "GET"), ("#HTTPGet", "GET"), ("#HTTPPost", "POST"), ("#HTTPPut", "PUT"), ("#HTTPDelete", "DELETE")]
)
def test_defect_a6_02_requests_have_their_functions_method_in_both_dialects(function, method):
    new = f'import "vela/http"\nr: http.{function} & {{$params: url: "http://x"}}\nn: r.$returns.statusCode + 1\n'
    old = f'import "vela/op"\nr: op.{function} & {{url: "http://x"}}\nn: r.response.statusCode + 1\n'
    for template in (new, old):
        first, last = play(template, {"r": {"value": {"statusCode": 200, "body": ""}}}, outputs={"n": "n"})
        assert (first["params"]["method"], last["outputs"]) == (method, {"n": 201})


@pytest.mark.parametrize("function", ["#Suspend", "#Fail", "#Break"])
def test_what_ends_a_walk_says_its_message_in_both_dialects(function):
    state = function.removeprefix("#").lower()
    assert walk(f'import "vela/op"\nx: op.{function} & {{message: "why"}}\n')["message"] == "why"
    found = walk(f'import "vela/builtin"\nx: builtin.{function} & {{$params: message: "why"}}\n')
    assert (found["state"], found["message"]) == (state, "why")


def test_a_suspend_has_a_duration_and_a_decision_opens_one_alone():
    template = 'import "vela/op"\na: op.#Suspend & {duration: "3s"}\n'
    assert walk(template)["duration"] == "3s"
    assert walk(template, continued=True)["state"] == "done"
    assert "at most one #Suspend" in walk(template + "b: op.#Suspend\n", continued=True)["error"]


def test_steps_nest_and_attributes_order_them():
    template = """
        import "vela/op"
        s: op.#Steps & {
            late: op.#HTTPGet & {url: "http://late"} @step(2)
            soon: op.#HTTPGet & {url: "http://soon"} @step(1)
        }
    """
    answers = {path: {"value": {"statusCode": 200, "body": ""}} for path in ("s.late", "s.soon")}
    assert [answer.get("path") for answer in play(template, answers)] == ["s.soon", "s.late", None]


@pytest.mark.parametrize("where", ["", "more: "])
def test_functions_made_of_what_is_not_known_yet_come_once_it_is(where):
    each = '{for name in list.$returns.values.names {"get-\\(name)": http.#HTTPGet & {$params: url: "http://\\(name)"}}}'
    template = f'import "vela/kube"\nimport "vela/http"\nlist: kube.#List & {{$params: resource: {{apiVersion: "v1", kind: "Pod"}}}}\n{where}{each}\n'
    found = play(template, objects={"v1|Pod|shop||": {"names": ["a", "b"]}})
    assert [answer["params"]["url"] for answer in found if answer["state"] == "do"] == ["http://a", "http://b"]


@pytest.mark.parametrize(("url", "expected"), [({"value": "http://x"}, "do http"), ({"secretRef": {"name": "n", "key": "k"}}, "ask read")])
def test_of_a_disjunction_the_side_that_is_whole_with_what_was_given_is_taken(url, expected):
    template = """
        import "vela/op"
        parameter: url: {value: string} | {secretRef: {name: string, key: string}}
        if parameter.url.value != _|_ {
          send: op.#HTTPPost & {url: parameter.url.value}
        }
        if parameter.url.secretRef != _|_ {
          read: op.#Read & {value: {apiVersion: "v1", kind: "ConfigMap", metadata: name: parameter.url.secretRef.name}}
        }
    """
    assert states([walk(template, parameter={"url": url})]) == [expected]


def test_an_import_that_nothing_uses_does_no_harm():
    template = 'import "strings"\nimport (\n  "vela/op"\n  j "encoding/json"\n)\nparameter: {a: string}\nm: op.#Message & {message: parameter.a}\n'
    assert shared().check(template).faults == ()
    assert walk(template, parameter={"a": "hi"})["message"] == "hi"


def test_what_is_wrong_with_each_side_of_a_disjunction_is_told_without_a_count():
    checked = shared().check("parameter: from: close({text: string}) | close({name: string})\n", {"from": {"text": "a", "name": "b"}})
    assert checked.findings == (("from.name", "field not allowed"), ("from.text", "field not allowed"))


def test_a_default_that_is_not_known_yet_makes_a_parameter_optional():
    template = "parameter: {\n  namespace: *context.namespace | string\n  name: string\n}\n"
    checked = shared().check(template)
    assert {one.name: one.required for one in checked.parameters} == {"namespace": False, "name": True}


def test_conversions_need_nothing():
    template = """
        import "vela/util"
        import "vela/time"
        import "vela/op"
        import "encoding/base64"
        a: util.#ConvertString & {$params: bt: base64.Decode(null, "aGk=")}
        b: time.#DateToTimestamp & {$params: date: "2024-01-02T03:04:05Z"}
        c: time.#TimestampToDate & {$params: timestamp: b.$returns.timestamp}
        d: op.#ConvertString & {bt: 'yes'}
        l: op.#Log & {data: "nothing"}
        m: op.#Message & {message: "\\(a.$returns.str) \\(b.$returns.timestamp) \\(c.$returns.date) \\(d.str)"}
    """
    assert walk(template)["message"] == "hi 1704164645 2024-01-02T03:04:05Z yes"


def test_outputs_are_paths_or_expressions_and_null_where_there_is_nothing():
    outputs = {"p": "out.a.b", "e": "out.a.b * 2", "i": "out.list[1]", "no": "out.zzz"}
    found = walk("out: {a: b: 3, list: [1, 2]}\n", outputs=outputs)
    assert found["outputs"] == {"p": 3, "e": 6, "i": 2, "no": None}


def test_rule_10_what_was_evaluated_is_not_evaluated_again():
    walk("a: 17\n")
    engines = sandbox.shared()
    before = engines.evaluated
    walk("a: 17\n")
    assert engines.evaluated == before


@pytest.mark.parametrize(
    "template",
    [
        'import "strings"\na: strings.Repeat("x", 10000000000)\n',
        "#a: {b: #a}\nc: #a\n",
        'import "list"\nx: [for i in list.Range(0, 1000000, 1) for j in list.Range(0, 1000000, 1) {i * j}]\n',
        'import "tool/file"\nx: file.Read & {filename: "/etc/passwd"}\n',
        'import "tool/http"\nx: http.Get & {url: "http://127.0.0.1"}\n',
        'import "example.org/other"\nx: other.#X\n',
    ],
    ids=["string", "recursion", "loop", "file", "network", "package"],
)
def test_rule_11_an_attack_is_an_error_and_the_next_template_works(template):
    assert walk(template).get("error")
    assert walk("a: 1\n")["state"] == "done"


def test_rule_11_random_and_cut_off_requests_never_kill_the_process():
    whole = json.dumps(request("a: 1\n"))
    for text in ("", "null", "[]", "{", whole[:-1], whole[: len(whole) // 2], '{"template": 3}', '{"template": "\\u0000"}', "\x00\xff"):
        answer = shared().evaluate(text)
        assert answer.get("error") or answer.get("state") == "done"
    for asked in (
        {},
        {"component": {}},
        {"traits": [{}]},
        {"output": 3, "traits": [{"template": "patch: 1"}]},
        {"outputs": [{"object": []}], "component": 1},
    ):
        with suppress(SandboxError):
            shared().render(asked)
    with pytest.raises(SandboxError):
        shared()._sandbox.call("cue", "none", {})


READ = 'import "vela/op"\nr: op.#Read & {value: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "gone"}}\n'
FAIL = 'op.#Fail & {message: "no"}'


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        (f'if r.value.data.x == "1" {{a: {FAIL}}}', 3, "undefined field: data"),
        (f'a: {{\nfor k, v in r.value.data {{"\\(k)": {FAIL}}}\n}}', 4, "undefined field: data"),
        (f'x: string\n"a\\(x)": {FAIL}', 4, "must be concrete"),
    ],
)
def test_a_function_that_is_never_come_to_fails_the_step_with_the_line_of_what_was_not_decided(more, line, words):
    error = play(READ + more)[-1]["error"]
    assert f"template line {line}: what stands below this is not done, for nothing decides it" in error
    assert words in error


def test_a_condition_that_nothing_decides_and_that_has_no_function_below_is_no_error():
    assert play(READ + 'if r.value.data.x == "1" {said: "yes"}')[-1]["state"] == "done"


def test_a_function_that_stands_too_deep_is_an_error_and_data_that_does_is_none():
    def below(inner):
        return "".join(f"a{level}: {{" for level in range(50)) + inner + "}" * 50

    assert "is deeper than 40 levels" in play(f'import "vela/op"\n{below(f"f: {FAIL}")}')[-1]["error"]
    assert play(f'import "vela/op"\nm: op.#Message & {{message: "yes"}}\n{below("b: 1")}')[-1]["state"] == "done"


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ('#Read & {cluster: "far", value: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "x"}}', "only the cluster that the daemon works on"),
        ('#List & {cluster: "far", resource: {apiVersion: "v1", kind: "ConfigMap"}}', "only the cluster that the daemon works on"),
        ('#List & {resource: {apiVersion: "v1", kind: ""}}', "#List needs a resource with apiVersion and kind"),
        ('#List & {resource: {apiVersion: "v1", kind: "A"}, filter: matchingLabels: a: 1}', "filter.matchingLabels.a is no text"),
    ],
)
def test_a_question_that_can_not_be_asked_as_it_is_meant_is_an_error(function, words):
    assert f"a: {words}" in walk(f'import "vela/op"\na: op.{function}\n')["error"]


def test_a_wait_without_a_message_says_what_is_not_known():
    message = walk('import "vela/op"\nx: y: int\na: op.#ConditionalWait & {continue: x.y == 1}\n')["message"]
    assert message.startswith("waiting for a, whose continue is not known yet: ")


@pytest.mark.parametrize("text", ['a: {#do: "apply", value: {}}', "a: {#do: 1}", '#x: {#provider: "kube"}\na: #x'])
def test_a_function_is_called_and_never_written(text):
    (fault,) = shared().check(f"one: 1\n{text}\n").faults
    assert (fault.line, fault.message.startswith("#")) == (2, True)

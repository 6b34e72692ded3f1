"""Functions of definitions that follow from what the application declares, or that a built-in step carries out, in both of KubeVela's dialects."""

import pytest

from tests.unit.render.test_definitions import play, states, walk

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("renderers")]

WEB = {"name": "web", "type": "webservice", "properties": {"image": "web:1"}}
DATABASE = {"name": "database", "type": "worker", "properties": {"image": "db:1"}}
BLUE = {"name": "blue", "type": "topology", "properties": {"namespace": "blue"}}
HERE = {"name": "here", "type": "topology", "properties": {"clusters": ["local"]}}
AWAY = {"name": "away", "type": "topology", "properties": {"clusters": ["paris"]}}
DECLARED = {"components": [WEB, DATABASE], "policies": [BLUE, HERE, AWAY, {"name": "o", "type": "override"}]}
OLD, NEW = "old", "new"


def template(dialect, package, function, fields, more=""):
    """`a` is the function; `$` in `more` stands for where its answer is."""
    if dialect == OLD:
        return f'import "vela/op"\na: op.{function} & {{{fields}}}\n{more.replace("$", "a")}\n'
    return f'import "vela/{package}"\na: {package}.{function} & {{$params: {{{fields}}}}}\n{more.replace("$", "a.$returns")}\n'


@pytest.mark.parametrize("dialect", [OLD, NEW])
@pytest.mark.parametrize("function", ["#Load", "#LoadComponets"])
def test_load_answers_the_components_as_they_are_declared_by_name(dialect, function):
    found = walk(template(dialect, "oam", function, "", "image: $.value.web.properties.image"), declared=DECLARED, outputs={"i": "image"})
    assert found["outputs"] == {"i": "web:1"}


@pytest.mark.parametrize("dialect", [OLD, NEW])
@pytest.mark.parametrize("function", ["#LoadInOrder", "#LoadComponetsInOrder"])
def test_load_in_order_answers_them_in_the_order_in_which_they_are_declared(dialect, function):
    found = walk(template(dialect, "oam", function, "", "names: [for c in $.value {c.name}]"), declared=DECLARED, outputs={"n": "names"})
    assert found["outputs"] == {"n": ["web", "database"]}


@pytest.mark.parametrize("dialect", [OLD, NEW])
def test_load_policies_answers_the_policies_by_name(dialect):
    found = walk(template(dialect, "oam", "#LoadPolicies", "", "n: $.value.blue.properties.namespace"), declared=DECLARED, outputs={"n": "n"})
    assert found["outputs"] == {"n": "blue"}


def test_another_application_is_not_loaded():
    assert "only the application of the step itself" in walk(template(OLD, "", "#Load", 'app: "other"'), declared=DECLARED)["error"]


@pytest.mark.parametrize("dialect", [OLD, NEW])
@pytest.mark.parametrize(
    ("function", "fields", "expected", "waits"),
    [
        ("#ApplyApplication", "", ["web", "database"], True),
        ("#ApplyApplicationInParallel", "", ["web", "database"], False),
        ("#ApplyRemaining", 'exceptions: ["web"]', ["database"], True),
    ],
)
def test_what_applies_the_application_applies_its_components_one_by_one(dialect, function, fields, expected, waits):
    package = "op" if dialect == OLD else "oam"
    found = play(f'import "vela/{package}"\na: {package}.{function} & {{{fields}}}\n', declared=DECLARED)
    assert states(found) == ["do apply-component"] * len(expected) + ["done"]
    assert [(answer["params"]["value"]["name"], answer["params"]["waitHealthy"]) for answer in found[:-1]] == [(name, waits) for name in expected]


@pytest.mark.parametrize("dialect", [OLD, NEW])
def test_there_is_one_cluster(dialect):
    assert walk(template(dialect, "multicluster", "#ListClusters", "", "c: $.outputs.clusters"), outputs={"c": "c"})["outputs"] == {"c": ["local"]}


@pytest.mark.parametrize("dialect", [OLD, NEW])
@pytest.mark.parametrize(
    ("policies", "namespaces"), [('"blue", "here"', ["blue", "shop"]), ('"blue", "o"', ["blue"]), ('"o"', ["shop"]), ("", ["shop"])]
)
def test_placements_are_the_namespaces_of_topology_policies_and_without_one_the_applications_own(dialect, policies, namespaces):
    text = template(dialect, "multicluster", "#GetPlacementsFromTopologyPolicies", f"policies: [{policies}]", "p: $.placements")
    assert walk(text, declared=DECLARED, outputs={"p": "p"})["outputs"]["p"] == [{"cluster": "local", "namespace": each} for each in namespaces]


@pytest.mark.parametrize(("policy", "expected"), [("away", "only the cluster that the daemon works on"), ("gone", "has no policy gone")])
def test_a_placement_elsewhere_and_a_policy_that_is_none_are_errors(policy, expected):
    assert expected in walk(template(OLD, "", "#GetPlacementsFromTopologyPolicies", f'policies: ["{policy}"]'), declared=DECLARED)["error"]


@pytest.mark.parametrize("dialect", [OLD, NEW])
def test_a_variable_is_told_to_later_steps_and_read_from_earlier_ones_also_by_a_path_below_it(dialect):
    put = template(dialect, "builtin", "#DoVar", 'method: "Put", path: "a.b", value: c: 1')
    assert walk(put)["variables"] == {"a.b": {"c": 1}}
    for path, expected in (("a.b", {"c": 1}), ("a.b.c", 1)):
        get = template(dialect, "builtin", "#DoVar", f'path: "{path}"', "v: $.value")
        assert walk(get, variables={"a.b": {"c": 1}}, outputs={"v": "v"})["outputs"] == {"v": expected}
    for path in ("a", "a.b.d", "x"):
        get = template(dialect, "builtin", "#DoVar", f'path: "{path}"')
        assert f"no step before this one has put a variable {path}" in walk(get, variables={"a.b": {"c": 1}})["error"]


@pytest.mark.parametrize("dialect", [OLD, NEW])
@pytest.mark.parametrize(
    ("package", "function", "name", "fields", "answer", "asks"),
    [
        ("kube", "#Delete", "delete", 'value: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "x"}', {}, ""),
        ("config", "#CreateConfig", "create-config", 'name: "x", config: a: 1', {}, ""),
        ("config", "#DeleteConfig", "delete-config", 'name: "x", namespace: "n"', {}, ""),
        ("config", "#ReadConfig", "read-config", 'name: "x"', {"config": {"a": 1}}, "config.a"),
        ("config", "#ListConfig", "list-config", 'template: "t"', {"configs": [{"name": 1}]}, "configs[0].name"),
        ("metrics", "#PromCheck", "prom-check", 'query: "up", condition: ">=1"', {"result": True, "failed": False, "message": 1}, "result"),
        ("query", "#CollectServiceEndpoints", "collect-service-endpoints", 'app: {name: "a", namespace: "n"}', {"list": [{"x": 1}]}, "list[0].x"),
        ("query", "#CollectPods", "collect-pods", 'app: {name: "a", namespace: "n"}', {"list": [{"object": {"x": 1}}]}, "list[0].object.x"),
        ("query", "#CollectServices", "collect-services", 'app: {name: "a", namespace: "n"}', {"list": [{"x": 1}]}, "list[0].x"),
        (
            "email",
            "#SendEmail",
            "email",
            'from: {address: "a@example.org", password: "p", host: "h", port: 25}, to: ["b@example.org"], content: {subject: "s", body: "b"}',
            {},
            "",
        ),
    ],
)
def test_what_a_built_in_step_does_is_given_to_do_and_its_answer_is_read(dialect, package, function, name, fields, answer, asks):
    answer = {key: "said" if key == "message" else value for key, value in answer.items()}
    text = template(dialect, package, function, fields, f"told: $.{asks}" if asks else "")
    first, last = play(text, {"a": {"value": answer}}, outputs={"told": "told"})
    assert (first["state"], first["function"], first["path"], last["state"]) == ("do", name, "a", "done")
    if asks:
        assert last["outputs"]["told"] in (1, True)


def test_a_metric_is_asked_for_without_what_the_template_passes_on_and_was_not_given():
    fields = 'query: parameter.query, condition: ">=1", stepID: context.session, duration: parameter.duration'
    text = f'parameter: {{query: string, duration?: *"5m" | string}}\na: op.#PromCheck & {{{fields}}}\n'
    found = walk(f'import "vela/op"\n{text}', parameter={"query": "up"})
    assert (found["state"], found["params"]["query"]) == ("do", "up")
    assert "a: its query is not known" in walk(f'import "vela/op"\n{text}')["error"]


def test_the_first_name_of_the_package_of_queries_is_known():
    text = 'import "vela/ql"\na: ql.#CollectServiceEndpoints & {app: {name: "a", namespace: "n"}}\nn: len(a.list)\n'
    assert play(text, {"a": {"value": {"list": []}}}, outputs={"n": "n"})[-1]["outputs"] == {"n": 0}


@pytest.mark.parametrize(("function", "url"), [("#DingTalk", "dingUrl"), ("#Lark", "larkUrl"), ("#Slack", "slackUrl")])
def test_a_chat_is_told_a_message_by_one_request(function, url):
    text = f'import "vela/op"\nsay: op.#Steps & {{told: op.{function} & {{{url}: "https://example.org/chat", message: {{text: content: "hi"}}}}}}\n'
    found = play(text, {"say.told.post": {"value": {"statusCode": 200, "body": "{}"}}}, outputs={"status": "say.told.post.response.statusCode"})
    assert states(found) == ["do http", "done"]
    assert found[0]["params"] == {
        "method": "POST",
        "url": "https://example.org/chat",
        "request": {"body": '{"text":{"content":"hi"}}', "header": {"Content-Type": "application/json"}},
    }
    assert found[-1]["outputs"] == {"status": 200}


@pytest.mark.parametrize(
    ("package", "function", "reason"),
    [
        ("op", "#ApplyEnvBindApp", "use a topology policy"),
        ("op", "#Deploy", "use a deploy step"),
        ("op", "#DeployCloudResource", "no cloud is asked here"),
        ("query", "#CollectLogsInPod", "logs are where the pods write them"),
        ("terraform", "#GetConnectionStatus", "no cloud is asked here"),
    ],
)
def test_what_is_not_done_is_refused_with_the_reason(package, function, reason):
    assert f"{function} of vela/{package} is not available here; {reason}" in walk(f'import "vela/{package}"\na: {package}.{function}\n')["error"]


DEPLOYMENT = """{
    apiVersion: "apps/v1", kind: "Deployment", metadata: name: "web"
    spec: {replicas: 1, template: spec: containers: [{name: "web", image: "web:1"}, {name: "log", image: "log:1"}]}
}"""
IMAGE = """{
    // +patchKey=name
    spec: template: spec: containers: [{name: "log", env: [{name: "A", value: "b"}]}]
}"""


@pytest.mark.parametrize("dialect", [OLD, NEW])
def test_a_patch_goes_by_the_markers_of_traits(dialect):
    found = walk(template(dialect, "util", "#PatchK8sObject", f"value: {DEPLOYMENT}, patch: {IMAGE}", "c: $.result.spec"), outputs={"c": "c"})
    web, log = {"name": "web", "image": "web:1"}, {"name": "log", "image": "log:1", "env": [{"name": "A", "value": "b"}]}
    assert found["outputs"]["c"] == {"replicas": 1, "template": {"spec": {"containers": [web, log]}}}


@pytest.mark.parametrize("dialect", [OLD, NEW])
def test_what_is_applied_has_its_patch_in_it_and_the_answer_may_differ_from_what_was_given(dialect):
    patch = "{\n// +patchStrategy=retainKeys\nspec: {replicas: 3}\n}"
    text = template(dialect, "kube", "#Apply", f"value: {DEPLOYMENT}, patch: {patch}", "n: $.value.status.n")
    live = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}, "status": {"n": 3}}
    question = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"}
    found = play(text, {"a": {"objects": [question]}}, {"apps/v1|Deployment|shop|web|": live}, outputs={"n": "n"})
    assert found[0]["params"]["value"]["spec"] == {"replicas": 3}
    assert "patch" not in found[0]["params"]
    assert found[-1]["outputs"] == {"n": 3}


@pytest.mark.parametrize("dialect", [OLD, NEW])
@pytest.mark.parametrize(("patch", "expected"), [("spec: replicas: 2", "replicas: there is 1 already"), ("spec: x: string", "spec.x is not known")])
def test_a_patch_that_does_not_fit_is_an_error_with_its_line_and_field(dialect, patch, expected):
    error = walk(template(dialect, "util", "#PatchK8sObject", f"value: {DEPLOYMENT}, patch: {{\n{patch}\n}}"))["error"]
    assert expected in error
    assert "line 6" in error


def test_a_strategy_that_nobody_knows_is_an_error_with_its_field():
    fields = "value: {a: b: 1}, patch: {\n// +patchStrategy=bogus\na: {b: 1}\n}"
    assert "patch.a: patchStrategy bogus is not known" in walk(template(OLD, "util", "#PatchK8sObject", fields))["error"]

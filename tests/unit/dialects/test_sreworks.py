import pytest

from reconciler.model.identity import AppKey

ENVIRONMENT = """\
apiVersion: reconciler.dev/v1alpha1
kind: Environment
metadata: {name: prod}
spec:
  namespace: shop
  global: {clusterId: c1, deployNamespace: blue, replicas: 2, nested: {tag: v7}, list: [a]}
"""
DEFAULTS = "components/K8S_MICROSERVICE/clustermanage/_.yaml"
TEST_DEFAULTS = "components/K8S_MICROSERVICE/clustermanage-test/_.yaml"

# The first body of seed 003: `components` and `workflow` without kind.
FRAGMENT = """\
components:
  - revisionName: "K8S_MICROSERVICE|clustermanage-test|_"
  - revisionName: "K8S_MICROSERVICE|clustermanage|_"
    scopes:
      - scopeRef:
          apiVersion: apps.abm.io/v1
          kind: Namespace
          name: "{{ Global.deployNamespace }}"
    dataInputs:
      - valueFrom:
          dataOutputName: "Global.clusterId"
        toFieldPaths:
          - spec.name
    parameterValues:
      - name: values
        value:
          deployNamespace: "{{ Global.deployNamespace }}"
        toFieldPaths:
          - spec.values
workflow:
  steps:
    - type: apply-components
      properties:
        components:
        - type: K8S_MICROSERVICE
          name: clustermanage-test
    - type: apply-components
      properties:
        components:
        - type: K8S_MICROSERVICE
          name: clustermanage
        rollout:
          type: partition
          properties:
            partition: "1"
            name: "abmRolloutPartition"
    - type: suspend
    - type: rollout-promotion
    - type: apply-components
      properties:
        components:
        - type: K8S_MICROSERVICE
          name: clustermanage
"""

# The second body of seed 003: the whole document.
DOCUMENT = """\
apiVersion: core.oam.dev/v1alpha2
kind: ApplicationConfiguration
metadata:
  annotations:
    appId: testapp
    appInstanceName: "test-app-instance"
  name: deploy-workflow
spec:
  parameterValues:
  components:
    - revisionName: K8S_MICROSERVICE|clustermanage|_
  policies:
    - name: topology-e2e-env
      type: topology
      properties:
        namespace: "abm-daily"
    - type: override
      name: override-e2e-env
      properties:
        components:
          - revisionName: K8S_MICROSERVICE|clustermanage|_
            dataInputs:
              - valueFrom:
                  dataOutputName: "Global.KUBECONFIG"
                toFieldPaths:
                  - spec.base64Kubeconfig
            parameterValues:
              - name: name
                value: "appmanager-helm-e2e-rollout"
                toFieldPaths:
                  - spec.name
              - name: ignoreCreateNamespace
                value: true
                toFieldPaths:
                  - spec.ignoreCreateNamespace
              - name: values
                value:
                  resources:
                    limits:
                      cpu: "0.5"
                      memory: "1Gi"
                  image:
                    repository: "nginx"
                    tag: "latest"
                  replicaCount: 3
                toFieldPaths:
                  - spec.values
  workflow:
    steps:
      - type: apply-components
        properties:
          policies:
            - topology-e2e-env
            - override-e2e-env
          components:
            - type: K8S_MICROSERVICE
              name: clustermanage
          rollout:
            type: partition
            properties:
              partition: "1"
              name: "abmRolloutPartition"
      - type: suspend
      - type: rollout-promotion
      - type: apply-components
        properties:
          policies:
            - topology-e2e-env
            - override-e2e-env
          components:
            - type: K8S_MICROSERVICE
              name: clustermanage
"""


def errors(result):
    return [problem for problem in result.problems if problem.severity == "error"]


def said(result):
    return "\n".join(str(problem) for problem in result.problems)


def only(result):
    assert errors(result) == []
    (application,) = result.applications
    return application


def one(parameters="", more="", values="{name: values, value: {image: {repository: nginx}}, toFieldPaths: [spec.values]}"):
    """A document with one component of valid values and, after them, further parameterValues."""
    extra = f"      - {parameters}\n" if parameters else ""
    head = "apiVersion: core.oam.dev/v1alpha2\nkind: ApplicationConfiguration\nmetadata: {name: a}\nspec:\n  components:\n"
    return f"{head}    - revisionName: K8S_MICROSERVICE|web|_\n      parameterValues:\n      - {values}\n{extra}{more}"


def parameter(value, path="spec.values.image.tag", name="p"):
    return f"{{name: {name}, value: {value}, toFieldPaths: ['{path}']}}"


def test_the_whole_document_of_the_seed_compiles(compile_text):
    application = only(compile_text(DOCUMENT))
    (component,) = application.components
    assert application.key == AppKey("default", "deploy-workflow")
    assert application.read_annotations == ["appId", "appInstanceName"]
    assert component.id == "K8S_MICROSERVICE|clustermanage@topology-e2e-env,override-e2e-env"
    assert (component.name, component.namespace, component.policies) == ("clustermanage", "abm-daily", ["topology-e2e-env", "override-e2e-env"])
    assert component.properties == {
        "name": "appmanager-helm-e2e-rollout",
        "ignoreCreateNamespace": True,
        "base64Kubeconfig": "",
        "values": {
            "resources": {"limits": {"cpu": "0.5", "memory": "1Gi"}},
            "image": {"repository": "nginx", "tag": "latest"},
            "replicaCount": 3,
        },
    }
    assert [(step.name, step.components) for step in application.workflow.steps] == [
        ("apply-components-0", [component.id]),
        ("suspend-1", []),
        ("rollout-promotion-2", []),
        ("apply-components-3", [component.id]),
    ]


def test_the_bare_body_of_the_seed_compiles_with_defaults_and_globals(compile_text):
    image = "values: {image: {repository: nginx}, replicaCount: 3}\n"
    result = compile_text(FRAGMENT, {"environment.yaml": ENVIRONMENT, DEFAULTS: image, TEST_DEFAULTS: image}, path="apps/cluster.yaml")
    application = only(result)
    component = application.component("K8S_MICROSERVICE|clustermanage")
    assert application.key == AppKey("shop", "cluster")
    assert (component.namespace, component.properties) == (
        "blue",
        {"name": "c1", "values": {"image": {"repository": "nginx"}, "replicaCount": 3, "deployNamespace": "blue"}},
    )
    assert [(problem.severity, "the file's is taken: cluster" in problem.message) for problem in result.problems] == [("warning", True)]
    assert application.spec.keys() == {"components", "workflow"}


def test_rule_5a_defaults_are_references_and_are_watched_even_when_absent(compile_text):
    application = only(compile_text(one(), {"components/K8S_MICROSERVICE/web/_.yaml": "name: x\n"}))
    assert [(item.name, item.path) for item in application.references] == [("components/K8S_MICROSERVICE/web/_.yaml",) * 2]
    absent = only(compile_text(one().replace("|web|_", "|web|1.2")))
    assert absent.references == []
    assert "components/K8S_MICROSERVICE/web/1.2.yaml" in absent.watched


def test_broken_defaults_are_a_problem_of_their_own_file(compile_text):
    result = compile_text(one(), {"components/K8S_MICROSERVICE/web/_.yaml": "a: [\n"})
    assert [problem.path for problem in errors(result)] == ["components/K8S_MICROSERVICE/web/_.yaml"]
    assert result.applications == []


def test_rule_4f_unnamed_steps_are_named_by_type_and_index_from_zero(compile_text):
    found = only(compile_text(DOCUMENT)).workflow.steps
    assert [step.key for step in found] == ["apply-components-0", "suspend-1", "rollout-promotion-2", "apply-components-3"]
    assert {step.given for step in found} == {False}


def test_without_a_workflow_all_components_are_deployed_by_one_step(compile_text):
    (step,) = only(compile_text(one())).workflow.steps
    assert (step.type, step.name, step.components, step.given) == ("deploy", "deploy-0", ["K8S_MICROSERVICE|web"], False)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'{{ Global.clusterId }}'", "c1"),
        ("'x-{{Global.clusterId}}-{{ Global.replicas }}'", "x-c1-2"),
        ("'{{ Global.nested.tag }}'", "v7"),
        ("'{{ .Values.x }}'", "{{ .Values.x }}"),
    ],
)
def test_placeholders_take_values_of_the_environment(compile_text, written, value):
    application = only(compile_text(one(parameter(written)), {"environment.yaml": ENVIRONMENT}))
    assert application.components[0].properties["values"]["image"]["tag"] == value


def test_a_text_that_is_one_placeholder_takes_the_values_type(compile_text):
    application = only(compile_text(one(parameter("'{{ Global.replicas }}'", "spec.values.replicaCount")), {"environment.yaml": ENVIRONMENT}))
    assert application.components[0].properties["values"]["replicaCount"] == 2


def test_an_unknown_global_is_an_error_that_names_the_nearest(compile_text):
    result = compile_text(one(parameter("'{{ Global.clusterID }}'")), {"environment.yaml": ENVIRONMENT})
    assert "the environment has no Global.clusterID (did you mean clusterId?)" in said(result)
    assert errors(result)[0].line == 9


def test_a_mapping_within_longer_text_is_an_error(compile_text):
    assert "can't stand within a text" in said(compile_text(one(parameter("'a {{ Global.nested }}'")), {"environment.yaml": ENVIRONMENT}))


def test_parameters_of_the_document_win_over_the_environments_values(compile_text):
    text = one(parameter("'{{ Global.clusterId }}'")).replace("spec:\n", "spec:\n  parameterValues: [{name: clusterId, value: c9}]\n")
    assert only(compile_text(text, {"environment.yaml": ENVIRONMENT})).components[0].properties["values"]["image"]["tag"] == "c9"


def test_globals_that_blow_a_document_up_are_refused(compile_text):
    environment = ENVIRONMENT.replace("{clusterId: c1", f"{{big: {'x' * 60_000}, clusterId: c1")
    result = compile_text(one(parameter(f"'{'{{ Global.big }}' * 1000}'")), {"environment.yaml": environment})
    assert "too large" in said(result)


@pytest.mark.parametrize(
    "path", ["spec", "name", "status.x", "spec[0]", "spec..a", "spec.a[x]", "spec." + "a." * 40 + "b", "spec.values.env[5].name", "spec.name.x"]
)
def test_paths_that_lead_nowhere_are_refused(compile_text, path):
    result = compile_text(one(parameter("x", path), more="      - {name: n, value: b, toFieldPaths: [spec.name]}\n"))
    assert errors(result) != []


def test_override_replaces_parameters_by_name_and_appends_others(compile_text):
    text = one(parameter("old", name="tag"), more=f"""\
  policies:
  - name: o
    type: override
    properties:
      components:
      - revisionName: K8S_MICROSERVICE|web|_
        parameterValues:
        - {parameter("new", name="tag")}
        - {parameter("4", "spec.values.replicaCount", name="more")}
  workflow:
    steps:
    - {{type: deploy}}
    - {{type: deploy, properties: {{policies: [o]}}}}
""")  # fmt: skip
    application = only(compile_text(text))
    plain, overridden = application.component("K8S_MICROSERVICE|web"), application.component("K8S_MICROSERVICE|web@o")
    assert (plain.name, overridden.name) == ("web", "web")
    assert plain.properties["values"] == {"image": {"repository": "nginx", "tag": "old"}}
    assert overridden.properties["values"] == {"image": {"repository": "nginx", "tag": "new"}, "replicaCount": 4}


def test_policies_work_in_the_order_that_the_step_lists(compile_text):
    more = "  policies:\n  - {name: a, type: topology, properties: {namespace: one}}\n  - {name: b, type: topology, properties: {namespace: two}}\n"
    more += "  workflow: {steps: [{type: deploy, properties: {policies: [a, b]}}, {type: deploy, properties: {policies: [b, a]}}]}\n"
    application = only(compile_text(one(more=more)))
    assert {component.id: component.namespace for component in application.components} == {
        "K8S_MICROSERVICE|web@a,b": "two",
        "K8S_MICROSERVICE|web@b,a": "one",
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('        namespace: "abm-daily"', "        cluster: far", "cluster is not available yet"),
        ("type: topology", "type: topolgy", "unknown policy type topolgy (did you mean topology?)"),
        ("- topology-e2e-env\n", "- topology-e2e\n", "unknown policy topology-e2e (did you mean topology-e2e-env?)"),
        ("type: suspend", "type: remoteDeploy", "10002: remoteDeploy deploys into another cluster, and there are no targets yet; use deploy"),
        ("type: suspend", "type: apply-object", "unknown step type apply-object"),
        ("name: clustermanage\n", "name: clustermanager\n", "unknown component K8S_MICROSERVICE|clustermanager"),
        ("K8S_MICROSERVICE|clustermanage|_", "K8S_MICROSERVCE|clustermanage|_", "did you mean K8S_MICROSERVICE?"),
        ("K8S_MICROSERVICE|clustermanage|_", "K8S_MICROSERVICE|../../etc|_", "must be TYPE|name|version"),
        ("K8S_MICROSERVICE|clustermanage|_", "clustermanage", "must be TYPE|name|version"),
        ('partition: "1"', 'partition: "30%"', "a StatefulSet takes a number of pods"),
        ('partition: "1"', "partition: -1", "must be a whole number"),
        ("            type: partition", "            type: canary", "must be partition"),
        ('dataOutputName: "Global.KUBECONFIG"', 'dataOutputName: "web.host"', "only Global.<name> can be read"),
        ("replicaCount: 3", "replicaCont: 3", "unknown field replicaCont (did you mean replicaCount?)"),
        ("      - type: suspend", "      - type: suspend\n        name: run", "is a reserved name"),
        ("            dataInputs:", "            traits: [{name: x}]\n            dataInputs:", "traits is not available yet"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(compile_text, old, new, message):
    assert old in DOCUMENT
    result = compile_text(DOCUMENT.replace(old, new))
    assert message in said(result)
    assert result.applications == []


def test_another_cluster_is_refused_without_its_credentials_in_the_message(compile_text):
    files = {"environment.yaml": ENVIRONMENT.replace("clusterId: c1", "KUBECONFIG: s3cret")}
    result = compile_text(DOCUMENT, files)
    assert "other clusters are not available yet" in said(result)
    assert "s3cret" not in said(result)


@pytest.mark.parametrize("kind", ["Cluster", "Stage"])
def test_scopes_of_other_kinds_must_be_empty(compile_text, kind):
    scope = "      scopes: [{scopeRef: {apiVersion: apps.abm.io/v1, kind: KIND, name: NAME}}]\n".replace("KIND", kind)
    assert "is not available yet" in said(compile_text(one(more=scope.replace("NAME", "far"))))
    assert only(compile_text(one(more=scope.replace("NAME", "''")))).components[0].namespace == ""


def test_data_inputs_come_after_parameters(compile_text):
    text = one(
        parameter("1", "spec.values.replicaCount"),
        "      dataInputs: [{valueFrom: {dataOutputName: Global.replicas}, toFieldPaths: [spec.values.replicaCount]}]\n",
    )
    assert only(compile_text(text, {"environment.yaml": ENVIRONMENT})).components[0].properties["values"]["replicaCount"] == 2


def test_a_component_takes_a_bounded_number_of_paths(compile_text):
    paths = ", ".join(["spec.name"] * 201)
    assert "more than 200 toFieldPaths" in said(compile_text(one(f"{{name: p, value: a, toFieldPaths: [{paths}]}}")))


def test_a_rollout_of_the_spec_itself_takes_no_percentage(compile_text):
    text = one(parameter("{type: partition, properties: {partition: PARTITION}}", "spec.rollout"))
    assert only(compile_text(text.replace("PARTITION", "'1'"))).components[0].properties["rollout"]["properties"] == {"partition": "1"}
    assert "a StatefulSet takes a number of pods" in said(compile_text(text.replace("PARTITION", "30%")))

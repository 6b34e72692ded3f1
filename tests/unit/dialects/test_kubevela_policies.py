"""`topology` and `override` of KubeVela: what each deploy makes of the components, and every mistake in one pass."""

import pytest

from reconciler.dialects import kubevela_components
from tests.unit.dialects.kubevela_texts import TWO, app, errors, only, said

WEB_PORT = "{image: nginx, env: [{name: A, value: a}], limit: {cpu: '1', memory: 1Gi}}"
SHOP = f"""\
  components:
  - {{name: web, type: webservice, properties: {WEB_PORT}, traits: [{{type: scaler, properties: {{replicas: 2}}}}, {{type: labels, properties: {{a: b}}}}]}}
  - {{name: api, type: worker, properties: {{image: api}}, dependsOn: [web]}}
"""


def policies(*items, components=SHOP):
    return components + "  policies:\n" + "".join(f"  - {item}\n" for item in items)


def deploys(*lists):
    return "  workflow:\n    steps:\n" + "".join(f"    - {{type: deploy, properties: {{policies: [{names}]}}}}\n" for names in lists)


def topology(name, namespace):
    return f"{{name: {name}, type: topology, properties: {{namespace: {namespace}}}}}"


def override(name, *patches, selector=""):
    return f"{{name: {name}, type: override, properties: {{components: [{', '.join(patches)}]{', selector: ' + selector if selector else ''}}}}}"


def deployed(application, step=0):
    """The components that a step applies, by name and namespace."""
    found = [application.component(component_id) for component_id in application.workflow.steps[step].components]
    return {(component.name, component.namespace): component for component in found}


def test_each_topology_of_a_deploy_is_a_place_and_no_place_comes_twice(compile_text):
    written = policies(topology("a", "blue"), topology("b", "green"), topology("c", "blue")) + deploys("a, b, c")
    application = only(compile_text(app(written)))
    assert list(deployed(application)) == [("web", "blue"), ("api", "blue"), ("web", "green"), ("api", "green")]
    assert {component.namespace for component in application.components} == {"blue", "green"}, "none stays at home"


def test_identity_does_not_follow_a_topology(compile_text):
    application = only(compile_text(app(policies(topology("a", "blue")) + deploys("a"))))
    assert str(application.key) == "default/shop"


def test_a_topology_without_a_namespace_or_with_the_applications_own_is_home(compile_text):
    written = policies("{name: a, type: topology, properties: {clusters: [local]}}", topology("b", "default")) + deploys("a, b")
    assert list(deployed(only(compile_text(app(written))))) == [("web", ""), ("api", "")]


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ("{clusters: [local, prod]}", "cluster prod is not available until other clusters can be targets"),
        ("{clusterLabelSelector: {region: north}}", "clusterLabelSelector is not available until"),
        ("{clusterSelector: {region: north}}", "clusterSelector is not available until"),
        ("{namespace: Blue}", "must be a DNS-1123 label"),
        ("{namespaces: [blue]}", "unknown field namespaces (did you mean namespace?)"),
    ],
)
def test_a_topology_that_leads_elsewhere_or_nowhere_is_an_error(compile_text, properties, message):
    found = errors(compile_text(app(policies(f"{{name: a, type: topology, properties: {properties}}}") + deploys("a"))))
    assert [text for _, field, text in found if message in text and field.startswith("spec.policies[0].properties")]


def test_an_override_merges_properties_level_by_level_and_traits_by_type(compile_text):
    patch = "{name: web, properties: {image: 'nginx:2', limit: {cpu: '2'}, env: []}, traits: [{type: scaler, properties: {replicas: 5}},"
    patch += " {type: labels, disable: true}, {type: annotations, properties: {c: d}}, {type: resource, disable: true}]}"
    application = only(compile_text(app(policies(override("o", patch)) + deploys("o"))))
    web, api = deployed(application).values()
    assert web.properties == {"image": "nginx:2", "limit": {"cpu": "2", "memory": "1Gi"}, "env": []}
    assert [(trait.type, trait.properties) for trait in web.traits] == [("scaler", {"replicas": 5}), ("annotations", {"c": "d"})]
    assert api.properties == {"image": "api"}


@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ("{properties: {cpu: '1'}}", {"web", "api"}),
        ("{type: worker, properties: {cpu: '1'}}", {"api"}),
        ("{name: 'a*', properties: {cpu: '1'}}", {"api"}),
        ("{name: '*', type: worker, properties: {image: x, cpu: '1'}}", {"web", "api"}),
        ("{name: we, type: worker, properties: {image: x, cpu: '1'}}", {"we"}),
    ],
)
def test_which_components_an_override_is_for(compile_text, patch, changed):
    application = only(compile_text(app(policies(override("o", patch)) + deploys("o"))))
    assert {component.name for component in deployed(application).values() if component.properties.get("cpu")} == changed


def test_another_type_takes_the_whole_components_place(compile_text):
    application = only(compile_text(app(policies(override("o", "{name: web, type: worker, properties: {image: x}}")) + deploys("o"))))
    web = deployed(application)["web", ""]
    assert (web.type, web.properties, web.traits) == ("worker", {"image": "x"}, [])


def test_overrides_work_in_the_order_that_the_step_lists(compile_text):
    written = policies(override("a", "{name: web, properties: {image: a}}"), override("b", "{name: web, properties: {image: b}}"))
    application = only(compile_text(app(written + deploys("'a', 'b'", "'b', 'a'"))))
    assert [deployed(application, step)["web", ""].properties["image"] for step in (0, 1)] == ["b", "a"]


def test_a_selector_leaves_only_what_it_names(compile_text):
    written = policies(override("o", "{properties: {cpu: '1'}}", selector="[api]"), topology("t", "blue")) + deploys("o, t")
    assert list(deployed(only(compile_text(app(written))))) == [("api", "blue")]


def test_without_a_workflow_each_topology_is_deployed_by_all_overrides(compile_text):
    written = policies(override("o", "{name: web, properties: {cpu: '1'}}"), topology("a", "blue"), topology("b", "green"))
    application = only(compile_text(app(written)))
    assert [(step.name, step.type, step.given, step.properties) for step in application.workflow.steps] == [
        ("deploy-a", "deploy", False, {"policies": ["o", "a"]}),
        ("deploy-b", "deploy", False, {"policies": ["o", "b"]}),
    ]
    assert [list(deployed(application, step)) for step in (0, 1)] == [[("web", "blue"), ("api", "blue")], [("web", "green"), ("api", "green")]]


def test_without_a_workflow_overrides_alone_are_one_deploy(compile_text):
    application = only(compile_text(app(policies(override("o", "{name: web, properties: {cpu: '1'}}")))))
    assert [step.name for step in application.workflow.steps] == ["deploy"]


def test_apply_components_takes_policies_too(compile_text):
    step = "  workflow: {steps: [{type: apply-components, properties: {components: [{type: worker, name: api}], policies: [t]}}]}\n"
    assert list(deployed(only(compile_text(app(policies(topology("t", "blue")) + step))))) == [("api", "blue")]


@pytest.mark.parametrize(
    ("patch", "place", "message"),
    [
        ("{name: wbe, properties: {image: x}}", "components[0].name", "unknown component wbe (did you mean web?)"),
        ("{name: web, properties: {imgae: x}}", "components[0].properties.imgae", "unknown field imgae (did you mean image?)"),
        ("{name: web, traits: [{type: scalr}]}", "components[0].traits[0].type", "unknown trait type scalr (did you mean scaler?)"),
        ("{name: web, traits: [{type: scaler, properties: {replicas: x}}]}", "traits[0].properties.replicas", "must be a whole number"),
        ("{name: web, type: wrker}", "components[0].type", "unknown component type wrker (did you mean worker?)"),
        ("{name: web, colour: red}", "components[0].colour", "unknown field colour"),
        ("{name: new, type: worker}", "components[0].properties", "image is required"),
        ("{name: 'a.*'}", "components[0].name", "with * for any part of it"),
    ],
)
def test_a_mistake_in_an_override_is_said_where_it_stands(compile_text, patch, place, message):
    found = errors(compile_text(app(policies(override("o", patch)) + deploys("o", "o"))))
    assert len([text for _, field, text in found if message in text and place in field]) == 1


def test_what_is_wrong_with_the_component_itself_is_said_once(compile_text):
    broken = "  components:\n  - {name: web, type: webservice, properties: {imgae: nginx}}\n"
    found = errors(compile_text(app(policies(override("o", "{name: web, properties: {cpu: '1'}}"), components=broken) + deploys("o"))))
    assert {field for _, field, _ in found} == {"spec.components[0].properties", "spec.components[0].properties.imgae"}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (policies(topology("tp", "blue")) + deploys("tpo"), "unknown policy tpo (did you mean tp?)"),
        (policies("{name: a, type: topolgy}"), "unknown policy type topolgy (did you mean topology?)"),
        (policies("{name: a, type: replication}"), "policy type replication is not available yet"),
        (policies(topology("a", "blue"), topology("a", "green")) + deploys("a"), "duplicate policy name a"),
        (policies("{name: 'a,b', type: override}"), "must be at most 63 of"),
        (policies(*[topology(f"a{index}", "blue") for index in range(51)]), "more than 50 policies"),
        (policies(override("o", *["{name: web}"] * 201)), "more than 200 components in override policies"),
    ],
)
def test_a_policy_that_cannot_be_is_an_error(compile_text, written, message):
    assert [text for _, _, text in errors(compile_text(app(written))) if message in text]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (policies(override("o", "{name: web}", selector="[wbe, api]")) + deploys("o"), "unknown component wbe (did you mean web?)"),
        (policies(override("o", "{name: 'x*'}")) + deploys("o"), "it fits no component"),
        (policies(override("o", "{name: webb, type: worker, properties: {image: x}}")) + deploys("o"), "adds a component webb (did you mean web?)"),
        (policies(topology("t", "blue"), topology("u", "blue")) + deploys("t"), "no step names the policy u: it does nothing"),
    ],
)
def test_a_policy_that_does_nothing_or_too_much_is_a_warning(compile_text, written, message):
    result = compile_text(app(written))
    assert errors(result) == []
    assert [problem for problem in result.problems if problem.severity == "warning" and message in problem.message]


def test_a_deploy_of_a_component_with_inputs_is_refused_with_policies_too(compile_text):
    inputs = TWO.replace("{name: web,", "{name: web, inputs: [{from: x, parameterKey: image}],")
    assert "the component web has inputs or outputs" in said(compile_text(app(policies(topology("t", "blue"), components=inputs) + deploys("t"))))


def test_what_policies_make_is_bounded_by_the_size_of_the_document(compile_text, monkeypatch):
    written = policies(topology("a", "blue"), topology("b", "green"), override("o", "{properties: {cpu: '1'}}")) + deploys("a", "a, b", "o, b")
    assert only(compile_text(app(written)))
    monkeypatch.setattr(kubevela_components, "MAX_WORK", 10 * len(app(written)))
    found = errors(compile_text(app(written)))
    assert [(field, text[:34]) for _, field, text in found] == [("spec.workflow.steps[2].properties.policies", "too many or too large components, ")]


def test_components_in_all_their_places_are_counted(compile_text):
    names = [f"t{index}" for index in range(50)]
    steps = [", ".join(names[index:]) for index in range(8)]
    found = errors(compile_text(app(policies(*[topology(name, f"n{name}") for name in names]) + deploys(*steps))))
    assert "too many or too large components" in found[0][2]

"""Component and trait types in CUE: what their templates make of a component, and how patches are laid over it."""

from typing import Any

import pytest

from reconciler.engine.contents import NoFiles
from reconciler.model.application import Component, Definition, Trait
from reconciler.model.chart import Capabilities
from reconciler.render import sandbox
from reconciler.render.engine import ComponentRenderer
from reconciler.render.protocol import RenderContext, RenderError

pytestmark = pytest.mark.timeout(600)  # the first of them on a machine compiles the module

WEB = """
output: {
    apiVersion: "apps/v1"
    kind:       "Deployment"
    spec: {
        replicas: *1 | int
        selector: matchLabels: app: context.name
        template: {
            metadata: labels: app: context.name
            spec: containers: [{
                name:  context.name
                image: parameter.image
                env: [{name: "A", value: "1"}, {name: "B", value: "2"}]
                args: ["--one", "--two"]
            }, {name: "side", image: "side:1"}]
        }
    }
}
outputs: {
    for port in parameter.ports {
        "port-\\(port)": {apiVersion: "v1", kind: "Service", spec: ports: [{"port": port}]}
    }
}
parameter: {
    image: string
    ports: *[] | [...int]
}
"""


def render(
    template: str = WEB, properties: dict[str, Any] | None = None, traits: dict[str, tuple[str, dict[str, Any]]] | None = None, **context: Any
):
    """The objects of a component `web` of the defined type `site`. `traits`: template and properties by name; an empty template: built in."""
    given = traits or {}
    definitions = [Definition("component", "site", template)]
    definitions += [Definition("trait", name, text) for name, (text, _) in given.items() if text]
    listed = [Trait(name, values) for name, (_, values) in given.items()]
    component = Component("web", "web", "site", properties or {"image": "web:1"}, listed, defined=True)
    return ComponentRenderer().render(component, RenderContext("shop", "prod", "", {}, definitions=tuple(definitions), **context), NoFiles())


def patched(template: str, **parameter: Any) -> Any:
    return render(traits={"change": (template, parameter)})[0]


def container(obj: Any, place: int = 0) -> Any:
    return obj["spec"]["template"]["spec"]["containers"][place]


def test_a_component_is_its_output_and_outputs_named_labelled_and_placed():
    web, service = render(properties={"image": "web:1", "ports": [80]})
    assert (web["metadata"]["name"], web["metadata"]["namespace"], service["metadata"]["name"]) == ("web", "prod", "web-port-80")
    assert web["metadata"]["labels"] == {"app.oam.dev/name": "shop", "app.oam.dev/component": "web", "workload.oam.dev/type": "site"}
    assert service["metadata"]["labels"] == {
        "app.oam.dev/name": "shop",
        "app.oam.dev/component": "web",
        "trait.oam.dev/type": "AuxiliaryWorkload",
        "trait.oam.dev/resource": "port-80",
    }
    assert (web["spec"]["replicas"], container(web)["image"]) == (1, "web:1")


def test_a_template_sees_the_application_the_revision_and_the_cluster_in_its_context():
    template = """
    output: {apiVersion: "v1", kind: "ConfigMap", data: {
        a: "\\(context.appName) \\(context.name) \\(context.namespace) \\(context.appRevision) \\(context.appRevisionNum)"
        b: "\\(context.workflowName) \\(context.appLabels.team) \\(context.appAnnotations.note) \\(context.clusterVersion.minor)"
    }}
    """
    (found,) = render(template, revision="shop-v12", labels={"team": "a"}, annotations={"note": "b"}, capabilities=Capabilities("v1.31.4"))
    assert found["data"] == {"a": "shop web prod shop-v12 12", "b": "shop a b 31"}


def test_a_default_of_the_component_gives_way_to_a_trait_and_what_it_says_does_not():
    assert patched("patch: spec: replicas: parameter.n", n=3)["spec"]["replicas"] == 3
    with pytest.raises(RenderError) as refused:
        patched('patch: spec: selector: matchLabels: app: "other"')
    said = 'component web: traits[0]: the definition of change, line 1 of its template: patch.spec.selector.matchLabels.app: there is "web" already'
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ('// +patchKey=name\nenv: [{name: "C", value: "3"}]', [("A", "1"), ("B", "2"), ("C", "3")]),
        ('// +patchKey=name\nenv: [{name: "B", value: "2"}, {name: "C", value: "3"}]', [("A", "1"), ("B", "2"), ("C", "3")]),
        ('// +patchKey=name\n// +patchStrategy=retainKeys\nenv: [{name: "A", value: "9"}]', [("A", "9"), ("B", "2")]),
        ('// +patchStrategy=replace\nenv: [{name: "C", value: "3"}]', [("C", "3")]),
    ],
)  # fmt: skip
def test_lists_go_by_their_key_or_by_strategy(patch, expected):
    found = patched(f"patch: spec: template: spec: {{\n// +patchKey=name\ncontainers: [{{name: context.name\n{patch}\n}}]\n}}")
    assert [(item["name"], item["value"]) for item in container(found)["env"]] == expected
    assert container(found, 1) == {"name": "side", "image": "side:1"}


def test_lists_without_a_key_go_by_place():
    found = patched('patch: spec: template: spec: containers: [{env: [{}, {value: "2"}, {name: "C", value: "3"}], args: ["--one"]}]')
    assert [item["name"] for item in container(found)["env"]] == ["A", "B", "C"]
    assert (container(found)["args"], container(found, 1)["name"]) == (["--one", "--two"], "side")


def test_a_key_holds_for_the_lists_below_and_new_items_come_last():
    found = patched(
        """
        patch: spec: template: spec: {
            // +patchKey=name
            containers: [{name: "new", image: "new:1"}, {name: "side", env: [{name: "X", value: "1"}]}, {name: "web", env: [{name: "B"}]}]
        }
        """
    )
    assert [container(found, place)["name"] for place in range(3)] == ["web", "side", "new"]
    assert [item["name"] for item in container(found)["env"]] == ["A", "B"]


def test_retain_keys_and_replace_put_a_field_in_the_place_of_another():
    for strategy in ("retainKeys", "replace"):
        found = patched(f'patch: spec: {{\n// +patchStrategy={strategy}\nselector: {{matchLabels: x: "1"}}\n}}')
        assert found["spec"]["selector"] == {"matchLabels": {"x": "1"}}


def test_a_json_merge_patch_takes_away_what_is_null():
    found = patched('// +patchStrategy=jsonMergePatch\npatch: {spec: {selector: null, template: spec: containers: [{name: "only"}]}}')
    assert "selector" not in found["spec"]
    assert found["spec"]["template"]["spec"]["containers"] == [{"name": "only"}]


def test_a_json_patch_carries_out_its_operations():
    found = patched(
        """
        // +patchStrategy=jsonPatch
        patch: operations: parameter.operations
        """,
        operations=[
            {"op": "test", "path": "/spec/replicas", "value": 1},
            {"op": "replace", "path": "/spec/replicas", "value": 4},
            {"op": "remove", "path": "/spec/template/spec/containers/1"},
            {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "last"}},
            {"op": "copy", "from": "/spec/selector", "path": "/spec/copied~1here"},
            {"op": "move", "from": "/spec/template/spec/containers/0/args", "path": "/spec/args"},
        ],
    )
    assert (found["spec"]["replicas"], found["spec"]["args"], container(found, 1)) == (4, ["--one", "--two"], {"name": "last"})
    assert found["spec"]["copied/here"] == {"matchLabels": {"app": "web"}}
    assert "args" not in container(found)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/spec/none"},
        {"op": "test", "path": "/spec/replicas", "value": 9},
        {"op": "add", "path": "/spec/template/spec/containers/9", "value": {}},
        {"op": "replace", "path": "spec", "value": 1},
        {"op": "grow", "path": "/spec"},
        {"op": "add", "path": "/spec/a/b", "value": 1},
        {"op": "remove", "path": ""},
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused_with_its_operation(operation):
    with pytest.raises(RenderError, match=r"patch: operations\[0\]: "):
        patched("// +patchStrategy=jsonPatch\npatch: operations: parameter.operations", operations=[operation])


def test_traits_go_in_order_and_see_what_those_before_them_made():
    traits = {
        "first": ('patch: spec: replicas: 2\noutputs: config: {apiVersion: "v1", kind: "ConfigMap", data: a: "1"}', {}),
        "second": (
            """
            outputs: more: {apiVersion: "v1", kind: "ConfigMap", data: {n: "\\(context.output.spec.replicas)", a: context.outputs.config.data.a}}
            patchOutputs: config: data: b: "2"
            """,
            {},
        ),
    }
    _, config, more = render(traits=traits)
    assert (config["data"], more["data"]) == ({"a": "1", "b": "2"}, {"n": "2", "a": "1"})
    assert config["metadata"]["labels"]["trait.oam.dev/type"] == config["metadata"]["labels"]["reconciler.dev/trait"] == "first"
    assert more["metadata"]["labels"]["trait.oam.dev/resource"] == "more"


def test_built_in_traits_and_defined_ones_work_on_either_kind_of_component_in_order():
    traits = {
        "labels": ("", {"team": "a"}),
        "seen": ('outputs: seen: {apiVersion: "v1", kind: "ConfigMap", data: team: context.output.metadata.labels.team}', {}),
        "scaler": ("", {"replicas": 5}),
    }
    web, seen = render(traits=traits)
    assert (web["spec"]["replicas"], seen["data"]) == (5, {"team": "a"})
    definitions = (Definition("trait", "seen", traits["seen"][0]), Definition("trait", "more", "patch: spec: paused: true"))
    built_in = Component("web", "web", "webservice", {"image": "web:1", "port": 80, "exposeType": "ClusterIP"})
    listed = [Trait("labels", {"team": "a"}), Trait("seen"), Trait("scaler", {"replicas": 5}), Trait("more")]
    component = Component("web", "web", "webservice", {"image": "web:1", "ports": [{"port": 80, "expose": True}]}, listed)
    context = RenderContext("shop", "prod", "", {}, definitions=definitions)
    web, service, seen = ComponentRenderer().render(component, context, NoFiles())
    assert (web["spec"]["replicas"], web["spec"]["paused"], service["kind"], seen["data"]) == (5, True, "Service", {"team": "a"})
    (plain,) = ComponentRenderer().render(built_in, context, NoFiles())
    assert set(plain["metadata"].get("labels", {})) == set(web["metadata"]["labels"]) - {"team"}  # what is there keeps its labels


def test_a_trait_says_itself_what_is_wrong():
    with pytest.raises(RenderError, match=r"the definition of change: no such container"):
        patched('errs: [if parameter.fail {"no such container"}]\npatch: {}', fail=True)
    assert patched('errs: [if parameter.fail {"no such container"}]\npatch: {}', fail=False)


def test_what_is_not_known_is_told_with_its_path_and_line():
    with pytest.raises(RenderError) as told:
        render(
            'output: {\n  apiVersion: "v1"\n  kind: "ConfigMap"\n  data: a: parameter.image\n}\nparameter: {image: string, b?: string}', {"b": "1"}
        )
    assert "the definition of site, line 6 of its template: output.data.a is not known: nothing says more of it than parameter.image" in str(
        told.value
    )


@pytest.mark.parametrize("template", ["output: {}", "x: 1"])
def test_a_component_that_makes_no_object_is_an_error(template):
    with pytest.raises(RenderError, match="it makes no object"):
        render(template)


def test_a_component_may_be_outputs_alone_and_then_nothing_can_be_patched():
    template = 'outputs: a: {apiVersion: "v1", kind: "ConfigMap"}'
    (only,) = render(template)
    assert only["metadata"]["name"] == "web-a"
    with pytest.raises(RenderError, match="there is no output that it could patch"):
        render(template, traits={"change": ("patch: x: 1", {})})


@pytest.mark.parametrize("made", ['"text"', "[1]", '{apiVersion: "v1"}', '{apiVersion: "v1", kind: "ConfigMap", metadata: name: "Not A Name"}'])
def test_what_is_no_object_is_refused_as_of_every_component(made):
    with pytest.raises(RenderError, match="component web"):
        render(f"output: {made}")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("[1] + [2] + [3]", [1, 2, 3]),
        ("some.none + some.two + (some.one + [3])", [2, 1, 3]),
        ("2 * [1, 2] + [3]", [1, 2, 1, 2, 3]),
        ('["a"] * 2', ["a", "a"]),
        ("some.text + some.more", "ab"),
        ('some.text + "-" + "\\(1 + 2)"', "a-3"),
        ("1 + 2 * 3", 7),
        ("some.number + some.number", 3.0),
    ],
)  # fmt: skip
def test_lists_are_added_and_repeated_as_where_cue_allowed_it(expression, expected):
    some = 'some: {none: *[for x in parameter.none {x}] | [], one: [1], two: [2], text: "a", more: "b", number: 1.5}\nparameter: none?: [...int]'
    (found,) = render(f'output: {{apiVersion: "v1", kind: "X", spec: made: {expression}}}\n{some}', {"a": 1})
    assert found["spec"]["made"] == expected


def test_a_line_stays_where_it_is_though_lists_are_added():
    with pytest.raises(RenderError, match=r"line 4 of its template: output\.b: conflicting values 2 and 1"):
        render("output: {\n a: [1] + [2]\n b: 1\n b: 2\n}")


def test_large_numbers_and_text_come_out_as_they_went_in():
    template = 'output: {apiVersion: "v1", kind: "Thing", spec: parameter.spec}'
    spec = {"big": 9007199254740993, "share": 0.25, "text": 'a"\\(b)\u2028\n\U0001f600', "none": None, "0": [], "#do": {}, "a/b.c": True}
    assert render(template, {"spec": spec})[0]["spec"] == spec
    assert render(template, {"spec": spec}, {"change": ("// +patchStrategy=jsonMergePatch\npatch: x: 1", {})})[0]["spec"] == spec


@pytest.mark.parametrize(
    "template",
    [
        'output: {apiVersion: "v1", kind: "X", spec: {for i in [for a in 1*[0] {a}] for b in list.Range(0, 100000, 1) for c in list.Range(0, 100000, 1) {"\\(b)-\\(c)": 1}}}',
        'import "strings"\noutput: {apiVersion: "v1", kind: "X", spec: strings.Repeat("a", 10000000000)}',
        "#a: {b: #a}\noutput: #a",
    ],
)  # fmt: skip
def test_rule_11_a_template_that_runs_away_is_an_error_and_the_next_one_renders(template):
    text = template if template.startswith("import") or "list." not in template else f'import "list"\n{template}'
    with pytest.raises(RenderError):
        render(text)
    assert render()


def test_rule_10_what_was_rendered_is_not_rendered_again():
    render(properties={"image": "once:1"})
    before = sandbox.shared().evaluated
    render(properties={"image": "once:1"})
    assert sandbox.shared().evaluated == before


def test_what_an_optional_parameter_would_add_is_left_out_without_it_as_kubevelas_own_traits_need_it():
    template = """
    outputs: {
        for each in parameter.claims {
            "claim-\\(each.name)": {apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: name: each.name}
        }
    }
    patch: spec: template: spec: {
        // +patchKey=name
        containers: [{
            if parameter.cpu != _|_ {resources: limits: cpu: parameter.cpu}
        }]
    }
    parameter: {claims?: [...{name: string}], cpu?: string}
    """
    (web,) = render(traits={"change": (template, {"cpu": "1"})})
    assert (container(web)["name"], container(web)["resources"]) == ("web", {"limits": {"cpu": "1"}})  # no item has the key: by place
    assert render(traits={"change": (template, {"claims": [{"name": "data"}]})})[1]["metadata"]["name"] == "data"


def test_a_container_that_a_trait_does_not_find_is_its_own_error_not_one_of_the_patch():
    template = """
    #Wanted: {container: *"" | string, env: [string]: string}
    Found: {
        _wanted: #Wanted
        name: _wanted.container
        _matching: [for each in context.output.spec.template.spec.containers if each.name == name {each}]
        if len(_matching) == 0 {
            err: "container \\(name) not found"
        }
        if len(_matching) > 0 {
            // +patchStrategy=replace
            env: [for key, text in _wanted.env {name: key, value: text}] + [for each in _matching[0].env if _wanted.env[each.name] == _|_ {each}]
        }
    }
    patch: spec: template: spec: {
        // +patchKey=name
        containers: [Found & {_wanted: {container: *context.name | string, parameter}}]
    }
    parameter: #Wanted
    errs: [for each in patch.spec.template.spec.containers if each.err != _|_ {each.err}]
    """
    found = patched(template, container="web", env={"A": "9"})
    assert [(item["name"], item["value"]) for item in container(found)["env"]] == [("A", "9"), ("B", "2")]
    with pytest.raises(RenderError, match="container none not found"):
        patched(template, container="none", env={"A": "9"})


def test_a_conflict_in_data_is_told_without_its_values():
    template = 'output: {apiVersion: "v1", kind: "Secret", stringData: key: "very-secret"}'
    with pytest.raises(RenderError, match=r"patch\.stringData\.key: there is a value already") as told:
        render(template, traits={"change": ('patch: stringData: key: "other-secret"', {})})
    assert "secret" not in str(told.value).replace("Secret", "")


def test_what_an_open_list_of_a_patch_says_of_all_items_is_laid_over_each_that_it_does_not_name():
    tty = "patch: spec: template: spec: containers: [...{if parameter.tty != _|_ {tty: parameter.tty}}]\nparameter: tty?: bool"
    assert [container(patched(tty, tty=True), place)["tty"] for place in (0, 1)] == [True, True]
    assert "tty" not in container(patched(tty))
    rest = "patch: spec: template: spec: containers: [{stdin: true}, ...{tty: true}]\nparameter: {}"
    assert [sorted(container(patched(rest), place).keys() & {"stdin", "tty"}) for place in (0, 1)] == [["stdin"], ["tty"]]
    with pytest.raises(RenderError, match=r"containers\[1\]\.name: there is \"side\" already"):
        patched('patch: spec: template: spec: containers: [{tty: true}, ...{name: "web"}]\nparameter: {}')


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "one of it"), ({"name": "a"}, "one of a"), ({"all": []}, "0"), ({"all": [{"name": "a"}]}, "1"), ({"keep": []}, "one of it")],
)
def test_with_nothing_given_a_side_is_taken_that_leaves_no_list_open(given, expected):
    template = """
        #One: {name: *"it" | string, keep: *["a"] | [...string], size?: int}
        parameter: #One | close({all: [...#One]})
        patch: metadata: labels: {
          if parameter.all == _|_ {said: "one of \\(parameter.name)"}
          if parameter.all != _|_ {said: "\\(len(parameter.all))"}
        }
    """
    assert patched(template, **given)["metadata"]["labels"]["said"] == expected


def test_the_strategy_of_kubevelas_own_scaler_is_known_though_its_name_lacks_a_letter():
    assert (
        patched("// +patchStrategy=retainKey\npatch: spec: replicas: parameter.replicas\nparameter: replicas: *1 | int", replicas=4)["spec"][
            "replicas"
        ]
        == 4
    )

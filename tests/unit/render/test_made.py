"""What steps make of their own parameters; a wrong one is an error that names it."""

import json

import pytest

from reconciler.model.application import Component
from reconciler.render.engine import ComponentRenderer
from reconciler.render.protocol import RenderContext, RenderError


def make(kind, /, **properties):
    component = Component("object/a", "object/a", kind, {"stepName": "a", **properties})
    return ComponentRenderer().render(component, RenderContext("app", "home", "", {}), None)


def test_objects_go_where_the_step_says_else_to_the_applications_namespace():
    (there,) = make("export2config", configName="c", namespace="far", data={"n": 1, "t": True, "s": "x"})
    (home,) = make("export-data", data={"a": "b"}, kind="Secret")
    assert (there["metadata"], there["data"]) == ({"name": "c", "namespace": "far"}, {"n": "1", "t": "true", "s": "x"})
    assert (home["kind"], home["metadata"], home["stringData"]) == ("Secret", {"name": "app", "namespace": "home"}, {"a": "b"})


def test_a_secret_has_its_type():
    assert [make("export2secret", secretName="s", data={}, **more)[0]["type"] for more in ({}, {"type": "kubernetes.io/tls"})] == [
        "Opaque",
        "kubernetes.io/tls",
    ]


def test_a_config_is_the_same_text_whatever_the_order_of_its_keys():
    texts = {make("create-config", name="c", config=config)[0]["data"]["input-properties"] for config in ({"a": 1, "b": 2}, {"b": 2, "a": 1})}
    assert [json.loads(text) for text in texts] == [{"a": 1, "b": 2}]


@pytest.mark.parametrize(
    ("kind", "properties", "said"),
    [
        ("export2config", {"data": {}}, "configName: is required"),
        ("export2config", {"configName": "c", "data": {"a": [1]}}, "data.a: must be a text, not a list"),
        (
            "export2secret",
            {"secretName": "s", "kind": "docker-registry", "dockerRegistry": {"username": "u"}},
            "dockerRegistry.password: is required",
        ),
        ("export2secret", {"secretName": "Not A Name", "data": {}}, "Not A Name"),
        ("apply-deployment", {"image": "x", "replicas": "many"}, "replicas: must be a whole number"),
    ],
)
def test_what_does_not_fit_is_named(kind, properties, said):
    with pytest.raises(RenderError, match="component object/a") as error:
        make(kind, **properties)
    assert said in str(error.value)

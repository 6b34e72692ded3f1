"""Policy types in CUE: what their templates make, and how it is named and marked."""

import re
from typing import Any

import pytest

from reconciler.engine.contents import NoFiles
from reconciler.model.application import Component, Definition
from reconciler.render.engine import ComponentRenderer
from reconciler.render.protocol import RenderContext, RenderError

pytestmark = pytest.mark.timeout(600)  # the first of them on a machine compiles the module


def made_by_policy(template: str, **properties: Any) -> Any:
    policy = Component("policy/limits", "limits", "limit", properties, defined=True, kind="policy")
    types = (Definition("policy", "limit", template), Definition("component", "limit", "output: {}"))
    return ComponentRenderer().render(policy, RenderContext("shop", "prod", "", {}, definitions=types), NoFiles())


def test_what_a_policy_makes_has_its_name_unless_it_has_another_and_is_marked_as_the_policys():
    template = """
output: {apiVersion: "v1", kind: "ConfigMap", data: app: context.appName}
outputs: {
    quota: {apiVersion: "v1", kind: "ResourceQuota", spec: hard: pods: parameter.pods}
    other: {apiVersion: "v1", kind: "ConfigMap", metadata: {name: "other", namespace: "blue"}}
}
parameter: pods: string
"""
    made = made_by_policy(template, pods="3")
    assert [(obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in made] == [
        ("ConfigMap", "prod", "limits"),
        ("ResourceQuota", "prod", "limits"),
        ("ConfigMap", "blue", "other"),
    ]
    labels = {"app.oam.dev/name": "shop", "app.oam.dev/component": "limits"}
    assert made[0]["metadata"]["labels"] == labels
    assert made[1]["metadata"]["labels"] == {**labels, "trait.oam.dev/type": "AuxiliaryWorkload", "trait.oam.dev/resource": "quota"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (
            'output: {apiVersion: "v1", kind: "X", spec: parameter.none}\nparameter: {}',
            "policy limits: the definition of limit, line 1 of its template",
        ),
        ('output: {kind: "X"}', "policy limits: object 0: apiVersion is missing or malformed"),
        ('outputs: {a: {apiVersion: "v1", kind: "X"}, b: {apiVersion: "v1", kind: "X"}}', "policy limits: X prod/limits is there twice"),
    ],
)
def test_what_can_not_be_made_is_told_as_the_policys(template, expected):
    with pytest.raises(RenderError, match=re.escape(expected)):
        made_by_policy(template)

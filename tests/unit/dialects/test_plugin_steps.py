"""Steps of a plug-in's type in every family: known by its name, checked by its parameters, and never in place of what is built in."""

from typing import Annotated

import msgspec
import pytest

from reconciler.dialects.registry import compile_file, dialects
from reconciler.engine.plugins.loading import read_plugin
from reconciler.steps.catalog import STEP_TYPES
from tests.unit.dialects.conftest import MemoryFiles

KUBEVELA = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{name: web}}
spec:
  components:
    - {{name: web, type: webservice, properties: {{image: nginx:1}}}}
  workflow:
    steps:
      - {{name: deploy, type: deploy}}
      - {0}
"""
SREWORKS = """\
apiVersion: core.oam.dev/v1alpha2
kind: ApplicationConfiguration
metadata: {{name: web, annotations: {{appId: web}}}}
spec:
  components:
    - {{revisionName: K8S_MICROSERVICE|web|_, parameterValues: [{{name: values, value: {{image: {{repository: nginx}}}}, toFieldPaths: [spec.values]}}]}}
  workflow:
    steps:
      - {{type: deploy}}
      - {0}
"""
FAMILIES = pytest.mark.parametrize("family", [KUBEVELA, SREWORKS], ids=["kubevela", "sreworks"])


class Warm:
    class Parameters(msgspec.Struct):
        site: str
        pages: Annotated[int, msgspec.Meta(ge=1)] = 1

    def run(self, context): ...
    def rollback(self, context): ...


def compiled(family, step, **types):
    plugins = {"warm": read_plugin("warm", Warm).step, **types}
    return compile_file("web.yaml", family.format(step), MemoryFiles({}), dialects(STEP_TYPES, plugins))


@FAMILIES
def test_a_step_of_a_plug_in_is_one_of_the_workflow(family):
    result = compiled(family, "{type: warm, name: w, properties: {site: a, pages: 3}, outputs: [{name: size, valueFrom: bytes}]}")
    assert result.problems == []
    step = result.applications[0].workflow.steps[-1]
    assert (step.name, step.type, step.properties, step.components) == ("w", "warm", {"site": "a", "pages": 3}, [])
    assert [(output.name, output.value) for output in step.outputs] == [("size", "bytes")]


@FAMILIES
@pytest.mark.parametrize(
    ("properties", "field", "said"),
    [
        ("{pages: 1}", "properties", "site is required"),
        ("{site: a, pages: 0}", "properties.pages", "expected `int` >= 1"),
        ("{site: a, page: 1}", "properties.page", "did you mean pages?"),
    ],
)
def test_parameters_are_checked_when_the_manifest_is_read(family, properties, field, said):
    [problem] = compiled(family, f"{{type: warm, name: w, properties: {properties}}}").problems
    assert problem.field == f"spec.workflow.steps[1].{field}"
    assert said in problem.message
    assert problem.line == 10


def test_an_input_may_bring_what_is_required():
    step = "{type: warm, name: w, inputs: [{from: host, parameterKey: site}]}"
    both = "{name: first, type: apply-component, properties: {component: web}, outputs: [{name: host, valueFrom: connection.host}]}\n      - " + step
    assert compiled(KUBEVELA, both).problems == []


@FAMILIES
def test_rule_13f_a_plug_in_does_not_take_the_place_of_what_is_built_in(family):
    result = compiled(family, "{type: suspend, name: w, properties: {site: a}}", suspend=read_plugin("suspend", Warm).step)
    assert "site" in result.problems[0].message

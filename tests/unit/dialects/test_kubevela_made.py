"""Steps that make objects of their parameters, as they are compiled: what inputs fill need not stand there, and what is wrong is named by its place."""

import pytest

from tests.unit.dialects.kubevela_texts import errors, only, steps

GIVES = "{name: web, type: apply-component, properties: {component: web}, outputs: [{name: who, valueFrom: 'objects[0].name'}]}"


def test_an_input_goes_into_what_the_step_makes_and_its_field_may_be_missing(compile_text):
    export = "{name: e, type: export2config, inputs: [{from: who, parameterKey: data}], properties: {configName: c}}"
    app = only(compile_text(steps(GIVES, export)))
    made = app.component("object/e")
    assert (made.type, made.properties) == ("export2config", {"configName": "c", "stepName": "e"})
    assert [(entry.source, entry.target) for entry in app.workflow.steps[1].inputs] == [("who", "properties.data")]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("{type: export2config, properties: {configName: c}}", "data is required"),
        ("{type: export2config, properties: {configname: c, configName: c, data: {}}}", "unknown field configname (did you mean configName?)"),
        ("{type: export-data, properties: {data: {}, topology: far}}", "unknown topology far"),
        ("{type: export2confi, properties: {}}", "unknown step type export2confi (did you mean export2config?)"),
        ("{type: apply-deployment, properties: {image: a}, outputs: [{name: x, valueFrom: outptu.value}]}", "(did you mean output?)"),
        ("{type: apply-job, properties: {value: {apiVersion: v1, kind: Pod, metadata: {name: a}}}}", "must be Job"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(compile_text, step, said):
    ((line, _, message),) = errors(compile_text(steps(step)))
    assert said in message
    assert line > 1

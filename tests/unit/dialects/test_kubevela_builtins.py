"""Built-in components and traits of KubeVela: every mistake in one pass, each with its field and what was meant."""

import pytest

from tests.unit.dialects.kubevela_texts import app, errors, only


def component(kind, properties, trait=""):
    traits = f", traits: [{trait}]" if trait else ""
    return app(f"  components:\n  - {{name: one, type: {kind}, properties: {properties}{traits}}}\n")


def messages(result):
    prefix = "spec.components[0]."
    return {field.removeprefix(prefix).removeprefix("properties."): message for _, field, message in errors(result)}


def test_every_mistake_of_a_cron_task_is_told_in_one_pass(compile_text):
    text = component("cron-task", '{image: x, schedule: 0 25 * * *, concurencyPolicy: Forbid, restart: Always, count: 0, backoffLimit: "2"}')
    assert messages(compile_text(text)) == {
        "schedule": "hour: 25 is not from 0 to 23",
        "concurencyPolicy": "unknown field concurencyPolicy (did you mean concurrencyPolicy?)",
        "restart": "unknown value Always (known: Never, OnFailure)",
        "count": "must be from 1 to 100000",
        "backoffLimit": "must be a whole number, not text",
    }


def test_a_cron_task_needs_a_schedule_and_a_task_an_image(compile_text):
    assert messages(compile_text(component("cron-task", "{image: x}"))) == {"properties": "schedule is required"}
    assert messages(compile_text(component("task", "{cmd: [ls]}"))) == {"properties": "image is required"}


def test_the_type_of_a_volume_says_what_else_it_needs(compile_text):
    volumes = "[{name: a, mountPath: /a, type: pvc}, {name: b, mountPath: /b, cmName: x}, {name: c, mountPath: /c, type: cofigMap}]"
    assert messages(compile_text(component("task", f"{{image: x, volumes: {volumes}}}"))) == {
        "volumes[0]": "claimName is required",
        "volumes[1].cmName": "unknown field cmName (did you mean name?)",
        "volumes[2].type": "unknown value cofigMap (did you mean configMap?)",
    }


@pytest.mark.parametrize("kind", ["task", "cron-task", "daemon"])
def test_nothing_scales_what_runs_to_an_end_or_on_every_node(compile_text, kind):
    text = component(kind, '{image: x, schedule: "@daily"}' if kind == "cron-task" else "{image: x}", "{type: scaler, properties: {replicas: 2}}")
    assert messages(compile_text(text)) == {"traits[0].type": f"a scaler does not fit a component of type {kind}"}


def test_a_daemon_takes_what_a_webservice_takes(compile_text):
    only(
        compile_text(
            component("daemon", "{image: x, ports: [{port: 80, expose: true}], exposeType: NodePort}", "{type: expose, properties: {port: [81]}}")
        )
    )

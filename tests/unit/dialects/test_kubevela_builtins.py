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


def test_one_trait_at_most_says_how_many_pods_there_are(compile_text):
    traits = "{type: scaler, properties: {replicas: 2}}, {type: cpuscaler, properties: {min: 0}}"
    assert messages(compile_text(component("webservice", "{image: x}", traits))) == {
        "traits[1].properties.min": "must be from 1 to 100000",
        "traits[1].type": "scaler says how many pods there are already: take one of the two",
    }


def test_every_mistake_of_an_autoscaler_is_told(compile_text):
    trait = "{type: hpa, properties: {cpu: {type: Utilization, value: 1Gi}, mem: {type: Average}, podCustomMetrics: [{name: x}]}}"
    assert messages(compile_text(component("webservice", "{image: x}", trait))) == {
        "traits[0].properties.cpu.value": "must be a whole number, not text",
        "traits[0].properties.mem.type": "unknown value Average (did you mean AverageValue?)",
        "traits[0].properties.podCustomMetrics[0]": "value is required",
    }


def test_every_mistake_of_a_gateway_is_told(compile_text):
    trait = "{type: gateway, properties: {domian: x, domain: shop_1, http: {api: 80, /: http}, pathType: prefix}}"
    assert messages(compile_text(component("webservice", "{image: x}", trait))) == {
        "traits[0].properties.domian": "unknown field domian (did you mean domain?)",
        "traits[0].properties.domain": "must be a host name, or *. and one, not shop_1",
        "traits[0].properties.http.api": "must be a path that begins with /, not api",
        'traits[0].properties.http["/"]': "must be a whole number, not text",
        "traits[0].properties.pathType": "unknown value prefix (did you mean Prefix?)",
    }
    assert messages(compile_text(component("webservice", "{image: x}", "{type: gateway, properties: {http: {}}}"))) == {
        "traits[0].properties.http": "must not be empty"
    }


def test_every_mistake_of_a_patch_is_told(compile_text):
    operations = "[{op: ad, path: /a}, {op: add, path: /a}, {op: add, path: a, value: null}, {op: move, path: /a, form: /b}, {path: /a}]"
    assert messages(compile_text(component("webservice", "{image: x}", f"{{type: json-patch, properties: {{operations: {operations}}}}}"))) == {
        "traits[0].properties.operations[0].op": "unknown value ad (did you mean add?)",
        "traits[0].properties.operations[1]": "value is required",
        "traits[0].properties.operations[2].path": "must be a JSON pointer such as /spec/replicas, not a",
        "traits[0].properties.operations[3]": "from is required",
        "traits[0].properties.operations[3].form": "unknown field form (did you mean from?)",
        "traits[0].properties.operations[4]": "op is required",
    }
    many = ", ".join(["{op: remove, path: /a}"] * 101)
    assert messages(compile_text(component("webservice", "{image: x}", f"{{type: json-patch, properties: {{operations: [{many}]}}}}"))) == {
        "traits[0].properties.operations": "must have at most 100 items"
    }

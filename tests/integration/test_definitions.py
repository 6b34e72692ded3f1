"""Step types that the repository defines in CUE, from a push to the end of the run. Seed 001's definition is used as it is written there."""

# mypy: disable-error-code="union-attr"  # a status that is not there fails the test

import textwrap
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.cluster.protocol import AlreadyExistsError, NotFoundError
from reconciler.daemon import SystemClock
from reconciler.engine.asking import Asking
from reconciler.model.identity import ObjectRef
from reconciler.notify.client import GuardedClient
from reconciler.notify.egress import Egress
from tests.integration.harness import Clone, Daemon, running, virtual
from tests.integration.receiver import receiving

pytestmark = pytest.mark.timeout(600)  # the first of them on a machine compiles the module

SEED = (Path(__file__).parent / "definitions" / "step-def.yaml").read_text()

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: stores.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: stores, singular: store, kind: Store}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""

APPLICATION = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: shop}
spec:
  components:
  - name: database
    type: k8s-objects
    properties:
      objects: [{apiVersion: example.org/v1, kind: Store, metadata: {name: mysql}}]
  - name: web
    type: k8s-objects
    properties:
      objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: web}}]
  workflow:
    steps:
    - name: deploy-database
      type: step-def
      properties: {component: database, resourceType: Store, resourceAPIVersion: example.org/v1, names: [mysql]}
    - name: deploy-web
      type: apply-component
      properties: {component: web}
"""


def definition(name: str, template: str, indent: int = 8) -> str:
    head = f"apiVersion: core.oam.dev/v1beta1\nkind: WorkflowStepDefinition\nmetadata: {{name: {name}}}\nspec:\n  schematic:\n    cue:\n"
    return head + "      template: |\n" + textwrap.indent(textwrap.dedent(template), " " * indent)


def application(*steps: str, annotations: str = "") -> str:
    head = f"apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {{name: shop{annotations}}}\nspec:\n"
    component = (
        "  components:\n  - name: web\n    type: k8s-objects\n    properties: {objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: web}}]}\n"
    )
    return head + component + "  workflow:\n    steps:\n" + "".join(f"    - {step}\n" for step in steps)


def step(daemon: Daemon, name: str) -> Any:
    status = daemon.status("shop")
    assert status is not None
    assert status.run is not None
    return next(each for each in status.run.steps if each.name == name)


async def there(daemon: Daemon, ref: ObjectRef) -> bool:
    try:
        await daemon.cluster.get(ref)
    except NotFoundError:
        return False
    return True


STORE = ObjectRef("example.org/v1", "Store", "default", "mysql")
WEB = ObjectRef("v1", "ConfigMap", "default", "web")


async def set_ready(daemon: Daemon, value: str) -> None:
    store = await daemon.cluster.get(STORE)
    await daemon.cluster.replace_status({**store, "status": {"ready": value}})


def effects(daemon: Daemon) -> list[str]:
    return [event.fields["kind"] for event in daemon.sink.events if event.kind == "effect"]


async def ended(daemon: Daemon, phase: str) -> str:
    """Waits until the newest run ended so; what it says."""

    def over() -> Any:
        status = daemon.status("shop")
        return status is not None and status.run is not None and status.run.phase == phase and status.run

    run = await daemon.until(over, phase)
    return str(run.message)


@virtual
async def test_the_seeds_definition_waits_for_what_it_reads_and_then_goes_on(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await daemon.cluster.apply(yaml.safe_load(CRD), "test", force=True)
        clone.push({"shop.yaml": f"{APPLICATION}---\n{SEED}"})
        await daemon.until(lambda: daemon.status("shop") is not None and daemon.status("shop").run is not None, "begun")
        await daemon.until(lambda: "wait-0" in step(daemon, "deploy-database").message, "it waits")
        assert await there(daemon, STORE)
        await set_ready(daemon, "false")
        await daemon.looked()
        assert step(daemon, "deploy-database").phase == "Running"
        assert not await there(daemon, WEB)
        await set_ready(daemon, "true")
        await daemon.synced("shop")
        assert await there(daemon, WEB)
        assert effects(daemon) == ["apply", "apply"]  # upstream applies again at each look (A2)


APPLY = """
    import "vela/kube"
    import "vela/builtin"
    parameter: {
        // +usage=What stands in it
        value: string
        ready: *"yes" | string
    }
    made: kube.#Apply & {$params: value: {
        apiVersion: "v1", kind: "ConfigMap", metadata: name: context.name + "-" + context.stepName
        data: value: parameter.value
    }}
    flag: kube.#Read & {$params: value: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "flag"}}
    wait: builtin.#ConditionalWait & {$params: {
        continue: flag.$returns.value.data.ready == parameter.ready
        message: "the flag is not up"
    }}
    said: "\\(made.$returns.value.data.value) is there"
    told: builtin.#Message & {$params: message: said}
"""


@virtual
async def test_rule_9_an_object_is_applied_once_and_pruned_when_its_step_goes_and_what_is_read_is_asked_again(tmp_path: Path) -> None:
    clone, made = Clone(tmp_path), ObjectRef("v1", "ConfigMap", "default", "shop-make")
    outputs = "outputs: [{name: said, valueFrom: said}, {name: both, valueFrom: 'said + \"!\"'}]"
    make = f"{{name: make, type: flagged, properties: {{value: one}}, {outputs}}}"
    tell = "{name: tell, type: print-message-in-status, inputs: [{from: both, parameterKey: message}]}"
    clone.push({"shop.yaml": application(make, tell), "definitions/flagged.yaml": definition("flagged", APPLY)})
    async with running(clone) as daemon:
        await daemon.until(lambda: daemon.status("shop") and "flag is not up" in step(daemon, "make").message, "it waits")
        assert (await daemon.cluster.get(made))["data"] == {"value": "one"}
        for _ in range(3):
            await daemon.looked()
        await daemon.cluster.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flag", "namespace": "default"}, "data": {"ready": "yes"}}, "somebody"
        )
        await daemon.synced("shop")
        assert effects(daemon) == ["apply"]
        assert (step(daemon, "make").message, step(daemon, "tell").message) == ("one is there", "one is there!")
        clone.push({"shop.yaml": application("{name: web, type: apply-component, properties: {component: web}}")})
        await daemon.until(lambda: daemon.status("shop").running.revision == "shop-v2", "the next one")
        await daemon.looked()
        assert not await there(daemon, made)
        assert await there(daemon, WEB)


@virtual
async def test_a_template_and_the_inputs_of_its_steps_see_the_run(tmp_path: Path) -> None:
    template = """
        import "vela/kube"
        import "strings"
        parameter: {revision: string, tier: string}
        put: kube.#Apply & {
          $params: value: {
            apiVersion: "v1"
            kind: "ConfigMap"
            metadata: name: "told"
            data: {
              revision: parameter.revision
              tier: parameter.tier
              number: "\\(context.appRevisionNum)"
              label: context.appLabels.tier
              session: context.stepSessionID
            }
          }
        }
    """
    inputs = "[{from: context.appRevision, parameterKey: revision}, {from: context.appLabels.tier, parameterKey: tier}]"
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        text = application(f"{{name: tell, type: tell, inputs: {inputs}}}", annotations=", labels: {tier: front}")
        clone.push({"shop.yaml": text, "definitions/tell.yaml": definition("tell", template)})
        await daemon.synced("shop")
        told = (await daemon.cluster.get(ObjectRef("v1", "ConfigMap", "default", "told")))["data"]
        assert told.pop("session").isalnum()
        assert told == {"revision": "shop-v1", "tier": "front", "number": "1", "label": "front"}


@virtual
async def test_rule_5a_a_changed_template_is_a_new_revision_and_a_comment_above_it_is_none(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    template = 'import "vela/builtin"\nm: builtin.#Message & {$params: message: "one"}\n'
    text = application("{name: tell, type: say}")
    clone.push({"shop.yaml": f"{text}---\n{definition('say', template)}"})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        assert step(daemon, "tell").message == "one"
        clone.push({"shop.yaml": f"{text}---\n# better\n{definition('say', template)}"})
        await daemon.looked()
        assert daemon.status("shop").desired.revision == "shop-v1"
        commit = clone.push({"shop.yaml": f"{text}---\n{definition('say', template.replace('one', 'two'))}"})
        await daemon.synced("shop", commit)
        assert (daemon.status("shop").running.revision, step(daemon, "tell").message) == ("shop-v2", "two")


@virtual
async def test_rule_4g_a_definition_that_suspends_is_a_gate_and_a_template_that_does_not_any_more_waits_first(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    template = 'import "vela/builtin"\nask: builtin.#Suspend & {$params: message: "may it?"}\n'
    steps = ("{name: ask, type: asking}", "{name: web, type: apply-component, properties: {component: web}}")
    clone.push({"shop.yaml": application(*steps), "definitions/asking.yaml": definition("asking", template)})
    async with running(clone) as daemon:
        status = await daemon.waiting("shop")
        assert (status.gate.step, status.gate.message) == ("ask", "may it?")
        assert not await there(daemon, WEB)
        annotations = f', annotations: {{gates.reconciler.dev/ask: "{status.gate.continue_}"}}'
        clone.push({"shop.yaml": application(*steps, annotations=annotations)})
        await daemon.synced("shop")
        clone.push({"definitions/asking.yaml": definition("asking", 'import "vela/builtin"\nm: builtin.#Message & {$params: message: "yes"}\n')})
        status = await daemon.waiting("shop", revision="shop-v2")
        assert status.gate.step == "workflow-changed"


@virtual
async def test_rule_11_a_template_without_end_is_an_error_of_its_application_and_its_neighbour_goes_on(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    endless = 'import "list"\nparameter: most: int\nx: [for i in list.Range(0, parameter.most, 1) {i}]\n'
    shop = application("{name: x, type: endless, properties: {most: 1000000000}}")
    other = (
        application()
        .replace("  workflow:\n    steps:\n", "")
        .replace("name: shop", "name: other")
        .replace("metadata: {name: web}", "metadata: {name: other}")
    )
    clone.push({"shop.yaml": shop, "other.yaml": other, "definitions/endless.yaml": definition("endless", endless)})
    async with running(clone) as daemon:
        await daemon.synced("other")
        assert "no answer within" in await ended(daemon, "Failed") or "memory" in await ended(daemon, "Failed")


async def test_rule_9b_a_request_of_a_template_is_sent_once_and_its_answer_is_judged_there(tmp_path: Path) -> None:
    template = """
        import "vela/http"
        import "vela/builtin"
        import "encoding/json"
        parameter: url: string
        ask: http.#HTTPPost & {$params: {url: parameter.url, request: {body: json.Marshal({a: 1}), header: "X-Word": "w"}}}
        flag: builtin.#ConditionalWait & {$params: continue: ask.$returns.statusCode == 418}
        said: json.Unmarshal(ask.$returns.body)
        over: builtin.#Fail & {$params: message: "it said \\(said.word)"}
    """
    clone = Clone(tmp_path)
    client = GuardedClient(Egress(["127.0.0.1"]))
    async with receiving() as receiver:
        receiver.answers(418)
        receiver.replies["/hook"] = b'{"word": "teapot"}'
        clone.push(
            {
                "shop.yaml": application(f"{{name: ask, type: teapot, properties: {{url: '{receiver.url}'}}}}"),
                "definitions/teapot.yaml": definition("teapot", template),
            }
        )
        try:
            async with running(clone, executors={"http": Asking(client, 5.0, SystemClock())}) as daemon:
                assert "it said teapot" in await ended(daemon, "Failed")
        finally:
            await client.close()
        assert [(told.body, told.headers["x-word"]) for told in receiver.told] == [(b'{"a":1}', "w")]


@virtual
async def test_rule_13a_a_template_reads_no_secret_of_others_and_no_secret_values_at_home(tmp_path: Path) -> None:
    template = """
        import "vela/op"
        parameter: namespace: string
        key: op.#Read & {value: {apiVersion: "v1", kind: "Secret", metadata: {name: "key", namespace: parameter.namespace}}}
        if key.err != _|_ {no: op.#Fail & {message: key.err}}
        if key.err == _|_ {yes: op.#Message & {message: "\\(key.value.data.word)"}}
    """
    clone = Clone(tmp_path)
    clone.push(
        {"shop.yaml": application("{name: look, type: look, properties: {namespace: other}}"), "definitions/look.yaml": definition("look", template)}
    )
    async with running(clone) as daemon:
        for namespace in ("other", "default"):
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": namespace}, "stringData": {"word": "s3cret"}}
            with suppress(AlreadyExistsError):
                await daemon.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            await daemon.cluster.apply(secret, "somebody")
        assert "Secret other/key is not there" in await ended(daemon, "Failed")
        clone.push({"shop.yaml": application("{name: look, type: look, properties: {namespace: default}}")})
        await daemon.synced("shop")
        assert "s3cret" not in step(daemon, "look").message
        assert "czNjcmV0" not in step(daemon, "look").message


@virtual
@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("a: op.#Apply & {value: {}}", "a: value.apiVersion must be a text that is not empty"),
        ('a: op.#ApplyInParallel & {value: [{apiVersion: "v1", kind: "A", metadata: "x"}]}', "a: value[0].metadata.name must be a text"),
        ("a: op.#ApplyComponent & {}", "a: it names no component"),
        ('a: op.#ApplyComponent & {component: "web", patch: {}}', "a: a component is applied as the application declares it"),
    ],
)
async def test_what_can_not_be_applied_is_told_by_the_place_in_the_template(tmp_path: Path, template: str, words: str) -> None:
    clone = Clone(tmp_path)
    clone.push(
        {"shop.yaml": application("{name: go, type: tried}"), "definitions/tried.yaml": definition("tried", f'import "vela/op"\n{template}\n')}
    )
    async with running(clone) as daemon:
        assert words in await ended(daemon, "Failed")


@virtual
async def test_rule_3e_outputs_that_are_too_large_fail_their_step_instead_of_the_state_that_keeps_them(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    template = 'import "strings"\nparameter: size: int\nmany: strings.Repeat("x", parameter.size)\n'
    go = "{{name: go, type: tried, properties: {{size: {}}}, outputs: [{{name: o, valueFrom: many}}]}}"
    clone.push({"shop.yaml": application(go.format(200_000)), "definitions/tried.yaml": definition("tried", template)})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        clone.push({"shop.yaml": application(go.format(900_000))})
        assert "the outputs of a step are at most 262144 bytes" in await ended(daemon, "Failed")
        assert (daemon.status("shop").run.reason, step(daemon, "go").phase) == ("OutputsTooLarge", "Failed")

"""Policy types that the repository defines: what they make is applied with the application, healed, pruned and rolled back."""

# mypy: disable-error-code="union-attr"  # a status that is not there fails the test

import textwrap
from pathlib import Path

import pytest

from reconciler.cluster.protocol import NotFoundError
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.testing.bench import Bench
from tests.integration.harness import Clone, Daemon, running, virtual

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("renderers")]

LIMITS, MORE = ObjectRef("v1", "ConfigMap", "default", "limits"), ObjectRef("v1", "ConfigMap", "default", "more")
WEB = ObjectRef("v1", "ConfigMap", "default", "web")
TEMPLATE = """\
output: {apiVersion: "v1", kind: "ConfigMap", data: most: "\\(parameter.most)"}
outputs: more: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "more", data: of: context.appName}
parameter: most: int
"""


def definition(template: str = TEMPLATE, status: str = "") -> str:
    head = f"apiVersion: core.oam.dev/v1beta1\nkind: PolicyDefinition\nmetadata: {{name: limit}}\nspec:\n{status}  schematic:\n    cue:\n"
    return head + "      template: |\n" + textwrap.indent(template, "        ")


def application(most: object = 1, value: str = "1", steps: str = "", *, policies: bool = True) -> str:
    text = (
        "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: shop}\nspec:\n  components:\n  - name: web\n    type: k8s-objects\n"
        f"    properties: {{objects: [{{apiVersion: v1, kind: ConfigMap, metadata: {{name: web}}, data: {{value: '{value}'}}}}]}}\n"
    )
    text += f"  policies: [{{name: limits, type: limit, properties: {{most: {most}}}}}]\n" if policies else ""
    return text + (f"  workflow: {{steps: [{steps}]}}\n" if steps else "")


DEFINED = {"definitions/limit.yaml": definition()}
GATED = "{name: verify, type: suspend}, {type: apply-component, properties: {component: web}}"


async def read(daemon: Daemon, ref: ObjectRef) -> JsonObject | None:
    try:
        return await daemon.cluster.get(ref)
    except NotFoundError:
        return None


async def runs(daemon: Daemon, revision: str) -> None:
    await daemon.until(lambda: (status := daemon.status("shop")) and status.running and status.running.revision == revision, f"{revision} runs")


@virtual
async def test_what_a_policy_makes_is_applied_changed_and_pruned_with_the_application_and_comes_back_with_its_revision(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"shop.yaml": application(), **DEFINED})
        await daemon.synced("shop")
        limits, more = await read(daemon, LIMITS), await read(daemon, MORE)
        assert limits is not None
        assert more is not None
        assert (limits["data"], more["data"]) == ({"most": "1"}, {"of": "shop"})
        assert (limits["metadata"]["labels"]["app.oam.dev/name"], limits["metadata"]["labels"]["app.oam.dev/component"]) == ("shop", "limits")
        clone.push({"shop.yaml": application(2)})
        await runs(daemon, "shop-v2")
        assert (await daemon.cluster.get(LIMITS))["data"] == {"most": "2"}
        clone.push({"definitions/limit.yaml": definition(TEMPLATE.replace("data: of:", "data: name:"))})
        await runs(daemon, "shop-v3")
        assert (await daemon.cluster.get(MORE))["data"] == {"name": "shop"}
        clone.push({"shop.yaml": application(policies=False)})
        await runs(daemon, "shop-v4")
        await daemon.until(lambda: "PruneBlocked" not in daemon.conditions("shop") and daemon.idle(), "pruned")
        assert [await read(daemon, ref) for ref in (LIMITS, MORE)] == [None, None]
        assert await read(daemon, WEB) is not None
        clone.push({"shop.yaml": application(), **DEFINED})
        await runs(daemon, "shop-v1")
        assert (await daemon.cluster.get(LIMITS))["data"] == {"most": "1"}


@virtual
async def test_rule_7g_what_a_policy_made_is_healed(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"shop.yaml": application(), **DEFINED})
        await daemon.synced("shop")
        live = await daemon.cluster.get(LIMITS)
        await daemon.cluster.replace({**live, "data": {"most": "1000"}})
        await daemon.until(lambda: [event for event in daemon.sink.events if event.kind == "drift-healed"], "healed")
        await daemon.until(daemon.idle)
        assert (await daemon.cluster.get(LIMITS))["data"] == {"most": "1"}


@virtual
async def test_rule_7a_a_rollback_at_a_gate_leaves_what_the_policy_made_as_it_was(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    steps = "{type: apply-component, properties: {component: web}}, {name: verify, type: suspend}"
    async with running(clone) as daemon:
        clone.push({"shop.yaml": application(), **DEFINED})
        await daemon.synced("shop")
        clone.push({"shop.yaml": application(2, "2", steps)})
        await daemon.waiting("shop", revision="shop-v2")
        assert (await daemon.cluster.get(LIMITS))["data"] == {"most": "2"}
        text = application(2, "2", steps).replace("{name: shop}", "{name: shop, annotations: {gates.reconciler.dev/verify: rollback}}")
        clone.push({"shop.yaml": text})
        await daemon.until(lambda: daemon.status("shop").run.kind == "restore" and daemon.status("shop").run.phase == "Succeeded", "restored")
        assert (await daemon.cluster.get(LIMITS))["data"] == {"most": "1"}
        assert (await daemon.cluster.get(WEB))["data"] == {"value": "1"}


@virtual
async def test_rule_4_what_a_policy_makes_waits_behind_the_gate_before_all_that_is_applied(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"shop.yaml": application(steps=GATED), **DEFINED})
        status = await daemon.waiting("shop")
        assert await read(daemon, LIMITS) is None
        line = f"{{name: shop, annotations: {{gates.reconciler.dev/verify: {status.gate.continue_}}}}}"
        clone.push({"shop.yaml": application(steps=GATED).replace("{name: shop}", line)})
        await daemon.synced("shop")
        assert (await daemon.cluster.get(LIMITS))["data"] == {"most": "1"}


@virtual
async def test_health_of_what_a_policy_made_is_as_its_definition_says_and_no_step_waits_for_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    said = "  status:\n    healthPolicy: 'isHealth: *(context.output.metadata.annotations.ready == \"yes\" && parameter.most == 1) | false'\n"
    said += "    customStatus: 'message: \"at most \\(parameter.most) of \\(context.outputs.more.data.of)\"'\n"
    async with running(clone) as daemon:
        clone.push({"shop.yaml": application(), "definitions/limit.yaml": definition(status=said)})
        await runs(daemon, "shop-v1")
        await daemon.until(lambda: daemon.status("shop").health == "Progressing", "not healthy")
        assert "at most 1 of shop" in str(daemon.status("shop"))
        for ref in (LIMITS, MORE):
            live = await daemon.cluster.get(ref)
            await daemon.cluster.replace(
                {**live, "metadata": {**live["metadata"], "annotations": {**live["metadata"]["annotations"], "ready": "yes"}}}
            )
        await daemon.until(lambda: daemon.status("shop").health == "Healthy", "healthy")
        assert [(said.component, said.message) for said in daemon.status("shop").messages] == [("policy/limits", "at most 1 of shop")]


@virtual
async def test_rule_8_a_template_that_does_not_render_is_a_problem_of_its_application_alone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    other = application(policies=False).replace("name: shop", "name: other").replace("name: web}", "name: second}")
    broken = TEMPLATE.replace('"\\(parameter.most)"', '"\\(context.nothing.most)"')
    async with running(clone) as daemon:
        clone.push({"shop.yaml": application(), "other.yaml": other, "definitions/limit.yaml": definition(broken)})
        await daemon.synced("other")
        message = await daemon.until(lambda: daemon.conditions("shop").get("ManifestInvalid"), "told")
        assert "shop.yaml:1: Application shop: spec.policies: policy limits: the definition of limit, line 1 of its template" in message
        assert [await read(daemon, ref) for ref in (LIMITS, WEB)] == [None, None]


@virtual
async def test_rule_13a_what_a_policy_makes_is_bounded_as_every_object_and_the_component_is_not_applied_without_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    role = 'output: {apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: name: "all"}\nparameter: most: int\n'
    async with running(clone) as daemon:
        clone.push({"shop.yaml": application(), "definitions/limit.yaml": definition(role)})
        status = await daemon.until(lambda: (found := daemon.status("shop")) and found.run and found.run.phase == "Failed" and found, "refused")
        assert "cluster-scoped" in str(status)
        assert await read(daemon, WEB) is None


@virtual
async def test_rule_1e_two_applications_whose_policies_make_one_object_are_told(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    other = application().replace("name: shop", "name: other").replace("name: web}", "name: second}")
    async with running(clone) as daemon:
        clone.push({"shop.yaml": application(), **DEFINED})
        await daemon.synced("shop")
        clone.push({"other.yaml": other})
        status = await daemon.until(lambda: (found := daemon.status("other")) and found.run and found.run.phase == "Failed" and found, "refused")
        assert "is declared by default/shop too" in str(status)


def test_rule_9_wherever_the_daemon_dies_what_a_policy_makes_is_applied_under_one_key_before_all_else() -> None:
    def play(write: int, *, landed: bool) -> int:
        with Bench({}) as bench:
            if write:
                bench.die_at(write, landed=landed)
            bench.commit({"shop.yaml": application(), **DEFINED})
            bench.finish("shop")
            bench.settle()
            run = bench.run("shop")
            assert (run.phase, [sorted(step.intents) for step in run.steps]) == ("Succeeded", [["apply/web", "leading/policy/limits"]]), (
                write,
                landed,
            )
            first, second = (run.steps[0].intents[path] for path in ("leading/policy/limits", "apply/web"))
            assert first.at <= second.at
            assert (first.key.endswith("/0"), run.steps[0].attempt) == (True, 0)
            assert bench.object("ConfigMap", "limits") is not None
            assert bench.object("ConfigMap", "more") is not None
            return bench.writes

    for write in range(1, play(0, landed=True) + 1):
        for landed in (True, False):
            play(write, landed=landed)

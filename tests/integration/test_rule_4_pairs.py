"""Rules 4d and 4e on real commits: SREWorks' pair of annotations, and a suspend with its rollout-promotion."""

from pathlib import Path

import pytest

from reconciler.model.run import Phase
from tests.integration.harness import Clone, Daemon, running
from tests.integration.sequences import gate_of, phases, push, runs

CONTINUE, ROLLBACK = "context.reconciler.dev/continueRollout", "context.reconciler.dev/rollback"
PROMOTION = "gates.reconciler.dev/rollout-promotion-2"
DEFAULTS = """
    ignoreCreateNamespace: true
    values: {image: {repository: nginx, tag: "1.26"}, replicaCount: 2, ports: [80]}
    """


def rollout(tag: str, annotations: dict[str, str] | None = None) -> str:
    """Seed 003's rollout: partition 1 of 2 pods, suspend, rollout-promotion, the rest."""
    lines = ["apiVersion: core.oam.dev/v1alpha2", "kind: ApplicationConfiguration", "metadata:", "  name: web"]
    lines += ["  annotations:", *(f'    {key}: "{text}"' for key, text in annotations.items())] if annotations else []
    lines += ["spec:", "  components:", '    - revisionName: "K8S_MICROSERVICE|web|_"', "      parameterValues:"]
    lines += [f'        - {{name: tag, value: "{tag}", toFieldPaths: [spec.values.image.tag]}}', "  workflow:", "    steps:"]
    apply = "- {type: apply-components, properties: {components: [{type: K8S_MICROSERVICE, name: web}]"
    lines += [f'      {apply}, rollout: {{type: partition, properties: {{partition: "1"}}}}}}}}']
    lines += ["      - {type: suspend}", "      - {type: rollout-promotion}", f"      {apply}}}}}"]
    return "\n".join(lines) + "\n"


async def at_canary(daemon: Daemon, clone: Clone) -> None:
    """1.26 runs everywhere, 1.27 on one pod; the pair of gates waits."""
    clone.push({"web.yaml": rollout("1.26"), "components/K8S_MICROSERVICE/web/_.yaml": DEFAULTS})
    gate = (await daemon.waiting("web")).gate
    assert gate is not None
    clone.push({"web.yaml": rollout("1.26", {gate.key: gate.continue_})})
    await daemon.synced("web")
    clone.push({"web.yaml": rollout("1.27")})
    await daemon.waiting("web", revision="web-v2")


async def workload(daemon: Daemon) -> tuple[str, int]:
    """(image, partition) of the StatefulSet."""
    spec = (await daemon.get("StatefulSet", "web", api_version="apps/v1"))["spec"]
    image = spec["template"]["spec"]["containers"][0]["image"]
    return image, ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0


def code(daemon: Daemon) -> str:
    return gate_of(daemon, "web").continue_.partition("@")[2]


async def test_rule_4e_one_code_passes_suspend_and_promotion(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await at_canary(daemon, clone)
        assert await workload(daemon) == ("nginx:1.27", 1)
        gate = gate_of(daemon, "web")
        assert (gate.step, gate.key) == ("suspend-1", PROMOTION)
        clone.push({"web.yaml": rollout("1.27", {gate.key: gate.continue_})})
        await daemon.synced("web")
        assert await workload(daemon) == ("nginx:1.27", 0)
        assert len(runs(daemon, "web")[-1].decisions) == 1


async def test_rule_4e_the_suspends_own_code_opens_the_suspend_alone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await at_canary(daemon, clone)
        promotion, message = gate_of(daemon, "web").continue_, gate_of(daemon, "web").message
        key, _, line = message.partition('to open suspend-1 alone: "')[2].rstrip('"').partition(": ")
        assert (key, line[:9]) == ("gates.reconciler.dev/suspend-1", "continue@")
        assert line != promotion
        await push(daemon, clone, {"web.yaml": rollout("1.27", {key: line})})
        gate = gate_of(daemon, "web")
        assert (gate.step, gate.key, gate.continue_) == ("rollout-promotion-2", PROMOTION, promotion)
        assert runs(daemon, "web")[-1].step("suspend-1").phase is Phase.SUCCEEDED
        assert await workload(daemon) == ("nginx:1.27", 1)
        clone.push({"web.yaml": rollout("1.27", {gate.key: gate.continue_})})
        await daemon.synced("web")
        assert await workload(daemon) == ("nginx:1.27", 0)


async def test_rule_4d_true_and_false_with_the_code_continue(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await at_canary(daemon, clone)
        clone.push({"web.yaml": rollout("1.27", {CONTINUE: f"true@{code(daemon)}", ROLLBACK: "false"})})
        await daemon.synced("web")
        assert await workload(daemon) == ("nginx:1.27", 0)


async def test_rule_4d_7a_false_and_true_roll_back_without_a_code_and_ignore_the_partition(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await at_canary(daemon, clone)
        clone.push({"web.yaml": rollout("1.27", {CONTINUE: "false", ROLLBACK: "true"})})
        await daemon.synced("web")
        assert await workload(daemon) == ("nginx:1.26", 0)
        assert phases(daemon, "web")[1:] == ["web-v2-1 RolledBack", "web-v1-2 Succeeded"]
        restore = runs(daemon, "web")[-1]
        assert restore.decisions == [], "gates are passed in a restore run, not decided"
        assert {result.value["partition"] for step in restore.steps for result in step.results.values()} == {""}, "it never was a canary on the way"
        clone.pull()
        assert clone.read("web.yaml") == rollout("1.26", {CONTINUE: "false", ROLLBACK: "true"})


async def test_rule_4d_false_and_false_end_and_leave_the_canary(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await at_canary(daemon, clone)
        await push(daemon, clone, {"web.yaml": rollout("1.27", {CONTINUE: "false", ROLLBACK: "false"})})
        assert phases(daemon, "web")[-1] == "web-v2-1 Terminated"
        assert await workload(daemon) == ("nginx:1.27", 1)


@pytest.mark.parametrize(
    ("one", "other", "condition"),
    [
        ("true", "true", "Contradictory: 10002"),
        ("true@000000000000", "false@111111111111", "Contradictory: 10002"),
        ("true", "false", "CodeNeeded: "),
        ("True", "false", "Malformed: "),
        ("true", None, "HalfMissing: "),
        (None, "true", "HalfMissing: "),
    ],
)
async def test_rule_4d_4e_contradictory_unreadable_and_half_values_leave_the_gate_waiting_and_say_so(
    tmp_path: Path, one: str | None, other: str | None, condition: str
) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await at_canary(daemon, clone)
        gate = gate_of(daemon, "web")
        pair = {key: text for key, text in ((CONTINUE, one), (ROLLBACK, other)) if text is not None}
        await push(daemon, clone, {"web.yaml": rollout("1.27", pair)})
        assert gate_of(daemon, "web") == gate
        assert daemon.conditions("web")["DecisionIgnored"].startswith(condition)
        assert await workload(daemon) == ("nginx:1.27", 1)

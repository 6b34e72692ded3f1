"""How often a run is stored: when something came about, and never more than twice a step (rules 3d, 9)."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.engine.store import Store
from reconciler.simulation.clock import VirtualClock
from tests.integration.harness import Clone, running, virtual

STEPS = 10


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


@pytest.fixture
def writes(monkeypatch):
    """What was stored of runs, in order."""
    found = []

    def counted(method):
        async def count(self, mirror, run):
            stored = await method(self, mirror, run)
            found.append((run.phase.value, [step.phase.value for step in run.steps]))
            return stored

        return count

    monkeypatch.setattr(Store, "create_run", counted(Store.create_run))
    monkeypatch.setattr(Store, "save", counted(Store.save))
    return found


def flow(kind, parameters, *, chained=True):
    lines = ["apiVersion: workflow.example.com/v1alpha1", "kind: Workflow", "metadata: {name: ten}", "spec:", "  steps:"]
    for number in range(STEPS):
        lines += [f"  - name: s{number}", f"    stepTemplate: {{type: {kind}, parameters: {parameters}}}"]
        lines += [f"    dependOns: [{{name: s{number - 1}, phase: Success}}]"] if chained and number else []
    return "\n".join(lines) + "\n"


def deployments():
    """Each of five pods, which become ready one after the other."""
    lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application", "metadata: {name: ten}", "spec:", "  components:"]
    scaled = "traits: [{type: scaler, properties: {replicas: 5}}]"
    lines += [f"  - {{name: c{number}, type: webservice, properties: {{image: nginx}}, {scaled}}}" for number in range(STEPS)]
    lines += ["  workflow:", "    steps:"]
    lines += [f"    - {{name: s{number}, type: apply-component, properties: {{component: c{number}}}}}" for number in range(STEPS)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        flow("sleep", '{seconds: "0"}'),
        flow("sleep", '{seconds: "0"}', chained=False),
        flow("sleep", '{seconds: "20"}'),
        flow("random", '{sleepSeconds: "3", result: success}', chained=False),
        deployments(),
    ],
    ids=["chained", "at once", "that take time", "at once, that take time", "of Deployments"],
)
@virtual
async def test_a_run_of_ten_steps_is_stored_at_most_twice_a_step(clone, writes, text):
    clone.push({"ten.yaml": text})
    cluster = EmbeddedCluster(":memory:", VirtualClock(asyncio.get_running_loop()), speed=1.0)
    await cluster.start()
    async with running(clone, cluster=cluster) as daemon:
        await daemon.synced("ten")
    await cluster.close()
    assert len(writes) <= 2 * STEPS + 1, "once to begin with"
    assert writes[-1][0] == "Succeeded"

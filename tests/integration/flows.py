"""Workflows of the step flow, and what tests ask of their runs."""

from reconciler.model.identity import AppKey
from tests.integration.harness import Daemon
from tests.integration.sequences import phases, runs

# Seed 004, as it stands there.
SEED = """\
apiVersion: workflow.example.com/v1alpha1
kind: Workflow
metadata:
  name: example
spec:
  queue: default
  callback:
    url:  http://locahost:8080/abc
  steps:
  - name: step1
    stepTemplate:
      type: random
      parameters:
        sleepSeconds: "20"
      retryPolicy:
        runRetryLimit: 3
        runRetryPeriodSeconds: 10
        rollbackRetryLimit: 3
        rollbackRetryPeriodSeconds: 3
  - name: step2
    dependOns:
    - name: step1
      phase: Success
    stepTemplate:
      type: random
      parameters:
        sleepSeconds: "20"
  - name: step3
    stepTemplate:
      type: random          # random is a demo implementent of step interface
      parameters:
        sleepSeconds: "20"
"""


def workflow(*steps: str, name: str = "flow", **spec: str) -> str:
    """A Workflow of steps that are written as `NAME[ after A B]: TYPE {parameters}`."""
    lines = ["apiVersion: workflow.example.com/v1alpha1", "kind: Workflow", f"metadata: {{name: {name}}}", "spec:"]
    lines += [f"  {field}: {value}" for field, value in spec.items()]
    lines += ["  steps:"]
    for text in steps:
        head, _, template = text.partition(": ")
        own, _, after = head.partition(" after ")
        kind, _, parameters = template.partition(" ")
        lines += [f"  - name: {own}", f"    dependOns: [{', '.join(f'{{name: {other}}}' for other in after.split())}]"]
        lines += ["    stepTemplate:", f"      type: {kind}", f"      parameters: {parameters or '{}'}"]
    return "\n".join(lines) + "\n"


def config_map(name: str, kind: str = "ConfigMap") -> str:
    return f'{{manifest: "{{apiVersion: v1, kind: {kind}, metadata: {{name: {name}}}}}"}}'


async def ended(daemon: Daemon, name: str, count: int = 1) -> list[str]:
    """Waits until so many runs have ended, and all that follows from it is done."""
    await daemon.until(
        lambda: len(runs(daemon, name)) >= count and all(run.phase.final for run in runs(daemon, name)[:count]), f"{count} runs of {name}"
    )
    await daemon.looked()
    return phases(daemon, name)


async def left(daemon: Daemon, name: str) -> None:
    await daemon.until(lambda: AppKey("default", name) not in daemon.engine._context.apps, f"{name} is gone")


def steps(daemon: Daemon, name: str, number: int = -1) -> dict[str, str]:
    return {step.name: step.phase.value for step in runs(daemon, name)[number].steps}

"""Workflows of KubeVela's built-in steps, and what became of their steps."""

from __future__ import annotations

from reconciler.model.run import Run, StepState
from tests.integration.harness import Daemon
from tests.integration.sequences import runs


def workflow(*steps: str, name: str = "flow", context: str = "") -> str:
    """A WorkflowRun of those steps, each in flow style."""
    lines = "".join(f"    - {step}\n" for step in steps)
    head = f"apiVersion: core.oam.dev/v1alpha1\nkind: WorkflowRun\nmetadata: {{name: {name}}}\nspec:\n{context}"
    return f"{head}  workflowSpec:\n    steps:\n{lines}"


async def ended(daemon: Daemon, name: str = "flow") -> Run:
    """The newest run, once it is over and told."""

    def done() -> Run | None:
        return next((run for run in reversed(runs(daemon, name)) if run.phase.final), None)

    found: Run = await daemon.until(done, f"{name} ended")
    return found


def stands(run: Run) -> dict[str, str]:
    return {step.name: step.phase.value if not step.message or step.phase.value != "Failed" else step.message for step in run.steps}


def step_of(run: Run, name: str) -> StepState:
    return next(step for step in run.steps if step.name == name)

"""Rule 4e: a suspend directly before a rollout-promotion forms a pair with it."""

from __future__ import annotations

from itertools import pairwise

from reconciler.model.application import Workflow


def pairs(workflow: Workflow) -> dict[str, str]:
    """Key of the suspend to key of its rollout-promotion: both of one level. In a DAG the promotion must also depend on the suspend."""
    groups = workflow.groups
    modes = {"": workflow.mode} | {step.key: step.mode for step in workflow.steps if step.key in groups}
    return {
        one.key: other.key
        for level in modes
        for one, other in pairwise(step for step in workflow.steps if step.group == level)
        if one.type == "suspend" and other.type == "rollout-promotion" and (modes[level] == "StepByStep" or one.name in other.depends_on)
    }

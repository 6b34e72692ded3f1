"""Rule 4e: a suspend directly before a rollout-promotion forms a pair with it."""

from __future__ import annotations

from itertools import pairwise

from reconciler.model.application import Workflow


def pairs(workflow: Workflow) -> dict[str, str]:
    """Key of the suspend to key of its rollout-promotion. In a DAG the promotion must also depend on the suspend."""
    return {
        one.key: other.key
        for one, other in pairwise(workflow.steps)
        if one.type == "suspend" and other.type == "rollout-promotion" and (workflow.mode == "StepByStep" or one.name in other.depends_on)
    }

"""The examples of KubeVela's built-in steps, and of charts and overlays: lint finds nothing wrong, and each of the steps is in one of them."""

from pathlib import Path

import pytest

from reconciler.dialects.documents import parse
from reconciler.dialects.kubevela_workflows import RUN_STEP_TYPES

EXAMPLES = Path(__file__).parents[3] / "examples" / "steps"
RENDERING = EXAMPLES.parent / "rendering"
ELSEWHERE = {"apply-object", "suspend", "print-message-in-status", "depends-on-app", "step-group"}


def used():
    found = set()
    for path in EXAMPLES.glob("*.yaml"):
        documents, problems = parse(path.name, path.read_bytes())
        assert problems == []
        for document in documents:
            spec = document.content["spec"]
            found |= {step["type"] for step in (spec.get("workflowSpec") or spec.get("workflow"))["steps"]}
    return found


@pytest.mark.parametrize("name", sorted(set(RUN_STEP_TYPES) - ELSEWHERE))
def test_every_built_in_step_is_in_an_example(name):
    assert name in used()


@pytest.mark.parametrize("folder", [EXAMPLES, RENDERING], ids=lambda folder: folder.name)
def test_lint_finds_nothing_wrong_with_the_examples(call, folder):
    assert call("lint", folder).out == "Nothing is wrong.\n"

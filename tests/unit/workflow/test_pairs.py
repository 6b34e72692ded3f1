"""Rule 4e: which suspend forms a pair with which rollout-promotion."""

import pytest

from reconciler.model.application import Step, Workflow
from reconciler.workflow.pairs import pairs


def step(name, kind, *after):
    return Step(name, kind, f"key-{name}", depends_on=list(after))


HOLD, PROMOTE, APPLY = step("hold", "suspend"), step("promote", "rollout-promotion"), step("apply", "apply-components")


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([HOLD, PROMOTE], {"key-hold": "key-promote"}),
        ([APPLY, HOLD, PROMOTE, APPLY], {"key-hold": "key-promote"}),
        ([HOLD, APPLY, PROMOTE], {}),
        ([PROMOTE, HOLD], {}),
        ([HOLD, step("hold-2", "suspend"), PROMOTE], {"key-hold-2": "key-promote"}),
        ([HOLD, PROMOTE, step("b", "suspend"), step("c", "rollout-promotion")], {"key-hold": "key-promote", "key-b": "key-c"}),
        ([HOLD], {}),
        ([], {}),
    ],
)
def test_rule_4e_a_suspend_directly_before_a_promotion_forms_a_pair_with_it(steps, found):
    assert pairs(Workflow("StepByStep", steps)) == found


@pytest.mark.parametrize(("after", "found"), [((), {}), (("hold",), {"key-hold": "key-promote"}), (("apply",), {})])
def test_rule_4e_in_a_dag_the_promotion_has_to_depend_on_the_suspend_too(after, found):
    assert pairs(Workflow("DAG", [APPLY, HOLD, step("promote", "rollout-promotion", *after)])) == found

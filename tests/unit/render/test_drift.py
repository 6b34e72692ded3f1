"""What lives at a path takes the declared value's place, where there are both."""

import pytest

from reconciler.render.drift import with_live

LIVE = {"spec": {"replicas": 7, "list": [{"a": "live", "b": "live"}], "only": "live"}}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("spec.replicas", {"replicas": 7, "list": [{"a": 1}], "mine": 1}),
        ("spec.list[0].a", {"replicas": 1, "list": [{"a": "live"}], "mine": 1}),
        ("spec.list", {"replicas": 1, "list": [{"a": "live", "b": "live"}], "mine": 1}),
        ("spec.list[1].a", {"replicas": 1, "list": [{"a": 1}], "mine": 1}),
        ("spec.only", {"replicas": 1, "list": [{"a": 1}], "mine": 1}),
        ("spec.mine", {"replicas": 1, "list": [{"a": 1}], "mine": 1}),
        ("spec.replicas.deeper", {"replicas": 1, "list": [{"a": 1}], "mine": 1}),
    ],
)
def test_a_field_that_both_have_is_taken_as_it_lives_and_nothing_else(path, expected):
    declared = {"spec": {"replicas": 1, "list": [{"a": 1}], "mine": 1}}
    assert with_live(declared, LIVE, [path])["spec"] == expected
    assert declared["spec"]["replicas"] == 1, "what was given is not changed"

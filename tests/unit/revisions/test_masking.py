"""What must not be seen of a manifest."""

import pytest

from reconciler.model.text import MASK
from reconciler.revisions.masking import mask_manifests


@pytest.mark.parametrize("field", ["properties", "parameters"])
@pytest.mark.parametrize(("headers", "shown"), [({"Authorization": "s3cret", "A": "b"}, {"Authorization": MASK, "A": MASK}), ("A: s3cret", MASK)])
def test_rule_13c_headers_of_an_http_step_are_not_shown(field, headers, shown):
    spec = {"steps": [{"name": "a", "template": {"type": "http", field: {"url": "http://x/", "headers": headers}}}]}
    assert mask_manifests(spec) == {"steps": [{"name": "a", "template": {"type": "http", field: {"url": "http://x/", "headers": shown}}}]}


def test_what_is_no_http_step_stays_as_it_is():
    for spec in (
        {"type": "http"},
        {"type": "http", "properties": None},
        {"type": "http", "properties": {"url": "x"}},
        {"type": "other", "properties": {"headers": {"A": "b"}}},
    ):
        assert mask_manifests(spec) == spec

"""What the owner of a Secret allows, read from an annotation that anybody may have written (rule 13c)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.consent import allows, find_consent_fault, read_consents


@pytest.mark.parametrize(
    ("text", "asked", "allowed"),
    [
        ("notification@hooks.slack.com", ("notification", "hooks.slack.com", 443), True),
        ("notification@Hooks.Slack.com.", ("notification", "hooks.slack.com", 443), True),
        ("webhook@a.test:8443, notification@b.test", ("webhook", "a.test", 8443), True),
        ("webhook@a.test:8443, notification@b.test", ("webhook", "a.test", 443), False),
        ("webhook@a.test notification@b.test", ("webhook", "b.test", 443), False),
        ("notification@slack.com", ("notification", "hooks.slack.com", 443), False),
        ("notification@hooks.slack.com", ("notification", "evil.test", 443), False),
        ("notification@[::1]:25", ("notification", "::1", 25), True),
        ("*@*", ("notification", "evil.test", 443), False),
        ("notification@", ("notification", "", 443), False),
        ("", ("notification", "", 0), False),
    ],
)
def test_rule_13c_a_secret_goes_only_where_its_owner_says(text, asked, allowed):
    assert allows(text, *asked) is allowed


@pytest.mark.parametrize("text", ["", "slack", "notification@a b@", "notification@a.test:x", "@a.test"])
def test_what_can_not_be_read_is_said(text):
    assert "TYPE@HOST[:PORT]" in find_consent_fault(text)


@given(st.text())
def test_reading_is_total_and_what_has_a_fault_never_allows_all(text):
    assert isinstance(read_consents(text), list)
    assert not allows(text, "webhook", "", 443)

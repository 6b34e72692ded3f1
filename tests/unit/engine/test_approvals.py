"""Approvals in `.reconciler/prune.yaml` (rule 1d): a list of digests, and nothing else approves anything."""

import pytest

from reconciler.engine.approvals import approval_code, read_approvals


class OneFile:
    def __init__(self, text):
        self.text = text

    def read(self, path):
        assert path == ".reconciler/prune.yaml"
        if self.text is None:
            raise FileNotFoundError(path)
        if self.text == "large":
            raise ValueError("too large")
        return self.text.encode("utf-8", "surrogateescape")


def test_rule_1d_the_digest_is_that_of_the_list_in_any_order():
    assert approval_code(["a", "b"]) == approval_code(["b", "a"])
    assert len({approval_code(refs) for refs in (["a", "b"], ["a"], ["ab"], ["a", "b", "b"], [])}) == 5


def test_rule_1d_digests_of_all_documents_count():
    assert read_approvals(OneFile("approved: [3f2a9c01d4be]\n---\napproved:\n  - '012345678901'\n")) == {"3f2a9c01d4be", "012345678901"}


@pytest.mark.parametrize(
    "text",
    [
        None,
        "large",
        "",
        "3f2a9c01d4be\n",
        "- 3f2a9c01d4be\n",
        "approved: 3f2a9c01d4be\n",
        "approved: {3f2a9c01d4be: 1}\n",
        "approved:\n",
        "approved: [\n",
    ],
)
def test_rule_1d_anything_else_approves_nothing(text):
    assert read_approvals(OneFile(text)) == frozenset()

"""docs/conditions.md names every condition and every reason that the code can give."""

import re
from pathlib import Path

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "conditions.md").read_text()


def found(pattern: str, *places: str) -> set[str]:
    text = "\n".join(path.read_text() for place in places for path in sorted((TOP / "reconciler").glob(place)))
    return {word for match in re.findall(pattern, text) for word in ([match] if isinstance(match, str) else match) if word}


def missing(words: set[str]) -> list[str]:
    assert words, "the pattern finds nothing any more"
    return sorted(word for word in words if f"`{word}`" not in PAGE)


def test_every_condition_and_its_reasons_are_documented():
    assert missing(found(r'_condition\(\s*"(\w+)", "(\w+)"', "engine/conditions.py")) == []


def test_every_reason_for_which_a_decision_does_not_count_is_documented():
    assert missing(found(r'Remark\(\s*"(\w+)"', "gates/*.py")) == []


def test_every_reason_for_which_a_run_or_a_step_ends_is_documented():
    ends = found(r'(?:_finish\(Phase\.\w+, |[^_]Failed\(|_fail\(step, |_failed\()"(\w+)"', "workflow/*.py", "steps/*.py", "engine/*.py")
    refusals = found(r'reason: ClassVar\[str\] = "(\w+)"', "cluster/protocol.py", "engine/ownership.py") - {"ClusterError"}
    assert missing(ends | refusals) == []


def test_every_reason_for_which_git_differs_is_documented():
    assert missing(found(r'Built\(None, [^"]*"(\w+)"', "engine/writeback.py") - {"Moved"} | {"WriteBackOff", "BranchCheckedOut", "PushRefused"}) == []

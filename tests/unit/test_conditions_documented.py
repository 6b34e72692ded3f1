"""docs/conditions.md names every condition and every reason that the code can give."""

import re
from pathlib import Path

import pytest

from reconciler.cli.main import COMMANDS
from reconciler.workflow import wording
from reconciler.workflow.wording import WORDS, Place, word, word_end

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "conditions.md").read_text()


def found(pattern: str, *places: str) -> set[str]:
    text = "\n".join(path.read_text() for place in places for path in sorted((TOP / "reconciler").glob(place)))
    return {word for match in re.findall(pattern, text) for word in ([match] if isinstance(match, str) else match) if word}


def found_pairs(pattern: str, place: str) -> set[tuple[str, str]]:
    return set(re.findall(pattern, (TOP / "reconciler" / place).read_text()))


def missing(words: set[str]) -> list[str]:
    assert words, "the pattern finds nothing any more"
    return sorted(word for word in words if f"`{word}`" not in PAGE)


def documented() -> set[tuple[str, str]]:
    """Condition and reason, as the tables name them."""
    pairs = set()
    first, _, ignored = PAGE.partition("## Why")[0].partition("\nReasons of ")
    for row in re.findall(r"^\| `(\w+)` \| (.+?) \|", first, re.MULTILINE):
        pairs |= {(row[0], reason) for reason in re.findall(r"`(\w+)`", row[1])}
    pairs |= {("DecisionIgnored", reason) for reason in re.findall(r"^\| `(\w+)` \|", ignored, re.MULTILINE)}
    return pairs


# Where nothing is to be copied: it goes on by itself, only a push helps, or what stands there says so itself.
NOTHING_TO_COPY = {("CallbackOwed", "NotTaken"), ("Reconciling", "RollingBack"), ("Reconciling", "Deleting"), ("GitDiffers", "NotExact")}


def test_every_condition_with_its_reasons_is_documented_and_has_its_words():
    assert documented() - {("Ready", "Succeeded"), ("Ready", "Progressing")} == set(WORDS)


def test_every_condition_that_is_told_has_words():
    told = found_pairs(r'_tell\(\s*status, "(\w+)", "(\w+)"', "engine/conditions.py")
    reasons = {
        "GitDiffers": differs(),
        "CommandNotInGit": differs(),
        "Suspended": {"Suspended", "Ordered"},
        "CallbackOwed": found(r'Refusal\(\s*"(\w+)"', "engine/callbacks.py"),
        "RemovalInDoubt": {"InDoubt", "Budget"},
        "DecisionIgnored": found(r'Remark\(\s*"(\w+)"', "gates/*.py"),
    }
    assert len(told) > len(reasons)
    assert told | {(kind, reason) for kind, all_ in reasons.items() for reason in all_} <= set(WORDS)


@pytest.mark.parametrize(("kind", "reason"), sorted(WORDS))
def test_every_condition_says_why_and_what_helps(kind, reason):
    words = WORDS[kind, reason]
    told = word(kind, reason, "DETAIL", Place("shop/web", "apps/web.yaml", "LINE"))
    assert words.because.strip()
    assert told.message
    assert "{" not in told.message + told.help
    assert bool(told.help) is ((kind, reason) not in NOTHING_TO_COPY)
    assert not told.help.startswith("reconciler ") or told.help.split()[1] in COMMANDS
    stands_alone = words.because == "{detail}"
    assert words.advice or stands_alone or (kind, reason) in NOTHING_TO_COPY


def test_every_run_that_ended_badly_says_what_helps_and_that_only_a_restart_or_a_change_tries_again():
    for reason in ends():
        told = word_end(reason, Place("shop/web", "apps/web.yaml"), back=False)
        assert told.message.startswith(
            "it is held and not tried again by itself, only by `reconciler workflow restart shop/web` or for a change pushed to apps/web.yaml"
        )
        assert word_end(reason, Place("shop/web", "apps/web.yaml"), back=True).help == "reconciler rollback shop/web --push"
    assert set(wording._ENDS) <= ends()


def test_every_reason_for_which_a_decision_does_not_count_is_documented():
    assert missing(found(r'Remark\(\s*"(\w+)"', "gates/*.py")) == []


def ends() -> set[str]:
    ends = found(r'(?:finish\((?:turn, )?Phase\.\w+, |[^_]Failed\(|_failed\(|_refuse\()"(\w+)"', "workflow/*.py", "steps/*.py", "engine/*.py")
    ends |= found(r'(?:_Failure\(.*|reason=|reason or )"([A-Z]\w+)"', "engine/plugins/*.py")
    refusals = found(r'reason: ClassVar\[str\] = "(\w+)"', "cluster/protocol.py", "engine/ownership.py", "notify/protocol.py", "notify/mail.py")
    refusals -= {"ClusterError", "NotifyError"}
    return ends | refusals


def test_every_reason_for_which_a_run_or_a_step_ends_is_documented():
    assert missing(ends()) == []


def differs() -> set[str]:
    return found(r'Built\(\s*None, [^"]*"(\w+)"', "engine/writeback.py") - {"Moved"} | {"WriteBackOff", "BranchCheckedOut", "PushRefused"}


def test_every_reason_for_which_git_differs_is_documented():
    assert missing(differs()) == []

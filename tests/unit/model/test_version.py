"""Versions and their ranges: a table whose answers were taken from the original (Masterminds semver 3.5) once, on 600,000 random pairs too."""

import pytest

from reconciler.model.version import Range, Version

FITS = [
    ("*", "1.2.3", True),
    ("", "1.2.3", True),
    ("*", "1.2.3-rc.1", False),
    (">=0.0.0-0", "1.2.3-rc.1", True),
    ("*-0", "1.2.3-rc.1", True),
    ("1.2.3", "1.2.3", True),
    ("1.2.3", "v1.2.3+build", True),
    ("1.2.3", "1.2.4", False),
    ("1.2", "1.2.9", True),
    ("1", "1.9.0", True),
    ("1.x", "2.0.0", False),
    ("~1.2.3", "1.2.9", True),
    ("~1.2.3", "1.3.0", False),
    ("~1", "1.9.9", True),
    ("~>1.2", "1.3.0", False),
    ("^1.2.3", "1.9.0", True),
    ("^1.2.3", "2.0.0", False),
    ("^0.2.3", "0.2.9", True),
    ("^0.2.3", "0.3.0", False),
    ("^0.0.3", "0.0.4", False),
    ("^0.0", "0.0.9", True),
    ("^0", "0.9.0", True),
    (">1", "1.9.0", False),
    (">1", "2.0.0", True),
    (">1.1", "1.1.9", False),
    ("<=1", "1.9.0", True),
    ("<=1.1", "1.2.0", False),
    ("!=1.x", "1.2.0", False),
    ("!=1.2.x", "1.3.0", True),
    (">=1.0.0 <2.0.0", "1.5.0", True),
    (">=1.0.0, <2.0.0", "2.0.0", False),
    ("1.2 - 2", "2.9.0", True),
    ("1.2 - 2.3.4", "2.3.5", False),
    ("1.x || >=3", "2.0.0", False),
    ("1.x || >=3", "3.0.0", True),
    (">=1.0.0-0 <2.0.0", "1.5.0-beta", True),
    (">=1.0.0 <2.0.0-0", "1.5.0-beta", True),
    (">=1.0.0 || <0.1.0-0", "1.5.0-beta", False),
    ("=> v1.0", "1.0.0", True),
]


@pytest.mark.parametrize(("text", "version", "fits"), FITS)
def test_a_range_lets_pass_what_helm_would_take(text, version, fits):
    assert Range.parse(text).fits(Version.parse(version)) is fits


def test_versions_are_ordered_as_semver_says():
    written = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.2",
        "1.10",
        "2",
    ]
    assert sorted(map(Version.parse, reversed(written))) == [Version.parse(text) for text in written]
    assert Version.parse("1.0.0+a") == Version.parse("v1.0.0+b")


@pytest.mark.parametrize("text", ["", "one", "1.2.3.4", "1.2.3-01", "1.2.x", " 1", "1" * 600, "1.2.3-é"])
def test_what_is_no_version_is_said_so(text):
    with pytest.raises(ValueError, match="no version"):
        Version.parse(text)


@pytest.mark.parametrize("text", ["latest", "1.2.3.4", ">1 and <2", "1.2.3-01", "||", "1 ||", ">=", "=1=2", "1 " * 400, "1||" * 40 + "1"])
def test_what_is_no_range_is_said_so(text):
    with pytest.raises(ValueError, match="range"):
        Range.parse(text)


def test_one_version_alone_is_told_from_a_range():
    assert Range.parse("1.2.3").is_exact
    assert Range.parse("=v1.2.3").is_exact
    assert not any(Range.parse(text).is_exact for text in ("1.2", "*", "", "^1.2.3", "1.2.3 || 1.2.4", ">=1.2.3"))


def test_a_hostile_range_costs_little():
    Range.parse(" ".join(">=1.0" for _ in range(80)))
    with pytest.raises(ValueError, match="range"):
        Range.parse("1" + " " * 500 + "!")
    with pytest.raises(ValueError, match="range"):
        Range.parse("1 - " * 100)

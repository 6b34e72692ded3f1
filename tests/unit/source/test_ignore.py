import subprocess

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reconciler.source.ignore import MAX_CHARACTERS, MAX_PATTERN, MAX_PATTERNS, Ignore

CASES = [
    ("*.tmp", ["a.tmp", "x/y/a.tmp"], ["a.tmpx", "tmp"]),
    ("/a.yaml", ["a.yaml"], ["x/a.yaml"]),
    ("x/a.yaml", ["x/a.yaml"], ["y/x/a.yaml"]),
    ("docs/", ["docs/a", "x/docs/b/c"], ["docs"]),
    ("docs", ["docs", "docs/a", "x/docs"], ["docsx"]),
    ("**/gen/*.yaml", ["gen/a.yaml", "x/y/gen/a.yaml"], ["gen/x/a.yaml"]),
    ("a/**", ["a/b", "a/b/c"], ["a", "x/a/b"]),
    ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["az", "b/a/z"]),
    ("**", ["a", "a/b"], []),
    ("a?c", ["abc"], ["ac", "a/c"]),
    ("[a-c].yaml", ["b.yaml"], ["d.yaml"]),
    ("[!a-c].yaml", ["d.yaml"], ["b.yaml"]),
    ("\\#a", ["#a"], ["a"]),
    ("\\!a", ["!a"], ["a"]),
    ("a\\*b", ["a*b"], ["axb"]),
    ("a\\ ", ["a "], ["a"]),
    ("a   ", ["a"], ["a   "]),
    ("# a comment\n\n", [], ["a", "# a comment"]),
    ("*.yaml\n!keep.yaml", ["a.yaml"], ["keep.yaml", "x/keep.yaml"]),
    ("dir/\n!dir/keep.yaml", ["dir/keep.yaml"], []),
    ("dir/*\n!dir/keep.yaml", ["dir/a"], ["dir/keep.yaml"]),
    ("\ufeffa\r\nb", ["a", "b"], []),
]


@pytest.mark.parametrize(("text", "ignored", "kept"), CASES)
def test_patterns_mean_what_they_mean_in_gitignore(text, ignored, kept):
    ignore = Ignore.parse(text)
    assert [path for path in ignored if not ignore.matches(path)] == []
    assert [path for path in kept if ignore.matches(path)] == []


PARTS = st.sampled_from(["a", "b", "ab", "a.b", "a-b"])
GLOBS = st.sampled_from(["a", "b", "*", "a*", "*b", "?", "**", "[ab]", "a.b"])
LINES = st.builds(
    lambda bang, lead, parts, tail: bang + lead + "/".join(parts) + tail,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(GLOBS, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=4), st.lists(st.lists(PARTS, min_size=1, max_size=4), min_size=1, max_size=10))
def test_patterns_mean_what_git_itself_makes_of_them(repository, lines, paths):
    (repository / ".gitignore").write_text("\n".join(lines) + "\n")
    names = sorted({"/".join(parts) for parts in paths})
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin", "-z"], cwd=repository, input="\0".join(names), capture_output=True, text=True, check=False
    )
    ignore = Ignore.parse("\n".join(lines))
    assert {name for name in names if ignore.matches(name)} == set(asked.stdout.split("\0")) - {""}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ignore")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


@pytest.mark.parametrize("text", ["a" * (MAX_CHARACTERS + 1), "\n".join(["a"] * (MAX_PATTERNS + 1)), "\n" + "a" * (MAX_PATTERN + 1)])
def test_a_file_over_a_limit_is_an_error_not_a_guess(text):
    with pytest.raises(ValueError, match=r"at most|more than"):
        Ignore.parse(text)


def test_a_hostile_pattern_costs_no_more_than_segments_times_parts(monkeypatch):
    from reconciler.source import ignore as module

    calls = 0
    real = module._fits

    def counted(segments, parts):
        nonlocal calls
        calls += 1
        return real(segments, parts)

    monkeypatch.setattr(module, "_fits", counted)
    ignore = Ignore.parse("/".join(["**", "*a*a*a*a*a*"] * 30) + "/x")
    assert not ignore.matches("/".join(["a" * 200 + "b"] * 100))
    assert not ignore.matches("/".join(["a" * 200 + "b"] * 100) + "2")
    assert calls == 100 + 1  # each folder is judged once, however many files are in it


@given(st.text(max_size=60), st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=30))
def test_any_text_is_a_list_of_patterns(text, path):
    assert Ignore.parse(text).matches(path) in {True, False}

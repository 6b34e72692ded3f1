import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.pattern import found

atoms = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\d", "(a|b)", "(?:ab)", "^", "$", "(?:(a*b)?)"])
parts = (
    st.tuples(atoms, st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}", "{0,}"]))
    .filter(lambda part: part[0] not in "^$" or not part[1])
    .map("".join)
)
patterns = st.lists(st.lists(parts, max_size=4).map("".join), min_size=1, max_size=2).map("|".join)


@given(patterns, st.text("ab1\n", max_size=6).filter(lambda text: not text.endswith("\n")))
def test_it_finds_what_re_finds(pattern, text):
    assert found(pattern, text) == (re.search(pattern, text) is not None)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a*)*$", "^(([a-z])+.)+[A-Z]([a-z])+$", "^a*a*a*a*a*a*b$"])
def test_patterns_that_make_backtracking_explode_are_answered(pattern):
    assert not found(pattern, "a" * 2000 + "!")


@pytest.mark.parametrize(
    "pattern", ["(?i)a", r"\p{L}", r"\bword\b", "a{1001}", "(", "[a", "*", "a**", "((((((a{99}){99}){99}){99}){99}){99})", "(" * 500]
)
def test_what_is_beyond_it_is_not_enforced(pattern):
    assert found(pattern, "zzz")


def test_the_dollar_is_the_end_of_the_text_alone():
    assert not found("^a$", "a\n")

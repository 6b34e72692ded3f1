"""Whatever is encrypted comes out as it went in, and a single change anywhere is noticed."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.sealed import is_token, tokens_of, without_metadata
from reconciler.sealing.command import Command
from reconciler.sealing.document import leaves
from reconciler.sealing.opening import unseal_files
from reconciler.sealing.protocol import Keys, SealError
from reconciler.sealing.tree import read_trees, write_trees
from tests.unit.sealing.encrypting import Person, seal

PERSON = Person()
KEYS = Keys((PERSON.secret,))
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")) | st.sampled_from("\n\t:#'\"{}[]"), max_size=20)
NAMES = st.text(st.sampled_from("abcXYZ-_.09 süß:"), min_size=1, max_size=8)
SCALARS = TEXTS | st.integers(-(1 << 63), (1 << 63) - 1) | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32)
TREES = st.dictionaries(
    NAMES.filter(lambda name: name != "sops"),
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8),
    min_size=1,
    max_size=4,
)


def opened(document: dict[str, Any]) -> dict[str, str]:
    return unseal_files({"a.yaml": json.dumps(document, ensure_ascii=False)}, KEYS, Command())


def as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@settings(max_examples=60, deadline=None)
@given(TREES, st.booleans())
def test_a_tree_comes_out_as_it_went_in(tree: dict[str, Any], only: bool) -> None:
    sealed = seal(tree, PERSON, only=only)
    values = opened(sealed)
    before = dict(leaves(tree, ()))
    for place, leaf in leaves(without_metadata(sealed), ()):
        if is_token(leaf) and not isinstance(before[place], float):
            assert values[str(leaf)] == as_text(before[place])
    assert set(tokens_of(without_metadata(sealed))) >= set(values)


@settings(max_examples=60, deadline=None)
@given(TREES, st.data())
def test_a_change_is_noticed(tree: dict[str, Any], data: st.DataObject) -> None:
    sealed = seal(tree, PERSON)
    places = [place for place, leaf in leaves(without_metadata(sealed), ()) if is_token(leaf)]
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    broken = copy.deepcopy(sealed)
    holder: Any = broken
    for part in place[:-1]:
        holder = holder[part]
    how = data.draw(st.sampled_from(["plain", "swap", "bit"]))
    token = holder[place[-1]]
    if how == "plain":
        holder[place[-1]] = "another"
    elif how == "swap":
        holder[place[-1]] = seal(tree, PERSON)["sops"]["mac"]
    else:
        start = token.index("tag:") + 4
        holder[place[-1]] = token[:start] + ("A" if token[start] != "A" else "B") + token[start + 1 :]
    with pytest.raises(SealError):
        opened(broken)


@settings(max_examples=100, deadline=None)
@given(TREES)
def test_what_is_handed_to_the_command_is_read_to_the_same(tree: dict[str, Any]) -> None:
    trees = read_trees(json.dumps(tree, ensure_ascii=False))
    again = read_trees(write_trees(trees))
    assert again == trees
    assert yaml.safe_load(write_trees(trees)) is not None

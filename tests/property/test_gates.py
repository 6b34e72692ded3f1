"""Parsing annotations is total, codes are unmistakable, and a decision counts only by rule 4."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reconciler.gates.annotations import Item, read_items
from reconciler.gates.decisions import Head, WaitingGate, gate_code, judge
from reconciler.model.identity import AppKey
from reconciler.model.names import CONTINUE_ROLLOUT, GATE_PREFIX, ROLLBACK
from reconciler.model.text import one_line

T = datetime(2024, 5, 1, 12, tzinfo=UTC)
CODES = ["3f9c0a7d21be", "91ab6611c0de", "000000000000"]
ANY_TEXT = st.text(st.characters(), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)
ALMOST = st.lists(
    st.sampled_from(["continue", "rollback", "end", "@", CODES[0], ",", " ", "\n", "true", "false", "\u202e", "\ud800", "x"]), max_size=8
).map("".join)
KEYS = (
    st.sampled_from([CONTINUE_ROLLOUT, ROLLBACK, "reconciler.dev/suspend", GATE_PREFIX, "reconciler.dev/"])
    | st.sampled_from(["verify", "run", "workflow-changed", "", "\ud800", "a/b"]).map(GATE_PREFIX.__add__)
    | ANY_TEXT
    | ANY_TEXT.map(GATE_PREFIX.__add__)
)
ANNOTATIONS = st.dictionaries(KEYS, JSON | ALMOST, max_size=6)
WORDS = st.text(st.characters(), max_size=5)
PARTS = st.tuples(WORDS, WORDS, WORDS, WORDS, WORDS, WORDS, st.integers(0, 99))


@given(ANNOTATIONS, st.lists(ANY_TEXT, max_size=3))
def test_rule_4f_parsing_annotations_is_total(annotations, gates):
    reading = read_items(annotations, ["verify", *gates])
    for item in reading.items:
        assert item.verb in ("continue", "rollback", "end")
        assert item.code == "" or (len(item.code) == 12 and set(item.code) <= set("0123456789abcdef"))
        assert item.gate in {"", "verify", "run", *gates}
    for remark in reading.remarks:
        assert remark.message == one_line(remark.message, 1000)


@given(ANNOTATIONS)
def test_rule_4f_every_key_of_a_gate_gives_a_decision_or_a_remark(annotations):
    for key, value in annotations.items():
        reading = read_items({key: value}, ["verify"])
        blank = isinstance(value, str) and not value.replace(",", "").strip()
        if key.startswith(GATE_PREFIX) and not (blank and key.removeprefix(GATE_PREFIX) in ("verify", "run")):
            assert reading.items or reading.remarks


@given(st.dictionaries(st.sampled_from(["verify", "promote", "run"]).map(GATE_PREFIX.__add__), ALMOST, max_size=3))
def test_rule_4b_each_annotation_is_read_as_if_it_stood_alone(annotations):
    gates = ["verify", "promote"]
    alone = [read_items({key: value}, gates) for key, value in annotations.items()]
    together = read_items(annotations, gates)
    assert sorted(together.items) == sorted(item for reading in alone for item in reading.items)
    assert sorted(together.remarks) == sorted(remark for reading in alone for remark in reading.remarks)


def code_of(parts):
    cluster, namespace, name, digest, run, gate, turn = parts
    return gate_code(cluster, AppKey(namespace, name), digest, run, gate, turn)


@given(PARTS, PARTS)
def test_rule_4a_codes_differ_wherever_cluster_application_digest_run_gate_or_round_do(one, other):
    assert (code_of(one) == code_of(other)) is (one == other)


@given(PARTS, st.integers(0, 6), WORDS, st.integers(0, 99))
def test_rule_4a_a_change_of_any_single_part_changes_the_code(parts, place, word, turn):
    changed = [*parts]
    changed[place] = turn if place == 6 else word
    assert (code_of(parts) == code_of(changed)) is (list(parts) == changed)


@given(WORDS, WORDS, st.integers(0, 5), WORDS)
def test_rule_4a_no_text_moves_from_one_part_into_the_next(one, other, place, separator):
    """`a` + `bc` is not `ab` + `c`, whatever stands between."""
    first, second = ["x"] * 6, ["x"] * 6
    if place < 5:
        first[place : place + 2] = [one + separator, other]
        second[place : place + 2] = [one, separator + other]
        assert (code_of([*first, 0]) == code_of([*second, 0])) is (first == second)


ITEMS = st.lists(
    st.builds(
        lambda gate, verb, code: Item(gate, verb, code, f"{gate}={verb}@{code}"),
        st.sampled_from(["", "hold", "promote", "verify"]),
        st.sampled_from(["continue", "rollback", "end"]),
        st.sampled_from(["", *CODES]),
    ),
    max_size=6,
    unique=True,
)
GATES = st.sampled_from([WaitingGate("promote", "promote", CODES[0], T), WaitingGate("hold", "promote", CODES[0], T, "hold", CODES[1])])
HEADS = st.builds(Head, st.sampled_from(["digest", "digest", "another"]), st.sampled_from([T - timedelta(1), T, T + timedelta(1)]))


@given(GATES, ITEMS, HEADS, st.randoms(use_true_random=False), st.data())
def test_rule_4b_whatever_stands_in_git_only_a_rightful_decision_counts(gate, items, head, random, data):
    standing = data.draw(st.sets(st.sampled_from([item.text for item in items]))) if items else set()
    judgement = judge(gate, items, head, "digest", standing)
    if judgement.verdict is not None:
        verb, item = judgement.verdict.verb, judgement.verdict.item
        assert head.digest == "digest"
        assert item in items
        assert verb == item.verb
        assert item.code == (gate.own_code if judgement.verdict.gate == gate.own_key else gate.code) or (
            not item.code and verb != "continue" and item.text not in standing
        )
        assert verb != "continue" or head.looked_at > gate.since
        assert (judgement.remarks, judgement.look_again) == ([], False)
    shuffled = [*items]
    random.shuffle(shuffled)
    again = judge(gate, shuffled, head, "digest", standing).verdict
    assert (again and (again.gate, again.verb)) == (judgement.verdict and (judgement.verdict.gate, judgement.verdict.verb))
    assert all(remark.message == one_line(remark.message, 1000) for remark in judgement.remarks)


@given(GATES, ITEMS, HEADS)
def test_rule_4c_a_rollback_that_counts_is_never_outdone(gate, items, head):
    rightful = Item("promote", "rollback", CODES[0], "promote=rollback")
    verdict = judge(gate, [*items, rightful], head, "digest", ()).verdict
    assert (verdict is not None and verdict.verb == "rollback") is (head.digest == "digest")

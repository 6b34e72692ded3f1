"""Which decision counts: the truth tables of rules 4b, 4c, 4d and 4e."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.gates.annotations import Item
from reconciler.gates.decisions import Head, WaitingGate, gate_code, judge, judge_late, judge_run
from reconciler.model.identity import AppKey

T = datetime(2024, 5, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CODE, OWN, STALE = "3f9c0a7d21be", "91ab6611c0de", "000000000000"
LATER = Head("digest", T + SECOND)
ALONE = WaitingGate("Verify it", "verify", CODE, T)
PAIRED = WaitingGate("hold", "promote", CODE, T, "hold", OWN)


def item(verb, code="", gate="verify"):
    return Item(gate, verb, code, f"{gate}={verb}@{code}" if code else f"{gate}={verb}")


def verb_of(judgement):
    return judgement.verdict.verb if judgement.verdict else None


def reasons(judgement):
    return [remark.reason for remark in judgement.remarks]


@pytest.mark.parametrize("verb", ["continue", "rollback", "end"])
@pytest.mark.parametrize("digest", ["digest", "another"])
@pytest.mark.parametrize("code", [CODE, STALE, ""])
@pytest.mark.parametrize("stood", [True, False])
@pytest.mark.parametrize("looked", [-1, 0, 1])
def test_rule_4b_a_decision_counts_exactly_if_digest_code_standing_and_look_allow_it(verb, digest, code, stood, looked):
    one = item(verb, code)
    judgement = judge(ALONE, [one], Head(digest, T + looked * SECOND), "digest", {one.text} if stood else set())
    right = digest == "digest" and (code == CODE or (code == "" and verb != "continue" and not stood))
    in_time = verb != "continue" or looked > 0
    assert verb_of(judgement) == (verb if right and in_time else None)
    assert judgement.look_again is (right and not in_time)
    reason = {CODE: [], STALE: ["StaleCode"], "": ["CodeNeeded"] if verb == "continue" else ["Spent"] if stood else []}[code]
    assert reasons(judgement) == (reason if digest == "digest" else [])


@pytest.mark.parametrize("one", [item("continue"), item("continue", STALE), item("rollback", STALE), item("end")])
def test_rule_4b_what_does_not_count_is_told_with_the_line_that_would(one):
    judgement = judge(ALONE, [one], LATER, "digest", {"verify=end"})
    assert judgement.verdict is None
    assert f'gates.reconciler.dev/verify: "{one.verb}@{CODE}"' in judgement.remarks[0].message


def test_rule_4b_items_of_a_list_are_judged_singly():
    judgement = judge(ALONE, [item("rollback", STALE), item("end"), item("continue", CODE)], LATER, "digest", {"verify=end"})
    assert (verb_of(judgement), judgement.remarks) == ("continue", [])


def test_rule_4b_decisions_of_other_gates_are_none_of_this_ones():
    assert judge(ALONE, [item("rollback", gate="promote"), item("end", CODE, gate="run")], LATER, "digest", ()) == (None, [], False)


@pytest.mark.parametrize(
    ("verbs", "winner"),
    [
        (("continue", "end", "rollback"), "rollback"),
        (("rollback", "continue"), "rollback"),
        (("continue", "end"), "end"),
        (("end", "rollback"), "rollback"),
        (("continue",), "continue"),
    ],
)
def test_rule_4c_rollback_beats_end_beats_continue_in_any_order(verbs, winner):
    items = [item(verb, CODE) for verb in verbs]
    assert verb_of(judge(ALONE, items, LATER, "digest", ())) == winner
    assert verb_of(judge(ALONE, items[::-1], LATER, "digest", ())) == winner


def test_rule_4c_a_stop_acts_at_once_where_a_continue_would_wait_for_a_look():
    judgement = judge(ALONE, [item("continue", CODE), item("end", CODE)], Head("digest", T - SECOND), "digest", ())
    assert (verb_of(judgement), judgement.look_again) == ("end", False)


@pytest.mark.parametrize(
    ("verb", "code", "counts"),
    [("continue", CODE, True), ("continue", "", False), ("continue", STALE, False), ("rollback", "", True), ("end", "", True), ("end", STALE, False)],
)
@pytest.mark.parametrize("gate", [ALONE, PAIRED])
def test_rule_4d_the_pair_of_annotations_addresses_the_gate_that_waits(verb, code, counts, gate):
    judgement = judge(gate, [item(verb, code, gate="")], LATER, "digest", ())
    assert verb_of(judgement) == (verb if counts else None)
    assert judgement.verdict is None or judgement.verdict.gate == gate.key


@pytest.mark.parametrize(
    ("one", "opens"),
    [
        (item("continue", CODE, "promote"), "promote"),
        (item("continue", OWN, "hold"), "hold"),
        (item("continue", OWN, "promote"), None),
        (item("continue", CODE, "hold"), None),
        (item("continue", OWN, ""), None),
        (item("continue", CODE, ""), "promote"),
        (item("continue", "", "hold"), None),
        (item("rollback", CODE, "promote"), "promote"),
        (item("rollback", OWN, "hold"), "hold"),
        (item("end", OWN, "hold"), "hold"),
        (item("end", "", "hold"), "hold"),
        (item("rollback", "", "promote"), "promote"),
    ],
)
def test_rule_4e_in_a_pair_each_key_has_its_own_code_and_opens_its_own_gate(one, opens):
    judgement = judge(PAIRED, [one], LATER, "digest", ())
    assert (judgement.verdict.gate if judgement.verdict else None) == opens


def test_rule_4e_a_continue_for_the_pair_is_stronger_than_one_for_the_suspend_alone():
    items = [item("continue", OWN, "hold"), item("continue", CODE, "promote")]
    assert judge(PAIRED, items, LATER, "digest", ()).verdict.gate == "promote"
    assert judge(PAIRED, items[::-1], LATER, "digest", ()).verdict.gate == "promote"


@pytest.mark.parametrize(
    ("one", "standing", "verb"),
    [
        (item("rollback", CODE, "run"), (), "rollback"),
        (item("end", "", "run"), (), "end"),
        (item("end", "", "run"), ("run=end",), None),
        (item("rollback", STALE, "run"), (), None),
        (item("rollback", "", ""), (), None),
        (item("rollback", CODE, "verify"), (), None),
    ],
)
def test_rule_4f_a_run_is_stopped_as_a_whole_by_its_own_key_alone(one, standing, verb):
    assert verb_of(judge_run(CODE, [one], LATER, "digest", standing)) == verb


def test_rule_4f_a_run_is_not_stopped_by_a_head_of_another_digest():
    assert judge_run(CODE, [item("end", CODE, "run")], Head("another", T), "digest", ()).verdict is None


def test_rule_4a_a_code_has_12_hex_digits_and_is_the_same_every_time():
    code = gate_code("cluster", AppKey("shop", "web"), "digest", "uid", "verify", 0)
    assert code == gate_code("cluster", AppKey("shop", "web"), "digest", "uid", "verify", 0)
    assert len(code) == 12
    assert set(code) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (item("rollback", CODE), "TooLate"),
        (item("rollback"), "TooLate"),
        (item("continue", STALE), "StaleCode"),
        (item("rollback", OWN, "run"), "TooLate"),
        (item("end", STALE, "run"), "StaleCode"),
        (item("continue", CODE, ""), "TooLate"),
        (item("rollback", CODE, "later"), ""),
    ],
)
def test_rule_4f_what_comes_for_a_gate_that_waits_no_more_is_told_with_what_to_do_instead(one, reason):
    remarks = judge_late([one], {"verify": CODE, "run": OWN, "": ""}, (), "do this")
    assert [remark.reason for remark in remarks] == ([reason] if reason else [])
    assert all(remark.message.endswith("; do this") for remark in remarks)


def test_rule_4f_what_was_used_or_stood_there_before_is_history():
    assert judge_late([item("rollback", CODE), item("end")], {"verify": CODE}, {"verify=end", f"verify=rollback@{CODE}"}, "") == []

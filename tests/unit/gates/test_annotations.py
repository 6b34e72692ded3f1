"""What stands in the annotations becomes items and remarks, whatever it is (rules 4a, 4d, 4f)."""

import pytest

from reconciler.gates.annotations import Item, read_items
from reconciler.model.names import CONTINUE_ROLLOUT, CREATE_NAMESPACE, GATE_PREFIX, ROLLBACK, SUSPEND

CODE, OTHER = "3f9c0a7d21be", "91ab6611c0de"
GATES = ("verify", "promote")


def read(value, gate="verify"):
    return read_items({GATE_PREFIX + gate: value}, GATES)


def pair(forward, back):
    return read_items({CONTINUE_ROLLOUT: forward, ROLLBACK: back}, GATES)


def decisions(reading):
    return [(item.gate, item.verb, item.code) for item in reading.items]


def reasons(reading):
    return [remark.reason for remark in reading.remarks]


@pytest.mark.parametrize(
    ("text", "verb", "code"),
    [
        (f"continue@{CODE}", "continue", CODE),
        (f"rollback@{CODE}", "rollback", CODE),
        (f"end@{CODE}", "end", CODE),
        ("rollback", "rollback", ""),
        ("end", "end", ""),
        ("continue", "continue", ""),
    ],
)
def test_rule_4a_a_value_is_a_decision_with_or_without_a_code(text, verb, code):
    assert read(text) == ([Item("verify", verb, code, f"verify={text}")], [])


def test_rule_4a_a_list_is_read_item_by_item_and_a_bad_item_harms_no_other():
    reading = read(f" rollback@{CODE} , contineu@{CODE},,end ")
    assert decisions(reading) == [("verify", "rollback", CODE), ("verify", "end", "")]
    assert reasons(reading) == ["Malformed"]
    assert "contineu" in reading.remarks[0].message


@pytest.mark.parametrize(
    "value",
    [
        "yes",
        "Continue",
        "CONTINUE@" + CODE,
        "continue@",
        "continue@3f9c0a7d21b",
        "continue@3F9C0A7D21BE",
        f"continue@{CODE}\u0660",
        f"continue@{CODE}@{CODE}",
        f"continue @{CODE}",
        "continue@３f9c0a7d21be",
    ],
)
def test_rule_4f_a_malformed_value_gives_a_remark_and_no_decision(value):
    reading = read(value)
    assert (reading.items, reasons(reading)) == ([], ["Malformed"])


@pytest.mark.parametrize("value", [True, None, 3, 1.5, ["rollback"], {"rollback": CODE}])
def test_rule_4f_a_value_that_is_no_string_asks_for_quotes(value):
    reading = read(value)
    assert reading.items == []
    assert [(remark.reason, "quotes" in remark.message) for remark in reading.remarks] == [("Malformed", True)]


def test_rule_4f_an_empty_value_decides_nothing_and_is_no_mistake():
    assert read("") == ([], [])


def test_rule_4f_a_value_has_a_limit():
    assert len(read(",".join(["end"] * 64)).items) == 64
    assert reasons(read(",".join(["end"] * 65))) == ["Malformed"]
    assert reasons(read("end" + " " * 5000)) == ["Malformed"]


def test_rule_4f_a_key_that_names_no_gate_is_a_remark_that_lists_the_gates():
    reading = read("rollback", gate="verfiy")
    assert (reading.items, reasons(reading)) == ([], ["UnknownGate"])
    assert "verfiy" in reading.remarks[0].message
    assert "promote, verify" in reading.remarks[0].message


def test_rule_4f_run_is_always_known_and_takes_no_continue():
    assert decisions(read_items({GATE_PREFIX + "run": f"end@{CODE}"}, ())) == [("run", "end", CODE)]
    assert reasons(read_items({GATE_PREFIX + "run": f"continue@{CODE}"}, ())) == ["Malformed"]


def test_rule_4f_a_remark_shows_untrusted_text_on_one_line():
    reading = read_items({GATE_PREFIX + "a\nb": "end", GATE_PREFIX + "verify": "e\u202end\nx"}, GATES)
    assert reasons(reading) == ["UnknownGate", "Malformed"]
    assert all(remark.message.isprintable() for remark in reading.remarks)


def test_rule_4f_a_key_of_our_domain_that_nothing_reads_is_never_silent():
    reading = read_items({"gate.reconciler.dev/verify": "end", "reconciler.dev/suspended": "no"}, GATES)
    assert (reading.items, reasons(reading)) == ([], ["UnknownAnnotation", "UnknownAnnotation"])
    assert f"did you mean {GATE_PREFIX}verify?" in reading.remarks[0].message
    assert f"did you mean {SUSPEND}?" in reading.remarks[1].message


def test_annotations_of_others_and_our_own_other_ones_are_no_mistake():
    assert read_items({SUSPEND: "holiday", CREATE_NAMESPACE: "true", "team": "a", "evilreconciler.dev/x": "y"}, GATES) == ([], [])


@pytest.mark.parametrize(
    ("forward", "back", "verb"),
    [("true", "false", "continue"), ("false", "true", "rollback"), ("false", "false", "end")],
)
def test_rule_4d_the_two_keys_of_sreworks_are_one_decision(forward, back, verb):
    assert decisions(pair(forward, back)) == [("", verb, "")]


@pytest.mark.parametrize(("forward", "back"), [(f"true@{CODE}", "false"), ("true", f"false@{CODE}"), (f"true@{CODE}", f"false@{CODE}")])
def test_rule_4d_the_code_may_stand_on_either_key(forward, back):
    assert decisions(pair(forward, back)) == [("", "continue", CODE)]
    assert pair(forward, back).items[0].text == pair(f"true@{CODE}", "false").items[0].text


@pytest.mark.parametrize(("there", "missing"), [(CONTINUE_ROLLOUT, ROLLBACK), (ROLLBACK, CONTINUE_ROLLOUT)])
def test_rule_4d_a_missing_half_waits_in_git_and_is_named(there, missing):
    reading = read_items({there: "true"}, GATES)
    assert (reading.items, reasons(reading)) == ([], ["HalfMissing"])
    assert f"{missing} is missing" in reading.remarks[0].message


@pytest.mark.parametrize(("forward", "back"), [("true", "true"), (f"true@{CODE}", "true"), (f"true@{CODE}", f"false@{OTHER}")])
def test_rule_4d_contradictory_halves_are_error_10002(forward, back):
    reading = pair(forward, back)
    assert (reading.items, reasons(reading)) == ([], ["Contradictory"])
    assert reading.remarks[0].message.startswith("10002")


@pytest.mark.parametrize(
    ("forward", "back"), [(True, False), ("True", "false"), ("true@", "false"), ("", ""), (None, "false"), ("x" * 9999, "false")]
)
def test_rule_4f_a_malformed_half_gives_a_remark_and_no_decision(forward, back):
    reading = pair(forward, back)
    assert (reading.items, reasons(reading)) == ([], ["Malformed"])


def test_many_unknown_keys_cost_in_proportion_to_their_number(monkeypatch):
    guesses = []
    monkeypatch.setattr("reconciler.gates.annotations.nearest", lambda word, known: guesses.append(word))
    read_items({f"reconciler.dev/{number}": "x" for number in range(1000)} | {"reconciler.dev/" + "a" * 5000: "x"}, GATES)
    assert 0 < len(guesses) <= 8

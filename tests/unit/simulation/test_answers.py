"""`--decide`: which gate an answer names."""

import pytest

from reconciler.model.identity import AppKey
from reconciler.model.status import GateView
from reconciler.simulation.answers import Answer, Answers, parse_answer
from reconciler.simulation.clock import START

WEB, SHOP = AppKey("default", "web"), AppKey("shop", "web")


def gate(step, key=""):
    return GateView(step, "web-v1", START, f"gates.reconciler.dev/{key or step}", "", "", "")


@pytest.mark.parametrize("text", ["", "approve", "approve=", "=continue", "approve=yes", "a/b/c/d=end", "a//b=end", "/b=end", "approve=Continue"])
def test_what_is_no_decision_is_refused_with_what_would_be_one(text):
    with pytest.raises(ValueError, match="STEP=continue"):
        parse_answer(text)


@pytest.mark.parametrize("verb", ["continue", "rollback", "end"])
def test_a_decision_is_read_and_written_alike(verb):
    assert parse_answer(f"shop/web/approve={verb}") == Answer("shop/web/approve", verb)
    assert str(parse_answer(f"approve={verb}")) == f"approve={verb}"


def test_the_most_exact_answer_wins_whatever_the_order():
    answers = Answers([Answer("shop/web/approve", "end"), Answer("web/approve", "rollback"), Answer("approve", "continue")])
    assert answers.find(SHOP, gate("approve")) == "end"
    assert answers.find(WEB, gate("approve")) == "rollback"
    assert answers.find(AppKey("default", "api"), gate("approve")) == "continue"
    assert answers.find(WEB, gate("other")) is None
    assert answers.unused == []


def test_of_two_answers_for_one_gate_the_last_counts():
    assert Answers([Answer("approve", "continue"), Answer("approve", "end")]).find(WEB, gate("approve")) == "end"


def test_a_gate_is_named_by_its_step_or_by_the_key_of_its_annotation():
    assert Answers([Answer("promote", "continue")]).find(WEB, gate("suspend-1", "promote")) == "continue"
    assert Answers([Answer("suspend-1", "end")]).find(WEB, gate("suspend-1", "promote")) == "end"


def test_answers_that_named_no_gate_are_known():
    answers = Answers([Answer("aprove", "continue"), Answer("approve", "continue")])
    answers.find(WEB, gate("approve"))
    assert answers.unused == [Answer("aprove", "continue")]


def test_the_default_answers_what_none_names():
    answers = Answers([Answer("approve", "end")], default="continue")
    assert [answers.find(WEB, gate("approve")), answers.find(WEB, gate("other"))] == ["end", "continue"]

from reconciler.revisions.plan import New, Restore, SameAs, decide
from reconciler.revisions.record import Record
from reconciler.revisions.target import choose_target

A, B, C = "a" * 64, "b" * 64, "c" * 64
V1 = Record(1, A, promoted=True)
V2 = Record(2, B, promoted=True)
V3 = Record(3, C)


def test_rule_7a_the_target_is_the_newest_promoted_that_is_not_rejected_and_not_what_is_left():
    assert choose_target([V1, V2, V3], leaving=V3) == V2
    assert choose_target([V2, V1], leaving=V2) == V1
    assert choose_target([V1, V2._replace(rejected=True), V3], leaving=V3) == V1


def test_rule_7a_another_revision_of_the_content_that_is_left_is_no_target():
    assert choose_target([V1, Record(4, B, promoted=True)], leaving=V2) == V1


def test_rule_7a_without_a_promoted_revision_there_is_no_target():
    assert choose_target([V3, V2._replace(promoted=False)], leaving=V3) is None
    assert choose_target([V2], leaving=V2) is None
    assert choose_target([], leaving=V3) is None


def test_rule_5b_what_runs_already_needs_no_run():
    assert decide({1: B}, V2, [V1, V2], newer_applied=False) == SameAs(V2)


def test_rule_5b_going_back_to_the_promoted_one_restores_it_if_newer_objects_were_applied():
    assert decide({1: B}, V2, [V1, V2, V3], newer_applied=True) == Restore(V2)


def test_rule_5b_going_back_to_a_kept_promoted_revision_is_a_restore_of_the_newest_of_that_content():
    again = Record(5, A, promoted=True)
    assert decide({1: A}, V2, [V1, V2, again], newer_applied=False) == Restore(again)


def test_rule_5b_one_no_longer_kept_is_new():
    assert decide({1: A}, V2, [V2], newer_applied=False) == New()


def test_rule_5b_a_rejected_or_never_promoted_one_runs_with_its_gates():
    assert decide({1: C}, V2, [V1, V2, V3], newer_applied=False) == New(V3)
    rejected = V1._replace(rejected=True)
    assert decide({1: A}, V2, [rejected, V2], newer_applied=False) == New(rejected)


def test_rule_5a_revisions_are_compared_by_the_algorithm_that_made_them():
    old = Record(7, A, promoted=True, version=1)
    assert decide({1: A, 2: B}, old, [old], newer_applied=False) == SameAs(old)
    assert decide({2: A}, old, [old], newer_applied=False) == New()

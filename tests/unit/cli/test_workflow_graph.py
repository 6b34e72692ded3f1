"""The drawing of a run's steps: every edge is a rail, and what a step is at stands beside it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.workflow_graph import describe, draw
from reconciler.model.workflow import NodeView
from tests.unit.api.fakes import NOW


def node(key, *after, phase="Pending", **fields):
    return NodeView(key, key, "apply-object", phase, list(after), **fields)


def picture(*nodes):
    return [f"{row.rails}{row.node.key if row.node else ''}" for row in draw(nodes)]


def test_steps_one_after_the_other_are_one_rail():
    assert picture(node("a"), node("b", "a"), node("c", "b")) == ["a", "│", "b", "│", "c"]


def test_branches_leave_the_rail_that_they_come_from_and_the_last_one_ends_it():
    assert picture(node("a"), node("b", "a"), node("c", "a")) == ["a", "├─b", "│", "c"]


def test_a_step_that_waits_for_several_joins_their_rails():
    assert picture(node("a"), node("b", "a"), node("c", "a"), node("d", "b", "c")) == ["a", "├─b", "│ │", "c", "└─┴─d"]


def test_a_rail_that_leads_past_a_step_is_not_joined():
    assert picture(node("a"), node("b"), node("c", "a"), node("d", "b")) == ["a", "│ b", "│ │", "c", "  │", "  d"]


def test_steps_that_nothing_connects_stand_side_by_side():
    assert picture(node("a"), node("b")) == ["a", "b"]


def test_a_step_stands_below_those_that_it_waits_for_whatever_the_order_and_unknown_ones_are_left_out():
    assert picture(node("b", "a", "nobody"), node("a")) == ["a", "│", "b"]


def test_a_circle_is_drawn_and_does_not_hang():
    assert len([row for row in draw([node("a", "b"), node("b", "a")]) if row.node]) == 2


@st.composite
def graphs(draw_):
    found = []
    for number in range(draw_(st.integers(1, 9))):
        after = draw_(st.lists(st.sampled_from([one.key for one in found]), unique=True, max_size=3)) if found else []
        found.append(node(f"s{number}", *after))
    return draw_(st.permutations(found))


@given(graphs())
def test_every_step_is_drawn_once_below_what_it_waits_for(nodes):
    rows = [row for row in draw(nodes) if row.node]
    place = {row.node.key: position for position, row in enumerate(rows)}
    assert sorted(place) == sorted(one.key for one in nodes)
    for one in nodes:
        assert all(place[before] < place[one.key] for before in one.after)
    joints = sum(row.rails.count(mark) for row in rows for mark in "├└┴┼")
    straight = sum(1 for row in draw(nodes) if row.node is None)
    assert joints + straight == sum(len(one.after) for one in nodes), "each edge is one joint or one straight piece"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"phase": "Succeeded", "started_at": NOW - timedelta(minutes=3), "finished_at": NOW - timedelta(minutes=1)},
            ("✔ a", "Succeeded", "1m", "1"),
        ),
        ({"phase": "Waiting", "started_at": NOW, "until": NOW + timedelta(minutes=5)}, ("◆ a", "Waiting", "5m left")),
        ({"phase": "Pending", "started_at": NOW, "attempt": 2, "retry_at": NOW + timedelta(seconds=8), "message": "no"}, ("3", "no; next try in 8s")),
        ({"phase": "Running", "started_at": NOW, "suspended_at": NOW}, ("‖ a", "Running, suspended")),
        ({"phase": "RollingBack", "started_at": NOW, "undo_attempt": 1}, ("↺ a", "1, undo 2")),
        ({"phase": "Failed", "started_at": NOW, "round": 2, "reason": "Conflict"}, ("✘ a", "Conflict; begun again 2×")),
        ({"group": "g"}, ("· ↳ a", "Pending", "-")),
        ({"phase": "Odd"}, ("? a", "Odd")),
    ],
)
def test_beside_each_step_stands_what_it_is_at(fields, told):
    [cells] = describe(draw([node("a", **fields)]), NOW)
    texts = [getattr(cell, "text", cell) for cell in cells]
    for text in told:
        assert text in texts

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.application import Application, Step, Workflow
from reconciler.model.dependencies import describe_cycle, find_cycles, find_way_back, parse_dependencies
from reconciler.model.identity import AppKey


def key(name):
    return AppKey("d", str(name))


def graph(**waits):
    return {key(name): [key(other) for other in others] for name, others in waits.items()}


@pytest.mark.parametrize(
    ("text", "keys"),
    [("db", ["shop/db"]), ("db, platform/ingress", ["shop/db", "platform/ingress"]), (" db ,shop/db", ["shop/db"]), ("a.b", ["shop/a.b"])],
)
def test_a_name_alone_is_of_the_same_namespace(text, keys):
    assert [str(found) for found in parse_dependencies(text, "shop")] == keys


@pytest.mark.parametrize("text", ["", "a,", "/a", "a/b/c", "a b", "A", "ns_/a", "a\nb", "-", "a" * 70])
def test_what_names_no_application_is_said(text):
    with pytest.raises(ValueError, match="names no application: write NAME or NAMESPACE/NAME"):
        parse_dependencies(text, "shop")


def test_there_is_an_end_to_how_many_are_named():
    with pytest.raises(ValueError, match="more than 50"):
        parse_dependencies(",".join(f"a{number}" for number in range(51)), "shop")


def test_a_manifest_with_a_mistake_there_waits_for_nobody_and_one_of_a_step_is_known_too():
    steps = [Step("w", "depends-on-app", "w", properties={"name": "x", "namespace": "n"}), Step("v", "depends-on-app", "v", properties={"name": "y"})]
    app = Application("d", "a", "kubevela", {}, "a.yaml", annotations={"reconciler.dev/depends-on": "b c"}, workflow=Workflow(steps=steps))
    assert (app.needs, app.awaited) == ([], [AppKey("n", "x"), AppKey("d", "y")])


def test_cycles_are_found_for_those_on_them_and_for_no_others():
    waits = graph(a="b", b="c", c="a", before="a", after="", beside="after", own=["own"])
    waits[key("c")].append(key("after"))
    assert {found.name: describe_cycle(cycle) for found, cycle in find_cycles(waits).items()} == {
        **dict.fromkeys("abc", "d/a → d/b → d/c → d/a"),
        "own": "d/own → d/own",
    }


def test_what_lies_between_two_cycles_is_on_none():
    assert sorted(found.name for found in find_cycles(graph(a="b", b="ax", x="y", y="zy", z="y"))) == ["a", "b", "y", "z"]


@given(st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=3)))
def test_whatever_the_graph_a_cycle_is_one_and_none_is_missed(numbers):
    waits = {key(name): [key(other) for other in others] for name, others in numbers.items()}
    cycles = find_cycles(waits)
    for name in waits:
        back = find_way_back(lambda one: waits.get(one, []), name)
        assert bool(back) is (name in cycles)
    for name, cycle in cycles.items():
        assert name in cycle
        assert all(other in waits[one] for one, other in pairwise([*cycle, cycle[0]]))


def test_a_long_chain_and_a_long_cycle_are_judged_in_one_pass():
    many = 20_000
    chain = {key(number): [key(number + 1)] for number in range(many)}
    assert find_cycles(chain) == {}
    ring = chain | {key(many): [key(0)]}
    assert len(find_cycles(ring)) == many + 1
    assert describe_cycle(find_cycles(ring)[key(3)]).count("→") == 9


def test_the_way_back_is_looked_for_no_farther_than_asked():
    ring = {key(number): [key((number + 1) % 100)] for number in range(100)}
    assert find_way_back(ring.__getitem__, key(0), 10) == ()
    assert len(find_way_back(ring.__getitem__, key(0), 200)) == 100

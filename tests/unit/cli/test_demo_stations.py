"""The stations of the demo: which one is next, and what is to be done there."""

import msgspec
import pytest

from reconciler.cli.demonstration.facts import Facts, find_images
from reconciler.cli.demonstration.stations import STATIONS, Step, bump, find_station, find_step
from reconciler.model.status import WriteBackView
from reconciler.source.edit import set_annotation
from tests.unit.api.fakes import application, decision, run
from tests.unit.cli.shops import KEY, TEXT, World, declare


def name(facts):
    return find_station(facts).name


def test_the_stations_follow_from_what_git_and_the_daemon_hold_and_from_nothing_else():
    world, seen = World(), []

    def note():
        station = find_station(world.facts())
        seen.append(station.name)
        return find_step(station, world.facts())

    first = note()
    assert not first.command
    assert f"{KEY}: continue@000000000001" in first.after
    world.text = first.after
    world.promote()
    change = note()
    assert "image: nginx:1.28" in change.after
    world.push(change.after)
    promote = note()
    assert promote.command == ("approve", "shop", "--push")
    world.text = promote.after
    world.promote()
    mistake = note()
    assert "image: mysql:8.5" in mistake.after
    assert "image: nginx:1.28" in mistake.after
    world.push(mistake.after)
    back = note()
    assert back.command == ("rollback", "shop", "--push")
    assert f"{KEY}: rollback@000000000003" in back.after
    world.roll_back()
    assert note() == ""
    world.write(promote.after)
    assert note() == ""
    assert seen == [station.name for station in STATIONS[1:]]


def test_nothing_is_reached_before_the_daemon_has_read_the_repository():
    assert name(Facts()) == "start"
    assert find_step(STATIONS[0], Facts()) == ""
    assert find_step(STATIONS[1], Facts()) == ""


def test_the_first_station_waits_until_every_application_runs_or_waits_for_a_person():
    world = World()
    facts = world.facts()
    busy = application("web", "web-dev", sync="OutOfSync")
    assert name(msgspec.structs.replace(facts, applications=[*facts.applications, busy])) == "start"
    assert name(facts) == "first"


def test_a_decision_that_stands_in_git_is_not_asked_for_again():
    world = World()
    world.text = set_annotation(TEXT, 0, KEY, "continue@000000000001")
    assert find_step(STATIONS[1], world.facts()) == ""
    world.text = set_annotation(TEXT, 0, KEY, "continue@ffffffffffff")
    assert isinstance(find_step(STATIONS[1], world.facts()), Step)


def test_nothing_is_asked_for_while_the_daemon_has_not_seen_the_head_or_is_at_work():
    world = World()
    world.promote()
    assert isinstance(find_step(STATIONS[2], world.facts()), Step)
    world.text = TEXT.replace("nginx:1.27", "nginx:1.28")
    assert find_step(STATIONS[2], world.facts()) == "", "pushed, and not looked at yet"
    world.text, world.phase = TEXT, "Running"
    assert find_step(STATIONS[2], world.facts()) == ""
    world.phase, world.write_back = "", WriteBackView("Owed")
    assert find_step(STATIONS[2], world.facts()) == "", "the daemon's own commit is on its way"


def test_who_rolls_back_instead_of_promoting_is_asked_for_another_change():
    world = World()
    world.promote()
    world.push(TEXT.replace("nginx:1.27", "nginx:1.28"))
    assert name(world.facts()) == "promote"
    world.roll_back()
    world.write(TEXT)
    assert name(world.facts()) == "change"
    assert "nginx:1.28" in find_step(STATIONS[2], world.facts(behind=True)).after
    assert find_step(STATIONS[2], world.facts(behind=True)).pull


@pytest.mark.parametrize(
    ("phase", "kind", "verb"),
    [("Running", "deploy", "continue"), ("RollingBack", "deploy", "rollback"), ("RolledBack", "deploy", "rollback"), ("Running", "restore", "")],
)
def test_a_station_is_not_left_backwards_while_the_decision_is_carried_out(phase, kind, verb):
    world = World()
    world.promote()
    world.push(TEXT.replace("nginx:1.27", "nginx:1.28"))
    world.waits = False
    facts = world.facts()
    under_way = run(phase, kind=kind, decisions=[decision(verb)] if verb else [])
    facts = msgspec.structs.replace(facts, applications=[msgspec.structs.replace(facts.shop, run=under_way)])
    assert name(facts) == "promote"
    assert find_step(STATIONS[3], facts) == ""


def test_a_run_that_was_ended_before_anything_ran_is_followed_by_another_change():
    world = World()
    world.waits, world.phase = False, "Terminated"
    assert name(world.facts()) == "first"
    assert "nginx:1.28" in find_step(STATIONS[1], world.facts()).after


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TEXT.replace("image: nginx:1.27", "cmd: [x]"), ""),
        (TEXT.replace("    - name: web\n", "    - name: page\n").replace("component: web", "component: page"), "no image of a component web"),
        ("not: [yaml", ""),
        ("", ""),
        ("a: 1\n", ""),
    ],
)
def test_a_manifest_that_a_person_broke_stops_nothing(text, told):
    world = World()
    world.promote()
    world.text, world.seen = text, declare(text).digest
    answer = find_step(STATIONS[2], world.facts())
    assert isinstance(answer, str)
    assert told in answer


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx:1.27", "nginx:1.28"),
        ("nginx:1.27-alpine", "nginx:1.28-alpine"),
        ("host:5000/nginx:v9", "host:5000/nginx:v10"),
        ("nginx", "nginx:1"),
        ("nginx:stable", "nginx:stable.1"),
        ("", ":1"),
    ],
)
def test_the_next_version_of_an_image(image, expected):
    assert bump(image) == expected


def test_a_tag_of_any_length_has_a_next_version():
    assert bump(f"nginx:{'9' * 5000}") != f"nginx:{'9' * 5000}"


@pytest.mark.parametrize(
    "spec", [{}, {"components": 1}, {"components": [1, {"name": "a"}, {"name": "b", "properties": 1}, {"properties": {"image": 2}}]}]
)
def test_images_are_found_in_whatever_a_spec_holds(spec):
    assert find_images(spec) == {}

"""The demo: which station is next, what is to be done there, what it says, and that it plays only what was really reached."""

import io
import re
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from reconciler.cli.demonstration.facts import PATH, SHOP, Declared, Facts, find_images
from reconciler.cli.demonstration.folder import Folder, find_example
from reconciler.cli.demonstration.play import Play
from reconciler.cli.demonstration.screen import Screen, open_console
from reconciler.cli.demonstration.stations import STATIONS, Step, bump, find_station, find_step
from reconciler.cli.demonstration.telling import Guide
from reconciler.cli.disk import DiskFiles
from reconciler.cli.errors import RefusedError
from reconciler.dialects.registry import compile_file, dialects
from reconciler.model.status import History, RevisionHistory, RunHistory, WriteBackView
from reconciler.revisions.digest import git_digest
from reconciler.source.edit import set_annotation
from reconciler.source.worktree import WorktreeError
from reconciler.steps.catalog import STEP_TYPES
from tests.unit.api.fakes import application, gate, revision, run

KEY = "gates.reconciler.dev/approve"
TEXT = (find_example() / PATH).read_text()


def declare(text=TEXT):
    app = next(iter(compile_file(PATH, text, DiskFiles(Path("/nonexistent")), dialects(STEP_TYPES)).applications), None)
    return Declared(text, app, git_digest(app) if app else "")


class World:
    """The shop as it may stand: the facts of a look, step by step."""

    def __init__(self):
        self.text, self.running, self.newest, self.waits = TEXT, 0, 1, True
        self.images = find_images(declare().app.spec)
        self.cluster, self.own, self.rolled, self.phase, self.sync = {"database": "mysql:8.4"}, "", "", "", "OutOfSync"
        self.write_back = None
        self.seen = declare().digest

    def facts(self, **more):
        declared = declare(self.text)
        waiting = [msgspec.structs.replace(gate(code=f"{self.newest:012x}"), revision=f"shop-v{self.newest}")] if self.waits else []
        phase = self.phase or ("Waiting" if self.waits else "Succeeded")
        status = application(
            "shop",
            "shop",
            desired=msgspec.structs.replace(revision(self.newest, "shop"), digest=self.seen),
            running=revision(self.running, "shop") if self.running else None,
            gates=waiting,
            run=run(phase),
            sync=self.sync,
            path=PATH,
        )
        history = History("shop", "shop", None, None, [self._tell(number) for number in range(self.newest, 0, -1)])
        metrics = f'reconciler_application_info{{namespace="shop",name="shop",revision="shop-v{self.running}",sync="{self.sync}",health="Healthy"}} 1'
        values = {"promised": self.images if self.running else {}, "cluster": self.cluster, "own": self.own, "metrics": metrics, **more}
        return Facts([status], history, declared, **values)

    def _tell(self, number):
        rolled = f"shop-v{number}" == self.rolled
        told = RunHistory(
            f"shop-v{number}-1", "deploy", "RolledBack" if rolled else "Succeeded", restored_by="x" if rolled else "", write_back=self.write_back
        )
        return RevisionHistory(f"shop-v{number}", "0" * 64, None, True, False, number <= self.running, rolled, runs=[told])

    def promote(self):
        self.running, self.waits, self.sync = self.newest, False, "Synced"
        self.images = find_images(declare(self.text).app.spec)
        self.cluster = dict(self.images)

    def push(self, text):
        changed = declare(text).digest != self.seen
        self.text, self.seen = text, declare(text).digest
        if changed:
            self.newest, self.waits, self.sync = self.newest + 1, True, "OutOfSync"
            self.cluster = {**self.cluster, "database": find_images(declare(text).app.spec)["database"]}

    def roll_back(self):
        self.rolled, self.waits, self.cluster = f"shop-v{self.newest}", False, dict(self.images)

    def write(self, text):
        self.text, self.own, self.seen, self.sync = text, "abc Reconciler: back", declare(text).digest, "Synced"

    def act(self, step):
        """What the daemon would make of that step."""
        decision = step.after.partition(f"{KEY}: ")[2][:8]
        if declare(step.after).digest != self.seen:
            self.push(step.after)
        elif decision == "continue":
            self.text = step.after
            self.promote()
        else:
            good = step.before.replace("mysql:8.5", "mysql:8.4")
            self.roll_back()
            self.write(good)


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


class Stage:
    """A play on a world without a daemon, and what it prints."""

    def __init__(self, world, work=None, width=100):
        self.world, self.output, self.done = world, io.StringIO(), []
        screen = Screen(Console(file=self.output, width=width, force_terminal=False))
        guide = Guide(screen, Folder(Path("/nonexistent/demo")), "http://127.0.0.1:7373", alone=True)
        self.play = Play(world.facts, work or self._work, guide, screen)

    def _work(self, step):
        self.done.append(step)
        self.world.act(step)

    @property
    def said(self):
        return self.output.getvalue()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr("reconciler.cli.demonstration.play.AUTO_PAUSE", 0)


def test_it_plays_every_station_once_and_says_each_edit_and_command():
    stage = Stage(World())
    stage.play.play(20)
    assert len(stage.done) == 5
    assert re.findall(r"^(\d) of 8 · ", stage.said, re.MULTILINE) == list("2345678")
    for words in ("-        image: nginx:1.27", "+        image: nginx:1.28", "reconciler approve shop --push", "reconciler rollback shop --push"):
        assert words in stage.said
    assert stage.said.count("git push") == 5


def test_what_is_to_be_copied_is_on_one_line_however_narrow_the_terminal():
    stage = Stage(World(), width=20)
    stage.play.play(20)
    assert '    git log --format="%h %an: %s" -5\n' in stage.said
    assert "    +    gates.reconciler.dev/approve: continue@000000000001\n" in stage.said


def test_it_fails_with_the_station_and_the_reason_where_nothing_follows_from_a_step():
    stage = Stage(World(), work=lambda step: None)
    with pytest.raises(RefusedError, match=r"station 2 \(A commit promotes\) was not reached within 0 s: .* waits"):
        stage.play.play(0.01)


def test_it_fails_where_a_step_is_refused():
    def refuse(step):
        raise WorktreeError("origin refused the push")

    with pytest.raises(RefusedError, match=r"station 2 .* was not reached: origin refused the push"):
        Stage(World(), work=refuse).play.play(20)


@pytest.mark.parametrize(
    ("station", "spoil", "reason"),
    [
        (2, {"cluster": {"web": "nginx:1.0", "database": "mysql:8.4"}}, "does not run the image that shop-v1 declares for: web"),
        (3, {"cluster": {"web": "nginx:1.28", "database": "mysql:8.4"}}, "does not run the image that shop-v1 declares for: web"),
        (5, {"cluster": {"web": "nginx:1.28", "database": "mysql:8.4"}}, "the cluster's database does not run mysql:8.5"),
        (8, {"metrics": ""}, "/metrics does not say that shop/shop runs shop-v2"),
    ],
)
def test_a_station_counts_as_reached_only_if_the_cluster_git_and_the_metrics_show_it(station, spoil, reason):
    world = World()
    stage = Stage(world)
    honest = world.facts
    acted = min(station - 1, 5)
    stage.play._look = lambda: honest(**spoil) if len(stage.done) == acted else honest()
    with pytest.raises(RefusedError, match=f"station {station} ") as failed:
        stage.play.play(0.3)
    assert len(stage.done) == acted
    assert reason in str(failed.value)


class Person:
    """Presses Enter at these looks, and leaves after the last."""

    def __init__(self, *presses):
        self.presses = list(presses)

    def wait(self, seconds):
        if not self.presses:
            raise KeyboardInterrupt
        return self.presses.pop(0)


def test_enter_does_the_step_and_without_it_nothing_is_done():
    stage = Stage(World())
    with pytest.raises(KeyboardInterrupt):
        stage.play.lead(Person(False, False, True, False))
    assert len(stage.done) == 1
    assert find_station(stage.world.facts()).name == "change"
    assert stage.said.count("2 of 8") == 1


def test_a_step_that_fails_is_told_and_may_be_tried_again():
    tried = []

    def refuse(step):
        tried.append(step)
        raise RefusedError("not now")

    stage = Stage(World(), work=refuse)
    with pytest.raises(KeyboardInterrupt):
        stage.play.lead(Person(True, True))
    assert len(tried) == 2
    assert stage.said.count("not now") == 2


def test_a_person_who_is_faster_than_the_demo_is_not_told_what_is_past():
    world = World()
    stage = Stage(world)

    def hurry(seconds):
        while find_station(world.facts()).name != "mistake":
            world.act(find_step(find_station(world.facts()), world.facts()))
        person.wait = lambda _: (_ for _ in ()).throw(KeyboardInterrupt)
        return False

    person = Person()
    person.wait = hurry
    with pytest.raises(KeyboardInterrupt):
        stage.play.lead(person)
    assert re.findall(r"^(\d) of 8 · ", stage.said, re.MULTILINE) == list("2345")
    assert "is made of your commit, and waits" not in stage.said
    assert "shop-v2 is promoted: nginx:1.28 runs." in stage.said


def test_untrusted_text_is_one_line_with_its_controls_escaped():
    output = io.StringIO()
    screen = Screen(Console(file=output, width=80, force_terminal=False))
    screen.say("a\x1b[31mb\nc [bold]d[/bold]")
    screen.show(["e\x1b]0;f\x07"])
    assert "\x1b" not in output.getvalue()
    assert "[bold]d[/bold]" in output.getvalue()


@pytest.mark.parametrize(("variable", "value", "plain"), [("NO_COLOR", "1", True), ("TERM", "dumb", True), ("NO_COLOR", "", False)])
def test_no_color_and_a_dumb_terminal_make_it_plain(monkeypatch, variable, value, plain):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(variable, value)
    assert open_console().is_terminal is not plain


def test_the_shop_is_the_one_of_the_examples():
    assert declare().app.key == SHOP
    assert declare().images == {"web": "nginx:1.27", "database": "mysql:8.4"}

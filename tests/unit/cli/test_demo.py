"""The play of the demo: what it says and does, and that it passes only what was really reached."""

import io
import itertools
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from reconciler.cli.demonstration.facts import SHOP, Facts, Observer
from reconciler.cli.demonstration.folder import Folder, open_folder
from reconciler.cli.demonstration.play import Play
from reconciler.cli.demonstration.screen import Screen, open_console
from reconciler.cli.demonstration.stations import find_station, find_step
from reconciler.cli.demonstration.telling import Guide
from reconciler.cli.errors import RefusedError
from reconciler.source.worktree import WorktreeError
from tests.unit.cli.shops import TEXT, World, declare


class Stage:
    """A play on a world without a daemon, and what it prints."""

    def __init__(self, world, work=None, width=100, **more):
        self.world, self.output, self.done = world, io.StringIO(), []
        screen = Screen(Console(file=self.output, width=width, force_terminal=False))
        guide = Guide(screen, Folder(Path("/nonexistent/demo")), "http://127.0.0.1:7373", alone=True)
        self.play = Play(world.facts, work or self._work, guide, screen, **more)

    def _work(self, step):
        self.done.append(step)
        self.world.act(step)
        return True

    @property
    def said(self):
        return self.output.getvalue()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """A second is a look: no machine is too slow for it."""
    clock = SimpleNamespace(monotonic=itertools.count().__next__, sleep=lambda _: None)
    monkeypatch.setattr("reconciler.cli.demonstration.play.time", clock)


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
    stage = Stage(World(), work=lambda step: True)
    with pytest.raises(RefusedError, match=r"station 2 \(A commit promotes\) was not reached within 3 s: .* waits"):
        stage.play.play(3)


def test_what_was_left_unfinished_in_the_clone_comes_before_the_step_and_not_in_place_of_it():
    left = ["an edit", "a commit"]

    def finish(step):
        if left:
            left.pop()
            return False
        return stage._work(step)

    stage = Stage(World(), work=finish)
    stage.play.play(30)
    assert left == []
    assert len(stage.done) == 5


def test_a_play_that_goes_on_judges_nothing_before_the_daemon_has_read_the_repository():
    stage = Stage(World())
    stage.play.play(20)
    looks = iter([Facts(declared=declare(stage.world.text), own="abc")] * 3)
    again = Stage(stage.world, goes_on=True)
    again.play._look = lambda: next(looks, None) or stage.world.facts()
    again.play.play(20)
    assert again.done == []
    assert "Resumed: the first 7 of 8 stations lie behind." in again.said


def test_a_play_that_goes_on_does_not_wait_for_ever_for_a_shop_that_is_gone():
    stage = Stage(World(), goes_on=True)
    stage.play._look = lambda: Facts(declared=declare(TEXT))
    with pytest.raises(RefusedError, match="station 1"):
        stage.play.play(40)


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
        stage.play.play(30)
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


def test_a_look_is_of_one_moment_though_the_shop_moves_on_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    world, answers = World(), []

    class Moving:
        """The shop is promoted between the first question and the second."""

        def applications(self):
            answers.append(1)
            if len(answers) == 2:
                world.promote()
            return world.facts().applications

        def locate(self, key, view):
            return view

        def decode(self, path, shape, **_):
            return world.facts().history if path == "history" else []

        def revisions(self, key):
            return []

        def get(self, path):
            return b""

    facts = Observer(open_folder(tmp_path / "demo"), Moving()).look()
    assert facts.running == "shop-v1"
    assert find_station(facts).name == "change"
    assert len(answers) == 4

"""The play: look, say what is next, and go on as soon as it is so, whoever did it."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable
from typing import Final, Protocol

from reconciler.cli.demonstration.daemon import RECONCILER
from reconciler.cli.demonstration.facts import PATH, Facts
from reconciler.cli.demonstration.folder import Folder
from reconciler.cli.demonstration.screen import Screen
from reconciler.cli.demonstration.stations import STATIONS, Station, Step, find_station, find_step
from reconciler.cli.demonstration.telling import Guide, list_commits, list_pulls
from reconciler.cli.errors import RefusedError
from reconciler.source.worktree import WorktreeError, run_git
from reconciler.workflow.explain import describe

PAUSE: Final = 0.5
AUTO_PAUSE: Final = 0.1
AUTO_SECONDS: Final = 90.0
READ_SECONDS: Final = 20.0


class Prompt(Protocol):
    """Where a person agrees to have the step done for them."""

    def wait(self, seconds: float) -> bool:
        """Whether they did, within that time."""
        ...


class Worker:
    """Does steps for a person, by the same commands. Raises WorktreeError and RefusedError."""

    def __init__(self, folder: Folder, url: str, screen: Screen) -> None:
        self._folder, self._url, self._screen = folder, url, screen

    def perform(self, step: Step) -> bool:
        """Whether the step was done: what a person left unfinished in the clone comes first, and may be the step."""
        unfinished = self._folder.unfinished()
        if unfinished:
            self._run(unfinished)
            return False
        if step.command:
            self._run(list_pulls(step))
            self._command(step.command)
        else:
            self._run(list_pulls(step))
            (self._folder.clone / PATH).write_bytes(step.after.encode())
            self._run(list_commits(step))
        return True

    def _run(self, commands: list[tuple[str, ...]]) -> None:
        for words in commands:
            self._screen.say(f"$ git {shlex.join(words)}", "dim")
            run_git(self._folder.clone, *words)

    def _command(self, words: tuple[str, ...]) -> None:
        self._screen.say(f"$ reconciler {shlex.join(words)}", "dim")
        done = subprocess.run(  # noqa: S603 - argv, no shell
            (*RECONCILER, *words, "--server", self._url, "--repo", str(self._folder.clone)), capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise RefusedError(said.removeprefix("Error: "))


class Play:
    """`look` answers the facts of now, or raises a CommandError. `goes_on`: the daemon has run in that folder before: where it has not said yet
    how the shop stands, nothing can be told of what lies behind."""

    def __init__(self, look: Callable[[], Facts], work: Callable[[Step], bool], guide: Guide, screen: Screen, *, goes_on: bool = False) -> None:
        self._look, self._work, self._guide, self._screen = look, work, guide, screen
        self._read_by = time.monotonic() + READ_SECONDS if goes_on else None
        self._station: Station | None = None
        self._told: Step | str = ""
        self._parted = False

    def lead(self, prompt: Prompt) -> None:
        """Goes on with what a person does, until it is interrupted."""
        while True:
            facts = self._look()
            if self._is_unread(facts):
                time.sleep(AUTO_PAUSE)
                continue
            step = self._follow(facts, find_station(facts))
            if self._station is STATIONS[-1] and not self._parted:
                self._parted = not self._conclude(facts)
            if prompt.wait(PAUSE) and isinstance(step, Step):
                try:
                    self._work(step)
                except (WorktreeError, RefusedError) as error:
                    self._screen.say(str(error), "red")

    def play(self, seconds: float = AUTO_SECONDS) -> None:
        """Does every step itself, once. Raises RefusedError with the station that was not really reached, and why."""
        deadline = time.monotonic() + seconds
        done: Step | None = None
        while True:
            facts = self._look()
            if self._is_unread(facts):
                time.sleep(AUTO_PAUSE)
                continue
            there = find_station(facts)
            passed = STATIONS[STATIONS.index(self._station or there) : STATIONS.index(there)]
            lacking = next((reason for station in passed if (reason := station.lacking(facts))), "")
            step = "" if lacking else self._follow(facts, there)
            if there is STATIONS[-1] and not (lacking := lacking or self._conclude(facts)):
                return
            if time.monotonic() > deadline:
                reason = lacking or (step if isinstance(step, str) else "") or _explain(facts)
                raise RefusedError(f"{self._name()} was not reached within {seconds:.0f} s: {reason}")
            if isinstance(step, Step) and step != done:
                done = step if self._try(step) else None
            time.sleep(AUTO_PAUSE)

    def _is_unread(self, facts: Facts) -> bool:
        """Whether to wait for what the daemon will say of the shop; not for ever, for it may be gone."""
        if facts.shop is not None or self._read_by is None or time.monotonic() > self._read_by:
            self._read_by = None
        return self._read_by is not None

    def _try(self, step: Step) -> bool:
        try:
            return self._work(step)
        except (WorktreeError, RefusedError) as error:
            raise RefusedError(f"{self._name()} was not reached: {error}") from None

    def _follow(self, facts: Facts, station: Station) -> Step | str:
        """Tells what is new since the last look; answers what is to be done now."""
        if station is not self._station:
            self._arrive(facts, station)
        step = find_step(station, facts)
        if step and step != self._told:
            self._screen.rest()
            if isinstance(step, Step):
                self._guide.instruct(station, step, facts)
            else:
                self._screen.say(step, "red")
            self._told = step
        self._screen.watch(_explain(facts), clear=isinstance(step, Step))
        return step

    def _arrive(self, facts: Facts, station: Station) -> None:
        self._screen.rest()
        index, here = STATIONS.index(station), self._station
        if here is None and index:
            self._screen.tick(f"Resumed: the first {index} of {len(STATIONS)} stations lie behind.")
        for passed in STATIONS[STATIONS.index(here) : index] if here is not None else ():
            if passed is not here:
                self._guide.head(passed)
            # Somebody may have gone on since: then what was to be seen there is past.
            if passed.lacking(facts):
                self._screen.tick("Done, and passed.")
            else:
                self._guide.conclude(passed, facts)
        self._guide.head(station)
        self._station, self._told = station, ""

    def _conclude(self, facts: Facts) -> str:
        """Ends the last station, unless something lacks yet: what does."""
        lacking = STATIONS[-1].lacking(facts)
        if not lacking:
            self._screen.rest()
            self._guide.conclude(STATIONS[-1], facts)
            self._guide.part(facts)
        return lacking

    def _name(self) -> str:
        return f"station {STATIONS.index(self._station) + 1} ({self._station.title})" if self._station is not None else "the first station"


def _explain(facts: Facts) -> str:
    """Where the shop stands, told again only when it changes."""
    if facts.shop is None:
        return "The daemon reads the repository."
    return describe(facts.shop)

"""What the demo says at each station: what is to be seen there, why, and what to type."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Final

from reconciler.cli.demonstration.daemon import name_command
from reconciler.cli.demonstration.facts import PATH, SHOP, Facts
from reconciler.cli.demonstration.folder import LOG_FORMAT, Folder
from reconciler.cli.demonstration.screen import Screen
from reconciler.cli.demonstration.stations import STATIONS, Station, Step, find_metrics

_MANUAL: Final = "Do it in the second terminal, or press Enter and it is done for you."


class Guide:
    """Speaks on a screen about one folder and one daemon. `alone`: nobody is there to type."""

    def __init__(self, screen: Screen, folder: Folder, url: str, *, alone: bool) -> None:
        self._screen, self._folder, self._url, self._alone = screen, folder, url, alone

    def welcome(self) -> None:
        screen, folder = self._screen, self._folder
        screen.say("A daemon runs on a copy of the example repository, with a simulated cluster: no container really runs.")
        places = {
            "origin": f"{folder.origin}  (bare; what the daemon watches)",
            "clone": f"{folder.clone}  (yours: edit, commit and push here)",
            "metrics": f"{self._url}/metrics",
            "log": f"{folder.log}",
        }
        screen.show(f"{name:8} {place}" for name, place in places.items())
        if not self._alone:
            screen.say("Open a second terminal for what follows, and type there:")
            screen.show(self.enter(), "cyan")

    def enter(self) -> list[str]:
        """The commands that make a terminal one of this demo."""
        path = "" if name_command() == "reconciler" else f" PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"
        return [f"export RECONCILER_SERVER={self._url}{path}", f"cd {shlex.quote(str(self._folder.clone))}", "reconciler status"]

    def head(self, station: Station) -> None:
        self._screen.head(f"{STATIONS.index(station) + 1} of {len(STATIONS)} · {station.title}")

    def instruct(self, station: Station, step: Step, facts: Facts) -> None:
        """What to do at that station."""
        screen = self._screen
        for sentence in _introduce(station, facts):
            screen.say(sentence)
        if step.pull:
            screen.say("The daemon has made a commit, which the clone lacks:")
            screen.show([f"git {shlex.join(words)}" for words in list_pulls(step)], "cyan")
        screen.say(f"In the clone, {PATH}:")
        screen.show_change(step.before, step.after)
        screen.say("Commit it and push:")
        screen.show([f"git {shlex.join(words)}" for words in list_commits(step)], "cyan")
        if step.command:
            screen.say("Or let one command make the same commit:")
            screen.show([f"reconciler {shlex.join(step.command)}"], "cyan")
        if not self._alone:
            screen.say(_MANUAL, "bold")

    def conclude(self, station: Station, facts: Facts) -> None:
        """What is to be seen once it is reached."""
        screen = self._screen
        if station.name == "start":
            screen.show(_draw_applications(facts))
        screen.tick(_CONCLUSIONS[station.name].format(**_name_things(facts)))
        if station.name == "record":
            screen.say("The daemon made the newest commit itself: it changes back what was rolled back, and nothing else.")
            screen.say("To see it, in the clone:")
            screen.show(["git pull", f'git log --format="{LOG_FORMAT}" -5'], "cyan")
            screen.show(facts.lines[:5])

    def part(self, facts: Facts) -> None:
        """The last station: what to do next."""
        screen = self._screen
        screen.say("All that you saw is in Prometheus' format, too:")
        screen.show([f"curl {self._url}/metrics"], "cyan")
        screen.show(find_metrics(facts))
        screen.say("And these commands tell more:")
        commands = {
            f"reconciler history {SHOP.name}": "its revisions, and who decided what",
            f"reconciler why {SHOP.name}": "why it is where it is, in a sentence",
            "reconciler status": "all applications, and what else waits",
            "reconciler cluster get pods -n shop": "what the cluster holds",
            "reconciler lint .": "every mistake, by file, line and field",
        }
        screen.show((f"{command:36} # {what}" for command, what in commands.items()), "cyan")
        screen.say("The README of the clone goes on from here: a canary, and three environments.")
        if not self._alone:
            screen.say("The daemon runs on until you press Ctrl-C here.", "bold")


def list_pulls(step: Step) -> list[tuple[str, ...]]:
    """The git commands that the clone needs first."""
    return [("pull", "--rebase")] if step.pull else []


def list_commits(step: Step) -> list[tuple[str, ...]]:
    """The git commands that make a commit of the edit and push it."""
    return [("commit", "-am", step.message), ("push",)]


def _introduce(station: Station, facts: Facts) -> list[str]:
    running, gate = facts.running or "nothing", facts.gate
    if gate is None:
        return {
            "change": [f"{running} runs. Now let the web server run a newer image: change what git declares."],
            "mistake": ["Now a change that turns out to be no good: a version of the database that nobody has tried."],
        }.get(station.name, ["No gate waits any more. Any change to what git declares makes a new revision:"])
    waits = f"{gate.revision} waits at its gate {gate.step}: “{gate.message}”" if gate.message else f"{gate.revision} waits at its gate {gate.step}."
    return {
        "first": [waits, "A commit opens it. The code belongs to this run alone: nobody could know it before."],
        "promote": [waits, f"{running} runs on meanwhile, with {facts.cluster.get('web', 'no image')}. Promote the new one by a commit, as before:"],
        "rollback": [
            waits,
            f"The database runs {facts.cluster.get('database', 'another image')} already. Say that it is no good, by a commit:",
        ],
    }.get(station.name, [waits])


_CONCLUSIONS: Final = {
    "start": "The daemon applied what git declares. Some applications wait at a gate, for somebody's decision.",
    "first": "{running} is promoted: {web} and {database} run.",
    "change": "{gate} is made of your commit, and waits. {running} runs on with {web}.",
    "promote": "{running} is promoted: {web} runs.",
    "mistake": "{gate} has brought {database} to the cluster, and waits.",
    "rollback": "{running} is restored: {web} and {database} run.",
    "record": "Git declares {running} again.",
    "look": "The metrics say the same: {running} runs, as git declares it.",
}


def _name_things(facts: Facts) -> dict[str, str]:
    gate = facts.gate.revision if facts.gate is not None else "The new revision"
    return {"running": facts.running or "Nothing", "gate": gate, **{name: facts.cluster.get(name, "no image") for name in ("web", "database")}}


def _draw_applications(facts: Facts) -> list[str]:
    rows = [("APPLICATION", "RUNNING", "SYNC", "WAITS AT")]
    for status in facts.applications:
        running = status.running.revision if status.running is not None else "-"
        rows.append((str(status.key), running, status.sync, status.gate.step if status.gate is not None else "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

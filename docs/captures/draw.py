"""
Draws the terminal captures of the README: `python3 dev.py capture` writes docs/captures/*.svg.

The demo is played by a real daemon in a new folder. Only what differs from one run to the next is put in place of itself afterwards:
codes, commit ids, waiting times, the folder and the port.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from reconciler.cli.client import Client
from reconciler.cli.demonstration.daemon import RECONCILER, start_daemon
from reconciler.cli.demonstration.facts import Observer
from reconciler.cli.demonstration.folder import open_folder
from reconciler.cli.demonstration.play import Play, Worker
from reconciler.cli.demonstration.screen import Screen
from reconciler.cli.demonstration.stations import STATIONS, Step
from reconciler.cli.demonstration.telling import Guide

PLACE = Path(__file__).parent
SHOWN = "/tmp/reconciler-demo"
SPEED = 20.0
WIDTH = 104
# What `demo.svg` shows of it: the change that is no good, and the way back.
FIRST, LAST = "mistake", "record"
# As rich's own, without the fonts that it would fetch from elsewhere.
FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""


class Still(Screen):
    """Without the line that moves: what it shows depends on the moment."""

    def watch(self, text: str, *, clear: bool) -> None:
        """Nothing."""


def record() -> Console:
    """Colours, but no terminal."""
    return Console(file=io.StringIO(), record=True, width=WIDTH, color_system="truecolor", highlight=False, emoji=False, markup=False)


def play(root: Path) -> tuple[str, str]:
    """The demo, and the table of `reconciler status` while the change that is no good waits. With ANSI colours."""
    console, table = record(), record()
    screen, folder = Still(console), open_folder(root)
    daemon = start_daemon(folder, "127.0.0.1:0", SPEED)
    try:
        daemon.wait()
        worker = Worker(folder, daemon.url, screen)

        def work(step: Step) -> bool:
            if step.command[:1] == ("rollback",):
                table.print(Text("$ reconciler status", style="bold"))
                table.print(Text(ask(daemon.url)), soft_wrap=True, end="")
            return worker.perform(step)

        Play(Observer(folder, Client(daemon.url)).look, work, Guide(screen, folder, daemon.url, alone=False), screen).play()
    finally:
        daemon.end()
    return console.export_text(styles=True), table.export_text(styles=True)


def ask(url: str) -> str:
    return subprocess.run((*RECONCILER, "status", "--server", url), capture_output=True, text=True, check=True).stdout


def cut(text: str) -> str:
    """From the heading of the first station that is shown to that of the one after the last."""
    names = [station.name for station in STATIONS]
    begin, end = (text.index(f"{number} of {len(STATIONS)} · ") for number in (names.index(FIRST) + 1, names.index(LAST) + 2))
    return text[text.rindex("\n", 0, begin) + 1 : text.rindex("\n", 0, end)].rstrip() + "\n"


def settle(text: str, root: Path) -> str:
    """The same whenever it is played: what differs is numbered in the order in which it appears."""
    text = text.replace(str(root), SHOWN)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:7373", text)
    text = re.sub(r"\(\d+s\)", "(5s)", text)
    text = re.sub(r"(?<=@)[0-9a-f]{12}\b", number(lambda count: f"{count * 0x5EED1E55C0DE % 16**12:012x}"), text)
    return re.sub(r"\b[0-9a-f]{7}(?= [A-Z]\w+: )", number(lambda count: f"{count * 0xC0FFEE1 % 16**7:07x}"), text)


def number(name: Callable[[int], str]) -> Callable[[re.Match[str]], str]:
    seen: dict[str, str] = {}
    return lambda found: seen.setdefault(found[0], name(len(seen) + 1))


def draw(name: str, title: str, text: str) -> None:
    drawn = Text.from_ansi(text)
    console = Console(file=io.StringIO(), record=True, width=max(line.cell_len for line in drawn.split("\n")) + 1, force_terminal=True)
    console.print(drawn, end="")
    console.save_svg(str(PLACE / name), title=title, unique_id=name.partition(".")[0], code_format=FORMAT)
    svg = (PLACE / name).read_text(encoding="utf-8")
    (PLACE / name).write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


def main() -> int:
    # Nobody's name and settings in what is drawn.
    os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "reconciler-demo"
        demo, table = play(root)
        draw("demo.svg", "reconciler demo", settle(cut(demo), root))
        draw("status.svg", "reconciler status", settle(table, root))
    return 0


if __name__ == "__main__":
    sys.exit(main())

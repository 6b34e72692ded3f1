"""What a person sees of the demo: headings, sentences, commands to copy, and in a terminal one line that moves."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from difflib import unified_diff
from typing import Final

from rich.console import Console
from rich.rule import Rule
from rich.status import Status
from rich.text import Text

from reconciler.model.text import one_line

_INDENT: Final = "    "
_LONGEST: Final = 4096
_DIFF: Final = {"+": "green", "-": "red"}


def open_console() -> Console:
    """Colours and the moving line only in a terminal whose owner has not said no to them (https://no-color.org)."""
    rich = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Console(force_terminal=rich, no_color=not rich, highlight=False, emoji=False, markup=False, legacy_windows=False)


class Screen:
    """All text is untrusted: one line each, controls escaped. What is to be copied is never broken into lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        spinner = "line" if console.options.ascii_only else "dots"
        self._status: Status | None = Status("", console=console, spinner=spinner) if console.is_terminal else None
        self._last = ""
        self._gap = True

    def head(self, text: str) -> None:
        self._part()
        self._gap = False
        self._console.print(Rule(Text(one_line(text), style="bold"), align="left", style="cyan"))

    def say(self, text: str, style: str = "") -> None:
        self._gap = False
        self._console.print(Text(one_line(text, _LONGEST), style=style))

    def show(self, lines: Iterable[str], style: str = "") -> None:
        """Lines as they are: to be copied, or the output of something."""
        self._part()
        for line in lines:
            self._console.print(Text(_INDENT + one_line(line, _LONGEST), style=style), soft_wrap=True)
        self._gap = False
        self._part()

    def show_change(self, before: str, after: str) -> None:
        """The lines that differ, with those around them, as a diff."""
        self._part()
        for line in list(unified_diff(before.splitlines(), after.splitlines(), n=2, lineterm=""))[3:]:
            text = "…" if line.startswith("@@") else line
            self._console.print(Text(_INDENT + one_line(text, _LONGEST), style=_DIFF.get(line[:1], "")), soft_wrap=True)
        self._gap = False
        self._part()

    def tick(self, text: str) -> None:
        self.say(f"{'*' if self._console.options.ascii_only else '✓'} {text}", "green")

    def watch(self, text: str, *, clear: bool) -> None:
        """What is being waited for: in a terminal the line that moves, else a line whenever it changes, unless that is `clear` already."""
        if self._status is not None:
            line = Text(one_line(text, _LONGEST), no_wrap=True)
            line.truncate(max(self._console.width - 3, 1), overflow="ellipsis")
            self._status.update(line)
            self._status.start()
        elif text != self._last and not clear:
            self._last = text
            self.say(f"  {text}")

    def rest(self) -> None:
        """Takes away the line that moves."""
        if self._status is not None:
            with suppress(KeyboardInterrupt):
                self._status.stop()

    def _part(self) -> None:
        """One empty line, and never two."""
        if not self._gap:
            self._console.print()
        self._gap = True

"""What commands print: tables for people, JSON for scripts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click
import msgspec

from reconciler.model.text import one_line
from reconciler.settings import DEFAULT_SERVER

# Wide enough that no table is cut where a script or a pager reads it.
UNBOUNDED = 100_000
# Before what was added, removed or changed.
MARKS = {"added": "+", "removed": "-", "changed": "~"}

server_option: Callable[[Any], Any] = click.option(
    "--server", envvar="RECONCILER_SERVER", default=DEFAULT_SERVER, show_default=True, metavar="URL", help="The daemon; also RECONCILER_SERVER."
)
output_option: Callable[[Any], Any] = click.option(
    "--output", "-o", type=click.Choice(["human", "json"]), default="human", show_default=True, help="What to print."
)


def print_json(value: Any) -> None:
    """`value` as indented JSON, controls of its texts escaped as JSON does."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode("utf-8", "replace"))


class Styled(NamedTuple):
    """A cell in a style of rich: `green`, `bold red`."""

    text: str
    style: str


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """Aligned columns; cells are untrusted text, or `Styled`. `empty` is printed instead of a table without rows."""
    if not rows:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(cell.text), cell.style) if isinstance(cell, Styled) else Text(one_line(cell)) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else UNBOUNDED, highlight=False, emoji=False)
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        click.echo(line.rstrip())


def print_line(text: str) -> None:
    """One line of untrusted text, however long."""
    click.echo(one_line(text, UNBOUNDED))

"""The graph of a run's steps as lines of text: rails, marks, and beside them what each step is at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from reconciler.cli.output import Styled
from reconciler.model.duration import format_duration
from reconciler.model.workflow import NodeView

COLUMNS: Final = ("STEP", "TYPE", "PHASE", "SINCE", "TRIES", "NOTES")
MARKS: Final = {
    "Pending": ("·", "dim"),
    "Running": ("▶", "cyan"),
    "Waiting": ("◆", "yellow"),
    "RollingBack": ("↺", "magenta"),
    "Succeeded": ("✔", "green"),
    "Failed": ("✘", "red"),
    "RolledBack": ("↩", "magenta"),
    "Terminated": ("■", "red"),
    "Skipped": ("–", "dim"),
}
_SUSPENDED: Final = ("‖", "yellow")
_UNKNOWN: Final = ("?", "dim")


class Row(NamedTuple):
    """One line of the drawing: `rails` with the mark of `node` behind them, or rails alone."""

    rails: str
    node: NodeView | None = None


def draw(nodes: Sequence[NodeView]) -> list[Row]:
    """
    Every step below those that it waits for. A rail leads from a step down to the last one that waits for it; the steps in between that do
    branch off. Steps that nothing connects begin rails of their own.
    """
    order = _sort(nodes)
    left = {node.key: sum(node.key in other.after for other in order) for node in order}  # who still waits for it
    rails: list[str] = []  # by column: the step from which the rail comes, empty where there is none
    rows: list[Row] = []
    for node in order:
        joined = [column for column, key in enumerate(rails) if key and key in node.after]
        for column in joined:
            left[rails[column]] -= 1
        over = [column for column in joined if not left[rails[column]]]
        place = _place(rails, joined, over)
        if place in joined:
            rows.append(Row(_line(rails)))
        rails += [""] * (place + 1 - len(rails))
        rows.append(Row(_joint(rails, joined, over, place), node))
        for column in over:
            rails[column] = ""
        rails[place] = node.key if left[node.key] else ""
        while rails and not rails[-1]:
            rails.pop()
    return rows


def _sort(nodes: Sequence[NodeView]) -> list[NodeView]:
    """In the order of the workflow, but none before one that it waits for. What waits in a circle comes last, as it is."""
    known = {node.key for node in nodes}
    rest = [_known(node, known) for node in nodes]
    done: list[NodeView] = []
    placed: set[str] = set()
    while rest:
        ready = next((node for node in rest if placed.issuperset(node.after)), rest[0])
        rest.remove(ready)
        placed.add(ready.key)
        done.append(ready)
    return done


def _known(node: NodeView, known: set[str]) -> NodeView:
    if known.issuperset(node.after):
        return node
    return msgspec.structs.replace(node, after=[key for key in node.after if key in known])


def _place(rails: Sequence[str], joined: Sequence[int], over: Sequence[int]) -> int:
    """The column of a step: below the only one that it follows where that rail ends, else the first free one right of what it joins."""
    if len(joined) == 1 and over:
        return joined[0]
    first = joined[-1] + 1 if joined else 0
    return next((column for column in range(first, len(rails)) if not rails[column]), max(first, len(rails)))


def _line(rails: Sequence[str]) -> str:
    return " ".join("│" if key else " " for key in rails).rstrip()


def _joint(rails: Sequence[str], joined: Sequence[int], over: Sequence[int], place: int) -> str:
    """The rails of a step's own line, up to where its mark stands."""
    if place in joined or not joined:
        return "".join("│ " if key else "  " for key in rails[:place])
    parts = []
    for column in range(place):
        if column < joined[0]:
            parts.append("│ " if rails[column] else "  ")
        elif column in joined:
            ends = column in over
            parts.append(("└" if ends else "├") if column == joined[0] else ("┴" if ends else "┼"))
            parts.append("─")
        else:
            parts.append("│─" if rails[column] else "──")
    return "".join(parts)


def describe(rows: Sequence[Row], now: datetime) -> list[tuple[object, ...]]:
    """The drawing as the rows of a table with `COLUMNS`."""
    return [(row.rails, "", "", "", "", "") if row.node is None else _describe(row.rails, row.node, now) for row in rows]


def _describe(rails: str, node: NodeView, now: datetime) -> tuple[object, ...]:
    mark, style = _SUSPENDED if node.suspended_at else MARKS.get(node.phase, _UNKNOWN)
    phase = f"{node.phase}, suspended" if node.suspended_at else node.phase
    since = node.finished_at or node.started_at
    return (
        Styled(f"{rails}{mark} {'↳ ' if node.group else ''}{node.name}", style),
        node.type,
        Styled(phase, style),
        format_duration(now - since) if since else "-",
        _tries(node),
        "; ".join(_notes(node, now)) or "-",
    )


def _tries(node: NodeView) -> str:
    begun = node.started_at is not None
    return str(node.attempt + 1) + (f", undo {node.undo_attempt + 1}" if node.phase == "RollingBack" else "") if begun else "-"


def _notes(node: NodeView, now: datetime) -> list[str]:
    notes = [node.message or node.reason] if node.message or node.reason else []
    if node.until is not None and node.until > now:
        notes.append(f"{format_duration(node.until - now)} left")
    if node.retry_at is not None and node.retry_at > now:
        notes.append(f"next try in {format_duration(node.retry_at - now)}")
    if node.round:
        notes.append(f"begun again {node.round}×")
    return notes

"""A simulation as the comment of a pull request. Whatever a manifest says is text in it: no markup, no link, no mention (rule 13e)."""

from __future__ import annotations

import html
from collections.abc import Iterator

from reconciler.cli.simulation_text import describe, offset, summarise, waiting_gates
from reconciler.model.text import one_line
from reconciler.simulation.report import Application, Report

_LONGEST = 300
_MOST_LINES = 200  # of one application: a comment that is too long is refused as a whole


def write_markdown(report: Report) -> Iterator[str]:
    """Lines: a table of the applications, then for each its changes and gates, folded."""
    where = f"on top of {quote(report.start[:12])}" if report.start else "on an empty cluster"
    yield f"### Simulation of {quote(report.commit[:12])} {where}"
    yield ""
    yield f"{'❌' if report.failed else '✅'} {summarise(report)} No container ran."
    yield ""
    for problem in report.problems:
        yield f"- {problem['severity']}: {quote(str(problem['path']) + ':' + str(problem['line']))} {quote(problem['message'])}"
    for warning in report.warnings:
        yield f"- warning: {quote(warning)}"
    if report.problems or report.warnings:
        yield ""
    if report.applications:
        yield "| application | revision | ends as | objects | stops at |"
        yield "|---|---|---|---|---|"
    for app in report.applications:
        yield _row(app)
    for app in report.applications:
        yield ""
        yield from _fold(app)


def _row(app: Application) -> str:
    counts = [f"{mark}{sum(change.change == word for change in app.changes)}" for mark, word in (("+", "added"), ("~", "changed"), ("−", "removed"))]
    stops = [f"{quote(gate.step)} {offset(gate.at)}" for gate in waiting_gates(app)]
    moves = quote(f"{app.before or 'new'} → {app.after}") if app.after else ""
    cells = [quote(f"{app.namespace}/{app.application}"), moves, app.phase, " ".join(counts), ", ".join(stops)]
    return f"| {' | '.join(cells)} |"


def _fold(app: Application) -> Iterator[str]:
    lines = [one_line(line, _LONGEST) for line in describe(app)]
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"… {len(lines) - _MOST_LINES} more lines"]
    yield f"<details><summary>{quote(f'{app.namespace}/{app.application}')}</summary>"
    yield ""
    yield "<pre>"
    yield from (html.escape(line) for line in lines)
    yield "</pre>"
    yield ""
    yield "</details>"


def quote(text: str) -> str:
    """In `<code>`, where nobody is mentioned, with every sign that could mean something in Markdown or HTML as a character reference."""
    escaped = "".join(char if char.isalnum() or char in " -" else f"&#{ord(char)};" for char in one_line(text, _LONGEST))
    return f"<code>{escaped}</code>"

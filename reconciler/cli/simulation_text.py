"""A simulation for people in a terminal: the timeline, then each application with its objects and gates."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from reconciler.cli.output import MARKS, print_line, print_table
from reconciler.model.run import Phase
from reconciler.simulation.report import Application, ObjectChange, Report, Stop

LIMITS = {"until": "the end of the time that --until gives", "turns": "the limit of its steps"}


def print_report(report: Report) -> None:
    print_line(f"{report.commit[:12]} on {report.start[:12] or 'an empty cluster'}, simulated: no container runs, nothing is connected to.")
    for problem in report.problems:
        print_line(f"{problem['severity']}: {problem['path']}:{problem['line']}: {problem['message']}")
    for warning in report.warnings:
        print_line(f"warning: {warning}")
    print_line("")
    rows = [row for row in report.timeline if not row.step or row.phase != Phase.RUNNING]
    cells = [[offset(row.at), f"{row.namespace}/{row.application}", row.step, row.phase, row.message] for row in rows]
    print_table(["TIME", "APPLICATION", "STEP", "PHASE", "MESSAGE"], cells, "Nothing happens.")
    for app in report.applications:
        print_line("")
        for line in describe(app):
            print_line(line)
    print_line("")
    print_line(summarise(report))
    gate = next((f"{app.namespace}/{app.application}/{gate.step}" for app in report.applications for gate in waiting_gates(app)), "")
    if gate:
        print_line(f"What follows when somebody decides: --decide {shlex.quote(gate)}=continue, =rollback or =end")


def waiting_gates(app: Application) -> list[Stop]:
    """Those that wait in the end."""
    return [gate for gate in app.gates if app.phase == Phase.WAITING and not gate.decision]


def describe(app: Application) -> Iterator[str]:
    """The application, its objects with what changes in them, and its gates."""
    yield headline(app)
    for note in app.notes:
        yield f"  {note}"
    for change in app.changes:
        yield f"  {describe_change(change)}"
        for field in change.fields:
            yield f"      {field['path']}: {_show(field['from'])} -> {_show(field['to'])}"
    for gate in app.gates:
        yield f"  {describe_gate(gate)}"
        yield f"      {describe_rollback(gate)}"


def headline(app: Application) -> str:
    moves = f" {app.before or 'new'} -> {app.after}" if app.after else ""
    return f"{app.namespace}/{app.application}{moves}: {app.phase}" + (f" ({app.message})" if app.message else "")


def describe_change(change: ObjectChange) -> str:
    later = "" if change.applied else "  (not applied)"
    return f"{MARKS[change.change]} {change.object}{later}" + (f"  ({change.note})" if change.note else "")


def describe_gate(gate: Stop) -> str:
    answer = {"": "waits for a decision", "timer": "opened by its duration"}.get(gate.by, f"was answered with {gate.decision}")
    return f"{offset(gate.at)} gate {gate.step} {answer}" + (f": {gate.message}" if gate.message else "")


def describe_rollback(gate: Stop) -> str:
    if not gate.rollback.target:
        return "a rollback here has no target: the run would fail, and everything stay as it is"
    objects = ", ".join(f"{MARKS[change.change]} {change.object}" for change in gate.rollback.objects)
    return f"a rollback here goes to {gate.rollback.target}: {objects or 'no object has changed yet'}"


def summarise(report: Report) -> str:
    """One sentence."""
    waiting = sum(app.phase == Phase.WAITING for app in report.applications)
    failed = sum(app.failed for app in report.applications)
    errors = sum(problem["severity"] == "error" for problem in report.problems)
    parts = [f"{len(report.applications)} with changes", f"{report.unchanged} without", f"{waiting} waiting at a gate", f"{failed} failed"]
    limit = f" It was not at rest when it reached {LIMITS[report.limit]}." if report.limit else ""
    return f"Applications: {', '.join(parts)}" + (f"; errors in manifests: {errors}" if errors else "") + f".{limit}"


def offset(seconds: int) -> str:
    """`+00:10:00`; hours go on past 24."""
    return f"+{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _show(value: object) -> str:
    return "(absent)" if value is None else json.dumps(value, ensure_ascii=False)

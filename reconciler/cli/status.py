"""`reconciler status`: every application in a line, and what waits for a decision."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

import click

from reconciler.cli.client import Client
from reconciler.cli.output import output_option, print_json, print_line, print_table, server_option
from reconciler.model.condition import causes
from reconciler.model.duration import format_duration
from reconciler.model.status import ApplicationStatus
from reconciler.workflow.explain import explain
from reconciler.workflow.wording import WORDS, plain

COLUMNS = ("APPLICATION", "ENVIRONMENT", "SYNC", "HEALTH", "RUNNING", "DESIRED", "RUN", "GATE", "NOTES")
WATCH_SECONDS = 1.0
LISTED = 10
_FOR_ALL: Final = frozenset({"KindsForeign", "KindsUnwatched"})
# Conditions that have words, but for those that columns of their own show, or one line for all.
NOTED: Final = frozenset(kind for kind, _ in WORDS) - {"Reconciling", "Suspended", *_FOR_ALL}


@click.command()
@click.argument("application", metavar="[APP]", required=False)
@click.option("--watch", is_flag=True, help="Print again whenever something changes, until Ctrl-C.")
@output_option
@server_option
def command(application: str | None, watch: bool, output: str, server: str) -> None:
    """Show where every application stands, or the one that APP names, and why it is there."""
    client = Client(server)
    last: tuple[list[ApplicationStatus], list[str]] | None = None
    while True:
        found = [client.find(application)] if application else client.applications()
        seen = found, [] if output == "json" else _explain(client, found) if application else _find_fault(client, found)
        if seen != last:
            if watch and output == "human":
                click.clear()
            _print(found, output)
            for line in seen[1]:
                print_line(line)
            last = seen
        if not watch:
            return
        time.sleep(WATCH_SECONDS)


def _explain(client: Client, found: list[ApplicationStatus]) -> list[str]:
    fault = client.fault()
    told = [f"{said.component}: {said.message}" for status in found for said in status.messages]
    return [*(explain(status, datetime.now(UTC), fault).sentence for status in found), *told]


def _find_fault(client: Client, found: list[ApplicationStatus]) -> list[str]:
    """What keeps manifests from being applications, which no line of the table would show."""
    unready = client.unready() if not found else ""
    if unready:
        return [f"The repository is not read yet: {unready}"]
    fault, problems = client.fault(), client.problems()
    listed = [f"git cannot be read since {fault.since:%Y-%m-%d %H:%M:%SZ}: {fault.message}"] if fault is not None else []
    listed += [f"not applied: {problem}" for problem in problems[:LISTED]]
    listed += sorted({plain(condition.message) for status in found for condition in status.conditions if condition.type in _FOR_ALL})
    return [*listed, f"… and {len(problems) - LISTED} more errors: see `reconciler lint`"] if len(problems) > LISTED else listed


def _print(found: list[ApplicationStatus], output: str) -> None:
    if output == "json":
        print_json(found)
        return
    now = datetime.now(UTC)
    print_table(COLUMNS, [_describe(status, now) for status in found], "No applications: nothing that was read in the repository declares one.")
    for status in found:
        for gate in status.gates:
            print_line(f"{status.key} waits at gate {gate.step} of {gate.revision}. To let it go on, commit in {status.path}:")
            print_line(f'    {gate.key}: "{gate.continue_}"')


def _describe(status: ApplicationStatus, now: datetime) -> tuple[str, ...]:
    run, gate = status.run, status.gate
    notes = [condition.reason or condition.type for condition in causes(status.conditions) if condition.type in NOTED]
    if status.suspended:
        notes.insert(0, f"suspended: {status.suspended}")
    return (
        str(status.key),
        status.environment or "-",
        status.sync,
        status.health,
        status.running.revision if status.running else "-",
        (status.desired.revision or status.desired.commit[:12]) if status.desired else "-",
        run.phase if run else "-",
        f"{gate.step} ({format_duration(now - gate.since)})" if gate else "-",
        ", ".join(notes) or "-",
    )

"""`reconciler rollback`: go back, at a gate or by restoring an earlier spec."""

from __future__ import annotations

import click

from reconciler.cli.decision import Request, decide, decision_options, restore


@click.command()
@click.option("--to", default="", metavar="REVISION", help="The revision whose spec to restore, even where a gate waits.")
@decision_options
def command(application: str, request: Request, to: str) -> None:
    """
    Commit what takes APP back: the decision at the gate that waits; where none waits, the spec of the revision promoted before.
    With --step run it is the run that is under way.

    The commit is made in the clone of --repo, on the branch that is checked out there, and shown.
    """
    client, status = request.find(application)
    if (status.gates or request.step) and not to:
        decide(request, status, "rollback")
    else:
        restore(request, client, status, to)

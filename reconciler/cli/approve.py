"""`reconciler approve`: let the waiting gate go on."""

from __future__ import annotations

import click

from reconciler.cli.decision import Request, decide, decision_options


@click.command()
@decision_options
def command(application: str, request: Request) -> None:
    """
    Commit the decision that lets APP go on at the gate that waits.

    The commit is made in the clone of --repo, on the branch that is checked out there, and shown.
    """
    _, status = request.find(application)
    decide(request, status, "continue")

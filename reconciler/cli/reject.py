"""`reconciler reject`: end the run at the waiting gate."""

from __future__ import annotations

import click

from reconciler.cli.decision import Request, decide, decision_options


@click.command()
@decision_options
def command(application: str, request: Request) -> None:
    """
    Commit the decision that ends the run of APP, at the gate that waits or wherever it is. What was applied stays as it is.

    The commit is made in the clone of --repo, on the branch that is checked out there, and shown.
    """
    _, status = request.find(application)
    decide(request, status, "end")

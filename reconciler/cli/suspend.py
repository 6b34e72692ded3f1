"""`reconciler suspend`: nothing new runs until `resume`."""

from __future__ import annotations

import click

from reconciler.cli.decision import Request, commit, commit_options
from reconciler.cli.errors import ConflictError, UsageError
from reconciler.cli.manifest import find_manifest
from reconciler.model.names import SUSPEND


@click.command()
@click.option("--reason", required=True, metavar="TEXT", help="Why; status and why tell it to everybody.")
@commit_options
def command(application: str, request: Request, reason: str) -> None:
    """
    Commit the annotation that suspends APP: nothing new runs, no gate opens and nothing is healed; rollback and end still act.
    Where it is suspended already, the reason is replaced.

    The commit is made in the clone of --repo, on the branch that is checked out there, and shown.
    """
    reason = reason.strip()
    if not reason:
        raise UsageError("--reason is empty: say why, for those who will find it suspended")
    _, status = request.find(application)
    manifest = find_manifest(request.repo, status)
    if manifest.app.annotations.get(SUSPEND) == reason:
        raise ConflictError(f"{status.path} holds {SUSPEND}: {reason} already: push the commit that wrote it")
    commit(request, status, manifest.annotate(SUSPEND, reason), f"Suspend {status.key}: {reason}", SUSPEND, reason)

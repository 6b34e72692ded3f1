"""`reconciler resume`: go on after `suspend`."""

from __future__ import annotations

import click

from reconciler.cli.decision import Request, commit, commit_options
from reconciler.cli.errors import RefusedError
from reconciler.cli.manifest import find_manifest
from reconciler.model.names import SUSPEND


@click.command()
@commit_options
def command(application: str, request: Request) -> None:
    """
    Commit the manifest of APP without what suspends it. A run that was paused goes on where it stood.

    The commit is made in the clone of --repo, on the branch that is checked out there, and shown.
    """
    _, status = request.find(application)
    manifest = find_manifest(request.repo, status)
    if SUSPEND not in manifest.app.annotations:
        if any(item.type == "Suspended" and item.reason == "Ordered" for item in status.conditions):
            raise RefusedError(f"{status.key} was suspended at once, which git does not say yet: `reconciler workflow resume {status.key}` ends that")
        known = f", but the daemon sees it suspended ({status.suspended}): is this clone up to date, or not pushed yet?" if status.suspended else ""
        raise RefusedError(f"{status.path} in this clone does not suspend {status.key}{known}")
    commit(request, status, manifest.strip(SUSPEND), f"Resume {status.key}", SUSPEND)

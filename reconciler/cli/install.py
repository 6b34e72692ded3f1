"""`reconciler install`: the definitions of the daemon's own kinds, and of the manifest families, for a cluster."""

from __future__ import annotations

import click

from reconciler.cli.errors import UsageError
from reconciler.cluster.crds.families import oam_crds, stepflow_crds
from reconciler.cluster.crds.state import state_crds
from reconciler.cluster.crds.structural import to_yaml


@click.command()
@click.option("--crds", is_flag=True, help="Those of the daemon's own kinds: also where none of the three is named.")
@click.option("--oam", is_flag=True, help="Those of core.oam.dev.")
@click.option("--stepflow", is_flag=True, help="That of workflow.example.com.")
@click.option("--export", is_flag=True, help="Print them as YAML, and connect to nothing.")
def command(crds: bool, oam: bool, stepflow: bool, export: bool) -> None:
    """Bring the definitions of the daemon's own kinds to a cluster, and on request those of the manifest families."""
    wanted = [*(state_crds() if crds or not (oam or stepflow) else ()), *(oam_crds() if oam else ()), *(stepflow_crds() if stepflow else ())]
    if not export:
        raise UsageError("say --export: `reconciler install --export | kubectl apply --server-side -f -`")
    click.echo(to_yaml(wanted), nl=False)

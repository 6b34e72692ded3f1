"""`reconciler install`: the definitions of the daemon's own kinds, and of the manifest families, for a cluster."""

from __future__ import annotations

import asyncio

import click

from reconciler.cli.errors import RefusedError, UsageError
from reconciler.cli.output import print_line
from reconciler.cluster.crds.families import oam_crds, stepflow_crds
from reconciler.cluster.crds.install import Found, install, plan
from reconciler.cluster.crds.state import state_crds
from reconciler.cluster.crds.structural import to_yaml
from reconciler.cluster.protocol import Cluster, ClusterError, KubeconfigError
from reconciler.model.identity import JsonObject


@click.command()
@click.option("--crds", is_flag=True, help="Those of the daemon's own kinds: also where none of the three is named.")
@click.option("--oam", is_flag=True, help="Those of core.oam.dev: KubeVela's and SREWorks' kinds.")
@click.option("--stepflow", is_flag=True, help="That of workflow.example.com.")
@click.option("--dry-run", is_flag=True, help="Say where each stands, and change nothing.")
@click.option("--export", is_flag=True, help="Print them as YAML, and connect to nothing.")
@click.option("--kubeconfig", default="", metavar="FILE", help="Of the cluster; else KUBECONFIG, in a pod its own account, ~/.kube/config.")
@click.option("--context", default="", metavar="NAME", help="Of the kubeconfig; else its current one.")
def command(crds: bool, oam: bool, stepflow: bool, dry_run: bool, export: bool, kubeconfig: str, context: str) -> None:
    """Bring the definitions of the daemon's own kinds to a cluster, and on request those of the manifest families, where nobody else's are."""
    wanted = [*(state_crds() if crds or not (oam or stepflow) else ()), *(oam_crds() if oam else ()), *(stepflow_crds() if stepflow else ())]
    if export:
        click.echo(to_yaml(wanted), nl=False)
        return
    try:
        found = asyncio.run(_bring(wanted, kubeconfig, context, dry_run=dry_run))
    except KubeconfigError as error:
        raise UsageError(str(error)) from None
    except ClusterError as error:
        raise RefusedError(str(error)) from error
    for one in found:
        print_line(describe(one, dry_run=dry_run))
    newer = [one.name for one in found if one.standing == "newer"]
    if newer:
        raise RefusedError(f"left as they are: {', '.join(newer)}")


def describe(found: Found, *, dry_run: bool) -> str:
    """Where it stood, and what became of it."""
    done = {"absent": "to be installed" if dry_run else "installed", "older": "to be renewed" if dry_run else "renewed"}.get(found.standing)
    return f"{found.sentence}; {done}" if done else found.sentence


async def _bring(wanted: list[JsonObject], kubeconfig: str, context: str, *, dry_run: bool) -> list[Found]:
    from reconciler.cluster.kubernetes.cluster import KubernetesCluster
    from reconciler.cluster.kubernetes.connection import find_origin

    cluster = KubernetesCluster(find_origin(kubeconfig, context))
    await cluster.start()
    try:
        return await bring(cluster, wanted, dry_run=dry_run)
    finally:
        await cluster.close()


async def bring(cluster: Cluster, wanted: list[JsonObject], *, dry_run: bool) -> list[Found]:
    """Where each stood before. Nothing is written where one of them was made for a newer state. Raises ClusterError."""
    planned = await plan(cluster, wanted)
    if not dry_run and all(found.standing != "newer" for _, found in planned):
        await install(cluster, planned)
    return [found for _, found in planned]

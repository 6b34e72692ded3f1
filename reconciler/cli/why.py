"""`reconciler why`: one sentence."""

from __future__ import annotations

import click
import msgspec

from reconciler.cli.client import Client
from reconciler.cli.output import output_option, print_json, print_line, server_option


class Explanation(msgspec.Struct):
    """`commit`: the line to put under the manifest's annotations, empty where none helps."""

    application: str
    namespace: str
    why: str
    path: str
    commit: str


@click.command()
@click.argument("application", metavar="APP")
@output_option
@server_option
def command(application: str, output: str, server: str) -> None:
    """Say in one sentence why APP is where it is, and what line to commit where one helps."""
    client = Client(server)
    key = client.find(application).key
    answer: Explanation = client.decode(client.locate(key, "why"), Explanation)
    if output == "json":
        print_json(answer)
        return
    print_line(answer.why)

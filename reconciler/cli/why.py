"""`reconciler why`: one sentence."""

from __future__ import annotations

from datetime import datetime

import click
import msgspec

from reconciler.cli.client import Client
from reconciler.cli.output import output_option, print_json, print_line, server_option


class Explanation(msgspec.Struct):
    """`help`: the command to run or the line to commit, empty where none helps. `commit`: the line that lets the first waiting gate go on."""

    application: str
    namespace: str
    why: str
    help: str
    since: datetime | None
    path: str
    commit: str


@click.command()
@click.argument("application", metavar="APP")
@output_option
@server_option
def command(application: str, output: str, server: str) -> None:
    """Say in one sentence why APP is where it is, and below it the command or the line to commit that helps, to copy."""
    client = Client(server)
    key = client.find(application).key
    answer: Explanation = client.decode(client.locate(key, "why"), Explanation)
    if output == "json":
        print_json(answer)
        return
    print_line(answer.why)
    if answer.help:
        print_line(f"    {answer.help}")

"""`reconciler reconcile`: look again now."""

from __future__ import annotations

from typing import Final

import click

from reconciler.cli.client import Client
from reconciler.cli.errors import Exit
from reconciler.cli.output import output_option, print_json, print_line, server_option
from reconciler.model.status import Result

LONGEST: Final = 300
_ENDS: Final[dict[Result, Exit]] = {"Failed": Exit.REFUSED, "BackOff": Exit.REFUSED, "TimedOut": Exit.TIMED_OUT}


@click.command()
@click.argument("application", metavar="APP")
@click.option(
    "--timeout", type=click.FloatRange(1, LONGEST), default=30, show_default=True, metavar="SECONDS", help=f"How long to wait, at most {LONGEST}."
)
@output_option
@server_option
def command(application: str, timeout: float, output: str, server: str) -> int:
    """
    Have the daemon look again now, at git first and then at APP and its objects, wait for it, and say in one sentence what happened.

    It decides nothing: gates, suspensions and what is held or rejected stay as they are. A back-off after errors ends.
    """
    client = Client(server)
    answer = client.reconcile(client.find(application).key, timeout)
    if output == "json":
        print_json(answer)
    else:
        print_line(answer.message)
    return _ENDS.get(answer.result, Exit.OK)

"""`reconciler workflow …`: the runs of workflows, and what a person orders at them at once (rule 7f)."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from reconciler.cli import approve
from reconciler.cli.client import Client
from reconciler.cli.errors import Exit, UsageError
from reconciler.cli.history import describe_command
from reconciler.cli.output import Styled, output_option, print_json, print_line, print_table, server_option
from reconciler.cli.workflow_graph import COLUMNS, MARKS, describe, draw
from reconciler.model.command import Wish
from reconciler.model.duration import format_duration
from reconciler.model.run import FINAL, CommandVerb, Phase
from reconciler.model.workflow import RunLine, WorkflowView
from reconciler.tokens import TokenError, read_token

LIST: Final = ("APPLICATION", "RUN", "FAMILY", "QUEUE", "KIND", "PHASE", "REASON", "SINCE")
LONGEST: Final = 300


@click.group()
def command() -> None:
    """Show the runs of workflows, and suspend, resume, end, repeat or roll them back at once."""


@command.command("list")
@click.argument("application", metavar="[APP]", required=False, default="")
@click.option("--open", "only_open", is_flag=True, help="Only those that have not ended.")
@output_option
@server_option
def list_(application: str, only_open: bool, output: str, server: str) -> None:
    """List all kept runs, or those of APP, the newest of each application first."""
    client = Client(server)
    wanted = client.find(application).key if application else None
    narrow = {"name": wanted.name, "namespace": wanted.namespace} if wanted is not None else {}
    found: list[RunLine] = client.decode("/v1/workflows", list[RunLine], **narrow)
    found = [run for run in found if not only_open or Phase(run.phase) not in FINAL]
    if output == "json":
        print_json(found)
        return
    now = datetime.now(UTC)
    print_table(LIST, [_line(run, now) for run in found], "No run.")


def _line(run: RunLine, now: datetime) -> tuple[object, ...]:
    since = run.finished_at or run.since
    style = MARKS.get(run.phase, ("", ""))[1]
    return (
        f"{run.namespace}/{run.application}",
        run.run,
        run.family,
        run.queue or "-",
        run.kind,
        Styled(run.phase, style),
        run.reason or "-",
        format_duration(now - since) if since else "-",
    )


@command.command()
@click.argument("application", metavar="APP")
@click.option("--run", default="", metavar="RUN", help="An earlier run. Default: the newest.")
@output_option
@server_option
def show(application: str, run: str, output: str, server: str) -> None:
    """Draw the steps of the newest run of APP: what waits for what, how far each is, and who ordered what."""
    client = Client(server)
    found: WorkflowView = client.decode(client.locate(client.find(application).key, "workflow"), WorkflowView, run=run)
    if output == "json":
        print_json(found)
        return
    now = datetime.now(UTC)
    begun = found.finished_at or found.started_at or found.created_at
    since = f", for {format_duration(now - begun)}" if begun else ""
    queue = f", queue {found.queue}" if found.queue else ""
    again = f", opened again {found.round}×" if found.round else ""
    print_line(f"{found.namespace}/{found.application}: run {found.run} of {found.revision} ({found.family}, {found.mode}{queue}{again})")
    print_line(f"{found.phase}{since}" + (f": {found.message or found.reason}" if found.message or found.reason else ""))
    if found.suspended:
        print_line(f"suspended: {found.suspended}")
    print_line("")
    print_table(COLUMNS, describe(draw(found.steps), now), "It has no steps.")
    for item in found.commands:
        print_line(describe_command(item))


def _token(file: Path | None) -> str:
    """What the option names wins over the variable; empty where there is neither: the daemon says what is missing."""
    if file is None:
        return os.environ.get("RECONCILER_TOKEN", "").strip()
    try:
        return read_token(file)
    except (TokenError, OSError) as error:
        raise UsageError(f"--token-file: {error}") from None


def _person() -> str:
    from reconciler.source.worktree import name_person

    try:
        return name_person(Path()) or getpass.getuser()
    except (OSError, KeyError):
        raise UsageError("nobody can be named as who orders it: say --author") from None


_OPTIONS: Final[tuple[Callable[[Any], Any], ...]] = (
    server_option,
    output_option,
    click.option(
        "--token-file",
        envvar="RECONCILER_TOKEN_FILE",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The daemon's token, as `run` printed; also RECONCILER_TOKEN_FILE, or the token itself in RECONCILER_TOKEN.",
    ),
    click.option("--timeout", type=click.FloatRange(1, LONGEST), default=30, show_default=True, metavar="SECONDS", help="How long to wait."),
    click.option("--author", default="", metavar="TEXT", help="Who orders it. Default: git's user.name and user.email, else the account."),
    click.option("--reason", required=True, metavar="TEXT", help="Why; history, status and the commit tell it to everybody."),
)
_STEP: Final = click.option("--step", default="", metavar="STEP", help="One step, by its name. Default: all of it.")


def _ordering(verb: CommandVerb, help_: str, *, step: bool) -> None:
    """Adds the command of that verb to the group."""

    def order(
        application: str, reason: str, author: str, timeout: float, token_file: Path | None, output: str, server: str, step: str = ""
    ) -> int | None:
        if not reason.strip():
            raise UsageError("--reason is empty: say why, for those who will wonder")
        client = Client(server)
        wish = Wish(verb, (author or _person()).strip(), reason.strip(), step)
        answer = client.order(client.find(application).key, wish, _token(token_file), timeout)
        if output == "json":
            click.echo(msgspec.json.format(msgspec.json.encode(answer)).decode())
        else:
            print_line(answer.message)
            if answer.commit:
                print_line(f"Git is owed the annotation {answer.commit}")
        return Exit.TIMED_OUT if answer.result == "TimedOut" else None

    made: Callable[..., Any] = order
    for option in (*_OPTIONS, *([_STEP] if step else []), click.argument("application", metavar="APP")):
        made = option(made)
    command.add_command(click.command(verb, help=help_)(made))


_ordering("suspend", "Have APP stand still at once: nothing new begins, deadlines stand still. With --step one step alone.", step=True)
_ordering("resume", "Have APP, or its suspended steps, go on. Once git says that APP is suspended, only a commit ends it.", step=True)
_ordering("terminate", "End the run of APP at once. What is under way is waited for; what is applied stays.", step=False)
_ordering("restart", "Run the newest revision of APP once more, as a new run. With --step as `retry`.", step=True)
_ordering("retry", "Open the newest run of APP again and do its steps again: all of them, or --step and what comes behind it.", step=True)
_ordering("rollback", "Roll the newest run of APP back at once; git is set back by a commit.", step=False)
command.add_command(approve.command, "continue")

"""The group of commands. A command's module is imported when it is used: `status` must not wait for what only `run` needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

import click

from reconciler import __version__
from reconciler.cli.errors import Exit
from reconciler.settings import Settings

Serve = Callable[[Settings], int]

COMMANDS: Final = (
    "demo",
    "run",
    "status",
    "why",
    "diff",
    "history",
    "reconcile",
    "workflow",
    "approve",
    "reject",
    "rollback",
    "suspend",
    "resume",
    "lint",
    "definition",
    "simulate",
    "cluster",
    "install",
)


class LazyGroup(click.Group):
    """Finds the command NAME as `command` of the module `reconciler.cli.NAME`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"reconciler.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="reconciler")
def group() -> None:
    """A push deploys, a commit promotes or rolls back."""


def execute(serve: Serve, args: Sequence[str] | None = None) -> int:
    """Runs one command and answers its exit code. `serve` runs the daemon for `run`."""
    try:
        answer = group.main(args=args, prog_name="reconciler", obj=serve, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has seen enough.
        return Exit.OK
    return answer if isinstance(answer, int) else Exit.OK

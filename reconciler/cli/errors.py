"""Exit codes, and the errors that end a command with one of them and a sentence."""

from __future__ import annotations

from enum import IntEnum
from typing import IO, Any

import click

from reconciler.model.text import one_line


class Exit(IntEnum):
    """Listed in docs/cli.md."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    CONFLICT = 5
    TIMED_OUT = 6
    DENIED = 7
    INTERRUPTED = 130


class CommandError(click.ClickException):
    """Ends the command. The message is one sentence for people; untrusted text in it is escaped when it is shown."""

    exit_code = Exit.REFUSED

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Error: {one_line(self.message, 4096)}", file=file, err=file is None)


class RefusedError(CommandError):
    """What was asked for is not possible as things stand."""


class UsageError(CommandError):
    """The command was called wrongly."""

    exit_code = Exit.USAGE


class UnreachableError(CommandError):
    """The daemon does not answer, or something else does."""

    exit_code = Exit.UNREACHABLE


class NotFoundError(CommandError):
    """There is no such application, object, file or revision."""

    exit_code = Exit.NOT_FOUND


class DeniedError(CommandError):
    """The daemon wants its token, or another one."""

    exit_code = Exit.DENIED


class ConflictError(CommandError):
    """Somebody else was faster: look again, decide again."""

    exit_code = Exit.CONFLICT

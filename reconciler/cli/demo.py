"""`reconciler demo`: a first hour with the example repository, by hand or by itself."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from reconciler.cli.errors import Exit, RefusedError

if TYPE_CHECKING:
    from reconciler.cli.demonstration.daemon import Daemon
    from reconciler.cli.demonstration.folder import Folder
    from reconciler.cli.demonstration.screen import Screen

SPEED: Final = 3.0
AUTO_SPEED: Final = 20.0


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where origin, clone and state go: new or empty, or a demo's to go on with. Default: a new reconciler-demo in the temporary folder.",
)
@click.option(
    "--listen", default="", metavar="HOST:PORT", help="Where the daemon listens. Default: 127.0.0.1:7373, or a free port where it is taken."
)
@click.option("--auto", is_flag=True, help="Play all of it without a person; ends with 0 only if every station was really reached.")
def command(folder: Path | None, listen: str, auto: bool) -> int:
    """
    Show what a daemon does, on a copy of the example repository: a push deploys, a commit promotes or rolls back.

    Each station says what to change and which commands to type in a second terminal; Enter does it for you. Ctrl-C ends the daemon; the
    folder stays, and `demo --folder FOLDER` goes on where it is.
    """
    from reconciler.cli.demonstration.daemon import name_command, start_daemon
    from reconciler.cli.demonstration.folder import open_folder
    from reconciler.cli.demonstration.screen import Screen, open_console
    from reconciler.source.worktree import WorktreeError

    screen = Screen(open_console())
    try:
        with _interruptible():
            opened = open_folder(folder)
            goes_on = opened.state.exists()
            daemon = start_daemon(opened, listen, AUTO_SPEED if auto else SPEED)
            try:
                return _lead(opened, daemon, screen, auto=auto, goes_on=goes_on)
            except KeyboardInterrupt:
                screen.rest()
                daemon.end()
                screen.say("The daemon has ended. Go on where you are:")
                screen.show([f"{shlex.quote(name_command())} demo --folder {shlex.quote(str(opened.root))}"])
                return Exit.INTERRUPTED if auto else Exit.OK
            finally:
                screen.rest()
                daemon.end()
    except WorktreeError as error:
        raise RefusedError(str(error)) from None


def _lead(folder: Folder, daemon: Daemon, screen: Screen, *, auto: bool, goes_on: bool) -> int:
    """Leads a person until they interrupt it, or plays alone to the end."""
    from reconciler.cli.client import Client
    from reconciler.cli.demonstration.facts import Facts, Observer
    from reconciler.cli.demonstration.keyboard import Keyboard
    from reconciler.cli.demonstration.play import Play, Worker
    from reconciler.cli.demonstration.telling import Guide

    daemon.wait()
    observer = Observer(folder, Client(daemon.url))

    def look() -> Facts:
        daemon.check()
        return observer.look()

    guide = Guide(screen, folder, daemon.url, alone=auto)
    play = Play(look, Worker(folder, daemon.url, screen).perform, guide, screen, goes_on=goes_on)
    guide.welcome()
    if not auto:
        with Keyboard() as keyboard:
            play.lead(keyboard)
    play.play()
    code = daemon.end()
    if code:
        raise RefusedError(f"every station was reached, but the daemon did not end well: exit code {code}; its log is {folder.log}")
    screen.tick(f"Every station was reached. All of it is in {folder.root}.")
    return Exit.OK


@contextmanager
def _interruptible() -> Iterator[None]:
    """Within the block, what else ends a program is as Ctrl-C: the daemon is to end with it."""

    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""The demo's daemon: `reconciler run` as a process of its own, started on a folder and ended with the demo."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from reconciler.cli.demonstration.folder import Folder
from reconciler.cli.errors import RefusedError
from reconciler.settings import DEFAULT_LISTEN, split_address

# The same program as this one, whatever stands in the working folder.
RECONCILER: Final = (sys.executable, "-P", "-m", "reconciler")
START_SECONDS: Final = 60.0
END_SECONDS: Final = 10.0
_PAUSE: Final = 0.05
# What the daemon says once its API is bound.
_BOUND: Final = "read API and metrics: "


class Daemon:
    """`url` is its API. Methods raise RefusedError with the daemon's own last word where it ended by itself."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """Use `start_daemon`."""
        self._process, self._log = process, log
        self.url = ""

    def check(self) -> None:
        """Raises where it does not run any more."""
        code = self._process.poll()
        if code is not None:
            lines = self._said().splitlines()
            reason = lines[-1].removeprefix("Error: ") if lines else f"exit code {code}"
            raise RefusedError(f"the daemon ended: {reason}; its log is {self._log}")

    def wait(self) -> None:
        """Until its API is bound."""
        deadline = time.monotonic() + START_SECONDS
        while not self.url:
            line = next((line for line in self._said().splitlines() if line.startswith(_BOUND)), "")
            self.url = line.removeprefix(_BOUND).partition(" ")[0]
            if not self.url:
                self.check()
                if time.monotonic() > deadline:
                    raise RefusedError(f"the daemon has not begun to listen within {START_SECONDS:.0f} s; its log is {self._log}")
                time.sleep(_PAUSE)

    def end(self) -> int:
        """Its exit code: by SIGTERM, and by SIGKILL where that takes too long. It may be called again."""
        try:
            self._process.terminate()
            return self._process.wait(END_SECONDS)
        except BaseException as error:
            # Nothing is lost by it: all state is stored before it is acted on.
            self._process.kill()
            code = self._process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                return code
            raise

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


def start_daemon(folder: Folder, listen: str, speed: float) -> Daemon:
    """
    A daemon on the folder's origin, with no setting but these, whatever the environment holds.

    `listen` empty: the default address, or a free port where it is taken. It shares the terminal's group: what ends that ends both.
    """
    address = listen or _find_address()
    words = ("run", str(folder.origin), "--listen", address, "--state", str(folder.state), "--speed", str(speed), "--log-format", "human")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RECONCILER_", "GIT_"))}
    with folder.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - argv, no shell
            (*RECONCILER, *words), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
    return Daemon(process, folder.log)


def name_command() -> str:
    """How a person at this terminal calls the command that runs now."""
    own = Path(sys.executable).with_name("reconciler")
    found = shutil.which("reconciler")
    if found is not None and Path(found).resolve() == own.resolve():
        return "reconciler"
    return str(own)


def _find_address() -> str:
    """The default address, or the same host with any port where that one is taken."""
    host, port = split_address(DEFAULT_LISTEN)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return f"{host}:0"
    return DEFAULT_LISTEN

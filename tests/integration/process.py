"""The daemon as a process of its own, seen as its users see it: its lines on stderr, its API, its signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError
from urllib.request import urlopen

PATIENCE = 60.0


class Process:
    """
    `reconciler run` with its API on a free port. `url` is known once it is ready; leaving the block kills what still runs.
    `program`: what else than the installed one Python is to run. `patience`: seconds that are waited for anything.
    """

    def __init__(self, folder: Path, *args: str | Path, speed: int = 1000, program: Sequence[str | Path] = ("-m", "reconciler")) -> None:
        self._log = folder / "daemon.log"
        command = [sys.executable, *map(str, program), "run", *map(str, args), "--speed", str(speed), "--poll-interval", "1"]
        if "--listen" not in args:
            command += ["--listen", "127.0.0.1:0"]
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("RECONCILER_", "GIT_"))}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, stderr=log, stdout=log, env={**environ, "XDG_STATE_HOME": str(folder / "user")})
        self.url, self.patience = "", PATIENCE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    @property
    def said(self) -> str:
        return self._log.read_text()

    def listening(self) -> Self:
        """Waits until the printed API address is there."""
        mark = "read API and metrics: "
        line = self.wait_for(lambda: next((line for line in self.said.splitlines() if line.startswith(mark)), ""), "the URL")
        self.url = line.removeprefix(mark).split()[0]
        return self

    def ready(self) -> Self:
        self.listening()
        self.wait_for(lambda: self.status_of("/readyz") == 200, "ready")
        return self

    def leading(self) -> Self:
        """Waits until it leads, and has taken in the head twice since: what it had to do of its own accord is under way or done."""
        self.ready()
        self.wait_for(lambda: self.ask("/v1/leader")["leads"], "the lead")
        before = self._looks()
        self.wait_for(lambda: self._looks() >= before + 2, "two looks")
        return self

    def _looks(self) -> float:
        return sum(float(line.split()[-1]) for line in self.text("/metrics").splitlines() if line.startswith('reconciler_looks_total{result="ok"}'))

    def status_of(self, path: str) -> int:
        try:
            with urlopen(self.url + path, timeout=5) as answer:  # its own loopback address
                return int(answer.status)
        except URLError as error:
            return int(getattr(error, "code", 0))

    def ask(self, path: str) -> Any:
        with urlopen(self.url + path, timeout=5) as answer:  # its own loopback address
            return json.load(answer)

    def text(self, path: str) -> str:
        with urlopen(self.url + path, timeout=5) as answer:  # its own loopback address
            return str(answer.read().decode())

    def status(self, name: str) -> dict[str, Any]:
        """The application as scripts see it; empty while there is none."""
        found = [item for item in self.ask("/v1/applications") if item["application"] == name]
        return found[0] if found else {}

    def until(self, name: str, predicate: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        """Waits until the predicate holds for the application; answers the application."""

        def look() -> dict[str, Any]:
            status = self.status(name)
            return status if status and predicate(status) else {}

        found: dict[str, Any] = self.wait_for(look, what)
        return found

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ended(self, seconds: float = PATIENCE) -> int:
        """The exit code. Raises TimeoutExpired where it still runs after that time."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def wait_for(self, predicate: Callable[[], Any], what: str) -> Any:
        """Asks until the predicate answers something true, while the process lives; answers that."""
        end = time.monotonic() + self.patience
        while not (value := predicate()):
            assert self._process.poll() is None, f"ended with {self._process.returncode} before {what}:\n{self.said}"
            assert time.monotonic() < end, f"never came: {what}\n{self.said}\n{self.ask('/v1/applications') if self.url else ''}"
            time.sleep(0.01)
        return value

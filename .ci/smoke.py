"""
Starts an installed `reconciler` and sees it do its main job: `smoke.py RECONCILER EXAMPLE_REPOSITORY`.

Version, lint of the examples, then `run` on a bare copy of them: ready, an application Synced, ended by SIGTERM in time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

START_SECONDS = 60
END_SECONDS = 5
PAUSE_SECONDS = 0.2
ADDRESS = re.compile(r"127\.0\.0\.1:([1-9]\d*)")


class SmokeError(Exception):
    """What did not happen."""


def call(*words: str | Path) -> str:
    """Standard output. Raises SmokeError with all output when the exit code is not 0."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, timeout=START_SECONDS)
    if done.returncode:
        raise SmokeError(f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def make_origin(example: Path, folder: Path) -> Path:
    """A bare repository with one commit: the example."""
    work, origin = folder / "work", folder / "origin.git"
    shutil.copytree(example, work)
    git = ("git", "-C", work, "-c", "user.name=Smoke", "-c", "user.email=smoke@localhost", "-c", "commit.gpgSign=false")
    call(*git, "init", "--quiet", "--initial-branch=main")
    call(*git, "add", "--all")
    call(*git, "commit", "--quiet", "--message", "Examples")
    call("git", "clone", "--quiet", "--bare", work, origin)
    return origin


def address(log: Path) -> str:
    """The address that the daemon bound, from what it printed; empty while it has not."""
    found = ADDRESS.search(log.read_text(errors="replace"))
    return f"http://127.0.0.1:{found[1]}" if found else ""


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def synced(reconciler: Path, url: str) -> list[str]:
    """Names of the applications that run what git declares."""
    listed: list[dict[str, Any]] = json.loads(call(reconciler, "status", "--server", url, "--output", "json"))
    return [f"{one['namespace']}/{one['application']}" for one in listed if one["sync"] == "Synced"]


def wait_for_sync(reconciler: Path, daemon: subprocess.Popen[bytes], log: Path) -> tuple[str, list[str]]:
    """Where the daemon listens and what is Synced. Raises SmokeError when it ends, or when the time is over."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            raise SmokeError(f"the daemon ended by itself with {daemon.returncode}")
        url = address(log)
        if url and ready(url) and (names := synced(reconciler, url)):
            return url, names
        time.sleep(PAUSE_SECONDS)
    raise SmokeError(f"nothing is Synced after {START_SECONDS} s; address: {address(log) or 'none printed'}")


def end(daemon: subprocess.Popen[bytes]) -> float:
    """Ends the daemon by SIGTERM; answers the seconds it took. Raises SmokeError when it takes too long or fails."""
    started = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    try:
        code = daemon.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        raise SmokeError(f"still there {END_SECONDS} s after SIGTERM") from None
    if code not in (0, 128 + signal.SIGTERM):
        raise SmokeError(f"ended by SIGTERM with {code}")
    return time.monotonic() - started


def drive(reconciler: Path, example: Path, folder: Path) -> None:
    print(call(reconciler, "--version").strip())
    call(reconciler, "lint", example)
    print("lint of the examples: no error")
    log = folder / "daemon.log"
    command: list[str | Path] = [reconciler, "run", make_origin(example, folder), "--listen", "127.0.0.1:0", "--state", folder / "state.sqlite"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as daemon:
        try:
            url, names = wait_for_sync(reconciler, daemon, log)
            print(f"ready at {url}; Synced: {', '.join(names)}")
            print(f"ended by SIGTERM in {end(daemon):.1f} s")
        except (SmokeError, subprocess.TimeoutExpired):
            print(log.read_text(errors="replace"), file=sys.stderr)
            raise
        finally:
            daemon.kill()


def main() -> int:
    reconciler, example = (Path(word).resolve() for word in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        try:
            drive(reconciler, example, Path(folder))
        except (SmokeError, subprocess.TimeoutExpired, KeyError, ValueError) as error:
            print(f"smoke: {error}", file=sys.stderr)
            return 1
    print("smoke: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())

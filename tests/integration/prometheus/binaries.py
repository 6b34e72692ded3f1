"""
Finds Prometheus and promtool, or fetches Debian's package of them: `python3 tests/integration/prometheus/binaries.py`.

What stands on PATH is taken first. Else the package is unpacked, without root, into
`${XDG_CACHE_HOME:-~/.cache}/reconciler-tests/prometheus-<version>`, once for all work trees. Only the standard library:
it runs before anything is installed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

PACKAGE = "prometheus"
SECONDS = 300
WANTED = (
    "alert rules and dashboards are tested with a real Prometheus: install Debian's package `prometheus` (apt-get install prometheus), "
    "or put `prometheus` and `promtool` on PATH"
)


class Binaries(NamedTuple):
    prometheus: Path
    promtool: Path


class MissingError(Exception):
    """There is none, and none can be fetched. The message says what to install, and what was in the way."""


def find() -> Binaries:
    """From PATH, from the cache, or fetched. Raises MissingError."""
    installed = [shutil.which(name) for name in Binaries._fields]
    if all(installed):
        return Binaries(*(Path(path) for path in installed if path))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reconciler-tests"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{PACKAGE}.lock").open("w") as lock:  # several test processes may ask at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        return cached(cache) or fetch(cache)


def cached(cache: Path) -> Binaries | None:
    """The newest that was unpacked before."""
    found = [Binaries(*(folder / "usr" / "bin" / name for name in Binaries._fields)) for folder in sorted(cache.glob(f"{PACKAGE}-*"))]
    return next((each for each in reversed(found) if all(path.is_file() for path in each)), None)


def fetch(cache: Path) -> Binaries:
    """Downloads and unpacks it beside where it will stand, so that half of one is never found."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise MissingError(f"{WANTED}. It can't be fetched: there is no apt-get here")
    sys.stderr.write(f"fetching {PACKAGE} into {cache} (20 MB, once)\n")
    with tempfile.TemporaryDirectory(dir=cache) as name:
        folder = Path(name)
        archive = download(folder)
        version = archive.name.split("_")[1]
        unpacked = folder / "unpacked"
        call(folder, "dpkg-deb", "-x", str(archive), str(unpacked))
        unpacked.rename(cache / f"{PACKAGE}-{version}")
    found = cached(cache)
    if found is None:
        raise MissingError(f"{WANTED}. The package {archive.name} does not hold both")
    return found


def download(folder: Path) -> Path:
    """With the machine's package lists; where it has none, with lists of our own from the machine's own sources."""
    said = call(folder, "apt-get", "download", PACKAGE, check=False)
    if not list(folder.glob("*.deb")):
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        own = ("-o", f"Dir::State={folder}/state", "-o", f"Dir::State::lists={folder}/state/lists", "-o", f"Dir::Cache={folder}/cache")
        said += call(folder, "apt-get", *own, "update", check=False)
        said += call(folder, "apt-get", *own, "download", PACKAGE, check=False)
    archives = list(folder.glob("*.deb"))
    if not archives:
        raise MissingError(f"{WANTED}. It can't be fetched: {said.strip()[-600:] or 'apt-get says nothing'}")
    return archives[0]


def call(folder: Path, *words: str, check: bool = True) -> str:
    """All that the command says. Raises MissingError where it fails and that is not expected."""
    try:
        done = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise MissingError(f"{WANTED}. It can't be fetched: `{' '.join(words[:2])}` takes longer than {SECONDS} s") from None
    if check and done.returncode:
        raise MissingError(f"{WANTED}. `{' '.join(words[:2])}` fails: {done.stdout.strip()[-600:]}")
    return done.stdout


if __name__ == "__main__":
    try:
        sys.stdout.write("\n".join(str(path) for path in find()) + "\n")
    except MissingError as error:
        sys.exit(str(error))

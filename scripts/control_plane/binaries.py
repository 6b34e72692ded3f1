"""
The commands of a control plane: found, or built from Go modules into the user's cache, once for all work trees.

Each folder of `go/` is one Go module of tool directives. Its commands stand in
`${XDG_CACHE_HOME:-~/.cache}/reconciler-tests/controlplane/<module>-<digest of go.mod and go.sum>`. What the folder of
`KUBEBUILDER_ASSETS` holds is taken from there.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from scripts.gotool import MissingError as MissingError  # noqa: PLC0414 - handed on
from scripts.gotool import find_go, only_builder, run_go, say, tool_cache

MODULES = Path(__file__).resolve().parent / "go"


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
    "cue": Tool("cue", "cuelang.org/go/cmd/cue"),
    "kustomize": Tool("kustomize", "sigs.k8s.io/kustomize/kustomize/v5"),
}
NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
"""What a control plane consists of. The others are built where somebody asks for them."""


def cache_folder() -> Path:
    return tool_cache() / "controlplane"


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


def module_folder(module: str) -> Path:
    """Where its commands stand, or will stand."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((MODULES / module / name).read_bytes())
    return cache_folder() / f"{module}-{digest.hexdigest()[:16]}"


def build(module: str, names: list[str], cache: Path) -> None:
    """Builds beside where the commands will stand: half a command is never found. Raises MissingError."""
    started, source = time.monotonic(), MODULES / module
    command = [
        str(find_go(folder / "go.mod" for folder in MODULES.iterdir())),
        "build",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-v",
        f"-ldflags={link_flags(module)}",
    ]
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

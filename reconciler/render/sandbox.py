"""
Template engines, each a WebAssembly module: no file system, no network, no clock and no environment, and every call bounded.

A call is a function of its input. It has an instance of its own, which begins as the module was once it had started (`snapshots`); what it
may see of time and randomness follows from that input (`preview1`); and its answer is taken only within a deadline, a size, and a cap on the
instance's memory. Whatever a template does, it ends as a SandboxError of that call.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec
from wasmtime import Engine, Linker, Module, Store, Trap, WasmtimeError

from reconciler.model.text import one_line
from reconciler.render import precompiled
from reconciler.render.answers import Answers
from reconciler.render.preview1 import ExitError, Host, link
from reconciler.render.protocol import RenderError

_TICK_SECONDS = 0.02

Reason = Literal["template", "deadline", "memory", "input", "output", "crash", "missing"]
# What may pass: the same may work the next time. All else follows from what was asked.
_PASSING = frozenset({"missing", "crash", "deadline"})


class SandboxError(RenderError):
    """
    `reason`: `template` where the engine said no; else the bound that was met. `file` and `line` are where the engine knows them,
    else "" and 0.
    """

    def __init__(self, message: str, file: str = "", line: int = 0, reason: Reason = "template") -> None:
        super().__init__(message)
        self.message, self.file, self.line, self.reason = message, file, line, reason


class Limits(NamedTuple):
    """Of one call: seconds, and bytes."""

    seconds: float = 20.0
    memory: int = 320 << 20
    input: int = 32 << 20
    output: int = 32 << 20


class _Failure(msgspec.Struct):
    message: str
    file: str = ""
    line: int = 0
    reason: Reason = "template"


class _Answer(msgspec.Struct):
    output: Any = None
    error: _Failure | None = None


class _Loaded(NamedTuple):
    """A module, and what all its instances may ask of their hosts."""

    module: Module
    linker: Linker


class Sandbox:
    """
    To be called from any thread, as many at a time as there are `workers`; others wait. A module is loaded by the first call that
    needs it. What a call answered is kept, also a no of the engine: both follow from the input.
    """

    def __init__(self, modules: Path = precompiled.MODULES, cache: Path | None = None, limits: Limits = Limits(), workers: int = 0) -> None:  # noqa: B008 - immutable
        self._folder, self._cache, self.limits = modules, cache or precompiled.default_folder(), limits
        self._workers = workers or os.cpu_count() or 1
        self._slots = threading.BoundedSemaphore(self._workers)
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}
        self._modules: dict[str, _Loaded] = {}
        self._engine: Engine | None = None
        self._ticker = _Ticker()
        self.answers = Answers()
        self.evaluated = 0
        """How often a module ran."""

    def call(
        self,
        module: str,
        function: str,
        input: Any,  # noqa: A002 - the word of the protocol
        files: Mapping[str, bytes] = MappingProxyType({}),
        *,
        seconds: float = 0.0,
    ) -> Any:
        """
        The function's output. `input` is what msgspec encodes as JSON; files go beside it as they are. `seconds`: less than the limit, where given.

        Blocks for as long as the call takes, and the first time until the module is compiled. Raises SandboxError.
        """
        message = encode_request(function, input, files)
        if len(message) > self.limits.input:
            raise SandboxError(f"{len(message)} bytes of input are too much for {module}; {self.limits.input} are allowed", reason="input")
        limits = self.limits._replace(seconds=seconds or self.limits.seconds)
        key = hashlib.sha256(module.encode() + b"\0" + message).digest()
        return _read_answer(module, self.answers.get(key, lambda: self._evaluate(module, message, limits)))

    def _evaluate(self, name: str, message: bytes, limits: Limits) -> bytes:
        """The answer, also where a bound was met that the same will meet again. Raises SandboxError for what may pass."""
        try:
            return self._answer(name, self._load(name), message, limits)
        except SandboxError as error:
            if error.reason in _PASSING:
                raise
            return msgspec.json.encode(_Answer(error=_Failure(error.message, reason=error.reason)))

    def _answer(self, name: str, loaded: _Loaded, message: bytes, limits: Limits) -> bytes:
        self.evaluated += 1
        with self._slots, self._ticker.running(self._get_engine()):
            return _Instance(name, self._get_engine(), loaded, limits).answer(message, self._ticker)

    def _get_engine(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = precompiled.new_engine()
            return self._engine

    def _load(self, name: str) -> _Loaded:
        if name in self._modules:
            return self._modules[name]
        with self._lock:
            lock = self._loading.setdefault(name, threading.Lock())
        engine = self._get_engine()
        with lock:
            if name not in self._modules:
                try:
                    module = precompiled.load(engine, self._folder / f"{name}.wasm", self._cache)
                    self._modules[name] = _Loaded(module, link(engine, module))
                except (OSError, WasmtimeError) as error:
                    message = f"the renderer {name} is not part of this installation, or is damaged: {one_line(error, 200)}"
                    raise SandboxError(message, reason="missing") from error
        return self._modules[name]


@functools.cache
def shared() -> Sandbox:
    """The one of this process: threads, memory and compiled modules are the machine's, whoever renders."""
    return Sandbox()


class _Instance:
    """Of one call: whatever that leaves in memory, no other sees it."""

    def __init__(self, name: str, engine: Engine, loaded: _Loaded, limits: Limits) -> None:
        self._name, self._loaded, self._limits = name, loaded, limits
        self._host = Host()
        self._store = Store(engine)
        self._store.set_limits(memory_size=limits.memory, instances=1, tables=4, memories=1)

    def answer(self, message: bytes, ticker: _Ticker) -> bytes:
        """What the module answers to the request. Raises SandboxError."""
        until = time.monotonic() + self._limits.seconds
        self._store.set_epoch_deadline(ticker.ticks(self._limits.seconds))
        try:
            self._host.reseed(message)
            with self._host.present():
                exports = self._loaded.linker.instantiate(self._store, self._loaded.module).exports(self._store)
                return self._exchange(exports, message)
        except (Trap, WasmtimeError, ExitError, IndexError) as error:
            raise self._explain(error, late=time.monotonic() >= until) from error

    def _exchange(self, exports: Any, message: bytes) -> bytes:
        memory, allocate, run = exports["memory"], exports["allocate"], exports["run"]
        pointer = allocate(self._store, len(message)) & 0xFFFFFFFF
        memory.write(self._store, message, pointer)
        packed = run(self._store, pointer, len(message))
        place, size = packed >> 32 & 0xFFFFFFFF, packed & 0xFFFFFFFF
        if size > self._limits.output:
            raise SandboxError(f"{self._name}: more than {self._limits.output} bytes of output", reason="output")
        return bytes(memory.read(self._store, place, place + size))

    def _explain(self, error: Exception, *, late: bool) -> SandboxError:
        """Not by the exception's type: wasmtime may have handed this thread what another one's module raised."""
        words = self._host.words.decode("utf-8", "replace")
        if late:
            return SandboxError(f"{self._name}: no answer within {self._limits.seconds:g} s", reason="deadline")
        if "out of memory" in words or "cannot allocate memory" in words:
            return SandboxError(f"{self._name}: more than {self._limits.memory >> 20} MiB of memory", reason="memory")
        if "stack exceeds" in words or "stack overflow" in words or "call stack exhausted" in str(error):
            return SandboxError(f"{self._name}: it calls itself too deeply", reason="crash")
        return SandboxError(f"{self._name}: the renderer crashed: {one_line(words or error, 300)}", reason="crash")


def encode_request(function: str, input: Any, files: Mapping[str, bytes] = MappingProxyType({})) -> bytes:  # noqa: A002 - the word of the protocol
    """The length of the JSON in four bytes, the JSON, and the contents of the files one after another (`renderers/boundary`)."""
    listed = [{"name": name, "size": len(data)} for name, data in files.items()]
    head = msgspec.json.encode({"function": function, "input": input, "files": listed})
    return b"".join([len(head).to_bytes(4, "little"), head, *files.values()])


def _read_answer(name: str, data: bytes) -> Any:
    try:
        answer = msgspec.json.decode(data, type=_Answer)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SandboxError(f"{name}: the answer can't be read: {one_line(error, 200)}", reason="crash") from error
    if answer.error is not None:
        raise SandboxError(answer.error.message, answer.error.file, answer.error.line, answer.error.reason)
    return answer.output


class _Ticker:
    """Moves the engine's epoch on while a call is under way; that is what deadlines are measured by."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy = 0
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._engine: Engine | None = None

    @staticmethod
    def ticks(seconds: float) -> int:
        return max(int(seconds / _TICK_SECONDS), 1) + 1

    def running(self, engine: Engine) -> _Ticker:
        self._engine = engine
        return self

    def __enter__(self) -> None:
        with self._lock:
            self._busy += 1
            self._wake.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._tick, name="sandbox-deadlines", daemon=True)
                self._thread.start()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._busy -= 1
            if not self._busy:
                self._wake.clear()

    def _tick(self) -> None:
        while self._wake.wait():
            time.sleep(_TICK_SECONDS)
            if self._engine is not None:
                self._engine.increment_epoch()

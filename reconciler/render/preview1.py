"""
What a renderer's module may ask of its host: the functions of WASI preview 1 that Go links in, and nothing behind them.

There is no file, no argument but the program's name, no environment, and no network. Clock and randomness follow from a seed, so that
equal input gives equal output. What the module prints is its own last words, kept for the error that they explain.
Source: https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

from wasmtime import Caller, Engine, FuncType, Linker, Memory, Module

SUCCESS, BAD_DESCRIPTOR, INVALID, NO_SYSTEM, FAULT = 0, 8, 28, 52, 21
_PROGRAM = b"renderer\0"
_FIRST_SECOND = 946_684_800  # of the year 2000: no template finds a date that its libraries can't write
_TICK = 1000  # nanoseconds from one look at the clock to the next
_MOST_WORDS = 8 << 10
_MOST_RANDOM = 1 << 20
_CLOCK, _EVENT_SIZE = 0, 32
_SUBSCRIPTION = struct.Struct("<QB7xI4xQQH6x")  # userdata, kind, clock, timeout, precision, flags
_MOST_SUBSCRIPTIONS = 64
_MOST_PARTS = 1024


_here = threading.local()


class ExitError(Exception):
    """The module ended itself. wasmtime may hand it to another thread than the one it was raised in: never decide by it."""


class Host:
    """One instance's surroundings: what runs while it is `present` in a thread asks it."""

    def __init__(self) -> None:
        self.words = b""
        self.reseed(b"")

    def reseed(self, seed: bytes) -> None:
        """Clock and randomness begin anew."""
        digest = hashlib.blake2b(seed, digest_size=32, person=b"reconciler/wasi").digest()
        self.words = b""
        self._seed, self._blocks, self._random = digest, 0, b""
        self._nanoseconds = (_FIRST_SECOND + int.from_bytes(digest[:3], "big")) * 1_000_000_000

    @contextlib.contextmanager
    def present(self) -> Iterator[None]:
        """What this thread runs meanwhile asks this host."""
        _here.host = self
        try:
            yield
        finally:
            del _here.host

    def args_sizes_get(self, caller: Caller, count: int, size: int) -> int:
        return _write(caller, count, struct.pack("<I", 1)) or _write(caller, size, struct.pack("<I", len(_PROGRAM)))

    def args_get(self, caller: Caller, pointers: int, texts: int) -> int:
        return _write(caller, pointers, struct.pack("<I", texts & 0xFFFFFFFF)) or _write(caller, texts, _PROGRAM)

    def clock_time_get(self, caller: Caller, _clock: int, _precision: int, result: int) -> int:
        self._nanoseconds += _TICK
        return _write(caller, result, struct.pack("<Q", self._nanoseconds))

    def poll_oneoff(self, caller: Caller, subscriptions: int, events: int, count: int, stored: int) -> int:
        """Whoever sleeps wakes at once, and finds that the time has passed."""
        if not 0 < count <= _MOST_SUBSCRIPTIONS:
            return INVALID
        asked = _read(caller, subscriptions, count * _SUBSCRIPTION.size)
        if asked is None:
            return FAULT
        made = b""
        for userdata, kind, _, timeout, _, flags in _SUBSCRIPTION.iter_unpack(asked):
            if kind == _CLOCK:
                self._nanoseconds = min(max(self._nanoseconds, timeout if flags & 1 else self._nanoseconds + timeout), 1 << 62)
            made += struct.pack("<QHB", userdata, SUCCESS if kind == _CLOCK else BAD_DESCRIPTOR, kind).ljust(_EVENT_SIZE, b"\0")
        return _write(caller, events, made) or _write(caller, stored, struct.pack("<I", count))

    def random_get(self, caller: Caller, buffer: int, size: int) -> int:
        size &= 0xFFFFFFFF
        if size > _MOST_RANDOM:
            return INVALID
        while len(self._random) < size:
            self._random += hashlib.blake2b(self._blocks.to_bytes(8, "little"), key=self._seed).digest()
            self._blocks += 1
        given, self._random = self._random[:size], self._random[size:]
        return _write(caller, buffer, given)

    def fd_write(self, caller: Caller, descriptor: int, parts: int, count: int, written: int) -> int:
        if descriptor not in (1, 2):
            return BAD_DESCRIPTOR
        if not 0 <= count <= _MOST_PARTS:
            return INVALID
        listed = _read(caller, parts, 8 * count)
        if listed is None:
            return FAULT
        total = 0
        for pointer, size in struct.iter_unpack("<II", listed):
            total += size
            self.words += _read(caller, pointer, min(size, max(_MOST_WORDS - len(self.words), 0))) or b""
        return _write(caller, written, struct.pack("<I", total & 0xFFFFFFFF))

    def environ_sizes_get(self, caller: Caller, count: int, size: int) -> int:
        return _write(caller, count, bytes(4)) or _write(caller, size, bytes(4))

    def environ_get(self, _caller: Caller, _pointers: int, _texts: int) -> int:
        return SUCCESS

    def sched_yield(self, _caller: Caller) -> int:
        return SUCCESS

    def proc_exit(self, _caller: Caller, status: int) -> None:
        raise ExitError(status)


_KNOWN = (
    Host.args_get,
    Host.args_sizes_get,
    Host.clock_time_get,
    Host.environ_get,
    Host.environ_sizes_get,
    Host.fd_write,
    Host.poll_oneoff,
    Host.proc_exit,
    Host.random_get,
    Host.sched_yield,
)


def link(engine: Engine, module: Module) -> Linker:
    """
    Functions for what the module imports, for all its instances in all threads: each call is answered by the host that is present
    in its thread. A function that is not known here says that there is no such thing.
    """
    known = {method.__name__: _forward(method) for method in _KNOWN}
    linker = Linker(engine)
    linker.allow_shadowing = True
    for wanted in module.imports:
        name, kind = str(wanted.name), wanted.type
        if wanted.module != "wasi_snapshot_preview1" or not isinstance(kind, FuncType):
            raise ValueError(f"a renderer asks for {wanted.module}.{name}, which is none of WASI's functions")
        refused = BAD_DESCRIPTOR if name.startswith("fd_") else NO_SYSTEM
        linker.define_func("wasi_snapshot_preview1", name, kind, known.get(name, _refuse(refused)), access_caller=True)
    return linker


def _forward(method: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: method(_here.host, *arguments)


def _refuse(error: int) -> Callable[..., int]:
    return lambda *_arguments: error


def _read(caller: Caller, pointer: int, size: int) -> bytes | None:
    """None where that is not all within the memory."""
    pointer &= 0xFFFFFFFF
    memory = caller["memory"]
    if not isinstance(memory, Memory) or pointer + size > memory.data_len(caller):
        return None
    return bytes(memory.read(caller, pointer, pointer + size))


def _write(caller: Caller, pointer: int, data: bytes) -> int:
    """An error number of WASI, 0 where all is well."""
    pointer &= 0xFFFFFFFF
    memory = caller["memory"]
    if not isinstance(memory, Memory) or pointer + len(data) > memory.data_len(caller):
        return FAULT
    if data:
        memory.write(caller, data, pointer)
    return SUCCESS

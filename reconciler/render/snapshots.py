"""
Modules as they are once they have started, so that each call may have an instance of its own.

Starting a Go program takes tens of milliseconds, and what one call leaves in memory (a generator of random numbers, the order of a map)
would be seen by the next. So a module is started once, and written down again with its memory and globals as they were then: the same
approach as Wizer's (https://github.com/bytecodealliance/wizer). The format: https://webassembly.github.io/spec/core/binary/modules.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from wasmtime import Config, Engine, Func, Global, Memory, Module, Store, WasmtimeError, _ffi

from reconciler.render.preview1 import Host, link

START = "_initialize"
PAGE = 1 << 16
_MEMORY, _GLOBAL, _EXPORT, _START, _DATA, _DATA_COUNT = 5, 6, 7, 8, 11, 12
_BASELINE = 2  # wasmtime.h: WASMTIME_STRATEGY_WINCH
_I32, _I64 = 0x7F, 0x7E
_CONSTANT = {_I32: 0x41, _I64: 0x42}
_MOST_PAGES = (320 << 20) // PAGE
_PREFIX = "reconciler:global:"


class _Section(NamedTuple):
    id: int
    content: bytes


class _Kind(NamedTuple):
    """A global's type: of its value, and whether it may change."""

    type: int
    mutable: int
    begin: int
    end: int


def started(data: bytes) -> bytes:
    """
    The module after `_initialize`, which it no longer exports. Raises ValueError for one that can't be written down so, and
    Trap or WasmtimeError where it does not start.
    """
    sections = list(_sections(data))
    kinds = _globals(_content(sections, _GLOBAL))
    if any(kind.mutable and kind.type not in _CONSTANT for kind in kinds) or any(section.id in (_START, _DATA_COUNT) for section in sections):
        raise ValueError("its state is not memory and numbers alone")
    memory, values = _run(_join([_with_globals(section, kinds) for section in sections]), kinds)
    changed: dict[int, Callable[[bytes], bytes]] = {
        _MEMORY: lambda content: _with_least(content, len(memory) // PAGE),
        _GLOBAL: lambda content: _with_values(content, kinds, values),
        _DATA: lambda _: _segments(memory),
        _EXPORT: _without_start,
    }
    if not any(section.id == _DATA for section in sections):
        raise ValueError("it has no data")
    return _join([_Section(id_, changed[id_](content)) if id_ in changed else _Section(id_, content) for id_, content in sections])


def _run(data: bytes, kinds: list[_Kind]) -> tuple[bytes, list[int]]:
    """Memory, and the values of all globals (0 for those that never change)."""
    engine, module = _compile(data)
    store = Store(engine)
    store.set_limits(memory_size=_MOST_PAGES * PAGE)
    exports = link(engine, module).instantiate(store, module).exports(store)
    start, memory = exports[START], exports["memory"]
    assert isinstance(start, Func)
    assert isinstance(memory, Memory)
    with Host().present():
        start(store)
    values = []
    for index, kind in enumerate(kinds):
        found = exports[f"{_PREFIX}{index}"]
        assert isinstance(found, Global)
        values.append(int(found.value(store)) if kind.mutable else 0)
    return bytes(memory.read(store)), values


def _compile(data: bytes) -> tuple[Engine, Module]:
    """By the baseline compiler, as it runs once. Where that is not made for this CPU: by the other one."""
    config = Config()
    _ffi.wasmtime_config_strategy_set(config.ptr(), _BASELINE)  # the Python API has no word for it yet
    try:
        engine = Engine(config)
        return engine, Module(engine, data)
    except WasmtimeError:
        config = Config()
        config.cranelift_opt_level = "none"
        engine = Engine(config)
        return engine, Module(engine, data)


# --- the binary format


def _sections(data: bytes) -> Iterator[_Section]:
    at = 8  # magic number and version
    while at < len(data):
        size, begin = _read(data, at + 1)
        yield _Section(data[at], data[begin : begin + size])
        at = begin + size


def _join(sections: list[_Section]) -> bytes:
    return b"\0asm\1\0\0\0" + b"".join(bytes([id_]) + _unsigned(len(content)) + content for id_, content in sections)


def _content(sections: list[_Section], wanted: int) -> bytes:
    return next((content for id_, content in sections if id_ == wanted), b"\0")


def _globals(content: bytes) -> list[_Kind]:
    count, at = _read(content, 0)
    kinds = []
    for _ in range(count):
        type_, mutable, begin = content[at], content[at + 1], at + 2
        at = begin + 1
        if type_ not in _CONSTANT or content[begin] != _CONSTANT[type_]:
            raise ValueError("a global does not begin as a whole number")
        _, at = _read(content, at)
        at += 1  # the end of the expression
        kinds.append(_Kind(type_, mutable, begin, at))
    return kinds


def _with_globals(section: _Section, kinds: list[_Kind]) -> _Section:
    """Exports that show every global."""
    if section.id != _EXPORT:
        return section
    count, at = _read(section.content, 0)
    more = b""
    for index in range(len(kinds)):
        name = f"{_PREFIX}{index}".encode()
        more += _unsigned(len(name)) + name + b"\x03" + _unsigned(index)
    return _Section(_EXPORT, _unsigned(count + len(kinds)) + section.content[at:] + more)


def _without_start(content: bytes) -> bytes:
    count, at = _read(content, 0)
    kept = []
    for _ in range(count):
        size, name = _read(content, at)
        _, end = _read(content, name + size + 1)
        if content[name : name + size] != START.encode():
            kept.append(content[at:end])
        at = end
    return _unsigned(len(kept)) + b"".join(kept)


def _with_least(content: bytes, pages: int) -> bytes:
    """The one memory, as large as it has become."""
    count, at = _read(content, 0)
    limited = content[at]
    if count != 1 or limited not in (0, 1):
        raise ValueError("it has not one memory of 32 bits")
    _, rest = _read(content, at + 1)
    return b"\1" + bytes([limited]) + _unsigned(pages) + content[rest:]


def _with_values(content: bytes, kinds: list[_Kind], values: list[int]) -> bytes:
    made = _unsigned(len(kinds))
    for kind, value in zip(kinds, values, strict=True):
        expression = bytes([_CONSTANT[kind.type]]) + _signed(value) + b"\x0b" if kind.mutable else content[kind.begin : kind.end]
        made += bytes([kind.type, kind.mutable]) + expression
    return made


def _segments(memory: bytes) -> bytes:
    """Everything in memory that is not zero."""
    found = list(_runs(memory))
    made = [_unsigned(len(found))]
    for begin, end in found:
        made += [b"\0\x41", _signed(begin), b"\x0b", _unsigned(end - begin), memory[begin:end]]
    return b"".join(made)


def _runs(memory: bytes) -> Iterator[tuple[int, int]]:
    """From where to where, by pages of the machine: what is copied when it is written to is a page anyway."""
    size, begin = 4096, -1
    zero = bytes(size)
    for at in range(0, len(memory), size):
        empty = memory[at : at + size] == zero
        if not empty and begin < 0:
            begin = at
        if empty and begin >= 0:
            yield begin, at
            begin = -1
    if begin >= 0:
        yield begin, len(memory)


def _read(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            return value, at


def _unsigned(value: int) -> bytes:
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _signed(value: int) -> bytes:
    made = bytearray()
    while not -0x40 <= value < 0x40:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value & 0x7F)
    return bytes(made)

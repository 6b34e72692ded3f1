"""Modules in WebAssembly's text form that do what no renderer should, and one that answers with what its host lets it see."""

from __future__ import annotations

from pathlib import Path

from wasmtime import wat2wasm

_SHELL = """
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $print (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const 1024) "{{\\"output\\":[00000000,00000000,00000000]}}")
  (func $put (param $at i32) (param $value i32) (local $left i32)  ;; eight digits
    (local.set $left (i32.const 8))
    (loop $next
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (i32.store8 (i32.add (local.get $at) (local.get $left)) (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10))))
      (local.set $value (i32.div_u (local.get $value) (i32.const 10)))
      (br_if $next (local.get $left))))
  (func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))
  (func (export "allocate") (param i32) (result i32) {allocate})
  (func (export "free") (param i32))
  (func (export "run") (param i32 i32) (result i64) {run}))
"""
# Ten million more than the number, which is eight digits: JSON has no number that begins with a zero.
_SEEN = """
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 8)))
    (drop (call $random (i32.const 16) (i32.const 4)))
    (call $put (i32.const 1035) (i32.add (i32.const 10000000) (i32.rem_u (i32.load (i32.const 8)) (i32.const 10000000))))
    (call $put (i32.const 1044) (i32.add (i32.const 10000000) (i32.rem_u (i32.load (i32.const 16)) (i32.const 10000000))))
    (call $put (i32.const 1053) (i32.add (i32.const 10000000) (global.get $calls)))
    (i64.or (i64.shl (i64.const 1024) (i64.const 32)) (i64.const 39))"""
_REFUSED = """
    (call $put (i32.const 1035) (i32.add (i32.const 10000000) (call $open
      (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 64))))
    (drop (call $environ (i32.const 64) (i32.const 68)))
    (call $put (i32.const 1044) (i32.add (i32.const 10000000) (i32.load (i32.const 64))))
    (call $put (i32.const 1053) (i32.add (i32.const 10000000) (call $poll (i32.const -8) (i32.const 0) (i32.const 1) (i32.const 0))))
    (i64.or (i64.shl (i64.const 1024) (i64.const 32)) (i64.const 39))"""
_KEEP = "(i32.const 4096)"
_BODIES = {
    "seen": (_KEEP, _SEEN),
    "refused": (_KEEP, _REFUSED),
    "endless": (_KEEP, "(loop $again (br $again)) (i64.const 0)"),
    "greedy": (_KEEP, "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 256)) (i32.const -1)))) (unreachable)"),
    "large": (_KEEP, "(drop (memory.grow (i32.const 256))) (i64.or (i64.shl (i64.const 0) (i64.const 32)) (i64.const 16000000))"),
    "deep": (_KEEP, "(i64.extend_i32_u (call $deep (i32.const 1)))"),
    "trap": (_KEEP, "(unreachable)"),
    "exit": (_KEEP, "(call $exit (i32.const 2)) (i64.const 0)"),
    "outside": (_KEEP, "(i64.or (i64.shl (i64.const 0xFFFFFFF0) (i64.const 32)) (i64.const 64))"),
    "nowhere": ("(i32.const -16)", "(i64.const 0)"),
    "garbage": (_KEEP, "(i64.or (i64.shl (i64.const 1025) (i64.const 32)) (i64.const 12))"),
    "wild": (_KEEP, "(drop (call $print (i32.const 2) (i32.const -4) (i32.const 900) (i32.const -4))) (call $exit (i32.const 1)) (i64.const 0)"),
}
NAMES = tuple(_BODIES)


def write(folder: Path) -> Path:
    """All of them, each by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (allocate, run) in _BODIES.items():
        (folder / f"{name}.wasm").write_bytes(wat2wasm(_SHELL.format(allocate=allocate, run=run)))
    return folder

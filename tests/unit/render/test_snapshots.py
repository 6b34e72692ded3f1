"""A module that is written down once it has started goes on from there."""

import pytest
from wasmtime import Engine, Linker, Module, Store, Trap, wat2wasm

from reconciler.render.snapshots import started

COUNTER = """
(module
  (memory (export "memory") 1 100)
  (global $small (mut i32) (i32.const -5))
  (global $large (mut i64) (i64.const 0))
  (global $fixed i32 (i32.const 7))
  (data (i32.const 100000000) "")
  (data (i32.const 16) "abc")
  (func (export "_initialize")
    (global.set $small (i32.const -300))
    (global.set $large (i64.const -9007199254740993))
    (drop (memory.grow (i32.const 2)))
    (i32.store8 (i32.const 17) (i32.const 0))
    (i32.store (i32.const 150000) (i32.const 123456789)))
  (func (export "small") (result i32) (global.get $small))
  (func (export "large") (result i64) (global.get $large))
  (func (export "fixed") (result i32) (global.get $fixed))
  (func (export "at") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "pages") (result i32) (memory.size)))
""".replace('  (data (i32.const 100000000) "")\n', "")


def run(data):
    engine = Engine()
    module = Module(engine, data)
    store = Store(engine)
    return store, Linker(engine).instantiate(store, module).exports(store)


def test_numbers_and_memory_are_those_after_the_start_and_it_is_not_started_again():
    store, exports = run(started(wat2wasm(COUNTER)))
    assert (exports["small"](store), exports["large"](store), exports["fixed"](store)) == (-300, -9007199254740993, 7)
    assert exports["at"](store, 16) == int.from_bytes(b"a\0c\0", "little")
    assert exports["at"](store, 150000) == 123456789
    assert exports["pages"](store) == 3
    assert "_initialize" not in [export.name for export in Module(Engine(), started(wat2wasm(COUNTER))).exports]
    assert {"small", "memory", "pages"} <= {export.name for export in Module(Engine(), started(wat2wasm(COUNTER))).exports}


def test_equal_modules_are_written_down_alike():
    assert started(wat2wasm(COUNTER)) == started(wat2wasm(COUNTER))


@pytest.mark.parametrize(
    "text",
    [
        '(module (memory (export "memory") 1) (func (export "_initialize")))',
        '(module (memory (export "memory") 1) (data (i32.const 0) "a") (global (mut f32) (f32.const 1)) (func (export "_initialize")))',
        '(module (memory (export "memory") 1) (data (i32.const 0) "a") (func $s) (start $s) (func (export "_initialize")))',
        '(module (memory (export "memory") 1) (data "a") (func (export "_initialize") (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))))',
    ],
)
def test_a_module_with_other_state_is_refused(text):
    with pytest.raises(ValueError, match=r"state|data|global"):
        started(wat2wasm(text))


def test_one_that_does_not_start_is_an_error():
    with pytest.raises(Trap):
        started(wat2wasm('(module (memory (export "memory") 1) (data (i32.const 0) "a") (func (export "_initialize") (unreachable)))'))

"""What goes over the boundary of a real module, whatever it is, ends in an answer or an error, never in the end of the process."""

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime import Store

from reconciler.render.preview1 import Host
from reconciler.render.sandbox import Sandbox, SandboxError, encode_request
from scripts import renderers as built

FUNCTIONS = {"cue": "check", "helm": "template", "kustomize": "build"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["path", "files", "values", "x"]) | st.text(), inner, max_size=4),
    max_leaves=12,
)


class Raw(Sandbox):
    """Bytes instead of a request."""

    def send(self, module: str, message: bytes) -> bytes:
        return self._answer(module, self._load(module), message, self.limits)


@pytest.fixture(scope="module")
def raw(renderers):
    return Raw()


def test_every_module_of_the_build_is_tried_here():
    assert sorted(FUNCTIONS) == [folder.name for folder in built.renderers()]


@pytest.mark.parametrize("module", FUNCTIONS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.binary(max_size=200), cut=st.integers(0, 80))
def test_random_bytes_and_cut_messages_are_answered_with_an_error(raw, module, message, cut):
    whole = encode_request(FUNCTIONS[module], {"path": "a"}, {"a/x": b"1234", "b": b"5678"})
    for sent in (message, whole[:cut], whole[: -cut or None], len(message).to_bytes(4, "little") + message):
        assert json.loads(raw.send(module, sent)).keys() <= {"error", "output"}


@pytest.mark.parametrize("module", FUNCTIONS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES)
def test_any_input_of_any_shape_is_answered(renderers, module, value):
    with contextlib.suppress(SandboxError):
        renderers.call(module, FUNCTIONS[module], value)


@pytest.mark.parametrize("module", FUNCTIONS)
@pytest.mark.parametrize(("pointer", "size"), [(0, 10), (-1, 10), (1 << 20, 1 << 30), (64, -1)])
def test_a_request_outside_the_modules_buffers_is_an_error(raw, module, pointer, size):
    engine, loaded = raw._get_engine(), raw._load(module)
    store = Store(engine)
    store.set_epoch_deadline(1 << 40)
    with Host().present():
        exports = loaded.linker.instantiate(store, loaded.module).exports(store)
        packed = exports["run"](store, pointer, size)
    place, length = packed >> 32 & 0xFFFFFFFF, packed & 0xFFFFFFFF
    assert "buffer" in json.loads(exports["memory"].read(store, place, place + length))["error"]["message"]

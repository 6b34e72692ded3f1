"""A real server on loopback around a fake Reader, and the commands as a user would call them."""

import asyncio
import json
import threading
from types import SimpleNamespace

import pytest

from reconciler.api.server import Server, create_app
from reconciler.cli.main import execute
from tests.unit.api.fakes import NOW, FakeReader


@pytest.fixture
def reader():
    return FakeReader()


@pytest.fixture
def url(reader):
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = Server(create_app(reader, lambda: b"", lambda: NOW))
    yield asyncio.run_coroutine_threadsafe(server.start("127.0.0.1", 0), loop).result()
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("RECONCILER_SERVER", "RECONCILER_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def call(capsys):
    """Runs a command; answers its exit code and what it printed. A stack trace would be an exception here."""

    def call(*args, serve=lambda _: 0):
        capsys.readouterr()
        code = int(execute(serve, [str(arg) for arg in args]))
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err, json=lambda: json.loads(out))

    return call


@pytest.fixture
def ask(call, url):
    """The same, with the server named."""
    return lambda *args: call(*args, "--server", url)

import aiohttp
import pytest

from reconciler.api.server import Server, create_app
from tests.unit.api.fakes import NOW, FakeReader, application, waiting


@pytest.fixture
def reader():
    return FakeReader(application("shop", "prod"), waiting("web", "prod"), application("web", "dev"))


@pytest.fixture
async def url(reader):
    """The address of a real server on loopback."""
    server = Server(create_app(reader, lambda: b"# EOF\n", lambda: NOW))
    yield await server.start("127.0.0.1", 0)
    await server.stop()


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session

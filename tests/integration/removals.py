"""What the tests of removals share."""

from reconciler.cluster.protocol import NotFoundError
from reconciler.model.identity import AppKey
from tests.integration.harness import Clone, Daemon, config_map_app
from tests.integration.sequences import push

PRUNE = ".reconciler/prune.yaml"


async def is_there(daemon: Daemon, name: str, kind: str = "ConfigMap") -> bool:
    try:
        await daemon.get(kind, name)
    except NotFoundError:
        return False
    return True


async def gone(daemon: Daemon, name: str) -> None:
    """Waits until the application is forgotten, and sees that its object went with it."""
    await daemon.until(lambda: daemon.engine.reader.ready()[0] and AppKey("default", name) not in daemon.engine._context.apps, f"{name} is removed")
    assert not await is_there(daemon, name)


async def doubted(daemon: Daemon, name: str) -> str:
    """Sees that the application is kept and its object stands; answers what its condition says."""
    said: str = await daemon.until(lambda: daemon.conditions(name).get("RemovalInDoubt"), f"{name} in doubt")
    assert await is_there(daemon, name)
    return said


def code_of(sentence: str) -> str:
    """The digest that the sentence asks to be approved."""
    return sentence.partition("add ")[2].partition(" ")[0]


async def two(daemon: Daemon, clone: Clone, path: str = "web.yaml") -> None:
    """`web` at that path, and `api`, both running."""
    await push(daemon, clone, {path: config_map_app("web", "1"), "api.yaml": config_map_app("api", "1")})
    await daemon.synced("web")
    await daemon.synced("api")

"""A daemon that reaches its API server through a proxy that a test can make worse."""

from collections.abc import Iterator

import pytest

from tests.e2e.place import Place, place
from tests.faults.effects import Receiver
from tests.faults.proxy import Proxy

__all__ = ["place"]


@pytest.fixture
def proxy(place: Place) -> Iterator[Proxy]:
    """Before the place's control plane: its daemons talk through it, its tests do not."""
    with Proxy(place.plane) as one:
        place.kubeconfig = place.plane.kubeconfig_for(place.folder / "proxied", place.plane.token, one.url)
        yield one


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one
